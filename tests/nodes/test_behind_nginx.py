"""Two real nodes behind a real nginx with the documented configuration: one address, whichever node lives."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPClientError
from websockets.asyncio.client import connect

from server import certificates
from server.keys import Keys
from server.settings import Settings
from tests.faults.accounts import Account, call, circle, direct
from tests.faults.conftest import Play, Serve
from tests.faults.line import Line
from tests.faults.load import Crowd
from tests.faults.server_process import ServerProcess
from tests.nodes.nginx import Nginx

SIGNED_OUT = 4502
#: within which everybody must be on a living node again; very loose, for busy machines
SECONDS_TO_COME_BACK = 15.0


class Site:
    """The nodes and the address before them."""

    def __init__(self, nodes: Sequence[ServerProcess], nginx: Nginx) -> None:
        self.nodes = nodes
        self.nginx = nginx

    async def sockets(self) -> list[int]:
        """Open sockets on each node."""
        counts = []
        for node in self.nodes:
            text = (await AsyncHTTPClient().fetch(node.url + "/metrics")).body.decode()
            found = re.search(r"^vouch_connections (\d+)", text, re.MULTILINE)
            assert found is not None
            counts.append(int(found[1]))
        return counts


@pytest.fixture
def environ(settings: Settings) -> dict[str, str]:
    """What the nodes share, and what they must be told behind a proxy."""
    return {
        "VOUCH_MONGODB_URI": settings.mongodb_uri,
        "VOUCH_REDIS_URL": settings.redis_url,
        "VOUCH_DATABASE": settings.database,
        "VOUCH_SECRETS_DIR": str(settings.secrets_path),
        "VOUCH_TRUSTED_PROXIES": "127.0.0.1",
    }


@pytest.fixture
def site(serve: Serve, environ: dict[str, str], tmp_path: Path) -> Iterator[Site]:
    """Not yet started nodes; nginx runs. Limits are as loose as load needs."""
    nodes = [serve(name, environ) for name in ("a", "b")]
    nginx = Nginx(tmp_path / "nginx", [f"127.0.0.1:{node.port}" for node in nodes], None, None)
    nginx.start()
    yield Site(nodes, nginx)
    nginx.stop()


async def start(nodes: Sequence[ServerProcess]) -> None:
    await asyncio.gather(*(node.start() for node in nodes))


@pytest.mark.slow
def test_one_address_is_one_hub(serve: Serve, environ: dict[str, str], tmp_path: Path, play: Play) -> None:
    """Channels, presence, limits, the end of a sign-in, and resuming on the other node; with the limits of earnest."""
    nodes = [serve(name, environ | {"VOUCH_LIMITS_FACTOR": "1"}) for name in ("a", "b")]
    nginx = Nginx(tmp_path / "nginx", [f"127.0.0.1:{node.port}" for node in nodes], None, None)
    site = Site(nodes, nginx)

    async def scene() -> None:
        await start(nodes)
        ann, bo = await circle(nginx.url, 2)
        ch = await direct(nginx.url, ann, bo)
        async with Line(nginx.socket_url, bo.token, ch) as there, Line(nginx.socket_url, ann.token, ch) as here:
            assert await site.sockets() == [1, 1]  # least_conn has spread them
            if bo.id not in next(frame for frame in here.heard if frame["t"] == "presence")["online"]:
                await here.until("presence", joined=[bo.id])
            await there.until("presence", joined=[ann.id])
            seq = await said(here, ch)
            assert (await there.until("entry"))["entry"]["seq"] == seq
            await there.say(t="position", ch=ch, read=seq)
            assert (await here.until("position", by=bo.id))["read"] == seq

            # Limits: whatever node answers, the tries of one login are counted together.
            codes = [await wrong_password(nodes[number % 2].url, ann, bo) for number in range(11)]
            assert codes[-1] == 429
            assert 429 not in codes[:-1]

            # Her program's sign-in is revoked: on whichever node its socket is.
            await call(nginx.url, "DELETE", f"/sessions/{ann.session}", cookies=ann.cookies)
            assert await here.closed() == SIGNED_OUT
            await there.until("presence", left=[ann.id])

            # His node dies; he comes back through the same address, and misses nothing.
            victim = nodes[(await site.sockets()).index(1)]
            await victim.kill()
            assert await there.closed() in (1006, 1001)
        survivor = next(node for node in nodes if node is not victim)
        other = await again(survivor.url, ann)
        async with Line(survivor.socket_url, other, ch) as here:
            missed = [await said(here, ch) for _ in range(3)]
        async with connect(nginx.socket_url, proxy=None) as socket:
            await socket.send(json.dumps({"t": "hello", "v": 1, "token": bo.token}))
            await socket.send(json.dumps({"t": "subscribe", "rid": 1, "channels": [{"ch": ch, "after": seq}]}))
            heard: list[int] = []
            async with asyncio.timeout(10):
                while len(heard) < 3:
                    frame = json.loads(await socket.recv())
                    assert "gap" not in frame
                    if frame["t"] == "entry":
                        heard.append(frame["entry"]["seq"])
        assert heard == missed

    nginx.start()
    try:
        play(scene())
    finally:
        nginx.stop()


async def said(line: Line, ch: str) -> int:
    """Says a word; its number."""
    id = secrets.token_urlsafe(16)
    await line.say(t="append", id=id, ch=ch, kind="message", body={"text": "word"})
    return int((await line.until("ack", id=id))["seq"])


async def wrong_password(url: str, account: Account, visitor: Account) -> int:
    """Tries to sign in; the status of the answer."""
    form = {"login": account.handle, "password": "wrong password"}
    try:
        await call(url, "POST", "/sessions", form, cookies=dict(visitor.cookies))
    except HTTPClientError as refused:
        return refused.code
    return 200


async def again(url: str, account: Account) -> str:
    """Another token for a program of hers."""
    made = await call(url, "POST", "/tokens", {"name": "another"}, cookies=account.cookies)
    return str(made["token"])


@pytest.mark.slow
def test_a_rolling_restart_under_load_loses_nothing(site: Site, play: Play, capsys: pytest.CaptureFixture[str]) -> None:
    """The upgrade: one node after the other is stopped, and started again when the sockets have moved."""

    async def scene() -> None:
        await start(site.nodes)
        crowd = await Crowd.gather(site.nginx.url, people=6, groups=2, seed=1, rate=8.0)
        await crowd.begin(site.nginx.socket_url)
        for node in site.nodes:
            assert await node.stop() == 0
            await crowd.connected(SECONDS_TO_COME_BACK)
            await node.start()
        verdict = await crowd.settle(site.nginx.url)
        worst = crowd.delays[-1]
        with capsys.disabled():
            print(f"\nboth restarted under load: {verdict}; slowest acknowledgement {worst:.1f} s")  # noqa: T201
        assert not verdict.counts, verdict
        assert not crowd.surprises
        assert verdict.acknowledged == verdict.sent > 100
        closes = {code for member in crowd.members for code in member.closes}
        assert closes
        assert closes < set(range(4000, 4500)) | {1001, 1012}  # all of them say: come back
        for node in site.nodes:
            assert "Traceback" not in node.printed()
            assert await node.stop() == 0

    play(scene())


@pytest.mark.slow
def test_when_a_node_is_killed_everybody_is_on_the_other_within_seconds(
    site: Site, play: Play, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scene() -> None:
        await start(site.nodes)
        crowd = await Crowd.gather(site.nginx.url, people=6, groups=2, seed=2, rate=8.0)
        await crowd.begin(site.nginx.socket_url)
        before = await site.sockets()
        assert min(before) > 0
        took = []
        for victim, other in (site.nodes, reversed(site.nodes)):
            began = time.monotonic()
            await victim.kill()
            await asyncio.sleep(0)
            while any(member.connected.is_set() is False for member in crowd.members) or await other_has(other, before):
                assert time.monotonic() - began < SECONDS_TO_COME_BACK
                await asyncio.sleep(0.02)
            took.append(time.monotonic() - began)
            await victim.start()
        verdict = await crowd.settle(site.nginx.url)
        with capsys.disabled():
            print(f"\neverybody back after {took[0]:.1f} s and {took[1]:.1f} s: {verdict}")  # noqa: T201
        assert not verdict.counts, verdict
        assert not crowd.surprises
        assert verdict.acknowledged == verdict.sent > 50

    async def other_has(node: ServerProcess, before: Sequence[int]) -> bool:
        """Whether it has not got all sockets yet."""
        text = (await AsyncHTTPClient().fetch(node.url + "/metrics")).body.decode()
        found = re.search(r"^vouch_connections (\d+)", text, re.MULTILINE)
        return found is None or int(found[1]) < sum(before)

    play(scene())


@pytest.mark.slow
def test_the_documented_file_works_as_it_stands_with_tls(
    serve: Serve, environ: dict[str, str], keys: Keys, tmp_path: Path, play: Play
) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    key.write_bytes(certificates.private_key_pem())
    names, now = ["127.0.0.1"], datetime.now(UTC)
    certificate.write_bytes(certificates.server_certificate(key.read_bytes(), keys.ca_key, keys.ca_cert, names, now))
    nodes = [serve(name, environ) for name in ("a", "b")]
    nginx = Nginx(tmp_path / "nginx", [f"127.0.0.1:{node.port}" for node in nodes], certificate, key)
    assert "warn" not in nginx.check()
    nginx.start()
    trusting = ssl.create_default_context(cadata=keys.ca_cert.decode())

    async def scene() -> None:
        await start(nodes)
        async with connect(nginx.socket_url, ssl=trusting, proxy=None) as socket:
            await socket.send(json.dumps({"t": "hello", "v": 1, "token": "nobody's"}))
            assert json.loads(await socket.recv())["t"] == "bye"
        await asyncio.to_thread(pages)

    def pages() -> None:
        with urllib.request.urlopen(nginx.url + "/", timeout=10, context=trusting) as answer:
            assert len(answer.headers.get_all("Strict-Transport-Security") or []) == 1  # the node was told of TLS
            assert f"wss://127.0.0.1:{nginx.port}" in answer.headers["Content-Security-Policy"]
        for path, method, size, status in (
            ("/metrics", "GET", 0, 404),
            ("/api/v1/me", "GET", 0, 401),
            ("/api/v1/sessions", "POST", 17 * 1024 * 1024, 413),
        ):
            request = urllib.request.Request(nginx.url + path, method=method, data=b"x" * size or None)
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(request, timeout=10, context=trusting)
            with refused.value:
                assert refused.value.code == status, path
                cookies = refused.value.headers.get_all("Set-Cookie") or []
                assert all("secure" in cookie.lower() for cookie in cookies)  # told by X-Forwarded-Proto
                assert cookies or status != 401

        class Staying(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *words: object) -> None:
                return None

        with pytest.raises(urllib.error.HTTPError) as moved:
            urllib.request.build_opener(Staying).open(f"http://127.0.0.1:{nginx.plain_port}/chat", timeout=10)
        with moved.value:
            assert (moved.value.code, moved.value.headers["Location"]) == (301, "https://127.0.0.1/chat")

    try:
        play(scene())
    finally:
        nginx.stop()
