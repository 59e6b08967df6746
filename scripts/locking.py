"""./scripts/lock [options of uv pip compile]: writes requirements.lock from the ranges in setup.cfg, with the help of uv.

Versions that still fit stay as they are; `--upgrade` takes the newest, `--upgrade-package NAME` one of them.
The lock is one for Python 3.11 and 3.12 and every platform, and serves as a constraint: what is installed is chosen by
the extras (`pip install -c requirements.lock '.[embedded]'`).
"""

from __future__ import annotations

import configparser
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
#: where the lock is to hold; uv repeats it in every line, which says nothing and is taken out
EVERYWHERE = "python_full_version < '3.13' and sys_platform != 'win32'"


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


def main() -> int:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory) / "pyproject.toml"
        source.write_text(project(config), encoding="utf-8")
        command = [shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv", "pip", "compile", str(source), "--universal", "--python-version", "3.11", "--all-extras"]
        command += ["--no-annotate", "--custom-compile-command", "./scripts/lock", "--quiet", "-o", str(LOCK)]
        options = [str(Path(o).absolute()) if Path(o).is_file() else o for o in sys.argv[1:]]
        status = subprocess.run([*command, *options], check=False, cwd=directory, stdout=subprocess.DEVNULL).returncode
    if status == 0:
        text = LOCK.read_text(encoding="utf-8")
        text = text.replace(f" ; {EVERYWHERE}\n", "\n").replace(f"{EVERYWHERE} and ", "")
        LOCK.write_text(text, encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main())
