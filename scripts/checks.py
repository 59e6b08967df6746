"""./scripts/check: everything about the source that can be told without running it.

The checks run two at a time; each prints a line, and its output when it fails. The exit status is 0 when all passed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from scripts import audits

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("server", "handlers", "scripts", "tests", "static", "doorplate_client")
SUFFIXES = (".py", ".ts", ".vue")
#: lines of a file from which it should be cut by noun, and from which it must be
LONG, TOO_LONG = 400, 450
_SKIPPED = frozenset({"node_modules", "dist", "__pycache__", "coverage"})


class Outcome(NamedTuple):
    passed: bool
    output: str


class Check(NamedTuple):
    name: str
    run: Callable[[], Outcome]
    #: its output is shown when it passes, too
    tells: bool = False


def command(*words: str) -> Callable[[], Outcome]:
    """A check that passes when the command exits with 0."""

    def run() -> Outcome:
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        return Outcome(done.returncode == 0, (done.stdout + done.stderr).strip())

    return run


def source_files(root: Path = ROOT) -> Iterator[Path]:
    for top in SOURCES:
        for directory, names, files in os.walk(root / top):
            names[:] = sorted(name for name in names if name not in _SKIPPED)
            yield from (Path(directory, name) for name in sorted(files) if name.endswith(SUFFIXES))


def lengths(root: Path = ROOT) -> Outcome:
    """Fails for files over TOO_LONG lines, mentions those over LONG; generated files may be as long as they like."""
    long: list[tuple[int, Path]] = []
    for path in source_files(root):
        text = path.read_text(encoding="utf-8")
        count = text.count("\n")
        if count > LONG and "generated" not in text[:200].lower():
            long.append((count, path.relative_to(root)))
    long.sort(reverse=True)
    return Outcome(not any(count > TOO_LONG for count, _ in long), "\n".join(f"{n} lines  {p}" for n, p in long))


def advisories(audit: audits.Audit) -> Callable[[], Outcome]:
    return lambda: Outcome(*audits.verdict(audit))


def checks() -> list[Check]:
    python = sys.executable
    bin = Path(python).parent
    return [
        Check("types", command(python, "-m", "mypy")),
        Check("web", command("npm", "run", "--silent", "check")),
        Check("format", command(str(bin / "ruff"), "format", "--check", ".")),
        Check("lint", command(str(bin / "ruff"), "check", ".")),
        Check("layers", command(str(bin / "lint-imports"), "--no-cache")),
        Check("lengths", lengths, tells=True),
        Check("generated files", command(python, "-m", "scripts.generate", "--check")),
        *(Check(f"advisories of {audit.name}", advisories(audit), tells=True) for audit in audits.AUDITS),
    ]


def main() -> int:
    def timed(check: Check) -> tuple[Outcome, float]:
        began = time.monotonic()
        return check.run(), time.monotonic() - began

    todo = checks()
    failed = 0
    with ThreadPoolExecutor(2) as pool:
        for check, (outcome, seconds) in zip(todo, pool.map(timed, todo), strict=True):
            print(f"{'ok    ' if outcome.passed else 'FAILED'} {check.name} ({seconds:.1f} s)", flush=True)
            if outcome.output and (not outcome.passed or check.tells):
                print("\n".join("    " + line for line in outcome.output.splitlines()), flush=True)
            failed += not outcome.passed
    print(f"{len(todo) - failed} of {len(todo)} checks passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
