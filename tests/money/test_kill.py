"""kill -9 in the middle of a thousand transfers, of the process and with it of its database: nothing that was
acknowledged is lost, nothing is done twice, and the books balance."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import msgspec
import pytest

from scripts.hub_process import run_command
from server.money.report import Report
from tests.money.payer import FUNDED

ROOT = Path(__file__).parents[2]
COUNT = 800  # with the 160 that are holds and shares, 960 transfers and 12 top-ups
TRANSFERS = COUNT + COUNT // 5 + FUNDED


def pay(directory: Path, until: int | None) -> set[int]:
    """What was acknowledged; with `until` the process is killed after so many lines."""
    words = [sys.executable, "-m", "tests.money.payer", str(directory), str(COUNT)]
    done: set[int] = set()
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            # The last one may be cut off.
            if line.endswith("\n"):
                done.add(int(line))
            if until is not None and len(done) == until:
                process.kill()
        assert process.wait(60) == (0 if until is None else -signal.SIGKILL)
    return done


def verify(directory: Path) -> Report:
    told = run_command("ledger", "verify", "--json", "--data-dir", str(directory))
    assert told.returncode == 0, told.stdout
    return msgspec.json.decode(told.stdout, type=Report)


@pytest.mark.slow
def test_nothing_is_lost_nor_doubled_by_kill_9(tmp_path: Path) -> None:
    random = Random(5)
    acknowledged: set[int] = set()
    for _ in range(2):
        acknowledged |= pay(tmp_path, random.randint(60, 200))
        report = verify(tmp_path)
        assert (report.difference, report.faults) == (0, [])
        assert report.transfers >= len(acknowledged) + FUNDED
    assert pay(tmp_path, None) == set(range(COUNT))
    report = verify(tmp_path)
    assert (report.difference, report.faults) == (0, [])
    assert (report.transfers, report.holds) == (TRANSFERS, COUNT // 5)
    assert set(report.sums.values()) == {0}
