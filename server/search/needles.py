"""Needles: what a query looks for, how the index is asked for it, and where it stands in a text. Pure.

A query is cut at blanks; all its parts must be there, in the text or in the names of its media. A part with several
words in it, and everything between quotation marks, is a phrase: its words follow each other, whatever punctuation is
between them. Runs of scripts without blanks match anywhere, words from beginning to end, and the last word of a query
that is still being typed by its beginning.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import msgspec

from server.chat.words import Message
from server.search.folding import MARKS, Folded, fold
from server.search.model import NameMatch, Range
from server.search.terms import BEGINNING, WORD, WORD_LONGEST, Token, shard_of, tokens

#: Of a long query so many terms are asked of the index; the text tells the rest.
LOOKUPS_MOST = 8
RANGES_MOST = 100

_PART = re.compile(r'"(?P<phrase>[^"]*)"?|[^\s"]+')
_GAP = rf"(?:[^\w{MARKS}]|_)"
_STARTS = f"(?<!{WORD})"
_ENDS = f"(?!{WORD})"


class Lookup(msgspec.Struct, frozen=True):
    """One question to the index: a term, or all terms that begin so."""

    text: str
    beginning: bool = False

    @property
    def shard(self) -> str:
        return shard_of(self.text)

    @property
    def mark(self) -> str:
        """As it stands in a list of terms that has a line feed on both sides of each."""
        return f"\n{self.text}" if self.beginning else f"\n{self.text}\n"


class Needle:
    """One part of a query. `lookups` are all needed; `pattern` decides."""

    def __init__(self, words: Sequence[Token], *, unfinished: bool) -> None:
        last = len(words) - 1
        self.lookups: list[Lookup] = []
        pattern = ""
        for index, token in enumerate(words):
            begins = unfinished and index == last and not token.run and len(token.text) >= BEGINNING
            if index:
                pattern += f"{_GAP}*" if token.run or words[index - 1].run else f"{_GAP}+"
            if token.run:
                pattern += re.escape(token.text)
            else:
                pattern += f"{_STARTS}{re.escape(token.text)}{'' if begins else _ENDS}"
            self.lookups += _lookups(token, begins)
        self.pattern = re.compile(pattern)


def _lookups(token: Token, begins: bool) -> list[Lookup]:
    text = token.text
    if not token.run:
        return [Lookup(text[:WORD_LONGEST], begins and len(text) <= WORD_LONGEST)]
    if len(text) == 1:
        return [Lookup(text, beginning=True)]
    # Every second pair covers the run; the last one its end.
    pairs = [text[at : at + 2] for at in range(0, len(text) - 1, 2)]
    return [Lookup(pair) for pair in (*pairs, text[-2:])]


def parse(query: str) -> list[Needle]:
    """What a query looks for; nothing in it that could be found: an empty list."""
    folded = fold(query)
    parts = list(_PART.finditer(folded))
    needles = []
    for part in parts:
        phrase = part["phrase"]
        words = list(tokens(part[0] if phrase is None else phrase))
        if words:
            unfinished = phrase is None and part.end() == len(folded)
            needles.append(Needle(words, unfinished=unfinished))
    return needles


def lookups(needles: Iterable[Needle]) -> list[Lookup]:
    """What the index is asked: each once, and of very many those that tell most (the longest, as a rule)."""
    found = list(dict.fromkeys(lookup for needle in needles for lookup in needle.lookups))
    if len(found) <= LOOKUPS_MOST:
        return found
    found.sort(key=lambda lookup: (lookup.beginning, -len(lookup.text)))
    step = len(found) / LOOKUPS_MOST
    return [found[int(index * step)] for index in range(LOOKUPS_MOST)]


class Found(msgspec.Struct, frozen=True):
    """Where a message matches."""

    ranges: list[Range]
    names: list[NameMatch]


def find(needles: Sequence[Needle], message: Message) -> Found | None:
    """Where each of the needles stands in a message; None when one does not."""
    text = Folded(message.text)
    names = [Folded(thing.name) for thing in message.media]
    in_text: list[Range] = []
    in_names: list[list[Range]] = [[] for _ in names]
    for needle in needles:
        before = len(in_text) + sum(map(len, in_names))
        in_text += _ranges(needle, text)
        for name, ranges in zip(names, in_names, strict=True):
            ranges += _ranges(needle, name)
        if len(in_text) + sum(map(len, in_names)) == before:
            return None
    return Found(
        _merged(in_text), [NameMatch(index, _merged(ranges)) for index, ranges in enumerate(in_names) if ranges]
    )


def _ranges(needle: Needle, folded: Folded) -> list[Range]:
    return [Range(*folded.original(match.start(), match.end())) for match in needle.pattern.finditer(folded.text)]


def _merged(ranges: Sequence[Range]) -> list[Range]:
    """In order, those that touch or overlap as one."""
    merged: list[Range] = []
    for piece in sorted(ranges):
        if merged and piece.begin <= merged[-1].end:
            merged[-1] = Range(merged[-1].begin, max(merged[-1].end, piece.end))
        else:
            merged.append(piece)
    return merged[:RANGES_MOST]
