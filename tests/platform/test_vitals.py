"""What a process feels of itself."""

from __future__ import annotations

import math
import time
from pathlib import Path

import pytest

from server import metrics, vitals
from server.settings import Settings
from server.vitals import Vitals
from tests.conftest import eventually


def seen(name: str) -> float:
    value = metrics.REGISTRY.get_sample_value(name)
    assert value is not None
    return value


async def test_a_loop_that_is_held_up_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vitals, "LOOK_EVERY", 0.01)
    felt = Vitals(Settings(data_dir=tmp_path))
    count, total = seen("vouch_loop_lag_seconds_count"), seen("vouch_loop_lag_seconds_sum")
    felt.start()
    await eventually(lambda: seen("vouch_loop_lag_seconds_count") > count)
    time.sleep(0.3)
    again = seen("vouch_loop_lag_seconds_count")
    await eventually(lambda: seen("vouch_loop_lag_seconds_count") > again)
    await felt.stop()
    assert seen("vouch_loop_lag_seconds_sum") - total > 0.2
    assert seen("vouch_data_free_bytes") > 0


async def test_what_is_not_there_is_no_number(tmp_path: Path) -> None:
    felt = Vitals(Settings(data_dir=tmp_path / "gone", tls=True))
    metrics.DATA_FREE.set(1)
    felt.start()
    await eventually(lambda: math.isnan(seen("vouch_data_free_bytes")))
    await felt.stop()
    assert seen("vouch_certificate_end_timestamp_seconds") == 0.0
