"""Folding: what is written differently and read the same becomes the same (UAX #15, UAX #21).

Compatibility forms (full width, half width, ligatures), case, and the marks over Latin, Greek, Arabic and Hebrew
letters go; the voicing marks of kana and the vowels of Indic scripts stay, because they make other words. Folding works
on clusters (a character with its marks), so that each folded character knows where it came from.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache


def _of_category(*categories: str) -> str:
    """The inside of a character class; the scripts that use marks lie below U+2000 (others match as they are)."""
    return "".join(
        re.escape(chr(code)) for code in range(0x300, 0x2000) if unicodedata.category(chr(code)) in categories
    )


#: Marks belong to the character before them; so do the later parts of a Hangul syllable and half-width voicing marks.
MARKS = _of_category("Mn", "Mc", "Me") + "\u1160-\u11ff\u20d0-\u20f0\u302a-\u302f\u3099\u309a\ufe00-\ufe2f\uff9e\uff9f"
_MARK = re.compile(f"[{MARKS}]")
_CLUSTER = re.compile(f"[^{MARKS}][{MARKS}]*|[{MARKS}]+", re.DOTALL)
#: What distinguishes how a word is pointed or stressed, not which word it is.
_DROPPED = re.compile(
    "[\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u00ad\u200b-\u200d\u2060\ufe0e\ufe0f\ufeff]"
)
#: Typographic forms of what keyboards have.
_PLAIN = str.maketrans("‘’ʼ“”„「」『』", '\'\'\'"""""""')


@lru_cache(maxsize=16_384)
def _fold_cluster(cluster: str) -> str:
    apart = unicodedata.normalize("NFKD", cluster.translate(_PLAIN))
    # Case folding may take apart once more, and what was taken apart may have a case.
    apart = unicodedata.normalize("NFKD", apart.casefold()).casefold()
    return unicodedata.normalize("NFC", _DROPPED.sub("", apart))


def fold(text: str) -> str:
    """The text as it is indexed and compared."""
    if text.isascii():
        return text.lower()
    if _MARK.search(text) is None:
        return "".join(map(_fold_cluster, text))
    return "".join(map(_fold_cluster, _CLUSTER.findall(text)))


class Folded:
    """A folded text that knows its original: `text`, and `original(start, end)`."""

    def __init__(self, original: str) -> None:
        self.text = fold(original)
        #: per folded character, where its cluster begins and ends in the original, in UTF-16 code units
        self._begins: list[int] | None = None
        self._ends: list[int] = []
        if original.isascii():
            return
        self._begins = []
        at = 0
        for match in _CLUSTER.finditer(original):
            cluster = match[0]
            end = at + len(cluster) + sum(char > "\uffff" for char in cluster)
            count = len(_fold_cluster(cluster))
            self._begins += [at] * count
            self._ends += [end] * count
            at = end

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Where the folded characters `start … end` (the last not included, at least one) stand in the original, in
        UTF-16 code units, which is how JavaScript counts."""
        if self._begins is None:
            return start, end
        return self._begins[start], self._ends[end - 1]
