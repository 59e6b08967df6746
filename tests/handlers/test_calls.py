"""Calls over HTTP: every refusal that an operation declares, and who may do what at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from handlers import call_recordings, calls
from server.clock import SystemClock
from server.keys import Keys
from server.principals import Kind
from server.services import Services
from server.settings import Settings
from tests.calls import conftest as calls_conftest
from tests.conftest import Run, RunningServer
from tests.handlers import call_picture_scenes  # noqa: F401 - they stand in SCENES
from tests.handlers.call_scenes import SCENES
from tests.handlers.call_stage import Exchange

silent = calls_conftest.silent
#: there are many, and each part is a test of its own
PARTS = 4
OPERATIONS = [*calls.OPERATIONS, *call_recordings.OPERATIONS]


@pytest.fixture
def services(silent: None, settings: Settings, keys: Keys, run: Run[Any]) -> Iterator[Services]:
    """Nobody looks round by themselves: the people here have no sockets."""
    made = Services(settings, keys, SystemClock(), mongodb_uri=settings.mongodb_uri, redis_url=settings.redis_url)
    run(made.start())
    run(made.calls.keeper.rounds.stop())
    yield made
    run(made.stop())


@pytest.mark.parametrize("part", range(PARTS))
async def test_refusals(server: RunningServer, monkeypatch: pytest.MonkeyPatch, part: int) -> None:
    own = {(operation.id, code) for operation in OPERATIONS for code in operation.errors}
    assert own == set(SCENES)
    stage = await Exchange(server).open(monkeypatch)
    for operation, code in sorted(own)[part::PARTS]:
        with pytest.MonkeyPatch.context() as stage.patch:
            answer = await SCENES[operation, code](stage)
            assert answer.code == code, f"{operation}: {answer.data!r} instead of {code}"


async def test_a_call_from_its_beginning_to_its_end(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = await Exchange(server).open(monkeypatch)
    wanted = stage.wanted(stage.pair)
    made = await stage.ann.post("/calls", wanted)
    assert (made.status, made.json["seats"][0]["here"]) == (201, True)
    assert (await stage.ann.post("/calls", wanted)).status == 200
    path = f"/calls/{made.json['id']}"
    assert (await stage.tom.post(f"{path}/accept")).json["state"] == "running"
    moved = (await stage.again.post(f"{path}/accept")).json
    assert [seat["here"] for seat in moved["seats"]] == [False, True]
    assert (await stage.tom.get(path)).json["seats"][1]["device"] == "other"
    seat = (await stage.again.call("PATCH", f"{path}/seat", {"camera": True, "watching": [stage.ids["ann"]]})).json
    assert seat["seats"][1]["camera"] is True
    assert (await stage.ann.get(path)).json["watched_by"] == [stage.ids["tom"]]
    assert (await stage.again.post(f"{path}/leave")).json["reason"] == "done"
    assert [call["id"] for call in (await stage.ann.get("/calls?limit=1")).json["calls"]] == [made.json["id"]]
    assert (await stage.ann.get("/calls/ice")).json["servers"] == []


def test_people_act_and_programs_read() -> None:
    """A program has no camera, and what a TURN server lets through is for browsers."""
    for operation in OPERATIONS:
        reads = operation.method == "GET" and operation.id != "ice_servers"
        assert operation.allow.kinds == ({Kind.PERSON, Kind.PROGRAM} if reads else {Kind.PERSON}), operation.id
        assert operation.allow.role is None
