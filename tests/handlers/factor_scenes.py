"""Every refusal that the operations of second factors and proofs declare, as a scene."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pyotp

from server.errors import Code
from server.people.factor_repo import FactorsRepo
from server.store import Tx
from tests.handlers.conftest import NOBODY, Answer
from tests.handlers.safety_stage import PAY_OUT, SCENES, Stage, scene
from tests.people.authenticator import Authenticator

NO_PROOF, NO_SETUP, NO_FACTOR = "pf_" + "0" * 20, "fs_" + "0" * 20, "f_" + "0" * 20


def factor_facts(action: str, what: str) -> dict[str, Any]:
    return {"purpose": "factor", "facts": {"action": action, "what": what}}


# ── Beginning to add a factor ───────────────────────────────────────────────────────────────────────────────────────

for _operation, _begin in (("begin_totp", Stage.begin_app), ("begin_passkey", Stage.begin_key)):

    def _scenes(operation: str, begin: Callable[..., Awaitable[Answer]]) -> None:
        @scene(operation, Code.WRONG_CREDENTIALS)
        async def _(stage: Stage) -> Answer:
            return await begin(stage, password="not this one")

        @scene(operation, Code.FACTOR_NEEDED)
        async def _(stage: Stage) -> Answer:
            await stage.add_app()
            return await begin(stage)

        @scene(operation, Code.LIMIT_REACHED)
        async def _(stage: Stage) -> Answer:
            await stage.add_app()
            await stage.crowd()
            return await begin(stage)

        @scene(operation, Code.TOO_OFTEN)
        async def _(stage: Stage) -> Answer:
            stage.exhaust("change_factors")
            return await begin(stage)

        @scene(operation, Code.TRY_LATER)
        async def _(stage: Stage) -> Answer:
            stage.busy()
            return await begin(stage)

    _scenes(_operation, _begin)


@scene("begin_passkey", Code.CONFLICT)
async def _(stage: Stage) -> Answer:
    return await stage.begin_key(f"http://127.0.0.1:{stage.server.port}")


# ── Adding it ───────────────────────────────────────────────────────────────────────────────────────────────────────


@scene("add_totp", Code.NOT_FOUND)
async def _(stage: Stage) -> Answer:
    return await stage.mother.post(f"/me/factors/totp/{NO_SETUP}", {"code": "123456"})


@scene("add_totp", Code.WRONG_FACTOR)
async def _(stage: Stage) -> Answer:
    begun = (await stage.begin_app()).json
    return await stage.mother.post(f"/me/factors/totp/{begun['setup']}", {"code": "nothing"})


async def _second_app(stage: Stage) -> Answer:
    """Begun as the first one, as another that is added meanwhile."""
    begun = (await stage.begin_app()).json
    await stage.add_app()
    code = pyotp.TOTP(begun["secret"]).at(stage.server.services.clock.now())
    return await stage.mother.post(f"/me/factors/totp/{begun['setup']}", {"code": code})


SCENES["add_totp", Code.FACTOR_NEEDED] = _second_app


@scene("add_totp", Code.LIMIT_REACHED)
async def _(stage: Stage) -> Answer:
    await stage.add_app()
    proof = await stage.prove(factor_facts("add", "totp"))
    begun = (await stage.begin_app(proof=proof)).json
    await stage.crowd()
    code = pyotp.TOTP(begun["secret"]).at(stage.server.services.clock.now())
    return await stage.mother.post(f"/me/factors/totp/{begun['setup']}", {"code": code})


@scene("add_totp", Code.ALREADY)
async def _(stage: Stage) -> Answer:
    """Another first factor came at the same moment: its recovery codes are there, which nobody has seen before."""
    begun = (await stage.begin_app()).json
    codes = stage.server.services.store.collection("recovery_codes")
    await codes.insert_one({"_id": stage.m, "hashes": [], "version": 1})

    async def none(repo: FactorsRepo, person: str, tx: Tx | None = None) -> None:
        return None

    stage._patch.setattr(FactorsRepo, "recovery", none)
    code = pyotp.TOTP(begun["secret"]).at(stage.server.services.clock.now())
    return await stage.mother.post(f"/me/factors/totp/{begun['setup']}", {"code": code})


@scene("add_totp", Code.TOO_OFTEN)
async def _(stage: Stage) -> Answer:
    begun = (await stage.begin_app()).json
    stage.exhaust("prove")
    return await stage.mother.post(f"/me/factors/totp/{begun['setup']}", {"code": "123456"})


async def _add_key(stage: Stage, begun: Answer, made: dict[str, Any]) -> Answer:
    return await stage.mother.post(f"/me/factors/passkeys/{begun.json['setup']}", made)


@scene("add_passkey", Code.NOT_FOUND)
async def _(stage: Stage) -> Answer:
    _, made = await stage.first_key()
    return await stage.mother.post(f"/me/factors/passkeys/{NO_SETUP}", made)


@scene("add_passkey", Code.WRONG_FACTOR)
async def _(stage: Stage) -> Answer:
    begun, made = await stage.first_key()
    return await _add_key(stage, begun, {**made, "attestation": "oA"})


@scene("add_passkey", Code.FACTOR_NEEDED)
async def _(stage: Stage) -> Answer:
    begun, made = await stage.first_key()
    await stage.add_app()
    return await _add_key(stage, begun, made)


@scene("add_passkey", Code.LIMIT_REACHED)
async def _(stage: Stage) -> Answer:
    await stage.add_app()
    proof = await stage.prove(factor_facts("add", "passkey"))
    begun = await stage.begin_key(proof=proof)
    made = Authenticator(f"http://localhost:{stage.server.port}", "localhost").create(begun.json["challenge"])
    await stage.crowd()
    return await _add_key(stage, begun, {name: getattr(made, name) for name in made.__struct_fields__})


@scene("add_passkey", Code.ALREADY)
async def _(stage: Stage) -> Answer:
    begun, made = await stage.first_key()
    rows = stage.server.services.store.collection("factors")
    await rows.insert_one({"_id": f"f_theirs_{stage._number}", "person": stage.f, "credential": made["id"]})
    return await _add_key(stage, begun, made)


@scene("add_passkey", Code.TOO_OFTEN)
async def _(stage: Stage) -> Answer:
    begun, made = await stage.first_key()
    stage.exhaust("prove")
    return await _add_key(stage, begun, made)


# ── Changing, proving ───────────────────────────────────────────────────────────────────────────────────────────────


@scene("remove_factor", Code.NOT_FOUND)
async def _(stage: Stage) -> Answer:
    return await stage.mother.call("DELETE", f"/me/factors/{NO_FACTOR}", {"proof": NO_PROOF})


@scene("remove_factor", Code.FACTOR_NEEDED)
async def _(stage: Stage) -> Answer:
    factor = await stage.add_app()
    return await stage.mother.call("DELETE", f"/me/factors/{factor}", {"proof": NO_PROOF})


@scene("renew_recovery_codes", Code.FACTOR_NEEDED)
async def _(stage: Stage) -> Answer:
    factor = await stage.add_app()
    proof = await stage.prove(factor_facts("remove", factor))
    return await stage.mother.post("/me/recovery-codes", {"proof": proof})


@scene("renew_recovery_codes", Code.STALE)
async def _(stage: Stage) -> Answer:
    await stage.add_app()
    proof = await stage.prove(factor_facts("codes", ""))
    stage.somebody_faster(FactorsRepo, "put_recovery")
    return await stage.mother.post("/me/recovery-codes", {"proof": proof})


@scene("begin_proof", Code.FACTOR_NEEDED)
async def _(stage: Stage) -> Answer:
    return await stage.mother.post("/me/proofs", PAY_OUT)


@scene("begin_proof", Code.TOO_OFTEN)
async def _(stage: Stage) -> Answer:
    await stage.add_app()
    stage.exhaust("begin_proof")
    return await stage.mother.post("/me/proofs", PAY_OUT)


@scene("make_proof", Code.NOT_FOUND)
async def _(stage: Stage) -> Answer:
    await stage.add_app()
    begun = (await stage.mother.post("/me/proofs", PAY_OUT)).json
    return await stage.father.post(f"/me/proofs/{begun['id']}", {"code": stage.code()})


@scene("make_proof", Code.WRONG_FACTOR)
async def _(stage: Stage) -> Answer:
    await stage.add_app()
    begun = (await stage.mother.post("/me/proofs", PAY_OUT)).json
    return await stage.mother.post(f"/me/proofs/{begun['id']}", {"recovery": stage.codes[0]})


@scene("make_proof", Code.FACTOR_NEEDED)
async def _(stage: Stage) -> Answer:
    await stage.add_app()
    made = await stage.prove(PAY_OUT)
    return await stage.mother.post(f"/me/proofs/{made}", {"code": stage.code()})


@scene("make_proof", Code.TOO_OFTEN)
async def _(stage: Stage) -> Answer:
    await stage.add_app()
    begun = (await stage.mother.post("/me/proofs", PAY_OUT)).json
    stage.exhaust("prove")
    return await stage.mother.post(f"/me/proofs/{begun['id']}", {"code": stage.code()})


SCENES["reset_factors", Code.NOT_FOUND] = lambda stage: stage.admin.call("DELETE", f"/admin/users/{NOBODY}/factors")
SCENES["reset_factors", Code.ALREADY] = lambda stage: stage.admin.call("DELETE", f"/admin/users/{stage.m}/factors")
