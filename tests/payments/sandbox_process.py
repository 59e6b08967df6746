"""The sandbox platform as it runs for people: a process of its own, asked over the wire.

    def test_…(sandbox: SandboxProcess): …        # the fixture: one process for the session, no trouble, no notices

`pay`, `refuse` and the tester's switches go through the same pages and operations as a person's browser and a tester.
"""

from __future__ import annotations

import re
import secrets
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import (
    BaseHandler,
    HTTPCookieProcessor,
    HTTPRedirectHandler,
    HTTPSHandler,
    ProxyHandler,
    Request,
    build_opener,
)

import msgspec
import pytest

from server.payments.providers.sandbox import Sandbox
from server.settings import ROOT
from tests.measuring import measured

_START_SECONDS = 60.0
_ANSWER_SECONDS = 30.0


class Answer(msgspec.Struct, frozen=True):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


class Browser:
    """Keeps cookies, follows nothing."""

    def __init__(self, authority: Path | None = None) -> None:
        self.cookies = CookieJar()
        handlers: list[BaseHandler] = [ProxyHandler({}), HTTPCookieProcessor(self.cookies), _NoRedirect()]
        if authority is not None:
            handlers.append(HTTPSHandler(context=ssl.create_default_context(cafile=authority)))
        self._opener = build_opener(*handlers)

    def ask(self, method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
        request = Request(url, data=body, method=method, headers=headers or {})
        try:
            with self._opener.open(request, timeout=_ANSWER_SECONDS) as got:
                return Answer(got.status, {k.lower(): v for k, v in got.headers.items()}, got.read())
        except HTTPError as refused:
            with refused:
                return Answer(refused.code, {k.lower(): v for k, v in refused.headers.items()}, refused.read())

    def press(self, url: str, **fields: str) -> Answer:
        """Loads the page at `url`, and sends the form on it with these fields."""
        page = self.ask("GET", url)
        token = re.search(r'name="_xsrf" value="([^"]+)"', page.text)
        action = re.search(r'action="([^"]+)"', page.text)
        assert token is not None, (page.status, page.text)
        assert action is not None, page.text
        return self.submit(url, fields | {"_xsrf": token[1]}, action[1].replace("&amp;", "&"))

    def submit(self, url: str, fields: dict[str, str], action: str) -> Answer:
        origin = "/".join(url.split("/")[:3])
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.ask("POST", origin + action, urlencode(fields).encode(), form)


class SandboxClient:
    """Whoever stands before a running platform: merchant, payer, tester. `authority` is a PEM file that is believed.

    `SandboxClient.of_hub(hub.data_dir)` is the one that `serve` has started.
    """

    def __init__(
        self, url: str, api_key: str, webhook_secret: str, console_word: str, authority: Path | None = None
    ) -> None:
        self.url = url
        self.api_key = api_key
        self.webhook_secret = webhook_secret
        self.console_word = console_word
        self.authority = authority

    @classmethod
    def of_hub(cls, data_dir: Path, *, tls: bool = False) -> SandboxClient:
        port = (data_dir / "sandbox" / "port").read_text().strip()
        key, webhook, console = (
            (data_dir / "secrets" / f"sandbox.{name}").read_text() for name in ("key", "webhook", "console")
        )
        authority = data_dir / "secrets" / "authority.pem" if tls else None
        return cls(f"{'https' if tls else 'http'}://127.0.0.1:{port}", key, webhook, console, authority)

    def browser(self) -> Browser:
        return Browser(self.authority)

    def provider(self, **options: Any) -> Sandbox:
        """The adapter under test; `open_for` and `within` are in seconds."""
        return Sandbox(
            self.url,
            api_key=self.api_key,
            webhook_secret=self.webhook_secret,
            authorities=self.authority,
            **options,
        )

    # -- the payer

    def pay(self, url: str, purse: str = "full") -> Answer:
        """Presses the button of the check-out page; the answer leads back to the merchant."""
        return self._decide(url, act="pay", purse=purse)

    def refuse(self, url: str) -> Answer:
        return self._decide(url, act="refuse", purse="full")

    def _decide(self, url: str, **fields: str) -> Answer:
        answer = self.browser().press(url, **fields)
        assert answer.status == 303, (answer.status, answer.text)
        return answer

    # -- the tester

    def trouble(self, **troubles: Any) -> None:
        """Besides what is; `outage`, `decline`, `lose` … as `Troubles` has them."""
        self.tester("PATCH", "troubles", troubles)

    def calm(self) -> None:
        self.tester("PUT", "troubles", {})

    def notify(self, url: str) -> None:
        """Where notices go from now on; empty: they wait."""
        self.tester("PUT", "notify", {"url": url})

    def dispute(self, reference: str, amount: int | None = None) -> None:
        self.tester("POST", f"charges/{reference}/dispute", {"amount": amount})

    def restore(self, reference: str, amount: int | None = None) -> None:
        self.tester("POST", f"charges/{reference}/restore", {"amount": amount})

    def finish(self, reference: str, fault: str | None = None) -> None:
        """Ends what is pending."""
        self.tester("POST", f"movements/{reference}/finish", {"fault": fault})

    def notices(self) -> list[dict[str, Any]]:
        """The latest first."""
        listed: list[dict[str, Any]] = self.tester("GET", "notices")
        return listed

    def tester(self, method: str, path: str, content: object = None) -> Any:
        headers = {"Authorization": f"Bearer {self.console_word}"}
        body = None if content is None else msgspec.json.encode(content)
        answer = self.browser().ask(method, f"{self.url}/v1/tester/{path}", body, headers)
        assert answer.status == 200, (answer.status, answer.text)
        return answer.json()

    def ask(self, method: str, path: str, content: object = None, *, key: str | None = None) -> Answer:
        """The API with the merchant's key, without the adapter."""
        headers = {"Authorization": f"Bearer {self.api_key}"} | ({} if key is None else {"Idempotency-Key": key})
        body = content if isinstance(content, bytes) else None if content is None else msgspec.json.encode(content)
        return self.browser().ask(method, self.url + path, body, headers)


class SandboxProcess(SandboxClient):
    """`start` returns when it listens; after `kill` and `start` it is where it was, with all that it had."""

    def __init__(self, directory: Path, *options: str, bank_seconds: float = 0.2, retry_seconds: float = 0.05) -> None:
        super().__init__("", secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_hex(10))
        self.directory = directory
        self._options = [*options, "--bank-seconds", str(bank_seconds), "--retry-seconds", str(retry_seconds)]
        self._process: subprocess.Popen[bytes] | None = None
        directory.mkdir(parents=True, exist_ok=True)
        for name, secret in (("key", self.api_key), ("webhook", self.webhook_secret), ("console", self.console_word)):
            (directory / name).write_text(secret)

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text()

    def start(self) -> None:
        command = [sys.executable, "-P", "-m", "server.payments.sandbox", "--data", str(self.directory / "data")]
        command += ["--api-key", str(self.directory / "key"), "--webhook-secret", str(self.directory / "webhook")]
        command += ["--console-word", str(self.directory / "console"), *self._options]
        with (self.directory / "log").open("wb") as log:
            environ = {"PYTHONPATH": str(ROOT)} | measured()
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=environ)
        deadline = time.monotonic() + _START_SECONDS
        while (found := re.search(r"listening on (\S+):(\d+)", self.log)) is None:
            assert self._process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.01)
        self.url = f"http://127.0.0.1:{found[2]}"

    def kill(self) -> None:
        """As a crash does it."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """The exit status."""
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(30)

    def __enter__(self) -> SandboxProcess:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        try:
            self.stop()
        except subprocess.TimeoutExpired:
            self.kill()


@pytest.fixture(scope="session")
def sandbox_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    with SandboxProcess(tmp_path_factory.mktemp("sandbox")) as running:
        yield running


@pytest.fixture
def sandbox(sandbox_process: SandboxProcess) -> SandboxProcess:
    """The session's platform, without trouble; its notices wait."""
    sandbox_process.calm()
    sandbox_process.notify("")
    sandbox_process.tester("DELETE", "notices")
    return sandbox_process
