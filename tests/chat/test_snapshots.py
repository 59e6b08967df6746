"""An old snapshot and the entries since give the new snapshot, for every kind of entry of a conversation (R-32).

What members load (`GET /conversations/{id}`) and what they hear live must never say different things. The same cases
are written to a file from which the web client is tested; after a change of what is told:

    VOUCH_WRITE_FIXTURES=1 python -m pytest tests/chat/test_snapshots.py
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from server.chat.model import ChangeConversation, EverybodyBy, MemberRole
from server.chat.words import Called
from server.clock import to_ms
from server.realtime.channels import Draft
from server.realtime.protocol import Entry
from tests.chat.conftest import HandClock, World
from tests.chat.replay import KIND

FIXTURE = Path(__file__).parents[2] / "static" / "test" / "fixtures" / "entries.json"
PICTURE = {
    "id": "m_" + "0" * 26, "kind": "picture", "name": "tea.webp", "type": "image/webp",
    "size": 5, "width": 4, "height": 3, "blur": "AAAA",
}  # fmt: skip


class Room:
    """One conversation as Mei sees it: Lin's group, with Ada and Ben; two messages were said. Mei does not write, so
    that nothing is read by the way."""

    def __init__(self, world: World, people: dict[str, str], id: str, clock: HandClock, number: int) -> None:
        self.world = world
        self.number = number
        self.lin, self.mei, self.ada, self.ben = (people[name] for name in ("lin", "mei", "ada", "ben"))
        self.id = id
        self.clock = clock
        self.first = self.second = 0
        self._keys = 0

    @property
    def chat(self) -> Any:
        return self.world.chat

    async def say(self, text: str = "tea?", by: str | None = None, ref: int | None = None, **body: Any) -> int:
        return await self.tell("message", {"text": text, **body}, by=by, ref=ref)

    async def tell(self, kind: str, body: dict[str, Any], by: str | None = None, ref: int | None = None) -> int:
        """Appends, as the socket does."""
        self._keys += 1
        key = f"chosen-{self.number:05}-{self._keys:05}"
        return (await self.world.append(by or self.lin, self.id, kind, body, ref=ref, key=key)).entry.seq

    async def picture(self) -> None:
        """Media are claimed by their own domain; here it is about what is told of them."""
        body = {"text": "", "media": [PICTURE]}
        key = f"chosen-{self.number:05}-media"
        await self.world.hub.append(Draft(f"conv:{self.id}", self.lin, key, "message", body))

    async def call(self, state: str, missed: tuple[str, ...] = ()) -> None:
        """Calls are a domain of their own; here it is about what the thread is told of them."""
        body = msgspec.to_builtins(Called("cl_" + "0" * 20, self.lin, True, state, 0, list(missed)))
        await self.world.hub.append(Draft(f"conv:{self.id}", "system", f"call-{self.id}-{state}", "call", body))

    async def change(self, wanted: ChangeConversation) -> None:
        await self.world.chat.change(self.lin, self.id, wanted)

    def later(self, minutes: int) -> int:
        return to_ms(self.clock.at + timedelta(minutes=minutes))


Act = Callable[[Room], Awaitable[Any]]


class Case(NamedTuple):
    """`before` is done first, then the snapshot is taken, then `act` is done. `direct`: between Lin and Mei alone."""

    kind: str
    act: Act
    before: Act | None = None
    direct: bool = False


def tell(kind: str, body: dict[str, Any], *, about: str = "second", **more: str) -> Act:
    """Lin (or `by`) appends something about one of the two messages."""

    async def act(room: Room) -> int:
        by = getattr(room, more["by"]) if "by" in more else None
        return await room.tell(kind, body, by=by, ref=getattr(room, about))

    return act


async def mention(room: Room) -> None:
    await room.say("@Mei look", mentions=[room.mei])


async def everybody(room: Room) -> None:
    await room.say("@all look", by=room.ada, everybody=True)


async def edit_of_a_mention(room: Room) -> None:
    await room.tell("edit", {"text": "@Ada look", "mentions": [room.ada]}, ref=room.second + 1)


async def delete_a_mention(room: Room) -> None:
    await room.tell("delete", {}, ref=room.second + 1)


async def come_later(room: Room) -> None:
    await room.chat.remove(room.lin, room.id, room.mei)
    await room.chat.add(room.lin, room.id, [room.mei])


async def pin_both(room: Room) -> None:
    await room.chat.pin(room.lin, room.id, room.first)
    await room.chat.pin(room.lin, room.id, room.second)


async def silence_ada(room: Room) -> None:
    await room.chat.silence(room.lin, room.id, room.ada, room.later(10))


async def name_ada(room: Room) -> None:
    await room.chat.change_role(room.lin, room.id, room.ada, MemberRole.ADMIN)


async def unname_ada(room: Room) -> None:
    await room.chat.change_role(room.lin, room.id, room.ada, MemberRole.MEMBER)


async def ben_leaves(room: Room) -> None:
    await room.chat.remove(room.ben, room.id, room.ben)


async def ada_said_something(room: Room) -> None:
    await room.say("@Mei hello", by=room.ada, mentions=[room.mei])
    await room.chat.pin(room.lin, room.id, room.second + 1)


CASES: tuple[Case, ...] = (
    Case("message", lambda room: room.say("so then")),
    Case("message", mention),
    Case("message", everybody),
    Case("message", lambda room: room.say("yes", by=room.ada, ref=room.first, thread=room.first)),
    Case("message", lambda room: room.say("as they said", forwarded={"by": room.ben, "at": 1_000})),
    Case("message", lambda room: room.picture()),
    Case("edit", tell("edit", {"text": "coffee?"})),
    Case("edit", tell("edit", {"text": "coffee?"}, about="first")),
    Case("edit", edit_of_a_mention, before=mention),
    Case("edit", lambda room: room.tell("edit", {"text": "@all", "everybody": True}, ref=room.first)),
    Case("edit", tell("edit", {"text": "not for Mei"}), before=come_later),
    Case("delete", tell("delete", {})),
    Case("delete", tell("delete", {}, about="first")),
    Case("delete", tell("delete", {}, about="first"), before=pin_both),
    Case("delete", delete_a_mention, before=mention),
    Case("reaction", tell("reaction", {"emoji": "🍵", "on": True}, by="ada")),
    Case("joined", lambda room: room.chat.add(room.lin, room.id, [room.ben]), before=ben_leaves),
    Case("left", ben_leaves),
    Case("left", lambda room: room.chat.remove(room.ada, room.id, room.ada), before=silence_ada),
    Case("removed", lambda room: room.chat.remove(room.lin, room.id, room.ben)),
    Case("renamed", lambda room: room.change(ChangeConversation("Coffee"))),
    Case("handed_over", lambda room: room.chat.hand_over(room.lin, room.id, room.mei)),
    Case("handed_over", lambda room: room.chat.hand_over(room.lin, room.id, room.ada), before=silence_ada),
    Case("role_changed", name_ada),
    Case("role_changed", unname_ada, before=name_ada),
    Case("silenced", silence_ada),
    Case("silenced", lambda room: room.chat.silence(room.lin, room.id, room.mei, room.later(60))),
    Case("silenced", lambda room: room.chat.silence(room.lin, room.id, room.ada, None), before=silence_ada),
    Case("pinned", pin_both),
    Case("pinned", lambda room: room.chat.unpin(room.lin, room.id, room.first), before=pin_both),
    Case("pinned", lambda room: room.chat.pin(room.lin, room.id, room.second), before=come_later),
    Case("call", lambda room: room.call("started")),
    Case("call", lambda room: room.call("missed", (room.mei,))),
    Case("rules_changed", lambda room: room.change(ChangeConversation(None, EverybodyBy.ADMINS))),
    # From here on somebody is missing, or no friend any more.
    Case("erased", lambda room: room.world.delete_account(room.ada), before=ada_said_something),
    Case("pinned", lambda room: room.chat.pin(room.mei, room.id, room.second), direct=True),
    Case("closed", lambda room: room.world.services.people.friends.block(room.lin, room.mei), direct=True),
    Case(
        "reopened",
        lambda room: room.world.services.people.friends.unblock(room.lin, room.mei),
        direct=True,
    ),
    Case("erased", lambda room: room.world.delete_account(room.lin), direct=True),
)  # fmt: skip


def test_every_kind_has_a_case() -> None:
    """`created` is the first entry of all: before it there is no snapshot, and with it one is loaded."""
    assert {case.kind for case in CASES} | {"created"} == {kind.name for kind in KIND.entries}


# ── What a client makes of it ───────────────────────────────────────────────────────────────────────────────────────


def fold(snapshot: dict[str, Any], entries: list[dict[str, Any]], me: str, authors: dict[int, str]) -> None:
    """Brings a snapshot up to date. `authors` says who wrote which message: a client has it from its timeline."""
    for entry in entries:
        assert entry["seq"] == snapshot["head"] + 1
        snapshot["head"], snapshot["n"] = entry["seq"], entry["n"]
        if entry["kind"] == "message":
            snapshot["last"] = entry
            authors[entry["seq"]] = entry["by"]
            _call(snapshot, entry["seq"], entry, me)
        elif (snapshot["last"] is None or snapshot["last"]["kind"] != "message") and entry.get("ref") is None:
            snapshot["last"] = entry  # as long as nobody has said anything
        _one(snapshot, entry, me, authors)
        snapshot["mentioned"].sort()


def _one(snapshot: dict[str, Any], entry: dict[str, Any], me: str, authors: dict[int, str]) -> None:
    body, ref, last = entry["body"], entry.get("ref"), snapshot["last"]
    members = {member["person"]: member for member in snapshot["members"]}
    match entry["kind"]:
        case "edit" if ref is not None and not entry.get("gone"):
            if last["seq"] == ref:
                spoken_of = ("text", "mentions", "everybody")
                last["body"] = {k: v for k, v in last["body"].items() if k not in spoken_of} | body
            _uncall(snapshot, lambda seq: seq == ref)
            _call(snapshot, ref, entry, me)
        case "delete":
            if last["seq"] == ref:
                last |= {"body": {}, "gone": True}
            _uncall(snapshot, lambda seq: seq == ref)
        case "erased":
            if last["by"] == body["person"]:
                last |= {"body": {}, "gone": True}
            _uncall(snapshot, lambda seq: authors.get(seq) == body["person"])
        case "joined":
            for person in body["persons"]:
                snapshot["members"].append({"person": person, "role": "member", "silenced_until": None})
        case "left" | "removed":
            snapshot["members"].remove(members[body["person"]])
        case "handed_over":
            for member in members.values():
                if member["role"] == "owner":
                    member["role"] = "member"
            members[body["person"]] |= {"role": "owner", "silenced_until": None}
        case "role_changed":
            members[body["person"]]["role"] = body["role"]
        case "silenced":
            members[body["person"]]["silenced_until"] = body["until"]
        case "pinned":
            snapshot["pins"] = [pin for pin in snapshot["pins"] if pin["seq"] != body["seq"]]
            if body["on"] and body["seq"] >= snapshot["first"]:
                snapshot["pins"].append({"seq": body["seq"], "by": body["by"]})
        case "rules_changed":
            snapshot["everybody_by"] = body["everybody_by"]
        case "renamed":
            snapshot["title"] = body["title"]
        case "closed" | "reopened":
            snapshot["closed"] = entry["kind"] == "closed"


def _call(snapshot: dict[str, Any], seq: int, entry: dict[str, Any], me: str) -> None:
    calls = me in entry["body"].get("mentions", ()) or entry["body"].get("everybody")
    if calls and entry["by"] != me and seq > snapshot["read"] and seq >= snapshot["first"]:
        snapshot["mentioned"].append(seq)


def _uncall(snapshot: dict[str, Any], gone: Callable[[int], bool]) -> None:
    snapshot["mentioned"] = [seq for seq in snapshot["mentioned"] if not gone(seq)]


def told(snapshot: dict[str, Any]) -> dict[str, Any]:
    """What entries tell: the rest is loaded."""
    return {
        "members": sorted((m["person"], m["role"], m["silenced_until"]) for m in snapshot["members"]),
        "pins": [(pin["seq"], pin["by"]) for pin in snapshot["pins"]],
        **{name: snapshot[name] for name in ("title", "closed", "everybody_by", "head", "n", "last", "mentioned")},
    }


# ── What really happens ─────────────────────────────────────────────────────────────────────────────────────────────


async def scene(world: World, clock: HandClock, people: dict[str, str], number: int) -> dict[str, Any]:
    case = CASES[number]
    id = await world.direct(people["lin"], people["mei"]) if case.direct else await world.group(*people.values())
    room = Room(world, people, id, clock, number)
    said = [entry.seq for entry in await world.log(id) if entry.kind == "message"]  # two people have one conversation
    room.first, room.second = said[:2] if said else (await room.say("tea?"), await room.say("or coffee?"))
    if case.before is not None:
        await case.before(room)
    await world.quiet()
    before = msgspec.to_builtins(await world.view(room.mei, id))
    await case.act(room)
    await world.quiet()
    after = msgspec.to_builtins(await world.view(room.mei, id))
    page = await world.hub.pages.page(f"conv:{id}", before["first"], None, before["head"], 200)
    entries: list[dict[str, Any]] = msgspec.to_builtins(page.entries)
    assert case.kind in {entry["kind"] for entry in entries}
    return {"kind": case.kind, "before": before, "entries": entries, "after": after, "direct": case.direct}


@pytest.mark.gen_test(timeout=120)
async def test_snapshot_and_entries_give_the_new_snapshot(calm: World, clock: HandClock) -> None:
    names = ("lin", "mei", "ada", "ben")
    people = dict(zip(names, await calm.friends(*names), strict=True))
    made = [await scene(calm, clock, people, number) for number in range(len(CASES))]
    for one in made:
        authors = {e.seq: e.by for e in await log_before(calm, one) if e.kind == "message"}
        folded = msgspec.json.decode(msgspec.json.encode(one["before"]))
        fold(folded, msgspec.json.decode(msgspec.json.encode(one["entries"])), people["mei"], authors)
        assert told(folded) == told(one["after"]), (one["kind"], one["entries"])
    text = fixture(made, people)
    if os.environ.get("VOUCH_WRITE_FIXTURES"):
        FIXTURE.parent.mkdir(parents=True, exist_ok=True)
        FIXTURE.write_text(text, encoding="utf-8")
    assert FIXTURE.read_text("utf-8") == text, "what is told has changed: see the first lines of this file"


async def log_before(world: World, one: dict[str, Any]) -> list[Entry]:
    page = await world.hub.pages.page(one["before"]["ch"], 1, one["before"]["head"] + 1, None, 200)
    return page.entries


def fixture(made: list[dict[str, Any]], people: dict[str, str]) -> str:
    """The cases with names in place of random ids, one a line."""
    lines = []
    for number, one in enumerate(made):
        for snapshot in (one["before"], one["after"]):
            snapshot["positions"] = []
            for name in ("members", "people"):
                key = "person" if name == "members" else "id"
                snapshot[name].sort(key=lambda row: list(people.values()).index(row[key]))
        line = msgspec.json.encode({name: one[name] for name in ("kind", "before", "entries", "after")}).decode()
        for name, id in people.items():
            line = line.replace(id, f"p_{name:0<20}")
        lines.append(line.replace(one["before"]["id"], f"c_{number:020}"))
    cases = ",\n".join(f"  {line}" for line in lines)
    return f'{{"me": "p_{"mei":0<20}", "cases": [\n{cases}\n]}}\n'
