"""The small story of `--demo`: chapters that are told through the services, as people would have lived them.

A chapter is told once or many times with the same result, for the server may be stopped in the middle of one. Each
part of the product adds its own chapter at the end of `CHAPTERS`; what a chapter returns is printed at the start.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from server.demo import answers, calls, cashbox, cast, desk, family, keepsakes, pledges, purses, talk
from server.services import Services

Chapter = Callable[[Services], Awaitable[Sequence[str]]]

CHAPTERS: list[Chapter] = [
    cast.tell,
    talk.tell,
    answers.tell,
    keepsakes.tell,
    desk.tell,
    family.tell,
    purses.tell,
    cashbox.tell,
    pledges.tell,
    calls.tell,
]


async def tell(services: Services) -> list[str]:
    """Tells every chapter in order; returns the lines for the person at the terminal."""
    lines: list[str] = []
    for chapter in CHAPTERS:
        lines += await chapter(services)
    return lines
