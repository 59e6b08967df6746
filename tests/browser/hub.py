"""The server under the browser: a process that can be killed and started again at the same address."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from scripts.hub_process import HubProcess
from server.settings import ROOT

#: The built web client; the variable names a build elsewhere.
CLIENT = Path(os.environ.get("VOUCH_STATIC_DIR", ROOT / "static" / "dist"))
#: Many people register and type from one address here.
ENVIRON = {"VOUCH_LIMITS_FACTOR": "1000", "VOUCH_STATIC_DIR": str(CLIENT)}


class Hub:
    """`url` stays the same over restarts: the page in the browser has to find its server again."""

    def __init__(self, data_dir: Path, **environ: str) -> None:
        self.data_dir = data_dir
        self._environ = ENVIRON | environ
        self._process: HubProcess | None = None
        self.url = ""

    def start(self) -> None:
        # Nobody reads what it prints later: a full pipe would stop it, so it says only what went wrong.
        options = ["--log-level", "error"]
        if self.url:
            options += ["--port", self.url.rsplit(":", 1)[1]]
        self._process = HubProcess(self.data_dir, *options, environ=self._environ).start()
        self.url = self._process.url

    def kill(self) -> None:
        """As a crash does it: no goodbye to anybody."""
        assert self._process is not None
        self._process.send(signal.SIGKILL)
        self._process.end()

    def stop(self) -> None:
        if self._process is not None and self._process.process.poll() is None:
            self._process.send(signal.SIGTERM)
            self._process.end()


def chromium() -> str:
    """Where the browser is; CHROMIUM names another one."""
    candidates = [
        os.environ.get("CHROMIUM", ""),
        "/usr/bin/chromium",
        "/usr/bin/chromium-browser",
        "/usr/bin/google-chrome",
    ]
    for path in candidates:
        if path and Path(path).exists():
            return path
    raise AssertionError("The browser tests need Chromium: ./scripts/test installs it, CHROMIUM names another one.")
