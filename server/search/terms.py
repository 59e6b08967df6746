"""Terms: under what a text is found. Pure.

Words of scripts that write blanks between them are terms as they are, folded. Scripts that do not (Han, kana, Hangul,
Thai and its neighbours) are cut into overlapping pairs of characters; the last character of a run stands alone, so that
each character begins exactly one term and a single one is found as a beginning. A text is then in the index under its
terms, and a query is answered by the texts that have all of its terms and contain it when read (`needles`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from zlib import crc32

from server.chat.words import Message
from server.media.model import MediaKind
from server.search.folding import MARKS, fold
from server.search.model import SearchKind

#: Scripts without blanks between words, after folding.
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u1100-\u11ff\uac00-\ud7af"  # Hangul
    "\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # kana and Han
    "\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
#: Letters and digits of all other scripts, with their marks.
WORD = rf"(?:(?![{UNSPACED}_])[\w{MARKS}])"
RUN = f"[{UNSPACED}]"
_TOKEN = re.compile(f"(?P<run>{RUN}+)|{WORD}+")
_UNSPACED_FIRST = re.compile(RUN)
#: Longer words are known by their beginning; whether all of it fits is seen in the text.
WORD_LONGEST = 32
#: The terms of a block are kept in this many documents, by their beginning.
SHARDS = 64
#: A beginning of a word that is looked for has at least this many characters.
BEGINNING = 2

_LINK = re.compile(r"(?i)\b(?:https?://|www\.)[^\s<>]")


class Token:
    """A word, or a run of characters without blanks between words."""

    __slots__ = ("run", "text")

    def __init__(self, text: str, run: bool) -> None:
        self.text = text
        self.run = run


def tokens(folded: str) -> Iterator[Token]:
    for match in _TOKEN.finditer(folded):
        yield Token(match[0], match["run"] is not None)


def terms_of(text: str) -> set[str]:
    """All terms of a text that is not folded yet."""
    found: set[str] = set()
    for match in _TOKEN.finditer(fold(text)):
        token = match[0]
        if match["run"] is None:
            found.add(token[:WORD_LONGEST])
        else:
            found.update(map("".join, pairwise(token)))
            found.add(token[-1])
    return found


def by(person: str) -> str:
    """The term of everything that a person has written. Words never hold its first character."""
    return f"@{person}"


def of_kind(kind: SearchKind) -> str:
    return f"#{kind.value}"


_KINDS = {
    MediaKind.PICTURE: SearchKind.PICTURE,
    MediaKind.VOICE: SearchKind.VOICE,
    MediaKind.VIDEO: SearchKind.VIDEO,
    MediaKind.FILE: SearchKind.FILE,
}


def kinds_of(message: Message) -> set[SearchKind]:
    """A message with a picture and a link is both; `text` are words without media."""
    kinds = {_KINDS[thing.kind] for thing in message.media}
    if not kinds:
        kinds.add(SearchKind.TEXT)
    if _LINK.search(message.text):
        kinds.add(SearchKind.LINK)
    return kinds


def terms_of_message(person: str, message: Message) -> set[str]:
    """The words of its text and of its media's names, who wrote it, and what it carries."""
    found = terms_of(message.text)
    for thing in message.media:
        found |= terms_of(thing.name)
    found.add(by(person))
    found.update(map(of_kind, kinds_of(message)))
    return found


@lru_cache(maxsize=65_536)
def shard_of(term: str) -> str:
    """Where a term is kept: words by their first two characters, so that those with one beginning are together, runs
    by the first. Terms that are no words have a shard of their own."""
    first = term[0]
    if first in "@#":
        return "f"
    key = first if _UNSPACED_FIRST.match(first) else term[:BEGINNING]
    return str(crc32(key.encode("utf-8", "surrogatepass")) % SHARDS)
