"""setup.py COMMAND [arguments]: sets up what is missing and becomes the command.

Standard library only, for it runs before anything is installed. What was done is remembered by content hashes under
.cache/setup and in the virtual environment, so the second time costs a fraction of a second.
"""

from __future__ import annotations

import configparser
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = ROOT / "requirements.lock"
CACHE = ROOT / ".cache" / "setup"
LOG = CACHE / "log"
BUILT = ROOT / "static" / "dist" / "index.html"
NODE = (20, 19)
#: directories whose files are what the web client is built from
WEB_SOURCES = ("static",)
_NOT_SOURCES = frozenset({"node_modules", "dist", "test", "coverage"})


class Command(NamedTuple):
    extras: frozenset[str]
    #: what of the web it needs: nothing, "packages" (npm ci) or "client" (built as well)
    web: str
    #: arguments of the virtual environment's Python
    python: tuple[str, ...]


_EMBEDDED = frozenset({"embedded"})
_DEV = frozenset({"embedded", "dev"})
COMMANDS = {
    "run": Command(_EMBEDDED, "client", ("-m", "server", "serve")),
    "test": Command(_DEV, "client", ("-m", "scripts.suites")),
    "check": Command(_DEV, "packages", ("-m", "scripts.checks")),
    "bench": Command(_DEV, "packages", ("-m", "scripts.benchmarks")),
    "lock": Command(_DEV, "", ("-m", "scripts.locking")),
}


class SetupError(Exception):
    """What cannot go on, in one line."""


class Step(NamedTuple):
    title: str
    work: Callable[[], None]


