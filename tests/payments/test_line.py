"""The way to a provider's API: only to whom a certificate proves, only where it was sent, and only so long."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from server import certificates
from server.clock import SystemClock
from server.payments.providers.line import MOST_AT_ONCE, Line, Silence
from tests.conftest import Run, eventually


class Provider:
    """Speaks TLS with a certificate of an authority of its own."""

    def __init__(self, directory: Path) -> None:
        at = SystemClock().now()
        authority_key, key = certificates.private_key_pem(), certificates.private_key_pem()
        authority = certificates.authority_certificate(authority_key, at)
        self.authority = directory / "authority.pem"
        self.authority.write_bytes(authority)
        (directory / "key").write_bytes(key)
        (directory / "leaf").write_bytes(
            certificates.server_certificate(key, authority_key, authority, ["127.0.0.1"], at)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(directory / "leaf", directory / "key")
        self.under_way = self.most = 0
        self.go_on = asyncio.Event()
        [listening] = bind_sockets(0, "127.0.0.1")
        self.url = f"https://127.0.0.1:{listening.getsockname()[1]}"
        self.server = HTTPServer(Application([(r"/(.*)", _Handler, {"provider": self})]), ssl_options=context)
        self.server.add_socket(listening)


class _Handler(RequestHandler):
    def initialize(self, provider: Provider) -> None:
        self._provider = provider

    async def get(self, path: str) -> None:
        if path == "elsewhere":
            self.redirect("/hello")
            return
        if path == "slow":
            self._provider.under_way += 1
            self._provider.most = max(self._provider.most, self._provider.under_way)
            await self._provider.go_on.wait()
            self._provider.under_way -= 1
        self.write("hello")


@pytest.fixture
def provider(tmp_path: Path, run: Run[Any]) -> Iterator[Provider]:
    async def make() -> Provider:
        return Provider(tmp_path)

    provider = run(make())
    yield provider
    provider.go_on.set()
    provider.server.stop()
    run(provider.server.close_all_connections())


async def test_only_a_certificate_that_is_believed(provider: Provider) -> None:
    believing, line = Line(authorities=provider.authority), Line()
    answer = await believing.request("GET", provider.url, {})
    assert (answer.status, answer.body) == (200, b"hello")
    with pytest.raises(Silence) as caught:
        await line.request("GET", provider.url, {})
    assert caught.value.code == "down"
    believing.close()
    line.close()


async def test_nothing_is_followed(provider: Provider) -> None:
    line = Line(authorities=provider.authority)
    assert (await line.request("GET", f"{provider.url}/elsewhere", {})).status == 302
    line.close()


async def test_so_many_at_once_and_the_others_wait_for_their_turn(provider: Provider) -> None:
    line = Line(authorities=provider.authority, within=20.0)
    asked = [asyncio.create_task(line.request("GET", f"{provider.url}/slow", {})) for _ in range(MOST_AT_ONCE + 3)]
    await eventually(lambda: provider.under_way == MOST_AT_ONCE)
    provider.go_on.set()
    assert [(await one).body for one in asked] == [b"hello"] * (MOST_AT_ONCE + 3)
    assert provider.most == MOST_AT_ONCE
    line.close()


async def test_who_waits_for_a_turn_that_does_not_come_waits_no_longer_than_others(provider: Provider) -> None:
    line = Line(authorities=provider.authority, within=1.0)
    asked = [line.request("GET", f"{provider.url}/slow", {}) for _ in range(MOST_AT_ONCE + 3)]
    answers = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 20)
    assert [answer.code for answer in answers if isinstance(answer, Silence)] == ["timeout"] * (MOST_AT_ONCE + 3)
    line.close()


async def test_who_gives_up_leaves_nothing_behind(provider: Provider, caplog: pytest.LogCaptureFixture) -> None:
    line = Line(authorities=provider.authority, within=1.0)
    asked = asyncio.create_task(line.request("GET", f"{provider.url}/slow", {}))
    await eventually(lambda: provider.under_way == 1)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert (await line.request("GET", provider.url, {})).body == b"hello"
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    line.close()
