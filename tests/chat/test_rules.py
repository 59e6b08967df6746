"""Conversations under any sequence of actions: what always holds, and that the entries tell the whole change (R-02)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from server.chat import rules
from server.chat.model import (
    MEMBERS_MOST,
    PINS_MOST,
    ConversationKind,
    EverybodyBy,
    MemberRole,
    Membership,
    Room,
)
from server.chat.rules import Change
from server.clock import to_ms
from server.errors import Code, VouchError
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
        self.authors: dict[int, str] = {}

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

    @rule(
        actor=people,
        persons=st.lists(people, min_size=1),
        friends=st.sets(people),
        silences=st.dictionaries(people, st.integers(-5, 5)),
    )
    def add(self, actor: str, persons: list[str], friends: set[str], silences: dict[str, int]) -> None:
        """`silences` (minutes) are of those who have left."""
        self.now += timedelta(minutes=1)
        ends = {person: self.now + timedelta(minutes=left) for person, left in silences.items()}
        new = set(persons) - self.room.members.keys()
        member = actor in self.room.members
        head = self.replay.seq
        change = self.attempt(
            lambda: rules.add(self.room, actor, persons, friends, self.now, head, ends),
            allowed=member and new <= friends,
            refusal={Code.BLOCKED} if member else {Code.NOT_FOUND},
        )
        if change is not None:
            assert set(change.added) == new
            for person in new:
                membership = change.room.members[person]
                assert membership.role is MemberRole.MEMBER
                assert membership.silenced_until == (ends[person] if silences.get(person, 0) > 0 else None)
                assert membership.first == (1 if change.room.share_history else head + 1)

    def may_act_on(self, actor: str, person: str) -> tuple[bool, set[Code]]:
        """Whether one member ranks above another, and how the rules say that they do not."""
        here = self.room.members
        if not {actor, person} <= here.keys():
            return False, {Code.NOT_FOUND}
        return here[actor].role.rank > here[person].role.rank, {Code.FORBIDDEN}

    @rule(actor=people, person=people)
    def remove(self, actor: str, person: str) -> None:
        here, owner = self.room.members.keys(), self.room.owner()
        allowed, refusal = self.may_act_on(actor, person)
        if actor == person and actor in here:
            allowed, refusal = actor != owner or len(here) == 1, {Code.CONFLICT}
        self.attempt(lambda: rules.remove(self.room, actor, person), allowed=allowed, refusal=refusal)

    def owner_only(self, actor: str) -> tuple[bool, set[Code]]:
        if actor not in self.room.members:
            return False, {Code.NOT_FOUND}
        return actor == self.room.owner(), {Code.FORBIDDEN}

    @rule(actor=people, person=people)
    def hand_over(self, actor: str, person: str) -> None:
        allowed, refusal = self.owner_only(actor)
        if allowed and (person not in self.room.members or person == actor):
            allowed, refusal = False, {Code.NOT_FOUND, Code.ALREADY}
        self.attempt(lambda: rules.hand_over(self.room, actor, person), allowed=allowed, refusal=refusal)

    @rule(actor=people, person=people, role=st.sampled_from([MemberRole.ADMIN, MemberRole.MEMBER]))
    def change_role(self, actor: str, person: str, role: MemberRole) -> None:
        allowed, refusal = self.owner_only(actor)
        if allowed and (person not in self.room.members or person == actor):
            allowed, refusal = False, {Code.NOT_FOUND, Code.CONFLICT}
        change = self.attempt(
            lambda: rules.change_role(self.room, actor, person, role), allowed=allowed, refusal=refusal
        )
        if allowed:
            assert self.room.members[person].role is role
        if change is not None:  # nothing else about them is different
            assert {p for p, m in change.room.members.items() if m.role is MemberRole.OWNER} == {actor}

    @rule(actor=people, person=people, minutes=st.sampled_from([None, -1, 0, 1, 600, 60 * 24 * 365, 60 * 24 * 400]))
    def silence(self, actor: str, person: str, minutes: int | None) -> None:
        allowed, refusal = self.may_act_on(actor, person)
        until = None if minutes is None else to_ms(self.now + timedelta(minutes=minutes))
        if allowed and minutes is not None and not 0 < minutes <= 60 * 24 * 366:
            allowed, refusal = False, {Code.BAD_REQUEST}
        self.attempt(lambda: rules.silence(self.room, actor, person, until, self.now), allowed=allowed, refusal=refusal)
        if allowed:
            kept = self.room.members[person].silenced_until
            assert (None if kept is None else to_ms(kept)) == until

    def keeps_pins(self, actor: str) -> tuple[bool, set[Code]]:
        member = self.room.members.get(actor)
        if member is None:
            return False, {Code.NOT_FOUND}
        if member.role is MemberRole.MEMBER:
            return False, {Code.FORBIDDEN}
        return not self.room.closed, {Code.CLOSED}

    @rule(actor=people, seq=st.integers(1, 60), author=people)
    def pin(self, actor: str, seq: int, author: str) -> None:
        author = self.authors.setdefault(seq, author)
        there = seq in {pin.seq for pin in self.room.pins}
        allowed, refusal = self.keeps_pins(actor)
        if allowed and not there and len(self.room.pins) == PINS_MOST:
            allowed, refusal = False, {Code.LIMIT_REACHED}
        change = self.attempt(
            lambda: rules.pin(self.room, actor, seq, author, self.now), allowed=allowed, refusal=refusal
        )
        assert (change is None) == (not allowed or there)

    @rule(actor=people)
    def pin_many(self, actor: str) -> None:
        """So that the most is reached."""
        for seq in range(1, PINS_MOST):
            self.pin(actor, seq, PEOPLE[seq % len(PEOPLE)])

    @rule(actor=people, seq=st.integers(1, 60))
    def unpin(self, actor: str, seq: int) -> None:
        there = seq in {pin.seq for pin in self.room.pins}
        allowed, refusal = self.keeps_pins(actor)
        change = self.attempt(lambda: rules.unpin(self.room, actor, seq), allowed=allowed, refusal=refusal)
        assert (change is None) == (not allowed or not there)

    @rule(actor=people, seq=st.integers(1, 60))
    def a_message_is_deleted(self, actor: str, seq: int) -> None:
        """By whoever may, as `speech` has said; it does not stay on top."""
        self.attempt(lambda: rules.fall(self.room, seq, actor), allowed=True, refusal=set())
        assert seq not in {pin.seq for pin in self.room.pins}

    @rule(
        actor=people,
        name=st.sampled_from([None, "Tea house", " Tea  house ", "Coffee", "  ", "家"]),
        everybody_by=st.sampled_from([None, *EverybodyBy]),
    )
    def change_what_holds_for_all(self, actor: str, name: str | None, everybody_by: EverybodyBy | None) -> None:
        blank = name is not None and not name.strip()
        allowed, refusal = self.owner_only(actor)
        if allowed and blank:
            allowed, refusal = False, {Code.BAD_REQUEST}
        before = self.room
        self.attempt(lambda: rules.change(self.room, actor, name, everybody_by), allowed=allowed, refusal=refusal)
        if allowed:
            assert self.room.title == (before.title if name is None else " ".join(name.split()))
            assert self.room.everybody_by is (before.everybody_by if everybody_by is None else everybody_by)

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
        before, here, owner = self.room, set(self.room.members), self.room.owner()
        change = self.attempt(lambda: rules.account_deleted(self.room, person), allowed=True, refusal=set())
        assert change is not None
        assert rules.KIND_OF[type(change.entries[0])] == "erased"
        assert set(change.room.members) == here - {person}
        assert all(pin.author != person for pin in change.room.pins)
        if person == owner and change.room.members:  # the longest administrator takes over, or else the longest member
            heir = before.members[change.room.owner() or ""]
            rest = [m for p, m in before.members.items() if p != person]
            assert heir.role.rank == max(m.role.rank for m in rest)
            equals = [m for m in rest if m.role is heir.role]
            assert all((heir.joined_at, heir.person) <= (m.joined_at, m.person) for m in equals)

    @invariant()
    def exactly_one_owner_while_anybody_is_there(self) -> None:
        owners = [m.person for m in self.room.members.values() if m.role is MemberRole.OWNER]
        assert len(owners) == (1 if self.room.members else 0)

    @invariant()
    def nobody_is_above_who_silenced_them_for_good(self) -> None:
        """An owner whom nobody could let write again would be silenced for a year."""
        assert all(m.silenced_until is None for m in self.room.members.values() if m.role is MemberRole.OWNER)

    @invariant()
    def pins_are_few_and_each_is_there_once(self) -> None:
        seqs = [pin.seq for pin in self.room.pins]
        assert len(seqs) == len(set(seqs)) <= PINS_MOST

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
        lambda room, who: rules.change(room, who, "Us", None),
        lambda room, who: rules.add(room, who, ["p_ada"], ["p_ada"], AT, 1),
        lambda room, who: rules.remove(room, who, who),
        lambda room, who: rules.remove(room, who, "p_mei"),
        lambda room, who: rules.hand_over(room, who, "p_mei"),
        lambda room, who: rules.change(room, who, None, EverybodyBy.ADMINS),
        lambda room, who: rules.change_role(room, who, "p_mei", MemberRole.ADMIN),
        lambda room, who: rules.silence(room, who, "p_mei", to_ms(AT) + 60_000, AT),
    ],
)
def test_nobody_comes_or_goes_in_a_direct_conversation(action: Callable[[Room, str], Any]) -> None:
    for who, code in (("p_lin", Code.CONFLICT), ("p_ada", Code.NOT_FOUND)):
        with pytest.raises(VouchError) as refused:
            action(direct(), who)
        assert refused.value.code is code


def test_in_a_direct_conversation_both_pin() -> None:
    room = direct()
    for seq, who in ((3, "p_lin"), (5, "p_mei")):
        change = rules.pin(room, who, seq, "p_lin", AT)
        assert change is not None
        room = change.room
    assert [(pin.seq, pin.by) for pin in room.pins] == [(3, "p_lin"), (5, "p_mei")]
    change = rules.unpin(room, "p_mei", 3)  # each also what the other has pinned
    assert change is not None
    assert [pin.seq for pin in change.room.pins] == [5]
    with pytest.raises(VouchError, match="not_found"):
        rules.pin(room, "p_ada", 7, "p_lin", AT)
    closed = msgspec.structs.replace(room, closed=True)
    with pytest.raises(VouchError, match="closed"):
        rules.pin(closed, "p_lin", 7, "p_lin", AT)
    with pytest.raises(VouchError, match="closed"):
        rules.unpin(closed, "p_lin", 3)


def test_an_end_beyond_all_calendars_is_refused() -> None:
    room = rules.create_group(ID, "p_lin", "Tea", ["p_mei"], ["p_mei"], AT, share=True).room
    with pytest.raises(VouchError, match="bad_request"):
        rules.silence(room, "p_lin", "p_mei", 2**53 - 1, AT)


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


def test_membership_is_what_is_kept() -> None:
    room = rules.create_group(ID, "p_lin", "Tea", ["p_mei"], ["p_mei"], AT, share=True).room
    assert room.members["p_mei"] == Membership(person="p_mei", role=MemberRole.MEMBER, joined_at=AT, first=1)
