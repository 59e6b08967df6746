"""Payments on the session's database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from server.embedded import Embedded
from server.store import Store
from tests.conftest import Run
from tests.payments.stage import HandClock, Stage
from tests.payments.strict import StrictProvider


@pytest.fixture
def stage(embedded: Embedded, redis_url: str, database_name: str, run: Run[Any]) -> Iterator[Stage]:
    store = Store(embedded.mongodb_uri, database_name)
    clock = HandClock()
    stage = Stage(store, redis_url, clock, StrictProvider(clock=clock))
    run(stage.begin())
    yield stage
    run(stage.end())
    store.close()