def digest(paths: Iterable[Path], *more: str) -> str:
    """A hash of the files' names and contents."""
    total = hashlib.sha256(repr(more).encode())
    for path in sorted(paths):
        total.update(f"{path.relative_to(ROOT)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def run(*command: str | Path) -> None:
    """Output goes to the log; its end is shown when the command fails."""
    with LOG.open("ab") as log:
        log.write(f"\n$ {' '.join(map(str, command))}\n".encode())
        log.flush()
        start = log.tell()
        # PYTHON* of the caller would leak into the environment that is being made.
        environ = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
        status = subprocess.run(
            command, cwd=ROOT, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False
        ).returncode
    if status != 0:
        text = LOG.read_bytes()[start:].decode("utf-8", "replace").strip()
        lines = text.splitlines()
        shown = lines if len(lines) <= 16 else [*lines[:6], "…", *lines[-9:]]
        print("\n".join("    " + line for line in shown), file=sys.stderr)
        raise SetupError(
            f"`{Path(command[0]).name} {' '.join(map(str, command[1:3]))} …` failed; the whole log is {LOG}."
        )


# -- Python


def requirements(extras: Iterable[str]) -> list[str]:
    """The requirements of setup.cfg for these extras; the lock says which versions."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    texts = [config["options"]["install_requires"]]
    texts += [config["options.extras_require"][extra] for extra in sorted(extras)]
    return [line for text in texts for line in text.splitlines() if line and not line.startswith("#")]


def installed_extras() -> frozenset[str] | None:
    """The extras that are installed in the locked versions; None when everything must be installed anew."""
    try:
        stamp = json.loads((VENV / "vouch.json").read_text())
    except (OSError, ValueError):
        return None
    if stamp["lock"] != _lock_digest() or stamp["root"] != str(ROOT) or not PYTHON.exists():
        return None
    return frozenset(stamp["extras"])


def _lock_digest() -> str:
    return digest([LOCK, ROOT / "setup.cfg"])


def make_environment() -> None:
    if PYTHON.exists() and subprocess.run([PYTHON, "-c", ""], check=False, capture_output=True).returncode == 0:
        if json.loads(_read(VENV / "vouch.json") or "{}").get("root", str(ROOT)) == str(ROOT):
            return
    shutil.rmtree(VENV, ignore_errors=True)
    try:
        run(sys.executable, "-m", "venv", VENV)
    except SetupError:
        shutil.rmtree(VENV, ignore_errors=True)
        raise SetupError(
            "Python cannot make virtual environments here (Debian and Ubuntu: apt-get install python3-venv)."
        ) from None
    # Makes `import server` work from every directory, without copying it.
    (packages,) = VENV.glob("lib/python3*/site-packages")
    (packages / "vouch.pth").write_text(f"{ROOT}\n", encoding="utf-8")


def install(extras: frozenset[str]) -> None:
    wanted = requirements(extras)
    uv = VENV / "bin" / "uv"
    pip: list[str | Path] = [PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "--constraint", LOCK]
    try:
        if not uv.exists():
            run(*pip, "uv")
        run(uv, "pip", "install", "--python", PYTHON, "--constraint", LOCK, *wanted)
    except SetupError:
        print("    uv did not manage it; once more with pip, which is slower", file=sys.stderr)
        run(*pip, *wanted)
    stamp = {"lock": _lock_digest(), "root": str(ROOT), "extras": sorted(extras)}
    (VENV / "vouch.json").write_text(json.dumps(stamp))


# -- the web client


def check_node() -> None:
    wanted = ".".join(map(str, NODE))
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise SetupError(f"Node {wanted} or newer with npm is needed to build the web client; found none (nodejs.org).")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    numbers = tuple(map(int, re.findall(r"\d+", version)[:2]))
    if numbers < NODE:
        raise SetupError(f"Node {wanted} or newer is needed to build the web client; found {version} (nodejs.org).")


def web_sources() -> list[Path]:
    found = [ROOT / "package.json", ROOT / "package-lock.json"]
    for top in WEB_SOURCES:
        for directory, names, files in os.walk(ROOT / top):
            names[:] = [name for name in names if name not in _NOT_SOURCES]
            found += [Path(directory, name) for name in files]
    return found


def _remembered(name: str) -> str:
    return _read(CACHE / name)


def _remember(name: str, value: str) -> None:
    (CACHE / name).write_text(value)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def web_steps(need: str) -> list[Step]:
    steps: list[Step] = []
    packages = digest([ROOT / "package-lock.json"])
    sources = digest(web_sources()) if need == "client" else ""

    def install_packages() -> None:
        run("npm", "ci")
        _remember("npm", packages)

    def build() -> None:
        run("npm", "run", "build")
        _remember("web", sources)

    stale = need == "client" and (_remembered("web") != sources or not BUILT.exists())
    if (need == "packages" or stale) and (_remembered("npm") != packages or not (ROOT / "node_modules").is_dir()):
        steps.append(Step("Packages of the web client (npm ci)", install_packages))
    if stale:
        steps.append(Step("Web client (npm run build)", build))
    return steps


# -- all together


def steps(command: Command, extras: frozenset[str]) -> list[Step]:
    """What is to be done, in order; nothing when everything is there."""
    todo: list[Step] = []
    present = installed_extras()
    if present is None or not extras <= present:
        wanted = extras | (present or frozenset())
        version = ".".join(map(str, sys.version_info[:3]))
        todo.append(Step(f"Virtual environment ({VENV.name}, Python {version})", make_environment))
        todo.append(Step(f"Python packages ({', '.join(['base', *sorted(wanted)])})", lambda: install(wanted)))
    if command.web:
        todo += web_steps(command.web)
    return todo


def prepare(command: Command, extras: frozenset[str]) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two commands started at once set up one after the other
        todo = steps(command, extras)
        if not todo:
            return
        if any("npm" in step.title for step in todo):
            check_node()
        LOG.unlink(missing_ok=True)
        for number, step in enumerate(todo, 1):
            print(f"[{number}/{len(todo)}] {step.title}", flush=True)
            began = time.monotonic()
            step.work()
            print(f"      {time.monotonic() - began:.1f} s", flush=True)


def become(command: Command, arguments: Sequence[str]) -> NoReturn:
    # -P: a directory called `server` where the person stands is not ours.
    os.execv(PYTHON, [str(PYTHON), "-P", *command.python, *arguments])


def main(name: str, arguments: list[str]) -> int:
    command = COMMANDS[name]
    extras = command.extras
    if name == "run" and "--with-gestures" in arguments:
        arguments.remove("--with-gestures")
        extras |= {"gestures"}
    try:
        prepare(command, extras)
    except SetupError as error:
        print(f"vouch: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    sys.stdout.flush()
    become(command, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
