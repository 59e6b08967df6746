"""A server as a person starts it: its spare worker comes by itself, and goes with it however it ends."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from scripts.hub_process import HubProcess
from tests.platform.test_embedded import alive, eventually


def workers(hub: HubProcess) -> list[int]:
    """The media workers of this server, and of no other on this machine."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:  # it has ended meanwhile
            continue
        if parent == hub.process.pid and b"server.calls.worker" in command:
            found.append(int(entry.name))
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_spare_worker_comes_by_itself_and_goes_with_the_server(tmp_path: Path, number: signal.Signals) -> None:
    hub = HubProcess(tmp_path / "data").start()
    assert eventually(lambda: len(workers(hub)) == 1, 30)
    (first,) = workers(hub)
    os.kill(first, signal.SIGKILL)
    assert eventually(lambda: workers(hub) not in ([], [first]), 30), "another one is started"
    (second,) = workers(hub)
    hub.send(number)
    hub.end()
    assert eventually(lambda: not alive(second))
