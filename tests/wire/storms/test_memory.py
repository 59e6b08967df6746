"""Coming and going costs no memory that stays."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tests.faults.accounts import Account
from tests.wire.storms.line import arrived, greeting
from tests.wire.storms.place import Place

MIB = 1024 * 1024
_AT_ONCE = 40


async def come_and_go(place: Place, people: Sequence[Account], ch: str, count: int) -> None:
    """So many connections, each subscribed before it goes."""
    left = iter(range(count))

    async def one_after_the_other(account: Account) -> None:
        for _ in left:
            line = await arrived(await place.open(greeting(account.token, ch)))
            line.close()
            place.forget(line)

    await asyncio.gather(*(one_after_the_other(people[number % len(people)]) for number in range(_AT_ONCE)))


@pytest.mark.slow
@pytest.mark.gen_test(timeout=1_500)
async def test_memory_after_many_have_come_and_gone(place: Place) -> None:
    """100,000 connections later the server is as large as it was: within 1 %, and what an allocator may hold."""
    people = await place.people(8)
    ch = await place.group(people)
    count = place.size(100_000)
    await come_and_go(place, people, ch, max(1_000, count // 10))  # what is made once is made now
    await place.empty()
    before = place.memory()
    async with place.others(f"{count} come and go"):
        await come_and_go(place, people, ch, count)
    await place.empty()
    after = place.memory()
    print(f"memory {before / MIB:.1f} MiB, afterwards {after / MIB:.1f} MiB")  # noqa: T201 - what the run has shown
    assert after < before * 1.01 + 3 * MIB
