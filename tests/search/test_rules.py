"""Folding, terms, needles: what is found, and exactly where."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.chat.words import Message
from server.media.model import Media, MediaKind
from server.search.folding import Folded, fold
from server.search.model import Range, SearchKind
from server.search.needles import LOOKUPS_MOST, RANGES_MOST, Found, Lookup, find, lookups, parse
from server.search.terms import SHARDS, kinds_of, shard_of, terms_of, terms_of_message

HAN = st.sampled_from("守约你好明天去图书馆的了是我们一二三读书会林小雨")
KANA = st.sampled_from("ひらがなカタカナー々日本語")
HANGUL = st.sampled_from("한국어로말해요가나다")
CJK = HAN | KANA | HANGUL
LATIN = st.sampled_from("abcxyzABCéÉüñßöŞ0123456789")
ANY = st.text(
    alphabet=CJK
    | LATIN
    | st.sampled_from(" \n\t.,!?'\"-_@#/:’“”😀👍🏽ﬁＡｂ１㎏กำहिन्दीשלוםالعَرَبيةЖй")
    | st.characters(),
    max_size=60,
)


def utf16(text: str, begin: int, end: int) -> str:
    """What JavaScript's `slice` gives."""
    return text.encode("utf-16-le", "surrogatepass")[2 * begin : 2 * end].decode("utf-16-le", "surrogatepass")


def found(query: str, text: str) -> list[str] | None:
    """The matching pieces of the text; None when it does not match."""
    where = find(parse(query), Message(text))
    return None if where is None else [utf16(text, piece.begin, piece.end) for piece in where.ranges]


def offered(query: str, text: str) -> bool:
    """Whether the index offers a message with this text."""
    line = "\n".join(["1 1", *sorted(terms_of(text)), ""])
    return all(lookup.mark in line for lookup in lookups(parse(query)))


