"""Limits on the real Redis, and without it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest

from server import limits as limits_module
from server.errors import Code, VouchError
from server.limits import LIMITS, Limit, Limits
from tests.conftest import Run


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LIMITS, "sign_in", Limit("3 per 2 seconds", "login"))


async def test_counts_up_to_the_limit_and_says_when_to_come_back(small: None, redis_url: str) -> None:
    limits = Limits(redis_url)
    for _ in range(3):
        await limits.hit("sign_in", "lin")
    with pytest.raises(VouchError) as caught:
        await limits.hit("sign_in", "lin")
    assert caught.value.code is Code.TOO_OFTEN
    assert caught.value.retry_after is not None
    assert 1 <= caught.value.retry_after <= 2
    await limits.hit("sign_in", "chen")  # somebody else
    await limits.hit("sign_in_ip", "lin")  # something else
    await asyncio.sleep(caught.value.retry_after)
    await limits.hit("sign_in", "lin")
    await limits.stop()


async def test_nodes_count_together(small: None, redis_url: str) -> None:
    one, other = Limits(redis_url), Limits(redis_url)
    await one.hit("sign_in", "lin")
    await other.hit("sign_in", "lin")
    await one.hit("sign_in", "lin")
    with pytest.raises(VouchError):
        await other.hit("sign_in", "lin")
    await asyncio.gather(one.stop(), other.stop())


async def test_a_portion_is_taken_whole_or_not(redis_url: str) -> None:
    limits = Limits(redis_url)
    assert await limits.take("send", "lin", 200)
    assert not await limits.take("send", "lin", 60)
    assert await limits.take("send", "lin", 40)
    assert not await limits.take("send", "lin", 1)
    await limits.stop()


async def test_a_factor_loosens(small: None, redis_url: str) -> None:
    limits = Limits(redis_url, factor=10)
    for _ in range(30):
        await limits.hit("sign_in", "lin")
    with pytest.raises(VouchError):
        await limits.hit("sign_in", "lin")
    await limits.stop()


@pytest.fixture
def away(small: None, run: Run[Any]) -> Iterator[Limits]:
    limits = Limits("unix:///nowhere/redis.sock", pause=0.2)
    yield limits
    run(limits.stop())


async def test_without_redis_this_process_counts(away: Limits) -> None:
    began = time.monotonic()
    for _ in range(3):
        await away.hit("sign_in", "lin")
    with pytest.raises(VouchError) as caught:
        await away.hit("sign_in", "lin")
    assert caught.value.code is Code.TOO_OFTEN
    assert time.monotonic() - began < 1
    assert not await away.ping()


async def test_it_comes_back_and_says_so_once(
    away: Limits, redis_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(limits_module.log, "warning", lambda event, **_: said.append(event))
    monkeypatch.setattr(limits_module.log, "info", lambda event, **_: said.append(event))
    back = Limits(redis_url)
    for _ in range(2):
        await away.hit("sign_in", "lin")
    away._shared, shared = back._shared, away._shared
    await asyncio.sleep(0.25)
    for _ in range(2):
        await away.hit("sign_in", "lin")
    assert len(said) == 2
    assert "does not answer" in said[0]
    assert "answers again" in said[1]
    away._shared = shared
    await back.stop()


async def test_ping_gives_up(redis_url: str) -> None:
    limits = Limits(redis_url)
    assert await limits.ping()
    await limits.stop()


@pytest.mark.parametrize("name", sorted(LIMITS))
async def test_every_limit_can_be_read(name: str, redis_url: str) -> None:
    limits = Limits(redis_url)
    await limits.hit(name, "x")
    await limits.stop()
