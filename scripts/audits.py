"""Whether a locked package has a known weakness, as PyPI and npm tell: a part of ./scripts/check.

What is known and accepted stands in accepted_advisories.txt with date and reason. An answer is kept for a day and per
lock (.cache/audits/). Where the advisories cannot be reached, the check passes and says so: it must not keep people
from working off-line, and must not look like a clean answer either.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
ACCEPTED = ROOT / "scripts" / "accepted_advisories.txt"
CACHE = ROOT / ".cache" / "audits"
#: after so many days somebody looks at an accepted one again
LOOKED_AT_AGAIN = timedelta(days=180)
_FRESH = 24 * 3600.0  # seconds
_PATIENCE = 90.0

#: Runs a program and answers what it printed; raises OSError or TimeoutExpired.
Run = Callable[[Sequence[str]], str]


class Unreachable(Exception):
    """The advisories could not be asked; the text says why."""


class Weakness(NamedTuple):
    """`ids` are all names of one advisory (PYSEC, CVE, GHSA)."""

    package: str
    ids: tuple[str, ...]
    title: str


class Audit(NamedTuple):
    """What one registry is asked, and how its answer is read."""

    name: str
    lock: Path
    command: tuple[str, ...]
    read: Callable[[str], list[Weakness]]


def pypi(answer: str) -> list[Weakness]:
    """Reads pip-audit's JSON. It calls packages that it could not look up "skipped", and an answer in which all are
    skipped a clean one; here that is Unreachable."""
    asked = _json(answer).get("dependencies", [])
    known = [each for each in asked if "skip_reason" not in each]
    if not known:
        raise Unreachable(asked[0]["skip_reason"] if asked else "pip-audit gave no answer")
    return [
        Weakness(f"{each['name']} {each['version']}", (found["id"], *found.get("aliases", ())), _fixes(found))
        for each in known
        for found in each["vulns"]
    ]


def _fixes(found: Mapping[str, Any]) -> str:
    fixed = ", ".join(found.get("fix_versions", ()))
    return f"fixed in {fixed}" if fixed else "not fixed yet"


def npm(answer: str) -> list[Weakness]:
    """Reads npm audit's JSON: each advisory once, at the package that it is about."""
    told = _json(answer)
    if "vulnerabilities" not in told:
        error = told.get("error") or {}
        raise Unreachable(str(error.get("summary") or told.get("message") or f"npm says {told.get('statusCode')}"))
    found: dict[str, Weakness] = {}
    for package in told["vulnerabilities"].values():
        for via in package["via"]:
            if isinstance(via, dict):  # a text names another package that brings it along
                id = str(via["url"]).rpartition("/")[2]
                found[id] = Weakness(f"{via['name']} {via['range']}", (id,), f"{via['title']} ({via['severity']})")
    return list(found.values())


def _json(answer: str) -> dict[str, Any]:
    start = answer.find("{")  # programs like to say something before
    try:
        told, _ = json.JSONDecoder().raw_decode(answer, max(start, 0))
    except ValueError:
        raise Unreachable((answer.strip().splitlines() or ["no answer"])[-1][:200]) from None
    return dict(told)


AUDITS = (
    Audit(
        "PyPI",
        ROOT / "requirements.lock",
        (
            *(sys.executable, "-m", "pip_audit", "--requirement", "requirements.lock", "--no-deps", "--disable-pip"),
            *("--format", "json", "--progress-spinner", "off", "--timeout", "10"),
        ),
        pypi,
    ),
    Audit("npm", ROOT / "package-lock.json", ("npm", "audit", "--json", "--audit=true"), npm),
)


def accepted(path: Path = ACCEPTED, today: date | None = None) -> set[str]:
    """The ids in the file that still hold. A line: id, date (YYYY-MM-DD), reason. Raises ValueError for others."""
    today = today or datetime.now(UTC).date()
    ids: set[str] = set()
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        match = re.fullmatch(r"(\S+)\s+(\d{4}-\d{2}-\d{2})\s+(\S.{9,})", line)
        if match is None:
            raise ValueError(f"{path.name}: {line!r} is not: id, date, reason")
        if today - date.fromisoformat(match[2]) <= LOOKED_AT_AGAIN:
            ids.add(match[1])
    return ids


def ask(audit: Audit, run: Run, cache: Path = CACHE) -> list[Weakness]:
    """What the registry knows, at most a day old. Raises Unreachable."""
    kept = cache / f"{audit.name}-{hashlib.sha256(audit.lock.read_bytes()).hexdigest()[:32]}.json"
    try:
        answer = kept.read_text(encoding="utf-8") if time.time() - kept.stat().st_mtime < _FRESH else ""
    except OSError:
        answer = ""
    if answer:
        return audit.read(answer)
    try:
        answer = run(audit.command)
    except subprocess.TimeoutExpired:
        raise Unreachable(f"no answer in {_PATIENCE:.0f} s") from None
    except OSError as fault:
        raise Unreachable(str(fault)) from None
    found = audit.read(answer)
    cache.mkdir(parents=True, exist_ok=True)
    kept.write_text(answer, encoding="utf-8")
    return found


def program(command: Sequence[str]) -> str:
    """Both programs exit with 1 when they find something, so the status tells nothing."""
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=_PATIENCE
    )
    return done.stdout if done.stdout.strip() else done.stderr


def verdict(audit: Audit, run: Run = program, cache: Path = CACHE, path: Path = ACCEPTED) -> tuple[bool, str]:
    """Whether it passes, and what to say."""
    try:
        known = accepted(path)
        found = ask(audit, run, cache)
    except Unreachable as fault:
        return True, f"NOT ASKED: {audit.name}'s advisories cannot be reached ({fault})"
    except ValueError as fault:
        return False, str(fault)
    new = [weakness for weakness in found if known.isdisjoint(weakness.ids)]
    if new:
        return False, "\n".join(f"{w.package}: {', '.join(w.ids)}: {w.title}" for w in new)
    return True, f"{len(found)} known and accepted" if found else ""