# ── Folding ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(ANY)
def test_folding_twice_changes_nothing_and_case_and_width_do_not_count(text: str) -> None:
    folded = fold(text)
    assert fold(folded) == folded
    assert fold(unicodedata.normalize("NFKC", folded)) == folded


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Café CRÈME", "cafe creme"),
        ("Straße", "STRASSE"),
        ("ＦＵＬＬ　ｗｉｄｔｈ１２", "full width12"),
        ("ﬁne ㎏ ①", "fine kg 1"),
        ("ｶﾞｲﾄﾞ", "ガイド"),
        ("İstanbul", "istanbul"),
        ("don’t “go”", 'don\'t "go"'),
        ("العَرَبية", "العربية"),
        ("한국", unicodedata.normalize("NFD", "한국")),
        ("ガ", unicodedata.normalize("NFD", "ガ")),
    ],
)
def test_what_reads_the_same_folds_to_the_same(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(("one", "other"), [("か", "が"), ("は", "ぱ"), ("हिन्दी", "हन्द")])
def test_marks_that_make_another_word_stay(one: str, other: str) -> None:
    assert fold(one) != fold(other)


@given(ANY)
def test_folded_characters_know_where_they_came_from(text: str) -> None:
    """The clusters cover the original in order, and each folds to what it became."""
    folded = Folded(text)
    assert folded.text == fold(text)
    last = 0
    for index in range(len(folded.text)):
        begin, end = folded.original(index, index + 1)
        assert last <= begin < end  # several characters may come from one cluster
        assert folded.text[index] in fold(utf16(text, begin, end))
        last = begin
    if folded.text:
        begin, end = folded.original(0, len(folded.text))
        assert fold(utf16(text, begin, end)) == folded.text


# ── Terms ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_words_are_terms_and_runs_are_cut_into_pairs() -> None:
    assert terms_of("Read the 3rd book, foo_bar!") == {"read", "the", "3rd", "book", "foo", "bar"}
    assert terms_of("去图书馆 read書") == {"去图", "图书", "书馆", "馆", "read", "書"}
    assert terms_of("…!? 😀") == set()


@given(ANY)
def test_each_term_is_in_exactly_one_shard_and_no_word_looks_like_a_facet(text: str) -> None:
    for term in terms_of(text):
        assert "\n" not in term
        assert term[0] not in "@#"
        assert 0 <= int(shard_of(term)) < SHARDS
        assert shard_of(term) == shard_of(term[:2]), "all words with one beginning are together"


def test_long_words_are_known_by_their_beginning() -> None:
    word = "x" * 5_000
    assert terms_of(word) == {"x" * 32}
    assert found(word, f"see {word}!") == [word]
    assert found("x" * 4_999 + "y", f"see {word}!") is None
    assert found("x" * 40, word) == [word[:40]]


def thing(kind: MediaKind, name: str = "") -> Media:
    return Media(id="m_" + "0" * 26, kind=kind, name=name, type="a/b", size=1)


@pytest.mark.parametrize(
    ("message", "kinds"),
    [
        (Message("hello"), {SearchKind.TEXT}),
        (Message("see https://example.org/x"), {SearchKind.TEXT, SearchKind.LINK}),
        (Message("www.example.org"), {SearchKind.TEXT, SearchKind.LINK}),
        (Message("", [thing(MediaKind.VOICE)]), {SearchKind.VOICE}),
        (Message("both", [thing(MediaKind.PICTURE), thing(MediaKind.FILE)]), {SearchKind.PICTURE, SearchKind.FILE}),
        (Message("http://", [thing(MediaKind.VIDEO)]), {SearchKind.VIDEO}),
    ],
)
def test_kinds(message: Message, kinds: set[SearchKind]) -> None:
    assert kinds_of(message) == kinds


def test_a_message_is_under_its_words_names_sender_and_kinds() -> None:
    terms = terms_of_message("p_lin", Message("Hello", [thing(MediaKind.FILE, "Lese-Liste.pdf")]))
    assert terms == {"hello", "lese", "liste", "pdf", "@p_lin", "#file"}


# ── Needles ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.text(CJK, min_size=2, max_size=30), st.data(), ANY, ANY)
def test_every_part_of_a_run_finds_the_text(run: str, data: st.DataObject, before: str, after: str) -> None:
    begin = data.draw(st.integers(0, len(run) - 1))
    part = run[begin : data.draw(st.integers(begin + 1, len(run)))]
    text = f"{before} {run} {after}"
    assert offered(part, text)
    pieces = found(part, text)
    assert pieces is not None
    assert fold(part) in "".join(map(fold, pieces))


@given(st.text(LATIN, min_size=1, max_size=40), st.data(), ANY, ANY)
def test_every_beginning_of_the_last_word_finds_the_text(
    word: str, data: st.DataObject, before: str, after: str
) -> None:
    part = word[: data.draw(st.integers(min(2, len(word)), len(word)))]
    text = f"{before} {word} {after}"
    assert offered(part, text)
    assert found(part, text)


@given(ANY, ANY)
def test_the_index_offers_whatever_matches(query: str, text: str) -> None:
    """The text decides, so the index must never say no where the text would say yes."""
    if parse(query) and found(query, text) is not None:
        assert offered(query, text)


@given(ANY)
def test_a_text_is_found_by_itself_and_ranges_are_in_order(text: str) -> None:
    needles = parse(text)
    if not needles:
        return
    assert offered(text, text)
    where = find(needles, Message(text))
    assert where is not None
    flat = [edge for piece in where.ranges for edge in (piece.begin, piece.end)]
    assert flat == sorted(flat)
    assert len(set(flat)) == len(flat), "ranges neither touch nor are empty"
    assert flat[-1] <= len(text.encode("utf-16-le", "surrogatepass")) // 2


@pytest.mark.parametrize(
    ("query", "text", "pieces"),
    [
        ("图书馆", "😀你好，去图书馆", ["图书馆"]),
        ("图", "图书馆的图", ["图", "图"]),
        ("书图", "图书馆", None),
        ("明天 图书", "图书馆，明天", ["图书", "明天"]),
        ("read", "Reading is READ, bread is not", ["Read", "READ"]),
        ("read ", "Reading is READ", ["READ"]),  # a blank ends the word
        ("read book", "a book to read", ["book", "read"]),  # in any order
        ("cafe", "Café, CAFÉ and cafe\u0301", ["Café", "CAFÉ", "cafe\u0301"]),
        ('"good morning"', "Good, morning! A morning is good", ["Good, morning"]),
        ("“good morning”", "good morning", ["good morning"]),
        ('"good morning', "good mornings", None),
        ("example.com", "see example.com or com.example", ["example.com"]),
        ("don't", "I don’t", ["don’t"]),
        ("strasse", "Große Straße", ["Straße"]),
        ("世界hello", "世界 hello", ["世界 hello"]),
        ("a", "a b ab", ["a"]),
        ("12", "on 12/11 at 125", ["12", "12"]),
        ("ㅎ", "ㅎㅎ", ["ㅎㅎ"]),
    ],
)
def test_what_matches_where(query: str, text: str, pieces: list[str] | None) -> None:
    assert found(query, text) == pieces


def test_names_of_media_match_like_texts() -> None:
    message = Message("the list", [thing(MediaKind.PICTURE), thing(MediaKind.FILE, "Résumé 最终.pdf")])
    where = find(parse("list resume"), message)
    assert where is not None
    assert where.ranges == [Range(4, 8)]
    assert [(name.index, name.ranges) for name in where.names] == [(1, [Range(0, 6)])]
    assert find(parse("最终版"), message) is None


def test_a_long_query_asks_a_few_things_and_a_long_text_marks_some() -> None:
    assert len(lookups(parse("一二三四五六七八九十" * 20))) <= LOOKUPS_MOST
    where = find(parse("a"), Message("a " * 8_000))
    assert isinstance(where, Found)
    assert len(where.ranges) == RANGES_MOST


@pytest.mark.parametrize("query", ["", "  ", "!?", '""', "😀", "_", '"..."'])
def test_nothing_to_look_for(query: str) -> None:
    assert parse(query) == []


def test_beginnings_need_two_characters() -> None:
    assert lookups(parse("re")) == [Lookup("re", beginning=True)]
    assert lookups(parse("r")) == [Lookup("r")]
    assert lookups(parse("图")) == [Lookup("图", beginning=True)]
