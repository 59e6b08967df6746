"""Advisories about locked packages: what is found fails, what is accepted does not, silence is no clean answer."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest

from scripts import audits
from scripts.audits import AUDITS, Audit, Unreachable, accepted, ask, verdict

PYPI, NPM = AUDITS

CLEAN = {"name": "tornado", "version": "6.6.1", "vulns": []}
SKIPPED = {"name": "tornado", "skip_reason": "Dependency not found on PyPI and could not be audited: tornado (6.6.1)"}
WEAK = {
    "name": "pillow",
    "version": "12.0",
    "vulns": [{"id": "PYSEC-2026-1", "aliases": ["CVE-2026-1"], "fix_versions": ["12.1"], "description": "…"}],
}
NPM_CLEAN = {"auditReportVersion": 2, "vulnerabilities": {}}
NPM_WEAK = {
    "auditReportVersion": 2,
    "vulnerabilities": {
        "vite": {
            "via": [
                {
                    "name": "vite",
                    "title": "Reads files",
                    "url": "https://github.com/advisories/GHSA-aaaa-bbbb-cccc",
                    "severity": "high",
                    "range": "<7.0.1",
                }
            ]
        },
        "plugin": {"via": ["vite"]},
    },
}
NPM_AWAY = {"statusCode": 405, "body": "", "error": {"summary": "", "detail": ""}}


def pip_audit(*dependencies: object) -> str:
    return "No known vulnerabilities found\n" + json.dumps({"dependencies": dependencies, "fixes": []})


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "accepted.txt").write_text("# nothing\n")
    return tmp_path


def said(audit: Audit, here: Path, answer: str) -> tuple[bool, str]:
    return verdict(audit, lambda _: answer, here / "cache", here / "accepted.txt")


@pytest.mark.parametrize(("audit", "answer"), [(PYPI, pip_audit(CLEAN)), (NPM, json.dumps(NPM_CLEAN))])
def test_a_clean_answer_passes(here: Path, audit: Audit, answer: str) -> None:
    assert said(audit, here, answer) == (True, "")


@pytest.mark.parametrize(
    ("audit", "answer", "line"),
    [
        (PYPI, pip_audit(CLEAN, WEAK), "pillow 12.0: PYSEC-2026-1, CVE-2026-1: fixed in 12.1"),
        (NPM, json.dumps(NPM_WEAK), "vite <7.0.1: GHSA-aaaa-bbbb-cccc: Reads files (high)"),
    ],
)
def test_a_weakness_fails_and_is_named_once(here: Path, audit: Audit, answer: str, line: str) -> None:
    assert said(audit, here, answer) == (False, line)


@pytest.mark.parametrize("id", ["PYSEC-2026-1", "CVE-2026-1"])
def test_an_accepted_one_passes_and_is_counted(here: Path, id: str) -> None:
    today = time.strftime("%Y-%m-%d")
    (here / "accepted.txt").write_text(f"{id} {today} we never open such files\n")
    assert said(PYPI, here, pip_audit(WEAK)) == (True, "1 known and accepted")


@pytest.mark.parametrize(
    ("audit", "answer", "why"),
    [
        (PYPI, pip_audit(SKIPPED, SKIPPED), "could not be audited"),
        (PYPI, pip_audit(), "no answer"),
        (PYPI, "No module named pip_audit", "No module named pip_audit"),
        (PYPI, "", "no answer"),
        (NPM, json.dumps(NPM_AWAY), "npm says 405"),
        (NPM, json.dumps({"message": "request failed"}), "request failed"),
    ],
)
def test_what_cannot_be_asked_passes_and_says_so(here: Path, audit: Audit, answer: str, why: str) -> None:
    passed, line = said(audit, here, answer)
    assert passed
    assert line.startswith(f"NOT ASKED: {audit.name}'s advisories cannot be reached")
    assert why in line
    assert "\n" not in line
    assert not (here / "cache").exists(), "silence is not kept"


@pytest.mark.parametrize("fault", [FileNotFoundError("npm"), subprocess.TimeoutExpired("npm", 90)])
def test_a_program_that_is_missing_or_slow_is_silence_too(here: Path, fault: Exception) -> None:
    def fail(_: Sequence[str]) -> str:
        raise fault

    with pytest.raises(Unreachable):
        ask(NPM, fail, here / "cache")


def test_an_answer_is_kept_for_a_day_and_for_this_lock(here: Path) -> None:
    lock = here / "lock"
    lock.write_text("a==1")
    audit = PYPI._replace(lock=lock)
    asked: list[Sequence[str]] = []

    def run(command: Sequence[str]) -> str:
        asked.append(command)
        return pip_audit(WEAK)

    for _ in range(2):
        assert len(ask(audit, run, here / "cache")) == 1
    assert asked == [PYPI.command]
    lock.write_text("a==2")
    ask(audit, run, here / "cache")
    assert len(asked) == 2
    for kept in (here / "cache").iterdir():
        os.utime(kept, (0, time.time() - 25 * 3600))
    ask(audit, run, here / "cache")
    assert len(asked) == 3


def test_accepting_needs_a_reason_and_holds_for_half_a_year(here: Path) -> None:
    path = here / "accepted.txt"
    path.write_text("CVE-1 2026-11-22 it is about Windows only\n")
    assert accepted(path, date(2027, 5, 20)) == {"CVE-1"}
    assert accepted(path, date(2027, 6, 20)) == set()
    for line in ("CVE-1 2026-11-22", "CVE-1 it is about Windows only", "CVE-1 2026-11-22 because"):
        path.write_text(line)
        with pytest.raises(ValueError, match="is not: id, date, reason"):
            accepted(path)
        assert said(PYPI, here, pip_audit(CLEAN))[0] is False


def test_the_list_of_accepted_ones_can_be_read() -> None:
    assert isinstance(accepted(), set)
    assert audits.ACCEPTED.exists()
