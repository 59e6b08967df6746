"""./scripts/lock [options of uv pip compile]: brings both locks up to date.

requirements.lock: every exact version for the ranges in setup.cfg, made by uv. Versions that still fit stay as they
are; `--upgrade` takes the newest, `--upgrade-package NAME` one of them. It is one lock for Python 3.11 and 3.12 and
every platform, used as a constraint; what is installed is chosen by the extras.

package-lock.json: npm writes it, but leaves out the builds for other platforms when the registry it happened to ask
does not mirror them, and `npm ci` then refuses the lock everywhere. Those entries are added.
"""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
NPM_LOCK = ROOT / "package-lock.json"
#: where the lock is to hold; uv repeats it in every line, which says nothing and is taken out
EVERYWHERE = "python_full_version < '3.13' and sys_platform != 'win32'"

_BUILD = re.compile(
    r"-(?P<os>android|darwin|freebsd|linux|netbsd|openbsd|openharmony|win32)"
    r"-(?P<cpu>[a-z0-9]+)(?:-(?P<abi>gnu|musl|msvc|eabi)[a-z]*)?$"
)
_LIBC = {"gnu": "glibc", "musl": "musl"}


# -- Python


def requirements(text: str) -> list[str]:
    return [line for line in text.strip().splitlines() if line and not line.startswith("#")]


def project(config: configparser.ConfigParser) -> str:
    """The dependencies of setup.cfg as a project table. uv takes from one that Python 3.13 is out of question
    (it looks at no upper bound elsewhere): for that there are no versions that fit together."""
    extras = {name: requirements(value) for name, value in config["options.extras_require"].items()}
    lines = ["[project]", 'name = "vouch"', 'version = "0"']
    lines.append(f"requires-python = {json.dumps(config['options']['python_requires'])}")
    lines.append(f"dependencies = {json.dumps(requirements(config['options']['install_requires']))}")
    lines.append("[project.optional-dependencies]")
    lines += [f"{name} = {json.dumps(values)}" for name, values in extras.items()]
    lines += ["[tool.uv]", f"environments = [{json.dumps(EVERYWHERE)}]"]
    return "\n".join(lines) + "\n"


def lock_python(options: list[str]) -> int:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory) / "pyproject.toml"
        source.write_text(project(config), encoding="utf-8")
        command = [uv, "pip", "compile", str(source), "--universal", "--python-version", "3.11", "--all-extras"]
        command += ["--no-annotate", "--custom-compile-command", "./scripts/lock", "--quiet", "-o", str(LOCK)]
        # In that directory, because uv reads its settings from the project it stands in.
        options = [str(Path(option).absolute()) if Path(option).is_file() else option for option in options]
        done = subprocess.run([*command, *options], check=False, cwd=directory, stdout=subprocess.DEVNULL)
    if done.returncode == 0:
        text = LOCK.read_text(encoding="utf-8")
        text = text.replace(f" ; {EVERYWHERE}\n", "\n").replace(f"{EVERYWHERE} and ", "")
        LOCK.write_text(text, encoding="utf-8")
    return done.returncode


# -- npm


def _found(packages: dict[str, Any], path: str, name: str) -> bool:
    """Whether `name`, needed by the package at `path`, is in the lock: beside it or above it."""
    while True:
        if f"{path}/node_modules/{name}".lstrip("/") in packages:
            return True
        if not path:
            return False
        path = path.rpartition("/node_modules/")[0] if "/node_modules/" in path else ""


def missing_builds(packages: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Entries for the platform builds that packages name and the lock lacks, by their place in it."""
    missing: dict[str, dict[str, Any]] = {}
    for path, package in packages.items():
        for name, version in package.get("optionalDependencies", {}).items():
            build = _BUILD.search(name)
            if build is None or _found(packages, path, name):
                continue
            entry: dict[str, Any] = {"version": version, "cpu": [build["cpu"]], "optional": True, "os": [build["os"]]}
            if package.get("dev"):
                entry["dev"] = True
            if build["os"] == "linux" and build["abi"] in _LIBC:
                entry["libc"] = [_LIBC[build["abi"]]]
            missing[f"node_modules/{name}"] = dict(sorted(entry.items(), key=lambda item: item[0] != "version"))
    return missing


def complete_npm() -> int:
    lock = json.loads(NPM_LOCK.read_text(encoding="utf-8"))
    missing = missing_builds(lock["packages"])
    if missing:
        lock["packages"] = dict(sorted((lock["packages"] | missing).items()))
        NPM_LOCK.write_text(json.dumps(lock, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return len(missing)


def main(options: list[str]) -> int:
    status = lock_python(options)
    added = complete_npm()
    if added:
        print(f"package-lock.json: {added} builds for other platforms added")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
