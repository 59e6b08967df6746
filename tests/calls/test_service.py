"""Calls on the real database: who is rung, who may do what, and what is told where."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from server.calls.model import RING, CallState, Ending, SeatState
from server.calls.views import ChangeSeat, StartCall
from server.errors import Code, VouchError
from server.principals import Kind, Principal
from server.realtime.channels import DENIED, Access
from tests.calls.conftest import Switchboard
from tests.chat.conftest import PASSWORD
from tests.wire.client import client_id

NEVER = "cl_" + "0" * 20


async def refusal(work: object) -> Code:
    with pytest.raises(VouchError) as caught:
        await work  # type: ignore[misc]
    return caught.value.code


async def test_a_call_rings_is_answered_and_leaves_its_trace(board: Switchboard) -> None:
    ann, tom = await board.friends("ann", "tom")
    room = await board.direct(ann, tom)
    call = await board.start(ann, room)
    [ring] = await board.inbox(tom, "ring")
    assert ring.body == {"call": call.id, "conversation": room, "by": ann, "video": True}
    assert await board.inbox(ann, "ring") == []
    view = await board.view_of(tom, call.id)
    assert (view.state, view.can, view.rings_until) == (CallState.RINGING, ["accept", "decline"], view.at + 45_000)
    await board.calls.accept(board.who(tom), call.id)
    board.clock.pass_by(seconds=90)
    await board.calls.leave(board.who(tom), call.id)
    assert [entry.body["why"] for entry in await board.inbox(tom, "ring_over")] == ["joined"]
    lines = [entry.body for entry in await board.log(room) if entry.kind == "call"]
    assert [(line["state"], line["seconds"]) for line in lines] == [("started", 0), ("done", 90)]
    assert await board.inbox(tom, "call_missed") == []
    told = (await board.hub.pages.page(f"call:{call.id}", 1, None, None, 50)).entries
    assert [entry.body["version"] for entry in told] == [1, 2, 3]


async def test_a_missed_call_stands_in_the_thread_and_in_the_inbox(board: Switchboard) -> None:
    ann, tom = await board.friends("ann", "tom")
    room = await board.direct(ann, tom)
    call = await board.start(ann, room, video=False)
    board.clock.at += RING
    await board.calls.keeper.look()
    assert (await board.view_of(ann, call.id)).reason == "missed"
    [missed] = await board.inbox(tom, "call_missed")
    assert missed.body["by"] == ann
    await board.quiet()
    last = (await board.log(room))[-1]
    assert last.body == {
        "call": call.id, "by": ann, "video": False, "state": "missed", "seconds": 0, "missed": [tom]
    }  # fmt: skip


async def test_repeating_a_start_is_the_same_call_and_so_is_one_that_goes_on_there(board: Switchboard) -> None:
    ann, tom = await board.friends("ann", "tom")
    room, key = await board.direct(ann, tom), client_id()
    wanted = StartCall(conversation=room, key=key)
    first, again = await asyncio.gather(*(board.calls.start_call(board.who(ann), wanted) for _ in range(2)))
    assert first[0].id == again[0].id
    assert sorted([first[1], again[1]]) == [False, True]
    theirs, new = await board.calls.start_call(board.who(tom), StartCall(conversation=room, key=client_id()))
    assert (theirs.id, new) == (first[0].id, False)
    other = await board.group(ann, tom)
    assert await refusal(board.start(ann, other, key=key)) is Code.IDEMPOTENCY_CONFLICT


async def test_nobody_is_in_two_calls(board: Switchboard) -> None:
    ann, tom, max_ = await board.friends("ann", "tom", "max")
    one, two = await board.direct(ann, tom), await board.direct(ann, max_)
    call = await board.joined(one, ann, tom)
    assert await refusal(board.start(ann, two)) is Code.BUSY
    other = await board.start(max_, two)
    assert (other.state, other.seat(ann) and other.seat(ann).state) == (CallState.ENDED, SeatState.BUSY)  # type: ignore[union-attr]
    [missed] = await board.inbox(ann, "call_missed")
    assert missed.body["call"] == other.id
    await board.calls.leave(board.who(ann), call.id)
    assert (await board.start(ann, two)).state is CallState.RINGING
    group = await board.group(ann, tom, max_)
    waiting = await board.start(tom, group)
    assert await refusal(board.calls.accept(board.who(ann), waiting.id)) is Code.BUSY


async def test_two_calls_accepted_at_once_are_one_and_busy(board: Switchboard) -> None:
    ann, tom, max_ = await board.friends("ann", "tom", "max")
    calls = [await board.start(other, await board.direct(ann, other)) for other in (tom, max_)]
    done = await asyncio.gather(
        *(board.calls.accept(board.who(ann), call.id) for call in calls), return_exceptions=True
    )
    faults = [one for one in done if isinstance(one, VouchError)]
    assert [fault.code for fault in faults] == [Code.BUSY]


async def test_strangers_learn_nothing(board: Switchboard) -> None:
    ann, tom = await board.friends("ann", "tom")
    eve, *_ = await board.people("eve")
    room = await board.direct(ann, tom)
    call = await board.joined(room, ann, tom)
    me = board.who(eve)
    assert await refusal(board.start(eve, room)) is Code.NOT_FOUND
    for act in (
        board.calls.readable(me, call.id),
        board.calls.accept(me, call.id),
        board.calls.decline(me, call.id),
        board.calls.cancel(me, call.id),
        board.calls.leave(me, call.id),
        board.calls.end(me, call.id),
        board.calls.remove(me, call.id, tom),
        board.calls.change_seat(me, call.id, ChangeSeat(camera=True)),
        board.calls.recordings.consent(me, call.id, True),
        board.calls.recordings.of(me, call.id),
        board.connect(eve, call.id),
        board.calls.readable(board.who(ann), NEVER),
    ):
        assert await refusal(act) is Code.NOT_FOUND
    policy = board.hub.kinds.of("call:x").policy  # type: ignore[union-attr]
    assert await policy.access(me, call.id) == DENIED
    assert await policy.access(board.who(tom), call.id) == Access(read=True, listens=True)
    assert await policy.access(Principal(Kind.PLATE, tom), call.id) == DENIED
    assert await policy.access(board.who(tom), NEVER) == DENIED
    assert (await board.calls.listing.mine(me, None, 50)).calls == []


async def test_a_list_goes_backwards_and_forgets_what_one_has_left(board: Switchboard) -> None:
    ann, tom, max_ = await board.friends("ann", "tom", "max")
    room, group = await board.direct(ann, tom), await board.group(ann, tom, max_)
    made = []
    for where in (room, room, group):
        call = await board.start(ann, where)
        await board.calls.cancel(board.who(ann), call.id)
        made.append(call.id)
        board.clock.pass_by(seconds=5)
    page = await board.calls.listing.mine(board.who(tom), None, 2)
    assert ([call.id for call in page.calls], page.more) == ([made[2], made[1]], True)
    rest = await board.calls.listing.mine(board.who(tom), made[1], 2)
    assert ([call.id for call in rest.calls], rest.more) == ([made[0]], False)
    await board.chat.remove(ann, group, tom)
    assert [call.id for call in (await board.calls.listing.mine(board.who(tom), None, 9)).calls] == made[1::-1]


async def test_a_list_reaches_back_however_many_calls_there_were(
    board: Switchboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest come first and none is left out, also where one look at the database does not hold them all."""
    monkeypatch.setattr("server.calls.repo._OF_PERSON", 3)
    ann, tom = await board.friends("ann", "tom")
    room = await board.direct(ann, tom)
    made: list[str] = []
    board.clock.at = board.clock.at.replace(month=1, day=31, year=2025)
    for days in (40, 40, 80, 500, 3, 0.01):
        call = await board.start(ann, room)
        await board.calls.cancel(board.who(ann), call.id)
        made.insert(0, call.id)
        board.clock.at += timedelta(days=days)
    pages, last, more = [], None, True
    while more:
        page = await board.calls.listing.mine(board.who(tom), last, 2)
        pages += [call.id for call in page.calls]
        last, more = pages[-1], page.more
    assert pages == made
    assert (await board.calls.listing.mine(board.who(tom), made[-1], 2)).calls == []


