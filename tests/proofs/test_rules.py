"""The rules: nonces, looks, what is written, and what a verdict may rest on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import Code, VouchError
from server.proofs import rules
from server.proofs.model import Looks, Nonce, Place, Proof, ProofKind
from server.proofs.worker import looks
from server.supervision.model import Evidence, EvidenceKind, Verdict
from server.supervision.rules import grounds
from tests.proofs.scenes import jpeg, opened, scene

AT = datetime(2026, 11, 22, 11, tzinfo=UTC)
NONCE = Nonce(id="nx_" + "0" * 20, person="p_1", session="s_1", pledge="g_1", task=1, at=AT, until=AT + rules.LIVES)


def looks_of(picture: object) -> Looks:
    grid = looks.greys(picture)  # type: ignore[arg-type]
    return Looks(looks.hash_of(grid), grid)


@given(
    st.integers(-200, 200),
    st.sampled_from(["p_1", "p_2"]),
    st.sampled_from(["s_1", "s_2"]),
    st.sampled_from(["g_1", "g_2"]),
    st.booleans(),
)
def test_a_nonce_is_for_one_person_one_pledge_one_picture_and_a_minute(
    seconds: int, person: str, session: str, pledge: str, used: bool
) -> None:
    nonce = Nonce(**{**{f: getattr(NONCE, f) for f in NONCE.__struct_fields__}, "proof": "pf_1" if used else None})
    good = (
        person == "p_1"
        and session == "s_1"
        and pledge == "g_1"
        and not used
        and timedelta(seconds=seconds) <= rules.LIVES + rules.ON_ITS_WAY
    )
    at = AT + timedelta(seconds=seconds)
    if good:
        assert rules.check_nonce(nonce, person, session, pledge, at) is nonce
        return
    with pytest.raises(VouchError) as fault:
        rules.check_nonce(nonce, person, session, pledge, at)
    assert fault.value.code in (Code.NOT_LIVE, Code.NONCE_USED, Code.NONCE_STALE)


def proof_of(*kept: Looks) -> Proof:
    return Proof(
        id="pf_1", kind=ProofKind.PHOTO, person="p_1", by="p_1", at=AT, nonce="", sha256="", source="", looks=kept
    )


@pytest.mark.parametrize("seed", range(4))
def test_the_same_picture_is_known_again_however_it_is_encoded(seed: int) -> None:
    first = looks_of(scene(seed))
    for again in (
        opened(jpeg(scene(seed), quality=40)),
        scene(seed).resize((480, 360)),
        scene(seed).resize((1600, 1200)),
        scene(seed).convert("L"),
        scene(seed).point(lambda value: min(255, value + 10)),
    ):
        assert rules.same_picture(first, looks_of(again))


@pytest.mark.parametrize("seed", range(4))
def test_another_shot_is_another_picture(seed: int) -> None:
    first = looks_of(scene(seed, noise=1))
    assert not rules.same_picture(first, looks_of(scene(seed, shift=12, noise=2)))
    others = [proof_of(looks_of(scene(seed + 10))), proof_of(looks_of(scene(seed + 20)))]
    assert not rules.shown_before(first, others)
    assert rules.nearest(first, others) is None


@given(st.binary(min_size=1024, max_size=1024), st.integers(0, 40))
def test_a_lamp_more_is_no_other_picture(grid: bytes, lighter: int) -> None:
    dim = bytes(value * 3 // 4 for value in grid)
    bright = bytes(value + lighter for value in dim)
    assert rules.greys_between(dim, bright) < 1e-6
    assert rules.greys_between(dim, dim) == 0


@given(st.text(max_size=80))
def test_what_is_drawn_is_one_line_without_hidden_letters(text: str) -> None:
    drawn = rules.written(text)
    assert drawn == " ".join(drawn.split())
    assert drawn.isprintable()
    assert "\u202e" not in drawn


@given(st.floats(-90, 90), st.floats(-180, 180), st.floats(0, 1e6))
def test_a_place_is_bound_to_its_moment(latitude: float, longitude: float, accuracy: float) -> None:
    place = Place(latitude, longitude, accuracy)
    assert rules.digest_of(place, "nx_1") == rules.digest_of(place, "nx_1") != rules.digest_of(place, "nx_2")


def test_who_sees_a_proof() -> None:
    proof = Proof(
        id="pf_1", kind=ProofKind.PHOTO, person="p_1", by="p_2", at=AT, nonce="nx_1", sha256="", source="", pledge="g_1"
    )
    for reads, sent in ((False, False), (True, False), (False, True), (True, True)):
        assert rules.may_see(proof, "p_1", reads_pledge=reads, sent=sent)
        assert rules.may_see(proof, "p_2", reads_pledge=reads, sent=sent)
        assert rules.may_see(proof, "p_3", reads_pledge=reads, sent=sent) == (reads and sent)


# ── Grounds ─────────────────────────────────────────────────────────────────────────────────────────────────────────

KINDS = st.sampled_from([kind for kind in EvidenceKind if kind not in (EvidenceKind.VERDICT, EvidenceKind.RULING)])


def row(kind: EvidenceKind, by: str = "owner", task: int = 1) -> Evidence:
    return Evidence(id="e_1", pledge="g_1", n=1, by=by, at=AT, kind=kind, task=task)


@given(
    st.lists(KINDS, max_size=6), st.sampled_from(list(Verdict)), st.sampled_from(["", "  ", "I saw it"]), st.booleans()
)
def test_a_location_alone_never_decides(kinds: list[EvidenceKind], verdict: Verdict, words: str, shows: bool) -> None:
    rows = [row(kind) for kind in kinds] + [row(EvidenceKind.PHOTO, by="other"), row(EvidenceKind.PHOTO, task=2)]
    alone = grounds.location_alone(rows, "owner", 1)
    assert alone == (bool(kinds) and set(kinds) == {EvidenceKind.LOCATION})
    silent = not words.strip() and not shows
    if alone and silent and verdict is not Verdict.ABSTAIN:
        with pytest.raises(VouchError) as fault:
            grounds.check(verdict, words, ["m_1"] if shows else [], alone=alone)
        assert fault.value.code is Code.LOCATION_ALONE
    else:
        grounds.check(verdict, words, ["m_1"] if shows else [], alone=alone)


def test_decisions_are_no_evidence_of_their_own() -> None:
    assert grounds.location_alone([row(EvidenceKind.LOCATION), row(EvidenceKind.VERDICT)], "owner", 1)
    assert not grounds.location_alone([row(EvidenceKind.VERDICT)], "owner", 1)
    assert not grounds.decides([EvidenceKind.LOCATION, EvidenceKind.LOCATION])
