"""./scripts/test [PART] [pytest options]: the tests.

Without a part everything runs: a file at a time in several processes, then the tests marked `alone` one after another,
with branch coverage of both and its floor (setup.cfg), then the clients' own tests. A part is a directory of tests/
(wire, chat, platform, browser, …) or `web`; it runs in one process (`-n 3` after it spreads it, too). `soak` is half an
hour of a call (`--minutes 5` of five), which is no part of everything.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests"


class Need(NamedTuple):
    """A program of the system that some tests cannot do without: one of `programs`, from Debian's `packages`."""

    what: str
    programs: tuple[str, ...]
    packages: tuple[str, ...]


_CHROMIUM = Need(
    "Chromium and Chinese letters",
    ("chromium", "chromium-browser", "google-chrome"),
    ("chromium", "fonts-noto-cjk"),
)
#: part → what it needs
_NEEDS = {
    "bench": (_CHROMIUM, Need("Janus", ("janus",), ("janus",))),
    "browser": (_CHROMIUM, Need("coturn", ("turnserver",), ("coturn",))),
    "calls": (_CHROMIUM,),
    "nodes": (Need("nginx", ("nginx",), ("nginx-light",)),),
}
#: pytest's exit status
_NOTHING_SELECTED = 5
#: Debian has the programs of administrators where only they look.
_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"])


def parts() -> list[str]:
    """The names that can be asked for."""
    return [*sorted(path.parent.name for path in TESTS.glob("*/__init__.py")), "web"]


def prepare(part: str) -> str | None:
    """Makes sure of what the tests of a part need; returns what is missing when it cannot."""
    return next((missing for need in _NEEDS[part] if (missing := _install(part, need)) is not None), None)


def _install(part: str, need: Need) -> str | None:
    if any(shutil.which(program, path=_PATH) for program in need.programs):
        return None
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"Installing {need.what} for the {part} tests (apt-get)", flush=True)
        environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for words in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", *need.packages]):
            done = subprocess.run(["apt-get", *words], env=environ, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                return f"apt-get {words[0]} failed: {(done.stderr or done.stdout).strip().splitlines()[-1]}"
        return None
    return f"The {part} tests need {need.what} (Debian: apt-get install {' '.join(need.packages)})."


def workers() -> int:
    """Processes that the whole suite is spread over: one for each core, because each starts servers and browsers."""
    return min(max(os.cpu_count() or 1, 2), 6)


def pytest(*options: str) -> int:
    return subprocess.run([sys.executable, "-m", "pytest", *options], cwd=ROOT, check=False).returncode


def passed(*statuses: int) -> bool:
    """Of the statuses of pytest: all tests, and at least one. Where nothing at all was selected, a name is misspelt."""
    return 0 in statuses and set(statuses) <= {0, _NOTHING_SELECTED}


def everything(*options: str) -> bool:
    """What needs the machine for itself comes when the rest is done: a call of several browsers that share the
    processors with other tests tells of the processors and not of the call."""
    spread = ("-n", str(workers()), "--dist", "loadfile", "-m", "not alone")
    together = pytest(*spread, "--cov", "--cov-report=", "--cov-fail-under=0", *options)
    alone = pytest("-m", "alone", "--cov", "--cov-append", "--cov-report=term-missing:skip-covered", *options)
    return passed(together, alone)


def web() -> bool:
    return subprocess.run(["npm", "test"], cwd=ROOT, check=False).returncode == 0


def soak(*options: str) -> bool:
    return subprocess.run([sys.executable, "-m", "tests.soak", *options], cwd=ROOT, check=False).returncode == 0


def main(arguments: Sequence[str]) -> int:
    part = arguments[0] if arguments and not arguments[0].startswith("-") else ""
    options = arguments[1:] if part else arguments
    if part and part not in parts():
        print(f"vouch: there is no part {part!r}; there are {', '.join(parts())}.", file=sys.stderr)
        return 2
    for needing in _NEEDS if part == "" else _NEEDS.keys() & {part}:
        if (missing := prepare(needing)) is not None:
            print(f"vouch: {missing}", file=sys.stderr)
            return 1
    match part:
        case "":
            results = {"tests": everything(*options), "web": web()}
        case "web":
            results = {"web": web()}
        case "soak":
            results = {"soak": soak(*options)}
        case _:
            results = {part: passed(pytest(str(TESTS / part), *options))}
    for name, good in results.items():
        print(f"{'ok    ' if good else 'FAILED'} {name}")
    return 0 if all(results.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
