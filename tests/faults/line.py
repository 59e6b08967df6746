"""One socket by hand: says a frame, waits for a frame."""

from __future__ import annotations

import asyncio
import json
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

Frame = dict[str, Any]
_PATIENCE = 10.0


class Line:
    """`async with Line(socket_url, token) as line`: said hello, and following `channels` from their first entry."""

    def __init__(self, socket_url: str, token: str, *channels: str) -> None:
        self._url = socket_url
        self._token = token
        self._channels = channels
        self._socket: ClientConnection
        self.heard: list[Frame] = []

    async def __aenter__(self) -> Self:
        self._socket = await connect(self._url, proxy=None, compression=None, ping_interval=None, close_timeout=0.2)
        await self.say(t="hello", v=1, token=self._token)
        await self.until("welcome")
        if self._channels:
            await self.say(t="subscribe", rid=1, channels=[{"ch": ch, "after": 0} for ch in self._channels])
            missing = set(self._channels)
            while missing:
                frame = await self.until("presence")
                if "online" in frame:
                    missing.discard(frame["ch"])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._socket.close()

    async def say(self, **frame: Any) -> None:
        await self._socket.send(json.dumps(frame))

    async def until(self, t: str, seconds: float = _PATIENCE, **fields: Any) -> Frame:
        """The next frame of this type with these fields; what comes before it is kept in `heard`."""
        async with asyncio.timeout(seconds):
            while True:
                frame: Frame = json.loads(await self._socket.recv())
                self.heard.append(frame)
                if frame["t"] == t and all(frame.get(name) == value for name, value in fields.items()):
                    return frame

    async def closed(self, seconds: float = _PATIENCE) -> int:
        """Waits for the end; its close code."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    self.heard.append(json.loads(await self._socket.recv()))
        except ConnectionClosed as end:
            return end.rcvd.code if end.rcvd is not None else 1006
