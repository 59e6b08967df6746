"""The rules: nonces, looks, what is written, and what a verdict may rest on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ImageEnhance, ImageFont

from server.errors import Code, VouchError
from server.proofs import rules
from server.proofs.model import Looks, Nonce, Place, Proof, ProofKind
from server.proofs.worker import drawing, looks
from server.supervision.model import Evidence, EvidenceKind, Verdict
from server.supervision.rules import grounds
from tests.proofs.scenes import jpeg, opened, page, scene

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


@pytest.mark.parametrize("lines", [4, 8, 10, 13])
def test_one_line_more_on_a_page_below_a_stand_is_another_picture(lines: int) -> None:
    """The same desk, camera and lamp, the next day: people are told that it looks alike, nobody is refused."""
    before, after = looks_of(page(1, lines, noise=1)), looks_of(page(1, lines + 1, noise=2))
    assert rules.greys_between(before.grid, after.grid) < rules.GREYS_MOST, "by the mean alone it would be the same"
    assert not rules.same_picture(before, after)
    assert rules.alike(before, after)
    assert rules.same_picture(before, looks_of(page(1, lines, noise=2))), "nothing at all has changed"


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("share", [0.96, 0.95, 0.9, 0.8])
def test_without_its_edges_it_is_found(seed: int, share: float) -> None:
    whole = scene(seed)
    cuts = [Looks(looks_of(looks.cut(whole, one)).hash) for one in looks.CUTS]
    assert rules.nearest(looks_of(looks.cut(whole, share)), [proof_of(looks_of(whole), *cuts)]) is not None


@pytest.mark.parametrize("seed", range(4))
def test_other_light_and_our_own_watermark_are_found(seed: int) -> None:
    whole = scene(seed)
    sealed = drawing.marked(whole, ("2026-11-22 19:03:00 UTC", "Emma · #1 Read", "7K2MQ-0X4TV-7K2MQ-0X4TV"))
    kept = proof_of(looks_of(whole), looks_of(sealed.crop((0, 0, *whole.size))), looks_of(sealed))
    for again in (
        ImageEnhance.Contrast(whole).enhance(1.15),
        ImageEnhance.Brightness(whole).enhance(1.15),
        sealed,
        sealed.resize((480, 420)),
        sealed.crop((0, 0, *whole.size)),
    ):
        assert rules.nearest(looks_of(again), [kept]) is kept
    assert rules.shown_before(looks_of(opened(jpeg(sealed, quality=50))), [kept])


@given(st.integers(0, 2**64 - 1), st.sets(st.integers(0, 63), max_size=rules.SURE_BITS))
def test_every_hash_that_is_near_is_found_by_its_words(hash: int, flips: set[int]) -> None:
    grid = bytes(range(256)) * 4
    near = hash
    for bit in flips:
        near ^= 1 << bit
    kept = rules.kept_under((Looks(f"{hash:016x}", grid),), "p_1")
    sought = rules.sought_under(Looks(f"{near:016x}", grid), "p_2")
    assert set(kept) & set(sought)
    assert len(set(sought)) == 68


def test_walls_are_found_among_ones_own_only() -> None:
    wall = Looks("0123456789abcdef", bytes([90, 91]) * 512)
    assert rules.kept_under((wall,), "p_1") == rules.sought_under(wall, "p_1") != rules.sought_under(wall, "p_2")


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


@given(st.text(max_size=80), st.text(max_size=80), st.integers(0, 200))
def test_what_is_drawn_leaves_no_empty_boxes(name: str, title: str, task: int) -> None:
    """Neither of letters that the font lacks nor of small pictures; whoever has no drawable name is told by handle."""
    on = rules.name_on(name, "emma_1")
    assert on
    assert len(on) <= rules.NAME_MOST
    line = rules.lines_of(on, title, task, NONCE.id, AT)[1]
    font = ImageFont.truetype(drawing.font_file(), 20)
    none = bytes(font.getmask("\U0010fffe"))
    drawn = drawing.with_glyphs(line, font)
    assert [c for c in drawn if c != " " and bytes(font.getmask(c)) == none] == []


@pytest.mark.parametrize(
    ("name", "drawn"),
    [
        ("林小梅", "林小梅"),
        ("Stanisław Żółć", "Stanislaw Zólc"),
        ("Їжак Ёлкина", "Iжак Ёлкина"),
        ("Emma 🎉", "Emma"),
        ("محمد علي", "@emma_1"),
        ("🎉🎉", "@emma_1"),
        ("\u202eammE", "ammE"),
        ("김민준", "김민준"),
        ("M" * 60, "M" * 31 + "…"),
    ],
)
def test_names_as_they_are_drawn(name: str, drawn: str) -> None:
    font = ImageFont.truetype(drawing.font_file(), 20)
    assert drawing.with_glyphs(rules.name_on(name, "emma_1"), font) == drawn


def test_a_title_without_its_letters_is_left_out() -> None:
    assert rules.lines_of("Emma", "قراءة 📚", 2, NONCE.id, AT)[1] == "Emma · #2"
    assert rules.lines_of("Emma", "每天读书", 0, NONCE.id, AT)[1] == "Emma · 每天读书"


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
