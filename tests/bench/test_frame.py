from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from scripts.benchmarks import BENCHES, __main__, named, processes
from scripts.benchmarks.readings import Plan, Reading, percentile, summarise


class Sample:
    """A bench of two subjects that counts its turns."""

    SUBJECTS = ("vouch", "peer")

    def __init__(self) -> None:
        self.turns: list[str] = []

    def measure(self, subject: str, plan: Plan) -> list[Reading]:
        self.turns.append(subject)
        value = len(self.turns) * (1.0 if subject == "vouch" else 100.0)
        return [Reading("rate", value, "msg/s"), Reading("p99_ms", 1.5, "ms")]


def test_subjects_take_turns() -> None:
    bench = Sample()
    __main__.take_turns(bench, Plan(rounds=3))
    assert bench.turns == ["vouch", "peer"] * 3


def test_the_value_is_the_median_of_the_turns() -> None:
    results = summarise(__main__.take_turns(Sample(), Plan(rounds=3)))
    found = [(r.metric, r.subject, r.value, r.min, r.max, r.runs) for r in results]
    assert found[0] == ("rate", "vouch", 3.0, 1.0, 5.0, 3)
    assert found[2] == ("rate", "peer", 400.0, 200.0, 600.0, 3)
    assert len(found) == 4


@pytest.mark.parametrize(("share", "wanted"), [(0.5, 50.0), (0.99, 99.0), (1.0, 100.0), (0.001, 1.0)])
def test_percentiles_are_values_that_were_measured(share: float, wanted: float) -> None:
    assert percentile([float(n) for n in range(100, 0, -1)], share) == wanted


def test_the_only_value_is_every_percentile() -> None:
    assert percentile([7.0], 0.5) == percentile([7.0], 0.99) == 7.0


def test_json_has_the_agreed_form(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(__main__, "named", lambda name: Sample())
    assert __main__.main(["durable", "--json", "--quick"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert set(report) == {"bench", "at", "cpu", "cores", "results"}
    assert report["bench"] == "durable"
    assert report["at"].endswith("Z")
    assert report["cores"] == os.cpu_count()
    for result in report["results"]:
        assert set(result) == {"metric", "subject", "value", "unit", "runs", "min", "max"}
        assert result["runs"] == 2


def test_the_table_names_what_was_measured(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(__main__, "named", lambda name: Sample())
    assert __main__.main(["durable", "--quick"]) == 0
    table = capsys.readouterr().out
    assert table.startswith("durable · ")
    assert "rate    peer" in table


def test_without_a_name_all_are_listed_and_can_be_loaded(capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main([]) == 0
    listed = capsys.readouterr().out
    for name in BENCHES:
        assert name in listed
        assert named(name).SUBJECTS[0] == "vouch"


def test_processor_time_of_a_process_is_its_own() -> None:
    child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        before = processes.cpu_seconds(child.pid)
        deadline = time.monotonic() + 20
        while processes.cpu_seconds(child.pid) < before + 0.1:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert processes.memory_bytes(child.pid) > 1_000_000
        processes.pin(child.pid, 0)
        assert os.sched_getaffinity(child.pid) == {0}
    finally:
        child.kill()
        child.wait()
    assert processes.cpu_name()


def test_pinning_is_undone() -> None:
    before = os.sched_getaffinity(0)
    with processes.pinned(os.getpid(), 0):
        assert os.sched_getaffinity(0) == {0}
    assert os.sched_getaffinity(0) == before


def test_one_subject_can_be_measured_alone() -> None:
    bench = Sample()
    __main__.take_turns(bench, Plan(rounds=2), "peer")
    assert bench.turns == ["peer"] * 2


def test_a_subject_that_a_bench_does_not_have_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        __main__.main(["durable", "--subject", "picows"])
    assert "durable measures vouch" in capsys.readouterr().err


def test_who_is_missing_is_named_and_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(__main__, "missing", lambda name: "it is not here" if name == "picows" else None)
    assert __main__.present(("vouch", "tornado", "picows")) == ["vouch", "tornado"]
    assert "left out: picows, because it is not here" in capsys.readouterr().err


def test_what_nobody_reads_is_with_the_kernel() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client, listening.accept()[0] as server:
            client.settimeout(10)
            assert processes.unsent_bytes(port) == 0
            server.setblocking(False)
            sent = 0
            with suppress(BlockingIOError):
                while True:
                    sent += server.send(b"x" * 65_536)
            assert 0 < processes.unsent_bytes(port) <= sent
            while sent:
                sent -= len(client.recv(1_000_000))
            deadline = time.monotonic() + 20
            while processes.unsent_bytes(port):
                assert time.monotonic() < deadline
                time.sleep(0.01)
