"""What accounts are found by in the registry. Pure."""

from __future__ import annotations

import unicodedata

#: characters of a word that are looked for
TERM_LONGEST = 12
_WORDS = 8  # words of a name that can be looked for


def folded(text: str) -> str:
    """The form in which names are compared: without case, width and accents."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    return "".join(character for character in plain if not unicodedata.combining(character))


def terms(handle: str, name: str) -> list[str]:
    """What an account is found by: the beginnings of its handle and of each word of its name. Chinese names have no
    words: each character begins one."""
    words = [handle, *folded(name).split()[:_WORDS]]
    words += [word[start:] for word in words for start in range(1, min(len(word), _WORDS)) if _ideograph(word[start])]
    return sorted({word[:length] for word in words for length in range(1, min(len(word), TERM_LONGEST) + 1)})


def _ideograph(character: str) -> bool:
    return unicodedata.name(character, "").startswith(("CJK", "HIRAGANA", "KATAKANA", "HANGUL"))
