"""How much may be sent, what a name becomes, how an upload moves on."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from server.errors import Code, VouchError
from server.media import rules
from server.media.model import MediaKind, UploadState
from server.media.rules import CHUNK, CHUNK_LEAST, MIB, Tier
from server.principals import Grant, Kind, Principal, Role, Scope
from tests.attempts import attempt


def test_admins_may_what_staff_may_and_staff_what_everybody_may() -> None:
    for lower, higher in ((Tier.PERSON, Tier.STAFF), (Tier.STAFF, Tier.ADMIN)):
        for kind in MediaKind:
            assert rules.LIMITS[lower][kind] <= rules.LIMITS[higher][kind]
    assert {limit.kind for limit in rules.kind_limits(Tier.PERSON)} == set(MediaKind)


def test_who_is_trusted_how_far() -> None:
    person = Principal(Kind.PERSON, "p_1")
    assert rules.tier(person) is Tier.PERSON
    assert rules.tier(Principal(Kind.PERSON, "p_1", grants=(Grant(Role.STAFF),))) is Tier.STAFF
    assert rules.tier(Principal(Kind.PERSON, "p_1", grants=(Grant(Role.ADMIN),))) is Tier.ADMIN
    of_one_school = Grant(Role.STAFF, Scope.SCHOOL, "s_1")
    assert rules.tier(Principal(Kind.PERSON, "p_1", grants=(of_one_school,))) is Tier.PERSON


def test_nothing_and_too_much_are_refused() -> None:
    for kind, (most, _) in rules.LIMITS[Tier.PERSON].items():
        rules.admit_upload(Tier.PERSON, kind, most)
        with pytest.raises(VouchError) as fault:
            rules.admit_upload(Tier.PERSON, kind, most + 1)
        assert (fault.value.code, fault.value.field) == (Code.TOO_LARGE, "size")
        with pytest.raises(VouchError) as fault:
            rules.admit_upload(Tier.PERSON, kind, 0)
        assert (fault.value.code, fault.value.field) == (Code.BAD_REQUEST, "size")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("读书 笔记.pdf", "读书 笔记.pdf"),
        ("C:\\Users\\lin\\photo.jpg", "photo.jpg"),
        ("../../etc/passwd", "passwd"),
        ("bill\u202efdp.exe", "billfdp.exe"),
        ("a\r\nSet-Cookie: b", "a Set-Cookie: b"),
        (" .. ", ""),
        ("x" * 300 + ".jpeg", "x" * 175 + ".jpeg"),
        ("cafe\u0301", "café"),
    ],
)
def test_names_are_one_line_without_folders_or_disguise(given: str, kept: str) -> None:
    assert rules.file_name(given) == kept


@given(st.text(max_size=400))
def test_a_name_that_was_cleaned_stays(name: str) -> None:
    once = rules.file_name(name)
    assert rules.file_name(once) == once
    assert len(once) <= 180
    assert "/" not in once
    assert once.isprintable()


class Offsets(RuleBasedStateMachine):
    """A client that sends parts of any size for any place, twice and out of order, against what must hold."""

    def __init__(self) -> None:
        super().__init__()
        self.size = 3 * MIB + 777
        self.content = bytes(range(256)) * (self.size // 256 + 1)
        self.kept = b""

    @property
    def state(self) -> UploadState:
        return UploadState.PROCESSING if len(self.kept) == self.size else UploadState.RECEIVING

    def send(self, at: int, length: int) -> VouchError | None:
        data = self.content[at : at + length]
        fault = attempt(lambda: rules.advance(self.state, len(self.kept), self.size, at, len(data)))
        if isinstance(fault, VouchError):
            return fault
        assert fault == at + len(data)
        self.kept += data
        return None

    @rule(length=st.integers(CHUNK_LEAST, CHUNK))
    def next_part(self, length: int) -> None:
        length = min(length, self.size - len(self.kept))
        fault = self.send(len(self.kept), length)
        assert fault is None or self.state is UploadState.PROCESSING

    @rule(at=st.integers(0, 4 * MIB), length=st.integers(0, CHUNK))
    def any_part(self, at: int, length: int) -> None:
        before = len(self.kept)
        fault = self.send(at, length)
        if at != before:
            assert fault is not None
            assert fault.code is Code.CONFLICT
            assert str(before) in fault.message

    @rule(length=st.integers(0, CHUNK_LEAST - 1))
    def crumbs(self, length: int) -> None:
        left = self.size - len(self.kept)
        if 0 < length < left:
            fault = self.send(len(self.kept), length)
            assert fault is not None
            assert fault.code is Code.BAD_REQUEST

    @rule()
    def more_than_announced(self) -> None:
        if self.state is UploadState.RECEIVING:
            with pytest.raises(VouchError) as fault:
                rules.advance(self.state, len(self.kept), self.size, len(self.kept), self.size - len(self.kept) + 1)
            assert fault.value.code is Code.TOO_LARGE

    @invariant()
    def what_is_kept_is_a_beginning(self) -> None:
        assert self.content.startswith(self.kept)
        assert len(self.kept) <= self.size


TestOffsets = Offsets.TestCase
TestOffsets.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
