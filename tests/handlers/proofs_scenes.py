"""Every refusal that the operations on live proofs declare, as a scene."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from datetime import timedelta

from server.errors import Code
from server.proofs import rules
from server.supervision.model import PledgeState
from server.supervision.rules import evidence
from tests.handlers.conftest import Answer, Client
from tests.handlers.pledge_stage import SCENES, Theatre, scene
from tests.proofs.scenes import jpeg, shot
from tests.proofs.scenes import scene as desk

NOWHERE = "/pledges/g_" + "z" * 20
NO_PROOF = "/proofs/pf_" + "z" * 20
Act = Callable[[Theatre, str], Awaitable[Answer]]
HERE = {"latitude": 51.5, "longitude": -0.12, "accuracy": 20}
UNKNOWN = "nx_" + "z" * 20


async def nonce(stage: Theatre, id: str) -> str:
    answer = await stage.emma.post(f"/pledges/{id}/photos/nonces", {})
    assert answer.status == 201, answer.data
    return str(answer.json["nonce"])


async def take(
    stage: Theatre, id: str, code: str = "", picture: bytes | None = None, by: Client | None = None
) -> Answer:
    """A photo of Emma's, for a fresh code unless one is given."""
    body = {
        "nonce": code or await nonce(stage, id),
        "picture": base64.b64encode(picture if picture is not None else shot()).decode(),
    }
    return await (by or stage.emma).post(f"/pledges/{id}/photos", body)


async def _ask(stage: Theatre, id: str) -> Answer:
    return await stage.emma.post(f"/pledges/{id}/photos/nonces", {})


async def _take(stage: Theatre, id: str) -> Answer:
    """With whatever code: the pledge is looked at first, or the code is there already."""
    return await take(stage, id, getattr(stage, "code", UNKNOWN))


async def _locate(stage: Theatre, id: str) -> Answer:
    return await stage.emma.post(f"/pledges/{id}/locations", {"place": HERE})


SCENES["list_call_proofs", Code.NOT_FOUND] = lambda stage: stage.emma.get("/calls/none/proofs")
SCENES["get_proof", Code.NOT_FOUND] = lambda stage: stage.emma.get(NO_PROOF)
SCENES["read_proof", Code.NOT_FOUND] = lambda stage: stage.emma.get(f"{NO_PROOF}/picture")
SCENES["ask_photo_nonce", Code.NOT_FOUND] = lambda stage: stage.emma.post(f"{NOWHERE}/photos/nonces", {})
SCENES["share_location", Code.NOT_FOUND] = lambda stage: stage.emma.post(f"{NOWHERE}/locations", {"place": HERE})

for _operation, _act, _limit in (
    ("ask_photo_nonce", _ask, "photo_nonce"),
    ("share_location", _locate, "share_location"),
):

    def _of_both(operation: str, act: Act, limit: str) -> None:
        @scene(operation, Code.CLOSED)
        async def _(stage: Theatre) -> Answer:
            return await act(stage, await stage.placed(state=PledgeState.CANCELLED))

        @scene(operation, Code.LIMIT_REACHED)
        async def _(stage: Theatre) -> Answer:
            stage.patch.setattr(evidence, "EVIDENCE_MOST", 0)
            return await act(stage, await stage.placed())

        @scene(operation, Code.TOO_OFTEN)
        async def _(stage: Theatre) -> Answer:
            stage.exhaust(limit)
            return await act(stage, await stage.placed())

    _of_both(_operation, _act, _limit)


@scene("share_location", Code.TRY_LATER)
async def _(stage: Theatre) -> Answer:
    id = await stage.placed()
    stage.others_faster()
    return await _locate(stage, id)


@scene("take_photo", Code.NOT_FOUND)
async def _(stage: Theatre) -> Answer:
    """Tom was asked for it, and does not supervise any more: the pledge is gone for him."""
    id = await stage.placed()
    code = (await stage.tom.post(f"/pledges/{id}/photos/nonces", {})).json["nonce"]
    stage.patch.setattr("server.proofs.service.thread.reads", lambda pledge, person: False)
    return await take(stage, id, code, by=stage.tom)


@scene("take_photo", Code.CLOSED)
async def _(stage: Theatre) -> Answer:
    id = await stage.placed()
    code = await nonce(stage, id)
    stage.patch.setattr(evidence, "may_add", lambda *_: False)
    return await take(stage, id, code)


@scene("take_photo", Code.LIMIT_REACHED)
async def _(stage: Theatre) -> Answer:
    id = await stage.placed()
    code = await nonce(stage, id)
    stage.patch.setattr(evidence, "EVIDENCE_MOST", 0)
    return await take(stage, id, code)


@scene("take_photo", Code.TOO_OFTEN)
async def _(stage: Theatre) -> Answer:
    id = await stage.placed()
    stage.exhaust("live_photo")
    return await take(stage, id)


@scene("take_photo", Code.NOT_LIVE)
async def _(stage: Theatre) -> Answer:
    return await take(stage, await stage.placed(), UNKNOWN)


@scene("take_photo", Code.NONCE_USED)
async def _(stage: Theatre) -> Answer:
    id = await stage.placed()
    code = await nonce(stage, id)
    assert (await take(stage, id, code, shot(21))).status == 201
    return await take(stage, id, code, shot(22))


@scene("take_photo", Code.NONCE_STALE)
async def _(stage: Theatre) -> Answer:
    id = await stage.placed()
    code = await nonce(stage, id)
    stage.patch.setattr(rules, "ON_ITS_WAY", timedelta(minutes=-2))
    return await take(stage, id, code)


@scene("take_photo", Code.PICTURE_REUSED)
async def _(stage: Theatre) -> Answer:
    id = await stage.placed()
    assert (await take(stage, id, picture=shot(23))).status == 201
    return await take(stage, id, picture=jpeg(desk(23), quality=70))


@scene("take_photo", Code.BAD_PICTURE)
async def _(stage: Theatre) -> Answer:
    return await take(stage, await stage.placed(), picture=b"\xff\xd8 no picture")


@scene("read_proof", Code.RANGE_NOT_SATISFIABLE)
async def _(stage: Theatre) -> Answer:
    proof = (await take(stage, await stage.placed(), picture=shot(24))).json
    return await stage.emma.call("GET", f"/proofs/{proof['id']}/picture", headers={"Range": "bytes=99999999-"})


@scene("verify_proof", Code.TOO_OFTEN)
async def _(stage: Theatre) -> Answer:
    stage.exhaust("verify_proof_ip")
    return await stage.emma.call(
        "POST", "/proofs/verify", data=b"x", headers={"Content-Type": "application/octet-stream"}
    )
