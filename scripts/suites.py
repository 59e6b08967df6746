"""./scripts/test [PART] [pytest options]: the tests.

Without a part everything runs, with branch coverage and its floor (setup.cfg), then the clients' own tests. A part is
a directory of tests/ (wire, chat, platform, browser, …) or `web`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests"
_PACKAGES = ("chromium", "fonts-noto-cjk")


def parts() -> list[str]:
    """The names that can be asked for."""
    return [*sorted(path.parent.name for path in TESTS.glob("*/__init__.py")), "web"]


def prepare_browser() -> str | None:
    """Makes sure of a Chromium and of Chinese letters; returns what is missing when it cannot."""
    if shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome"):
        return None
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print("Installing Chromium and Chinese letters for the browser tests (apt-get)", flush=True)
        environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for words in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", *_PACKAGES]):
            done = subprocess.run(["apt-get", *words], env=environ, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                return f"apt-get {words[0]} failed: {(done.stderr or done.stdout).strip().splitlines()[-1]}"
        return None
    return f"The browser tests need Chromium and a Chinese font (Debian: apt-get install {' '.join(_PACKAGES)})."


def pytest(*options: str) -> bool:
    command = [sys.executable, "-m", "pytest", *options]
    # 5 means that nothing was selected: a mistake in -k or the name, never a success
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0


def web() -> bool:
    return subprocess.run(["npm", "test"], cwd=ROOT, check=False).returncode == 0


def main(arguments: Sequence[str]) -> int:
    part = arguments[0] if arguments and not arguments[0].startswith("-") else ""
    options = arguments[1:] if part else arguments
    if part and part not in parts():
        print(f"vouch: there is no part {part!r}; there are {', '.join(parts())}.", file=sys.stderr)
        return 2
    if part in ("", "browser"):
        missing = prepare_browser()
        if missing is not None:
            print(f"vouch: {missing}", file=sys.stderr)
            return 1
    match part:
        case "":
            results = {"tests": pytest("--cov", "--cov-report=term-missing:skip-covered", *options), "web": web()}
        case "web":
            results = {"web": web()}
        case _:
            results = {part: pytest(str(TESTS / part), *options)}
    for name, passed in results.items():
        print(f"{'ok    ' if passed else 'FAILED'} {name}")
    return 0 if all(results.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
