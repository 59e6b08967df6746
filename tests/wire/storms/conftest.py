from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from scripts.hub_process import HubProcess
from tests.conftest import Run
from tests.wire.storms.place import Place

#: What limits are multiplied by where people are made by the thousand, and where limits are what it is about.
PEOPLED, LIMITED = 1_000.0, 1.0


@pytest.fixture(scope="module")
def scale(request: pytest.FixtureRequest) -> float:
    """1 is the full size."""
    return float(request.config.getoption("scale", 0.02))


@pytest.fixture(autouse=True)
def calm(place: Place, run: Run[None]) -> Iterator[None]:
    """After each storm nobody is connected any more."""
    yield
    run(place.empty())


@pytest.fixture(scope="module")
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, scale: float) -> Iterator[Place]:
    """One hub for the storms of a module: each must leave it as it was. Nothing may be logged as an error meanwhile."""
    data_dir = tmp_path_factory.mktemp("storms") / "data"
    factor = PEOPLED if "flood" not in request.module.__name__ else LIMITED
    environ = {"VOUCH_LOG_LEVEL": "error", "VOUCH_LIMITS_FACTOR": str(factor)}
    with HubProcess(data_dir, environ=environ) as hub:
        yield Place(hub, scale, factor)
    assert not re.search("Traceback|error", hub.printed), hub.printed[-4000:]
