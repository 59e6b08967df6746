"""Section 4.2: what a handshake must bring, and what it is answered."""

from __future__ import annotations

import pytest

from tests.conftest import RunningServer
from tests.wire.raw import (
    TEXT,
    Received,
    Wire,
    accept_of,
    frame,
    request,
)

SOCKET = "/api/v1/socket"


WELCOME_HEADERS: dict[str, dict[str, str | None]] = {
    "as usual": {},
    "a browser's": {"Connection": "keep-alive, Upgrade", "Pragma": "no-cache", "User-Agent": "Mozilla/5.0"},
    "in capitals": {"Upgrade": "WebSocket", "Connection": "UPGRADE"},
    "a list of upgrades": {"Upgrade": "h2c, websocket"},
    "names in capitals": {"Upgrade": None, "UPGRADE": "websocket"},
    "an extension that is not agreed": {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"},
    "a protocol that is not agreed": {"Sec-WebSocket-Protocol": "chat, superchat"},
}
REFUSED_HEADERS: dict[str, tuple[dict[str, str | None], int]] = {
    "no upgrade": ({"Upgrade": None}, 400),
    "another upgrade": ({"Upgrade": "h2c"}, 400),
    "almost the upgrade": ({"Upgrade": "websockets"}, 400),
    "no connection": ({"Connection": None}, 400),
    "another connection": ({"Connection": "keep-alive"}, 400),
    "almost the connection": ({"Connection": "not-upgrade"}, 400),
    "no host": ({"Host": None}, 400),
    "no key": ({"Sec-WebSocket-Key": None}, 400),
    "an empty key": ({"Sec-WebSocket-Key": ""}, 400),
    "a short key": ({"Sec-WebSocket-Key": "c2hvcnQ="}, 400),
    "a long key": ({"Sec-WebSocket-Key": "bG9uZ2VyIHRoYW4gc2l4dGVlbiBieXRlcw=="}, 400),
    "a key that is no base64": ({"Sec-WebSocket-Key": "!!!!!!!!!!!!!!!!!!!!!!=="}, 400),
    "a key without its padding": ({"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ"}, 400),
    "a key that is no ASCII": ({"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jé=="}, 400),
    "no version": ({"Sec-WebSocket-Version": None}, 426),
    "an old version": ({"Sec-WebSocket-Version": "8"}, 426),
    "a version to come": ({"Sec-WebSocket-Version": "14"}, 426),
    "two versions": ({"Sec-WebSocket-Version": "13, 8"}, 426),
    "no number of a version": ({"Sec-WebSocket-Version": "thirteen"}, 426),
}


@pytest.mark.parametrize("headers", WELCOME_HEADERS.values(), ids=WELCOME_HEADERS)
async def test_4_2_a_handshake_is_accepted(port: int, headers: dict[str, str | None]) -> None:
    """Tokens are compared without regard to case; nothing is agreed that was not understood (4.2.2)."""
    async with Wire.tcp(port) as wire:
        asked, key = request(port, headers=headers)
        answer = await wire.ask(asked)
        assert answer.status == 101
        assert answer.headers["upgrade"].lower() == "websocket"
        assert answer.headers["connection"].lower() == "upgrade"
        assert answer.headers["sec-websocket-accept"] == accept_of(key)
        assert not {"sec-websocket-extensions", "sec-websocket-protocol"} & set(answer.headers)
        await wire.echoes()


async def test_4_2_the_keys_of_the_rfc(port: int) -> None:
    """The example of section 1.3; a frame that comes with the handshake is not lost."""
    async with Wire.tcp(port) as wire:
        asked, _ = request(port, headers={"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="})
        answer = await wire.ask(asked + frame(TEXT, b"early"))
        assert answer.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert await wire.receive() == Received(TEXT, b"early")


@pytest.mark.parametrize(("headers", "status"), REFUSED_HEADERS.values(), ids=REFUSED_HEADERS)
async def test_4_2_a_handshake_is_refused(port: int, headers: dict[str, str | None], status: int) -> None:
    async with Wire.tcp(port) as wire:
        answer = await wire.ask(request(port, headers=headers)[0])
        assert answer.status == status
        assert "sec-websocket-accept" not in answer.headers
        if status == 426:
            assert answer.headers["sec-websocket-version"] == "13"  # 4.4: what is spoken here


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("POST {} HTTP/1.1", 405),
        ("PUT {} HTTP/1.1", 405),
        ("HEAD {} HTTP/1.1", 405),
        ("OPTIONS {} HTTP/1.1", 405),
        ("GET {} HTTP/1.0", 400),
        ("GET {} HTTP/0.9", 400),
        ("GET {}", 400),
    ],
)
async def test_4_2_only_get_and_http_1_1(port: int, line: str, status: int) -> None:
    async with Wire.tcp(port) as wire:
        length = {"Content-Length": "0"} if "P" in line.split()[0] else {}
        assert (await wire.ask(request(port, line=line, headers=length)[0])).status == status


async def test_4_2_the_hub_refuses_alike(server: RunningServer) -> None:
    for headers, status in REFUSED_HEADERS.values():
        async with Wire.tcp(server.port) as wire:
            assert (await wire.ask(request(server.port, SOCKET, headers=headers)[0])).status == status
    async with Wire.tcp(server.port) as wire:
        foreign = {"Origin": "https://evil.example"}
        assert (await wire.ask(request(server.port, SOCKET, headers=foreign)[0])).status == 403
