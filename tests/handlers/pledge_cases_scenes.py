"""Every refusal that the operations of disputes and of the desk declare, as a scene."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from server.errors import Code
from server.supervision.model import PledgeState
from server.supervision.rules import cases
from tests.handlers.conftest import Answer, Client
from tests.handlers.pledge_stage import SCENES, Theatre, scene
from tests.supervision.examples import STAFF as FOR_STAFF
from tests.supervision.test_cases import REASONS, WORDS, failed

NOWHERE = "g_" + "0" * 20
SEEKING: dict[str, Any] = {"stake": FOR_STAFF, "state": PledgeState.AWAITING_SUPERVISOR, "seats": (), "unpaid": True}

Act = Callable[[Theatre, str], Awaitable[Answer]]


async def _decided(stage: Theatre) -> str:
    """It has failed, and can be objected to."""
    id = await stage.placed(count=1)
    await stage.supervision.changes.apply(id, failed)
    return id


async def _disputed(stage: Theatre) -> str:
    id = await _decided(stage)
    await stage.emma.post(f"/pledges/{id}/disputes", {"words": WORDS})
    return id


async def _taken(stage: Theatre) -> str:
    """By Sue, and both sides may be heard no more."""
    id = await _disputed(stage)
    await _take(stage, id)
    stage.clock.at += cases.EVIDENCE
    return id


async def _ruled(stage: Theatre) -> str:
    id = await _taken(stage)
    await _rule(stage, id)
    return id


async def _dispute(stage: Theatre, id: str, by: Client | None = None) -> Answer:
    return await (by or stage.emma).post(f"/pledges/{id}/disputes", {"words": WORDS})


async def _appeal(stage: Theatre, id: str, by: Client | None = None) -> Answer:
    return await (by or stage.tom).post(f"/pledges/{id}/appeals", {"words": WORDS})


async def _newest(stage: Theatre, id: str) -> str:
    """The case that was opened last; time has opened others where a scene has turned the clock."""
    return "c1" if id == NOWHERE else (await stage.load(id)).cases[-1].id


async def _take(stage: Theatre, id: str, by: Client | None = None) -> Answer:
    return await (by or stage.sue).post(f"/staff/pledges/{id}/cases/{await _newest(stage, id)}/take")


async def _rule(stage: Theatre, id: str, by: Client | None = None) -> Answer:
    body = {"ruling": "kept", "reasons": REASONS}
    return await (by or stage.sue).post(f"/staff/pledges/{id}/cases/{await _newest(stage, id)}/ruling", body)


async def _seat(stage: Theatre, id: str, by: Client | None = None) -> Answer:
    return await (by or stage.sue).post(f"/staff/pledges/{id}/seat")


async def _release(stage: Theatre, id: str) -> Answer:
    return await stage.sue.call("DELETE", f"/staff/pledges/{id}/seat")


for _operation, _act in (
    ("dispute_pledge", _dispute),
    ("appeal_pledge", _appeal),
    ("take_case", _take),
    ("rule_case", _rule),
    ("take_staff_seat", _seat),
    ("release_staff_seat", _release),
):

    def _nowhere(operation: str, act: Act) -> None:
        SCENES[operation, Code.NOT_FOUND] = lambda stage: act(stage, NOWHERE)

    _nowhere(_operation, _act)

for _operation, _act, _ready in (
    ("dispute_pledge", _dispute, _decided),
    ("appeal_pledge", _appeal, _ruled),
    ("take_case", _take, _disputed),
    ("rule_case", _rule, _taken),
):

    def _too_many(operation: str, act: Act, ready: Callable[[Theatre], Awaitable[str]]) -> None:
        @scene(operation, Code.TRY_LATER)
        async def _(stage: Theatre) -> Answer:
            id = await ready(stage)
            stage.others_faster()
            return await act(stage, id)

    _too_many(_operation, _act, _ready)


# ── Objections ──────────────────────────────────────────────────────────────────────────────────────────────────────


@scene("dispute_pledge", Code.CLOSED)
async def _(stage: Theatre) -> Answer:
    return await _dispute(stage, await stage.placed())


@scene("dispute_pledge", Code.ALREADY)
async def _(stage: Theatre) -> Answer:
    return await _dispute(stage, await _ruled(stage))


@scene("appeal_pledge", Code.CLOSED)
async def _(stage: Theatre) -> Answer:
    return await _appeal(stage, await _disputed(stage))


@scene("appeal_pledge", Code.CONFLICT)
async def _(stage: Theatre) -> Answer:
    """There is no ruling yet."""
    return await _appeal(stage, await _decided(stage))


# ── The desk ────────────────────────────────────────────────────────────────────────────────────────────────────────


@scene("take_case", Code.ALREADY)
async def _(stage: Theatre) -> Answer:
    return await _take(stage, await _ruled(stage))


@scene("take_case", Code.CONFLICT)
async def _(stage: Theatre) -> Answer:
    """Sue works on it."""
    id = await _disputed(stage)
    await _take(stage, id)
    return await _take(stage, id, stage.sam)


@scene("rule_case", Code.ALREADY)
async def _(stage: Theatre) -> Answer:
    return await _rule(stage, await _ruled(stage))


@scene("rule_case", Code.CONFLICT)
async def _(stage: Theatre) -> Answer:
    """Tom may still be heard."""
    id = await _disputed(stage)
    await _take(stage, id)
    return await _rule(stage, id)


@scene("take_staff_seat", Code.CONFLICT)
async def _(stage: Theatre) -> Answer:
    id = await stage.placed(**SEEKING)
    await _seat(stage, id)
    return await _seat(stage, id, stage.sam)


@scene("take_staff_seat", Code.TRY_LATER)
async def _(stage: Theatre) -> Answer:
    id = await stage.placed(**SEEKING)
    stage.others_faster()
    return await _seat(stage, id)


@scene("release_staff_seat", Code.TRY_LATER)
async def _(stage: Theatre) -> Answer:
    id = await stage.placed(**SEEKING)
    await _seat(stage, id)
    stage.others_faster()
    return await _release(stage, id)
