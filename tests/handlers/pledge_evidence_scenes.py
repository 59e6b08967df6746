"""Every refusal that the operations on evidence declare, as a scene."""

from __future__ import annotations

from typing import Any

from server.errors import Code
from server.media.repo import MediaRepo
from server.supervision.model import PledgeState
from server.supervision.rules import evidence as rules
from tests.handlers.conftest import Answer, Client
from tests.handlers.pledge_stage import SCENES, Theatre, scene
from tests.supervision.test_evidence import upload

NOWHERE = "/pledges/g_" + "z" * 20 + "/evidence"


async def _add(stage: Theatre, id: str, by: Client | None = None, **more: Any) -> Answer:
    return await (by or stage.emma).post(f"/pledges/{id}/evidence", {"words": "Look", **more})


SCENES["list_evidence", Code.NOT_FOUND] = lambda stage: stage.emma.get(NOWHERE)


@scene("add_evidence", Code.NOT_FOUND)
async def _(stage: Theatre) -> Answer:
    """Eve has nothing to do with it."""
    return await _add(stage, await stage.placed(), stage.eve)


@scene("add_evidence", Code.CLOSED)
async def _(stage: Theatre) -> Answer:
    return await _add(stage, await stage.placed(state=PledgeState.CANCELLED))


@scene("add_evidence", Code.CONFLICT)
async def _(stage: Theatre) -> Answer:
    """It goes into a message at the same moment."""
    id = await stage.placed()
    thing = await upload(stage, stage.ids["emma"], id)
    stage.others_faster(MediaRepo, "keep_for")
    return await _add(stage, id, media=[thing])


@scene("add_evidence", Code.LIMIT_REACHED)
async def _(stage: Theatre) -> Answer:
    stage.patch.setattr(rules, "EVIDENCE_MOST", 0)
    return await _add(stage, await stage.placed())


@scene("add_evidence", Code.TOO_OFTEN)
async def _(stage: Theatre) -> Answer:
    stage.exhaust("add_evidence")
    return await _add(stage, await stage.placed())


@scene("add_evidence", Code.TRY_LATER)
async def _(stage: Theatre) -> Answer:
    id = await stage.placed()
    stage.others_faster()
    return await _add(stage, id)
