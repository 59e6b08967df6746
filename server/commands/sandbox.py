"""The platform for play money as a child of the server: another party, on this machine (docs/payments.md)."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from server import tls
from server.children import Child
from server.clock import SystemClock
from server.commands.addresses import bracketed, urls
from server.data_directory import DataDirectory
from server.keys import Keys
from server.settings import ROOT, Settings

_NAME = "sandbox"
_LISTENING = re.compile(r"^listening on \S+:(\d+)$", re.MULTILINE)
_ANYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not listened on


class Sandbox:
    """`port` is where the hub listens, and notices go; 0 as long as nobody knows."""

    def __init__(self, settings: Settings, keys: Keys, directory: DataDirectory, port: int) -> None:
        self._settings = settings
        self._keys = keys
        self._directory = directory
        self._hub_port = port
        self._port = settings.sandbox_port
        self.child = Child(
            _NAME,
            command=self._command,
            ready=self._ready,
            log_path=directory.logs / "sandbox.log",
            pid_path=directory.run / "sandbox.pid",
            environ={"PYTHONPATH": str(ROOT)},
        )

    @staticmethod
    def wanted(settings: Settings) -> bool:
        """Whether the settings name it, and none that runs already."""
        return _NAME in settings.providers and not settings.sandbox_url

    @property
    def url(self) -> str:
        """Where it is asked; known once it has started."""
        host = _ANYWHERE.get(self._settings.host, self._settings.host)
        return f"{self._settings.scheme}://{bracketed(host)}:{self._port}"

    def spawn(self) -> None:
        if self._settings.tls:  # the hub's certificate is good for its pages too: they are on the same hosts
            names = tls.server_names(self._settings.public_origins)
            tls.server_context(self._keys, self._certificate.parent, names, SystemClock().now())
        self.child.spawn()

    def greeting(self) -> list[str]:
        """What a person at the terminal is told. The word is printed only where everything else is for show too."""
        console = f"{urls(self._settings, self._port)[0]}/console"
        word = self._keys.sandbox_console if self._settings.demo else f"in {self._secret('console')}"
        return [f"Payments are practice, with play money. Tester's console: {console} (its word: {word})"]

    @property
    def _certificate(self) -> Path:
        return self._directory.path / "tls" / "server.pem"

    def _secret(self, name: str) -> Path:
        return self._settings.secrets_path / f"sandbox.{name}"

    def _command(self) -> list[str]:
        words = [sys.executable, "-P", "-m", "server.payments.sandbox"]
        words += ["--data", str(self._directory.path / _NAME)]
        words += ["--host", self._settings.host, "--port", str(self._port)]
        words += ["--api-key", str(self._secret("key")), "--webhook-secret", str(self._secret("webhook"))]
        words += ["--console-word", str(self._secret("console"))]
        host = bracketed(_ANYWHERE.get(self._settings.host, self._settings.host))
        notices = f"{self._settings.scheme}://{host}:{self._hub_port}/api/v1/payments/notices/{_NAME}"
        words += ["--notify", notices, "--public-url", self._settings.sandbox_public_url]
        if self._settings.tls:
            authority = self._settings.secrets_path / "authority.pem"
            words += ["--certificate", str(self._certificate), "--authority", str(authority)]
        return words

    def _ready(self, printed: str) -> bool:
        found = _LISTENING.search(printed)
        if found is None:
            return False
        self._port = int(found[1])
        return True