async def test_who_starts_one_as_the_other_one_ends_gets_a_new_one(
    board: Switchboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, tom = await board.friends("ann", "tom")
    room = await board.direct(ann, tom)
    first = await board.start(ann, room)
    real = board.calls.repo.claimed

    async def claimed(ids: list[str]) -> dict[str, str]:
        found = await real(ids)
        if found:  # it ends just after this look
            await board.calls.cancel(board.who(ann), first.id)
        return found

    monkeypatch.setattr(board.calls.repo, "claimed", claimed)
    call, new = await board.calls.start_call(board.who(tom), StartCall(conversation=room, key=client_id()))
    assert (new, call.state) == (True, CallState.RINGING)


async def test_who_was_put_out_reads_no_more_of_the_call(board: Switchboard) -> None:
    ann, tom, max_ = await board.friends("ann", "tom", "max")
    call = await board.joined(await board.group(ann, tom, max_), ann, tom, max_)
    await board.calls.remove(board.who(ann), call.id, tom)
    policy = board.hub.kinds.of("call:x").policy  # type: ignore[union-attr]
    assert await policy.access(board.who(tom), call.id) == DENIED
    assert (await policy.access(board.who(max_), call.id)).read
    assert (await board.view_of(tom, call.id)).can == [], "but sees what has become of it"


async def test_a_deleted_account_has_no_list_and_others_keep_theirs(board: Switchboard) -> None:
    ann, tom = await board.friends("ann", "tom")
    call = await board.start(ann, await board.direct(ann, tom))
    await board.calls.decline(board.who(tom), call.id)
    await board.services.people.accounts.delete(tom, PASSWORD)
    await board.settle()
    rows = board.services.store.collection("call_seats")
    assert [row["person"] for row in await rows.find({}).to_list(9)] == [ann]
    assert [one.id for one in (await board.calls.listing.mine(board.who(ann), None, 9)).calls] == [call.id]


# ── Rights that are lost ────────────────────────────────────────────────────────────────────────────────────────────


async def test_who_is_put_out_of_the_group_is_out_of_the_call_and_their_media_close(board: Switchboard) -> None:
    ann, tom, max_ = await board.friends("ann", "tom", "max")
    room = await board.group(ann, tom, max_)
    call = await board.joined(room, ann, tom, max_)
    for person in (tom, max_):
        await board.connect(person, call.id)
    await board.chat.remove(ann, room, tom)
    await board.settle()
    assert board.plane.people(call.id) == [(max_, "publish")]
    kept = await board.calls.repo.get(call.id)
    assert kept
    seat = kept.seat(tom)
    assert seat
    assert seat.state is SeatState.REMOVED


async def test_a_block_ends_the_call_of_the_two(board: Switchboard) -> None:
    ann, tom = await board.friends("ann", "tom")
    call = await board.joined(await board.direct(ann, tom), ann, tom)
    await board.connect(ann, call.id)
    await board.services.people.friends.block(tom, ann)
    await board.settle()
    kept = await board.calls.repo.get(call.id)
    assert kept
    assert kept.over
    assert board.plane.links == {}
    assert await refusal(board.start(ann, call.conversation)) is Code.CLOSED


async def test_in_a_group_nobody_is_rung_by_whom_they_block(board: Switchboard) -> None:
    ann, tom, max_ = await board.friends("ann", "tom", "max")
    room = await board.group(ann, tom, max_)
    await board.services.people.friends.block(tom, ann)
    call = await board.start(ann, room)
    assert [seat.person for seat in call.seats] == [ann, max_]
    assert await board.inbox(tom, "ring") == []
    assert "join" in (await board.view_of(tom, call.id)).can


async def test_a_sign_in_that_ends_takes_its_seat_along(board: Switchboard) -> None:
    ann, tom, max_ = await board.friends("ann", "tom", "max")
    room = await board.group(ann, tom, max_)
    _, _, token = await board.services.people.sessions.sign_in("tom", PASSWORD, "127.0.0.1", "test")
    known = await board.services.people.authenticate_session(token)
    assert known is not None
    call = await board.joined(room, ann, max_)
    await board.calls.accept(known, call.id)
    await board.services.people.sessions.sign_out(tom, known.session)
    await board.settle()
    assert {seat.person for seat in (await board.calls.repo.get(call.id)).inside} == {ann, max_}  # type: ignore[union-attr]


async def test_the_review_finds_what_a_crash_has_left(board: Switchboard, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, tom, max_ = await board.friends("ann", "tom", "max")
    room = await board.group(ann, tom, max_)
    call = await board.joined(room, ann, tom, max_)

    async def live(sessions: set[str]) -> set[str]:
        return set(sessions) - {f"s_{max_}"}

    monkeypatch.setattr(board.services.people, "live_sessions", live)
    await board.services.store.collection("members").delete_one({"_id": f"{room}|{tom}"})
    kept = await board.calls.repo.get(call.id)
    assert kept is not None
    await board.calls.keeper.review(kept)
    after = await board.calls.repo.get(call.id)
    assert after is not None
    assert [after.seat(p).state.value for p in (ann, tom, max_)] == ["joined", "removed", "left"]  # type: ignore[union-attr]


# ── Sockets ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Socket:
    def __init__(self, principal: Principal, ch: str) -> None:
        self.principal = principal
        self.channels = {ch}
        self.beats = 0

    def beat(self) -> None:
        self.beats += 1


async def test_without_a_socket_one_is_away_then_gone_and_with_one_back(board: Switchboard) -> None:
    ann, tom, max_ = await board.friends("ann", "tom", "max")
    call = await board.joined(await board.group(ann, tom, max_), ann, tom, max_)
    sockets = {person: [Socket(board.who(person), call.ch)] for person in (ann, tom, max_)}
    sockets[max_].append(Socket(board.who(max_, "2"), call.ch))  # another sign-in's is none of this seat's
    keeper = board.calls.keeper
    peers, board.hub.roster._peers = board.hub.roster._peers, sockets  # type: ignore[assignment]

    async def after(seconds: float) -> dict[str, str]:
        board.clock.pass_by(seconds=seconds)
        await keeper.look()
        kept = await board.calls.repo.get(call.id)
        assert kept is not None
        return {seat.person: seat.state.value for seat in kept.seats}

    assert set((await after(0)).values()) == {"joined"}
    gone = sockets[tom].pop()
    sockets[max_].pop(0)
    assert (await after(9)) == {ann: "joined", tom: "joined", max_: "joined"}
    assert (await after(1)) == {ann: "joined", tom: "away", max_: "away"}
    sockets[tom].append(gone)
    assert (await after(50))[tom] == "joined"
    assert (await after(20))[max_] == "left"
    assert sockets[ann][0].beats
    board.hub.roster._peers = peers


async def test_a_closed_page_says_so_and_nobody_waits_for_a_minute(board: Switchboard) -> None:
    ann, tom = await board.friends("ann", "tom")
    call = await board.joined(await board.direct(ann, tom), ann, tom)
    with pytest.raises(VouchError) as wrong:
        await board.calls.change_seat(board.who(tom, "2"), call.id, ChangeSeat(closing=True))
    assert wrong.value.code is Code.CONFLICT
    away = await board.calls.change_seat(board.who(tom), call.id, ChangeSeat(closing=True))
    assert away.seat(tom).state is SeatState.AWAY  # type: ignore[union-attr]
    board.clock.pass_by(seconds=14)
    await board.calls.keeper.look()
    kept = await board.calls.repo.get(call.id)
    assert kept is not None
    assert not kept.over
    board.clock.pass_by(seconds=1)
    await board.calls.keeper.look()
    kept = await board.calls.repo.get(call.id)
    assert kept is not None
    assert kept.ending is Ending.DONE


async def test_time_passes_only_once(board: Switchboard) -> None:
    ann, tom = await board.friends("ann", "tom")
    call = await board.start(ann, await board.direct(ann, tom))
    board.clock.at += RING + timedelta(seconds=1)
    await asyncio.gather(*(board.calls.keeper.look() for _ in range(3)))
    kept = await board.calls.repo.get(call.id)
    assert kept
    assert kept.version == 2
    assert len(await board.inbox(tom, "call_missed")) == 1


async def test_ice_servers_and_their_credentials(board: Switchboard) -> None:
    """The example of coturn's documentation of `use-auth-secret`, computed by hand."""
    from server.calls.ice import Ice

    ice = Ice(("stun:s.example:3478",), ("turn:t.example:3478",), "logen", board.clock)
    [stun, turn] = ice.servers("p_1").servers
    assert (stun.urls, stun.username) == (["stun:s.example:3478"], "")
    until = int(board.clock.now().timestamp()) + 12 * 3600
    assert turn.username == f"{until}:p_1"
    import base64
    import hashlib
    import hmac

    assert base64.b64decode(turn.credential) == hmac.digest(b"logen", turn.username.encode(), hashlib.sha1)
    assert Ice((), (), "", board.clock).servers("p_1").servers == []


async def test_who_is_in_a_call_hears_the_server_and_signals_nothing(board: Switchboard) -> None:
    """Being photographed is told by a signal; nobody may send one that looks like it (R-15)."""
    ann, tom, max_ = await board.friends("ann", "tom", "max")
    call = await board.joined(await board.group(ann, tom), ann, tom)
    access = await board.hub.kinds.access(board.who(ann), call.ch)
    assert (access.read, access.write, access.signal, access.hears) == (True, False, False, True)
    assert not (await board.hub.kinds.access(board.who(max_), call.ch)).hears
