"""Conversations under any sequence of actions: what always holds, and that the entries tell the whole change (R-02)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from server.chat import rules
from server.chat.model import MEMBERS_MOST, ConversationKind, MemberRole, Membership, Room
from server.chat.rules import Change
from server.errors import Code, VouchError
from server.realtime.channels import Draft
from server.realtime.protocol import Entry
from tests.chat.replay import Replay

AT = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
ID, CH = "c_tea", "conv:c_tea"
PEOPLE = ["p_ada", "p_ben", "p_lin", "p_mei", "p_yu"]
people = st.sampled_from(PEOPLE)


class Conversation(RuleBasedStateMachine):
    """A group that lives: every action by everybody, allowed or not."""

    def __init__(self) -> None:
        super().__init__()
        self.room: Room
        self.replay = Replay()
        self.now = AT
        self.gone: set[str] = set()

    @initialize(creator=people, others=st.lists(people, min_size=1), share=st.booleans())
    def create(self, creator: str, others: list[str], share: bool) -> None:
        wanted = {person for person in others if person != creator}
        if not wanted:
            wanted = {next(person for person in PEOPLE if person != creator)}
        change = rules.create_group(ID, creator, "  Tea \n house ", sorted(wanted), PEOPLE, self.now, share=share)
        assert change.room.title == "Tea house"
        assert change.room.owner() == creator
        assert set(change.added) == {creator, *wanted}
        self.room = change.room
        self.replay.change(change)

    def attempt(self, action: Callable[[], Change | None], *, allowed: bool, refusal: set[Code]) -> Change | None:
        """Does what may be done, and checks that what may not is refused by the right name."""
        before = self.room
        if not allowed:
            with pytest.raises(VouchError) as refused:
                action()
            assert refused.value.code in refusal
            return None
        change = action()
        if change is not None:
            assert change.room.version == before.version + 1
            assert change.entries
            assert set(change.added) == change.room.members.keys() - before.members.keys()
            assert set(change.gone) == before.members.keys() - change.room.members.keys()
            self.room = change.room
            self.replay.change(change)
        return change

    @rule(actor=people, persons=st.lists(people, min_size=1), friends=st.sets(people))
    def add(self, actor: str, persons: list[str], friends: set[str]) -> None:
        self.now += timedelta(minutes=1)
        new = set(persons) - self.room.members.keys()
        member = actor in self.room.members
        head = self.replay.seq
        change = self.attempt(
            lambda: rules.add(self.room, actor, persons, friends, self.now, head),
            allowed=member and new <= friends,
            refusal={Code.BLOCKED} if member else {Code.NOT_FOUND},
        )
        if change is not None:
            assert set(change.added) == new
            for person in new:
                membership = change.room.members[person]
                assert membership.role is MemberRole.MEMBER
                assert membership.first == (1 if change.room.share_history else head + 1)

    @rule(actor=people, person=people)
    def remove(self, actor: str, person: str) -> None:
        here, owner = self.room.members.keys(), self.room.owner()
        oneself = actor == person and (actor != owner or len(here) == 1)
        self.attempt(
            lambda: rules.remove(self.room, actor, person),
            allowed=actor in here and person in here and (oneself or (actor == owner and actor != person)),
            refusal={Code.NOT_FOUND}
            if not {actor, person} <= here
            else {Code.CONFLICT}
            if actor == person
            else {Code.FORBIDDEN},
        )

    @rule(actor=people, person=people)
    def hand_over(self, actor: str, person: str) -> None:
        here, owner = self.room.members.keys(), self.room.owner()
        self.attempt(
            lambda: rules.hand_over(self.room, actor, person),
            allowed=actor == owner and person in here and person != actor,
            refusal={Code.NOT_FOUND}
            if actor not in here
            else {Code.FORBIDDEN}
            if actor != owner
            else {Code.NOT_FOUND, Code.ALREADY},
        )

    @rule(actor=people, name=st.sampled_from(["Tea house", " Tea  house ", "Coffee", "  ", "家"]))
    def rename(self, actor: str, name: str) -> None:
        here, owner = self.room.members.keys(), self.room.owner()
        blank = not name.strip()
        change = self.attempt(
            lambda: rules.rename(self.room, actor, name),
            allowed=actor == owner and not blank,
            refusal={Code.NOT_FOUND} if actor not in here else {Code.FORBIDDEN, Code.BAD_REQUEST},
        )
        if change is not None:
            assert change.room.title == " ".join(name.split())

    @rule()
    def close(self) -> None:
        closed = self.room.closed
        change = self.attempt(lambda: rules.close(self.room), allowed=True, refusal=set())
        assert (change is None) == closed

    @rule()
    def reopen(self) -> None:
        closed = self.room.closed
        change = self.attempt(lambda: rules.reopen(self.room), allowed=True, refusal=set())
        assert (change is not None) == closed

    @rule(person=people)
    def an_account_is_deleted(self, person: str) -> None:
        """Of a member, or of somebody who was one: their words are still there."""
        here, owner = set(self.room.members), self.room.owner()
        change = self.attempt(lambda: rules.account_deleted(self.room, person), allowed=True, refusal=set())
        assert change is not None
        assert rules.KIND_OF[type(change.entries[0])] == "erased"
        assert set(change.room.members) == here - {person}
        if person == owner and change.room.members:  # the longest member takes over
            heir = change.room.members[change.room.owner() or ""]
            assert all((heir.joined_at, heir.person) <= (m.joined_at, m.person) for m in change.room.members.values())

    @invariant()
    def exactly_one_owner_while_anybody_is_there(self) -> None:
        owners = [m.person for m in self.room.members.values() if m.role is MemberRole.OWNER]
        assert len(owners) == (1 if self.room.members else 0)

    @invariant()
    def the_entries_tell_the_whole_change(self) -> None:
        self.replay.must_equal(self.room)

    @invariant()
    def members_are_kept_by_their_own_id(self) -> None:
        assert all(id == membership.person for id, membership in self.room.members.items())


Conversation.TestCase.settings = settings_of_hypothesis(max_examples=120, stateful_step_count=40, deadline=None)
TestConversation = Conversation.TestCase


def direct(*, closed: bool = False) -> Room:
    room = rules.create_direct(ID, "p_lin", "p_mei", AT).room
    return msgspec.structs.replace(room, closed=closed)


def test_a_direct_conversation_belongs_to_nobody() -> None:
    change = rules.create_direct(ID, "p_lin", "p_mei", AT)
    assert change.room.kind is ConversationKind.DIRECT
    assert change.room.owner() is None
    assert (change.room.title, change.room.version) == ("", 1)
    assert set(change.added) == set(change.room.members) == {"p_lin", "p_mei"}


@pytest.mark.parametrize(
    "action",
    [
        lambda room, who: rules.rename(room, who, "Us"),
        lambda room, who: rules.add(room, who, ["p_ada"], ["p_ada"], AT, 1),
        lambda room, who: rules.remove(room, who, who),
        lambda room, who: rules.remove(room, who, "p_mei"),
        lambda room, who: rules.hand_over(room, who, "p_mei"),
    ],
)
def test_nobody_comes_or_goes_in_a_direct_conversation(action: Callable[[Room, str], Any]) -> None:
    for who, code in (("p_lin", Code.CONFLICT), ("p_ada", Code.NOT_FOUND)):
        with pytest.raises(VouchError) as refused:
            action(direct(), who)
        assert refused.value.code is code


@pytest.mark.parametrize("closed", [False, True])
def test_a_direct_conversation_closes_with_either_account(closed: bool) -> None:
    """The other one keeps what was said to them; the numbers stay, the words of the deleted go (R-01)."""
    change = rules.account_deleted(direct(closed=closed), "p_mei")
    assert change.room.closed
    assert set(change.room.members) == {"p_lin", "p_mei"}
    assert [rules.KIND_OF[type(entry)] for entry in change.entries] == ["erased"] + ["closed"] * (not closed)


@pytest.mark.parametrize("name", ["", " \n\t ", "a\0b", "abc\u202ecba", "\u200b", "x" * 81, "\ue000"])
def test_what_is_no_title(name: str) -> None:
    """Nothing empty, nothing that hides or turns what stands beside it."""
    with pytest.raises(VouchError) as refused:
        rules.title(name)
    assert (refused.value.code, refused.value.field) == (Code.BAD_REQUEST, "title")


def test_titles_are_kept_in_one_form() -> None:
    assert rules.title(" Cafe\u0301\n  am  Eck ") == "Caf\u00e9 am Eck"
    assert rules.title("👩‍👩‍👧‍👦 家") == "👩‍👩‍👧‍👦 家"


def test_a_pair_is_known_in_both_orders() -> None:
    assert rules.pair("p_lin", "p_mei") == rules.pair("p_mei", "p_lin")
    with pytest.raises(VouchError, match="bad_request"):
        rules.pair("p_lin", "p_lin")


def test_a_group_has_a_largest_size() -> None:
    crowd = [f"p_{number}" for number in range(MEMBERS_MOST)]
    with pytest.raises(VouchError, match="limit_reached"):
        rules.create_group(ID, "p_lin", "All", crowd, crowd, AT, share=False)
    room = rules.create_group(ID, "p_lin", "All", crowd[1:], crowd, AT, share=False).room
    assert len(room.members) == MEMBERS_MOST
    with pytest.raises(VouchError, match="limit_reached"):
        rules.add(room, "p_lin", ["p_more"], ["p_more"], AT, 1)
    assert rules.add(room, "p_lin", crowd[1:5], (), AT, 1) is None  # they are in it already


def test_only_friends_are_brought_along() -> None:
    with pytest.raises(VouchError, match="blocked"):
        rules.create_group(ID, "p_lin", "Tea", ["p_mei", "p_ada"], ["p_mei"], AT, share=False)
    alone = rules.create_group(ID, "p_lin", "Notes", ["p_lin"], [], AT, share=False)
    assert set(alone.room.members) == {"p_lin"}


# ── What may be appended ────────────────────────────────────────────────────────────────────────────────────────────


def message(by: str = "p_lin", *, kind: str = "message", gone: bool = False) -> Entry:
    return Entry(7, 7, 0, by, "some-client-id-here", kind, {} if gone else {"text": "tea?"}, None, gone)


def admit(actor: str, kind: str, target: Entry | None, *, owner: str | None = None, text: str = "x") -> None:
    body: dict[str, Any] = {"text": text} if kind in ("message", "edit") else {}
    rules.admit(owner, actor, Draft(CH, actor, "an-id-of-the-client", kind, body, 7 if target else None), target)


ALLOWED: Sequence[tuple[str, str, Entry | None, str | None]] = [
    ("p_mei", "message", None, None),
    ("p_mei", "message", message(), None),  # a quotation
    ("p_lin", "edit", message(), None),
    ("p_mei", "reaction", message(), None),
    ("p_lin", "delete", message(), None),
    ("p_mei", "delete", message(), "p_mei"),  # the owner of the group keeps order
    ("p_lin", "delete", message(gone=True), None),  # a repeat of one that was not acknowledged
]
REFUSED: Sequence[tuple[str, str, Entry | None, str | None, Code]] = [
    ("p_mei", "edit", message(), None, Code.FORBIDDEN),
    ("p_mei", "edit", message(), "p_mei", Code.FORBIDDEN),  # nobody puts words into the mouth of others
    ("p_mei", "delete", message(), None, Code.FORBIDDEN),
    ("p_mei", "delete", message(), "p_ada", Code.FORBIDDEN),
    ("p_lin", "edit", message(gone=True), None, Code.CONFLICT),
    ("p_mei", "reaction", message(gone=True), None, Code.CONFLICT),
    ("p_lin", "edit", message(kind="edit"), None, Code.BAD_REQUEST),
    ("p_lin", "delete", message(kind="reaction"), None, Code.BAD_REQUEST),
    ("p_lin", "reaction", message("system", kind="joined"), None, Code.BAD_REQUEST),
    ("p_lin", "edit", None, None, Code.BAD_REQUEST),
    ("p_lin", "delete", None, "p_lin", Code.BAD_REQUEST),
]


@pytest.mark.parametrize(("actor", "kind", "target", "owner"), ALLOWED)
def test_admitted(actor: str, kind: str, target: Entry | None, owner: str | None) -> None:
    admit(actor, kind, target, owner=owner)


@pytest.mark.parametrize(("actor", "kind", "target", "owner", "code"), REFUSED)
def test_not_admitted(actor: str, kind: str, target: Entry | None, owner: str | None, code: Code) -> None:
    with pytest.raises(VouchError) as refused:
        admit(actor, kind, target, owner=owner)
    assert refused.value.code is code


@pytest.mark.parametrize("text", [" ", "\n\t", "\u3000", "\u2003"])
@pytest.mark.parametrize("kind", ["message", "edit"])
def test_blanks_are_no_message(kind: str, text: str) -> None:
    with pytest.raises(VouchError, match="bad_request"):
        admit("p_lin", kind, message(), text=text)


def test_membership_is_what_is_kept() -> None:
    room = rules.create_group(ID, "p_lin", "Tea", ["p_mei"], ["p_mei"], AT, share=True).room
    assert room.members["p_mei"] == Membership(person="p_mei", role=MemberRole.MEMBER, joined_at=AT, first=1)
