"""`python -m server` as a person starts it: another process, a data directory, a free port."""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from server.settings import PREFIX, ROOT


class HubProcess:
    """`start` returns when the address is printed; `url` is that address. Leaving the block stops it."""

    def __init__(self, data_dir: Path, *options: str, environ: dict[str, str] | None = None) -> None:
        self.data_dir = data_dir
        self._options = ["--data-dir", str(data_dir), "--port", "0", *options]
        clean = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        self._environ = clean | {"PYTHONPATH": str(ROOT)} | (environ or {})
        self._process: subprocess.Popen[str] | None = None
        self.printed = ""
        self.url = ""

    @property
    def process(self) -> subprocess.Popen[str]:
        assert self._process is not None, "not started"
        return self._process

    def launch(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "server", "serve", *self._options],
            env=self._environ,
            cwd=self.data_dir.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def start(self, seconds: float = 60.0) -> Self:
        self.launch()
        self.wait_for(r"Ctrl-C stops it", seconds)
        found = re.search(r"running: (\S+)", self.printed)
        assert found is not None, self.printed
        self.url = found[1]
        return self

    def wait_for(self, pattern: str, seconds: float = 60.0) -> None:
        """Reads what it prints until `pattern` is among it."""
        output = self.process.stdout
        assert output is not None
        os.set_blocking(output.fileno(), False)
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            while not re.search(pattern, self.printed):
                assert time.monotonic() < deadline, f"{pattern!r} was not printed:\n{self.printed}"
                if selector.select(0.2):
                    piece = output.read()
                    assert piece != "", f"it ended without {pattern!r}:\n{self.printed}"
                    self.printed += piece or ""

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self, seconds: float = 30.0) -> int:
        """Waits for the end; the exit status."""
        output = self.process.stdout
        assert output is not None
        os.set_blocking(output.fileno(), True)
        self.printed += self.process.communicate(timeout=seconds)[0] or ""
        return self.process.returncode

    def child_pids(self) -> dict[str, int]:
        return {path.stem: int(path.read_text()) for path in (self.data_dir / "run").glob("*.pid")}

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self.send(signal.SIGTERM)
        try:
            self.end()
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            raise


def run_command(
    *words: str, environ: dict[str, str] | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """`python -m server …` to its end, standard output and error together."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return subprocess.run(
        [sys.executable, "-P", "-m", "server", *words],
        env=clean | {"PYTHONPATH": str(ROOT)} | (environ or {}),
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
