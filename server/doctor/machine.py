"""The machine and what is installed on it."""

from __future__ import annotations

import configparser
import re
import resource
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from server import preflight
from server.doctor.findings import Finding, ok, problem, warning
from server.settings import ROOT, Settings

PYTHONS = ((3, 11), (3, 12))
NODE = (20, 19)
#: files that the server needs besides its connections: database, Redis, assets, logs
SPARE_FILES = 512
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)(?:\s*;\s*(.*))?$")


def python(version: tuple[int, int] = sys.version_info[:2]) -> Finding:
    said = ".".join(map(str, version))
    if version in PYTHONS:
        return ok("python", f"Python {said}.")
    return problem("python", f"Python {said} is none that Vouch is tested with.", "Use Python 3.11 or 3.12.")


def packages(root: Path = ROOT) -> Finding:
    """What is installed, against setup.cfg (what is needed) and requirements.lock (in which version)."""
    config = configparser.ConfigParser()
    config.read(root / "setup.cfg", encoding="utf-8")
    needed = [
        re.split(r"[<>=!~;\[ ]", line, maxsplit=1)[0] for line in config["options"]["install_requires"].split("\n")
    ]
    missing = [name for name in needed if name and _installed(name) is None]
    if missing:
        return problem("packages", f"Not installed: {', '.join(missing)}.", "Install what requirements.lock names.")
    pins = {match[1]: match[2] for line in _lines(root / "requirements.lock") if (match := _PIN.match(line))}
    other = [
        f"{name} {version} (locked: {pins[name]})"
        for name in sorted(pins)
        if (version := _installed(name)) is not None and version != pins[name]
    ]
    if other:
        return warning(
            "packages",
            f"Other versions than those that were tested: {', '.join(other)}.",
            "Install what requirements.lock names.",
        )
    return ok("packages", f"All {len([name for name in needed if name])} packages are there, in the locked versions.")


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def web_client(settings: Settings) -> Finding:
    """The built client, and every script and style that its page names."""
    page = settings.static_dir / "index.html"
    build = "Build it: npm ci && npm run build, with Node 20.19 or newer (./scripts/run does both)."
    if not page.is_file():
        return problem("web_client", f"The web client is not built: there is no {page}.", f"{build} {_node()}")
    named = re.findall(r'(?:src|href)="/(assets/[^"]+)"', page.read_text(encoding="utf-8"))
    missing = [name for name in named if not (settings.static_dir / name).is_file()]
    if missing:
        return problem("web_client", f"The web client is not whole: {', '.join(missing)} missing.", build)
    return ok("web_client", f"The web client is built ({len(named)} assets on its page).")


def _node() -> str:
    node = shutil.which("node")
    if node is None:
        return "There is no Node here."
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False, timeout=10).stdout.strip()
    numbers = tuple(map(int, re.findall(r"\d+", said)[:2]))
    return f"Node {said} is too old." if numbers < NODE else f"Node {said} is here."


def gestures() -> Finding:
    obstacle = preflight.gestures_obstacle()
    if obstacle is None:
        return ok("gestures", "Gestures can be recognised.")
    return ok("gestures", f"Gestures are off: {obstacle}. Everything else works without them.")


def open_files(connections: int, limit: int | None = None) -> Finding:
    """A connection is an open file; the server raises the soft limit to the hard one by itself."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1] if limit is None else limit
    if hard == resource.RLIM_INFINITY or hard >= connections + SPARE_FILES:
        return ok("open_files", f"{'Any number of' if hard == resource.RLIM_INFINITY else hard} files may be open.")
    return problem(
        "open_files",
        f"Only {hard} files may be open, which is too few for {connections} connections.",
        f"Raise the limit: LimitNOFILE={connections + SPARE_FILES} in the systemd unit, or `ulimit -Hn`.",
    )
