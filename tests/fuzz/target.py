"""What is fuzzed: bytes of a client, through the reader of frames and the decoder, into a connection.

The connection is the real one; the hub behind it knows the real kinds of channels and checks real bodies, but keeps
nothing and grants everything to everybody, so that most frames get as far as they can.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

import msgspec

from server.clock import SystemClock
from server.errors import Code, VouchError
from server.principals import Kind, Principal
from server.realtime import protocol as p
from server.realtime.channels import ChannelKinds, checked_body, split
from server.realtime.connection import Connection
from server.realtime.flusher import Flusher
from server.realtime.frame_reader import BINARY, CLOSE, TEXT, FrameReader, Violation, goodbye
from server.realtime.hub import Hub
from server.services import channel_kinds

PERSON = Principal(Kind.PERSON, id="p_" + "0" * 20, session="s_" + "0" * 20)
#: The server's own limit on a message, see handlers/socket.py.
MAX_MESSAGE = 2 * p.MAX_FRAME

_server_frames = msgspec.json.Decoder(p.ServerFrame)


class Answers:
    """A transport that reads what the server writes as a strict client would."""

    def __init__(self) -> None:
        self.frames: list[p.ServerFrame] = []
        self.closed: p.Close | None = None
        self.backlog = 0

    def write(self, data: bytes) -> bool:
        while data:
            assert data[0] in (0x81, 0x89), "only text and pings are written"
            size, start = data[1], 2
            if size == 126:
                size, start = int.from_bytes(data[2:4], "big"), 4
            elif size == 127:
                size, start = int.from_bytes(data[2:10], "big"), 10
            assert len(data) >= start + size
            if data[0] == 0x81:
                self.frames.append(_server_frames.decode(data[start : start + size]))
            data = data[start + size :]
        return True

    async def drained(self) -> None:
        return

    def close(self, code: int, reason: str) -> None:
        self.closed = p.Close(code)
        assert reason == self.closed.name.lower()

    def abort(self) -> None:
        raise AssertionError("nothing that a client says drops the connection without a close frame")


class OpenHub:
    """As much of a hub as a connection talks to."""

    limits_factor = 1e6
    node = "n_fuzz"
    epoch = "0" * 16
    ping_every = 25.0

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.flusher = Flusher()
        self.kinds = ChannelKinds(channel_kinds())
        self.sign_ins = self.roster = self.subscriptions = self.pages = self

    async def authenticate_token(self, token: str) -> Principal | None:
        return PERSON if token.startswith("vouch_") else None

    def enter(self, peer: Connection, principal: Principal) -> None:
        return None

    def leave(self, peer: Connection) -> None:
        return None

    def unsubscribe(self, peer: Connection, ch: str) -> None:
        peer.channels.discard(ch)

    async def subscribe(self, peer: Connection, rid: int, ch: str, after: int | None, *, same_epoch: bool) -> None:
        if self.kinds.of(ch) is None:
            raise VouchError(Code.NOT_FOUND)
        peer.channels.add(ch)
        peer.say(p.Subscribed(rid, ch, head=after or 0, n=0, gap=None if same_epoch else p.Gap.EPOCH))

    async def access(self, principal: Principal, ch: str) -> Any:
        if self.kinds.of(ch) is None:
            raise VouchError(Code.NOT_FOUND)
        return cast(Any, msgspec.defstruct("Access", [("read", bool), ("first", int)])(True, 1))

    async def page(self, ch: str, first: int, before: int | None, after: int | None, limit: int) -> p.Page:
        return p.Page(ch, head=after or before or 0, n=0, first=first, entries=[])

    async def submit_as(
        self, principal: Principal, ch: str, id: str, kind: str, body: msgspec.Raw, ref: int | None
    ) -> asyncio.Future[Any]:
        checked = checked_body(self.kinds.client_entry(ch, kind).body, body)
        entry = p.Entry(seq=1, n=1, at=0, by=principal.id, id=id, kind=kind, body=checked, ref=ref)
        assert msgspec.json.decode(msgspec.json.encode(entry), type=p.Entry) == entry
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        future.set_result(msgspec.defstruct("Accepted", [("entry", p.Entry)])(entry))
        return future

    async def signal(self, principal: Principal, ch: str, kind: str, body: msgspec.Raw) -> None:
        channel = self.kinds.of(ch)
        signal = channel.signals.get(kind) if channel else None
        if signal is None:
            raise VouchError(Code.NOT_FOUND)
        checked_body(signal, body)

    async def move_position(self, principal: Principal, ch: str, *, read: int, delivered: int) -> None:
        if split(ch)[0] != "conv":
            raise VouchError(Code.NOT_FOUND)


class Conversation:
    """One connection, from the bytes behind the handshake on. Fails on anything that is not documented."""

    def __init__(self, *, signed_in: bool) -> None:
        self.answers = Answers()
        hub = cast(Hub, OpenHub())
        self.connection = Connection(hub, self.answers, PERSON if signed_in else None, "127.0.0.1")
        self._reader = FrameReader(MAX_MESSAGE)

    async def hear(self, data: bytes) -> bool:
        """Whether the connection goes on."""
        self._reader.feed(data)
        try:
            while (message := self._reader.read()) is not None:
                if message.opcode in (TEXT, BINARY):
                    await self.say(message.data)
                elif message.opcode == CLOSE:
                    assert isinstance(message.data, bytes)
                    goodbye(message.data)
                    return False
        except Violation:
            return False
        return True

    async def say(self, data: str | bytes) -> None:
        """One message, and whatever the server has to say to it."""
        before = len(self.answers.frames)
        await self.connection.on_frame(data)
        await asyncio.sleep(0)
        self.connection.flush()
        for frame in self.answers.frames[before:]:
            assert not isinstance(frame, p.Error) or frame.code is not Code.INTERNAL, frame

    def end(self) -> None:
        self.connection.closed()
        bye = [frame for frame in self.answers.frames if isinstance(frame, p.Bye)]
        assert [frame.close for frame in bye] == ([] if self.answers.closed is None else [self.answers.closed])


async def converse(data: bytes) -> None:
    """The first byte says how the bytes are taken: bit 0, whether somebody is signed in; bit 1, whether they are frames
    of WebSocket or lines of JSON; the others, where TCP cuts them."""
    how, data = (data[0], data[1:]) if data else (0, b"")
    conversation = Conversation(signed_in=bool(how & 1))
    if how & 2:
        size = (how >> 2) + 1
        for start in range(0, len(data), size):
            if not await conversation.hear(data[start : start + size]):
                break
    else:
        await conversation.say('{"t":"hello","v":1}')
        for line in data.split(b"\n"):
            await conversation.say(line)
    conversation.end()
