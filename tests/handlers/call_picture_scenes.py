"""Every refusal of what leads to a picture of somebody in a call, as a scene."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

from server.calls.neighbours import Parties
from server.errors import Code, VouchError
from tests.handlers.call_stage import NOWHERE, Exchange, scene
from tests.handlers.conftest import Answer
from tests.wire.client import client_id

SOMEBODY = "p_" + "0" * 20
NO_ASK = "pq_" + "0" * 20


def picture(person: str, key: str = "") -> dict[str, str]:
    return {"person": person, "key": key or client_id()}


async def _shown(stage: Exchange, *, pledge: bool = True) -> str:
    """Tom shows his camera, in a call about his pledge, which Ann supervises; or about none."""
    path, _ = await stage.connected("publish")
    await stage.tom.call("PATCH", f"{path}/seat", {"camera": True})
    if pledge:
        await _pledge(stage, path)
    return path


async def _pledge(stage: Exchange, path: str) -> None:
    rows = stage.services.store.collection("calls")
    await rows.update_one({"_id": path.rpartition("/")[2]}, {"$set": {"pledge": "g_1"}})
    snapshots = stage.services.calls.snapshots

    async def parties(_: str) -> Parties:
        return Parties(stage.ids["tom"], frozenset({stage.ids["ann"]}), True)

    stage.patch.setattr(snapshots, "_near", dataclasses.replace(snapshots._near, parties=parties))


async def _asked(stage: Exchange) -> tuple[str, str]:
    """Ann would like a picture of Tom: the call, and her question."""
    path = await _shown(stage, pledge=False)
    answer = await stage.ann.post(f"{path}/snapshots/asks", picture(stage.ids["tom"]))
    assert answer.status == 200, answer.data
    return path, answer.json["asks"][0]["id"]


def _proofs(stage: Exchange, refuse: Code | None = None) -> None:
    async def proof(rgb: bytes, width: int, height: int, **facts: str) -> Any:
        assert len(rgb) == width * height * 3
        if refuse is not None:
            raise VouchError(refuse)
        return SimpleNamespace(id="pf_1")

    stage.patch.setattr(stage.services.proofs, "from_picture", proof)


@scene("take_snapshot", Code.NOT_FOUND)
async def _(stage: Exchange) -> Answer:
    theirs = await stage.ringing()
    assert (await stage.eve.post(f"{theirs}/snapshots", picture(SOMEBODY))).code == Code.NOT_FOUND
    return await stage.ann.post(f"{NOWHERE}/snapshots", picture(SOMEBODY))


@scene("take_snapshot", Code.CONFLICT)
async def _(stage: Exchange) -> Answer:
    path = await stage.running()
    await _pledge(stage, path)
    return await stage.ann.post(f"{path}/snapshots", picture(stage.ids["tom"]))


@scene("take_snapshot", Code.FORBIDDEN)
async def _(stage: Exchange) -> Answer:
    path = await _shown(stage, pledge=False)
    assert (await stage.ann.post(f"{path}/snapshots", picture(stage.ids["tom"]))).code == Code.FORBIDDEN
    return await stage.ann.post(f"{await _shown(stage)}/snapshots", picture(stage.ids["max"]))


@scene("take_snapshot", Code.TOO_OFTEN)
async def _(stage: Exchange) -> Answer:
    path = await _shown(stage)
    stage.exhaust("snapshot")
    return await stage.ann.post(f"{path}/snapshots", picture(stage.ids["tom"]))


for _code in (Code.CLOSED, Code.LIMIT_REACHED):

    def _of_the_proof(code: Code) -> None:
        @scene("take_snapshot", code)
        async def _(stage: Exchange) -> Answer:
            """As the proof is refused: the pledge is over, or there is no room for the picture."""
            path = await _shown(stage)
            _proofs(stage, code)
            return await stage.ann.post(f"{path}/snapshots", picture(stage.ids["tom"]))

    _of_the_proof(_code)


@scene("take_snapshot", Code.IDEMPOTENCY_CONFLICT)
async def _(stage: Exchange) -> Answer:
    path, key = await _shown(stage), client_id()
    _proofs(stage)
    made = await stage.ann.post(f"{path}/snapshots", picture(stage.ids["tom"], key))
    assert made.status == 201, made.data
    return await stage.ann.post(f"{path}/snapshots", picture(stage.ids["max"], key))


# ── Asking ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@scene("ask_for_snapshot", Code.NOT_FOUND)
async def _(stage: Exchange) -> Answer:
    theirs = await stage.ringing()
    assert (await stage.eve.post(f"{theirs}/snapshots/asks", picture(SOMEBODY))).code == Code.NOT_FOUND
    return await stage.ann.post(f"{NOWHERE}/snapshots/asks", picture(SOMEBODY))


@scene("ask_for_snapshot", Code.CONFLICT)
async def _(stage: Exchange) -> Answer:
    path = await stage.running()
    dark = await stage.ann.post(f"{path}/snapshots/asks", picture(stage.ids["tom"]))
    assert (dark.code, dark.json["error"]["message"]) == (Code.CONFLICT, "This camera is off.")
    path, _ = await _asked(stage)
    return await stage.ann.post(f"{path}/snapshots/asks", picture(stage.ids["tom"]))


@scene("ask_for_snapshot", Code.FORBIDDEN)
async def _(stage: Exchange) -> Answer:
    path = await _shown(stage)
    assert (await stage.ann.post(f"{path}/snapshots/asks", picture(stage.ids["tom"]))).code == Code.FORBIDDEN
    return await stage.ann.post(f"{path}/snapshots/asks", picture(stage.ids["max"]))


@scene("ask_for_snapshot", Code.IDEMPOTENCY_CONFLICT)
async def _(stage: Exchange) -> Answer:
    path, key = await _shown(stage, pledge=False), client_id()
    await stage.max.post(f"{path}/accept")
    await stage.max.call("PATCH", f"{path}/seat", {"camera": True})
    await stage.ann.post(f"{path}/snapshots/asks", picture(stage.ids["tom"], key))
    return await stage.ann.post(f"{path}/snapshots/asks", picture(stage.ids["max"], key))


@scene("ask_for_snapshot", Code.TOO_OFTEN)
async def _(stage: Exchange) -> Answer:
    path = await _shown(stage, pledge=False)
    stage.exhaust("snapshot")
    return await stage.ann.post(f"{path}/snapshots/asks", picture(stage.ids["tom"]))


@scene("ask_for_snapshot", Code.TRY_LATER)
async def _(stage: Exchange) -> Answer:
    path = await _shown(stage, pledge=False)
    stage.others_faster()
    return await stage.ann.post(f"{path}/snapshots/asks", picture(stage.ids["tom"]))


# ── Answering ───────────────────────────────────────────────────────────────────────────────────────────────────────


@scene("answer_snapshot", Code.NOT_FOUND)
async def _(stage: Exchange) -> Answer:
    path, ask = await _asked(stage)
    assert (await stage.eve.post(f"{path}/snapshots/answers", {"ask": ask, "yes": True})).code == Code.NOT_FOUND
    return await stage.tom.post(f"{path}/snapshots/answers", {"ask": NO_ASK, "yes": True})


@scene("answer_snapshot", Code.CONFLICT)
async def _(stage: Exchange) -> Answer:
    path, ask = await _asked(stage)
    assert (await stage.again.post(f"{path}/snapshots/answers", {"ask": ask, "yes": True})).code == Code.CONFLICT
    assert (await stage.tom.post(f"{path}/snapshots/answers", {"ask": ask, "yes": False})).status == 200
    return await stage.tom.post(f"{path}/snapshots/answers", {"ask": ask, "yes": True})


@scene("answer_snapshot", Code.FORBIDDEN)
async def _(stage: Exchange) -> Answer:
    path, ask = await _asked(stage)
    return await stage.ann.post(f"{path}/snapshots/answers", {"ask": ask, "yes": True})


@scene("answer_snapshot", Code.LIMIT_REACHED)
async def _(stage: Exchange) -> Answer:
    path, ask = await _asked(stage)
    _proofs(stage, Code.LIMIT_REACHED)
    return await stage.tom.post(f"{path}/snapshots/answers", {"ask": ask, "yes": True})


@scene("answer_snapshot", Code.TOO_OFTEN)
async def _(stage: Exchange) -> Answer:
    path, ask = await _asked(stage)
    stage.exhaust("snapshot")
    return await stage.tom.post(f"{path}/snapshots/answers", {"ask": ask, "yes": True})


@scene("answer_snapshot", Code.TRY_LATER)
async def _(stage: Exchange) -> Answer:
    path, ask = await _asked(stage)
    stage.others_faster()
    return await stage.tom.post(f"{path}/snapshots/answers", {"ask": ask, "yes": False})
