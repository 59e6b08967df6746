"""Second factors, proofs and guardians over HTTP, and every refusal that their operations declare."""

from __future__ import annotations

import pytest

from handlers import factors, guardians, openapi
from server.errors import Code
from server.principals import Kind
from tests.conftest import RunningServer
from tests.handlers import factor_scenes, guardian_scenes
from tests.handlers.safety_stage import PAY_OUT, SCENES, Stage

#: they add their scenes
__all__ = ["factor_scenes", "guardian_scenes"]

DECLARED = {
    (operation.id, code) for operation in (*factors.OPERATIONS, *guardians.OPERATIONS) for code in operation.errors
}


def test_every_declared_refusal_has_its_scene() -> None:
    assert set(SCENES) == DECLARED


@pytest.mark.parametrize("operation", sorted({operation for operation, _ in SCENES}))
async def test_refusals(server: RunningServer, operation: str) -> None:
    codes = sorted(code for played, code in SCENES if played == operation)
    for number, code in enumerate(codes):
        with pytest.MonkeyPatch.context() as patch:
            stage = await Stage(server, patch, number).enter(operation)
            answer = await SCENES[operation, code](stage)
            assert answer.code == code, f"{operation}: {answer.data!r} instead of {code}"


def test_programs_may_not_touch_what_proves_who_somebody_is() -> None:
    """Said once more by name, so that changing a declaration is not enough to lose it."""
    own = {operation.id: operation for operation in (*factors.OPERATIONS, *guardians.OPERATIONS)}
    for id, operation in own.items():
        expected = {Kind.PERSON, Kind.PROGRAM} if id == "get_family" else {Kind.PERSON}
        assert operation.allow.kinds == expected, id
    assert all(operation in openapi.all_operations() for operation in own.values())


async def test_a_reset_takes_the_sign_ins_along_and_nobody_resets_their_own(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = await Stage(server, monkeypatch, 0).enter("reset_factors")
    own = (await stage.admin.get("/me")).json["id"]
    assert (await stage.admin.call("DELETE", f"/admin/users/{own}/factors")).code == Code.FORBIDDEN
    await stage.add_app()
    made = await stage.prove(PAY_OUT)
    assert (await stage.admin.call("DELETE", f"/admin/users/{stage.m}/factors")).status == 204
    assert (await stage.mother.get("/me/factors")).code == Code.UNAUTHENTICATED
    assert await server.services.store.collection("proofs").find_one({"_id": made}) is None
    (act,) = (await stage.admin.get("/admin/audit?action=factors.reset")).json["acts"]
    assert (act["by"], act["target"], act["facts"]) == (own, stage.m, {"removed": 1})
