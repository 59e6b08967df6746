"""People who send: registered over HTTP, connected over sockets, in conversations of their own."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from websockets.asyncio.client import ClientConnection, connect

_PASSWORD = secrets.token_urlsafe(16)
#: bytes of the text of one message
TEXT_BYTES = 200


class _Frame(msgspec.Struct):
    """Of what the server says, only what is measured."""

    t: str
    id: str = ""
    code: str = ""


_frames = msgspec.json.Decoder(_Frame)


class Sender:
    """One person on one socket. `latencies` are seconds from sending to acknowledgement, in order of the latter."""

    def __init__(self, connection: ClientConnection, channel: str) -> None:
        self._connection = connection
        self._channel = channel
        self._text = "x" * TEXT_BYTES
        self._sent: dict[str, float] = {}
        self._room = asyncio.Condition()
        self.latencies: list[float] = []
        self.refused: dict[str, int] = {}

    async def all_acknowledged(self) -> None:
        """Returns when nothing that was sent waits for its acknowledgement."""
        async with self._room:
            await self._room.wait_for(lambda: not self._sent)

    async def send(self) -> None:
        id = secrets.token_urlsafe(16)
        frame = {"t": "append", "id": id, "ch": self._channel, "kind": "message", "body": {"text": self._text}}
        self._sent[id] = time.perf_counter()
        await self._connection.send(json.dumps(frame))

    async def send_keeping(self, window: int, until: float) -> None:
        """Sends as fast as acknowledgements come, with at most `window` of them outstanding."""
        while time.perf_counter() < until:
            async with self._room:
                await self._room.wait_for(lambda: len(self._sent) < window)
            await self.send()

    async def listen(self) -> None:
        """Takes acknowledgements until the connection ends."""
        async for message in self._connection:
            frame = _frames.decode(message)
            if frame.t not in ("ack", "error") or frame.id not in self._sent:
                continue
            began = self._sent.pop(frame.id)
            if frame.t == "ack":
                self.latencies.append(time.perf_counter() - began)
            else:
                self.refused[frame.code] = self.refused.get(frame.code, 0) + 1
            async with self._room:
                self._room.notify_all()


async def _register(url: str) -> tuple[str, str]:
    """A new person with a conversation of their own: the cookies, and the channel."""
    client = AsyncHTTPClient()
    cookies: dict[str, str] = {}

    async def call(method: str, path: str, body: object = None) -> dict[str, object]:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
        headers |= {"Content-Type": "application/json", "X-XSRFToken": cookies.get("_xsrf", "")}
        data = json.dumps(body) if body is not None else None
        answer = await client.fetch(HTTPRequest(url + path, method, headers, data), raise_error=body is not None)
        for line in answer.headers.get_list("Set-Cookie"):
            name, _, value = line.split(";")[0].partition("=")
            cookies[name] = value.strip('"')
        return dict(json.loads(answer.body))

    await call("GET", "/api/v1/me")  # sets the XSRF cookie
    handle = "b" + secrets.token_hex(8)
    await call("POST", "/api/v1/registrations", {"handle": handle, "password": _PASSWORD, "name": handle})
    group = {"kind": "group", "title": handle, "members": [], "key": secrets.token_urlsafe(16), "share_history": False}
    conversation = await call("POST", "/api/v1/conversations", group)
    return "; ".join(f"{name}={value}" for name, value in cookies.items()), str(conversation["ch"])


@asynccontextmanager
async def senders(url: str, count: int) -> AsyncIterator[list[Sender]]:
    """`count` people, connected and welcomed; their sockets are closed at the end."""
    known = [await _register(url) for _ in range(count)]
    async with AsyncExitStack() as stack:
        found: list[Sender] = []
        for cookie, channel in known:
            connection = await stack.enter_async_context(
                connect(
                    url.replace("http", "ws", 1) + "/api/v1/socket",
                    additional_headers={"Cookie": cookie},
                    compression=None,
                    ping_interval=None,
                )
            )
            await connection.send(json.dumps({"t": "hello", "v": 1}))
            while _frames.decode(await connection.recv()).t != "welcome":
                continue
            found.append(Sender(connection, channel))
        listening = [asyncio.create_task(sender.listen()) for sender in found]
        yield found
        for task in listening:
            task.cancel()
        await asyncio.gather(*listening, return_exceptions=True)
