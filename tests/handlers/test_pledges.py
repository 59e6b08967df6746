"""Pledges over HTTP: every refusal that an operation declares, and what nobody else may learn."""

from __future__ import annotations

from importlib import import_module, util
from types import ModuleType

import pytest

from handlers import pledge_cases, pledge_evidence, pledge_seats, pledge_stakes, pledge_tasks, pledges, proofs
from server.principals import ANYBODY, Kind, Role
from tests.conftest import RunningServer
from tests.handlers.pledge_stage import SCENES, Theatre
from tests.payments.strict import StrictProvider
from tests.supervision import conftest as supervision
from tests.supervision.conftest import StageClock

clock = supervision.clock
provider = supervision.provider
services = supervision.services

#: Operations by module; the scenes of `handlers.pledge_seats` are in `pledge_seats_scenes.py`.
AREAS = (pledges, pledge_seats, pledge_stakes, pledge_tasks, pledge_evidence, pledge_cases, proofs)
for _area in AREAS:
    _name = "pledge_scenes" if _area is pledges else f"{_area.__name__.rpartition('.')[2]}_scenes"
    if util.find_spec(f"tests.handlers.{_name}"):
        import_module(f"tests.handlers.{_name}")


@pytest.mark.parametrize("area", AREAS, ids=lambda area: area.__name__)
async def test_refusals(
    server: RunningServer,
    clock: StageClock,
    provider: StrictProvider,
    area: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = {(operation.id, code) for operation in area.OPERATIONS for code in operation.errors}
    assert own == {key for key in SCENES if key[0] in {operation.id for operation in area.OPERATIONS}}
    theatre = await Theatre(server, clock, provider).open(monkeypatch)
    for operation, code in sorted(own):
        with pytest.MonkeyPatch.context() as theatre.patch:
            answer = await SCENES[operation, code](theatre)
            assert answer.code == code, f"{operation}: {answer.data!r} instead of {code}"


def test_people_act_programs_read_and_staff_is_staff() -> None:
    for operation in (operation for area in AREAS for operation in area.OPERATIONS):
        of_staff = operation.path.startswith("/staff/")
        if operation.id == "verify_proof":  # whoever holds a picture may ask
            assert operation.allow == ANYBODY
            continue
        expected = {Kind.PERSON} if of_staff or operation.method != "GET" else {Kind.PERSON, Kind.PROGRAM}
        assert operation.allow.kinds == expected, operation.id
        assert operation.allow.role is (Role.STAFF if of_staff else None), operation.id
