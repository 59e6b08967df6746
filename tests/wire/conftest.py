"""Real sockets against the real server, and a watch over its log: no test here may leave a fault in it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from tests.conftest import Run, RunningServer
from tests.wire.client import Crowd


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("storms")
    group.addoption("--scale", type=float, default=0.02, help="how large the storms are; 1 is their full size (0.02)")


@pytest.fixture(autouse=True)
def clean_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fails a test during which anything was logged as an error, or with a traceback."""
    caplog.set_level(logging.WARNING)
    with structlog.testing.capture_logs() as events:
        yield
    ours = [event for event in events if event["log_level"] in ("error", "critical") or event.get("exc_info")]
    foreign = [record for record in caplog.records if record.levelno >= logging.ERROR or record.exc_info]
    assert ours == []
    assert [record.getMessage() for record in foreign] == []


@pytest.fixture
def crowd(server: RunningServer, run: Run[Any]) -> Iterator[Crowd]:
    crowd = Crowd(server)
    yield crowd
    run(crowd.leave())
