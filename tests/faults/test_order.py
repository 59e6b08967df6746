"""The order of one sender, where the database leaves the appender waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from server.errors import Code, VouchError
from server.realtime.appender import PATIENCE
from server.realtime.channels import Draft
from server.services import Services
from server.store import Document, Encoded

CH = "conv:c_00000000000000000000"


def draft(n: int, by: str = "p_1") -> Draft:
    return Draft(CH, by, f"id{n:020}", "message", {"text": f"word {n}"})


async def test_nothing_overtakes_what_is_refused_for_its_age(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database hung. The sender went to another node, repeated everything there, and did not hear that this one
    refused what was oldest; what was younger became durable here, before its predecessors did there."""
    appender, log, hang = services.hub._appender, services.hub._log, asyncio.Event()
    insert = log.insert

    async def hanging(rows: Sequence[Document | Encoded]) -> None:
        await hang.wait()
        await insert(rows)

    monkeypatch.setattr(log, "insert", hanging)
    first, second, neighbour = (appender.submit(draft(n, by), None) for n, by in enumerate(("p_1", "p_1", "p_2")))
    appender._flying["p_1:" + draft(0).id].since -= PATIENCE + 1
    with pytest.raises(VouchError) as refusal:
        await first
    assert refusal.value.code is Code.TRY_LATER
    await asyncio.sleep(0)
    assert second.done()
    assert not neighbour.done()
    hang.set()
    assert (await neighbour).entry.by == "p_2"
    assert [entry.by for entry in await log.read(CH, 1, 10)][-1] == "p_2"
