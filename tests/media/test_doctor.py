"""What the doctor says of media: each thing is really made wrong first."""

from __future__ import annotations

import sys
from datetime import timedelta

import pytest

from server.doctor import Verdict, media
from server.services import Services


async def test_workers_that_work() -> None:
    assert (await media.workers()).verdict is Verdict.OK


async def test_workers_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    found = await media.workers()
    assert found.verdict is Verdict.PROBLEM
    assert "Pillow" in found.remedy


async def test_uploads_that_wait(services: Services) -> None:
    assert (await media.jobs(services.store)).verdict is Verdict.OK
    await services.media.processing.stop()
    at = services.clock.now()
    rows = services.store.collection("media_jobs")
    await rows.insert_one({"_id": "u_1", "node": None, "tries": 0, "at": at - timedelta(minutes=1)})
    assert (await media.jobs(services.store)).verdict is Verdict.OK
    await rows.insert_one({"_id": "u_2", "node": None, "tries": 0, "at": at - timedelta(hours=1)})
    found = await media.jobs(services.store)
    assert found.verdict is Verdict.WARNING
    assert "2 upload(s)" in found.says
    assert "60 minutes" in found.says
