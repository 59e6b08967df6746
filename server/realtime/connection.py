"""One open socket: what its client says is decoded, checked and carried out; what it is sent is gathered per tick.

The connection knows frames and rules, not sockets (that is `transport`) and not Tornado. Every command declares who may
send it (`COMMANDS`); a frame that is not understood is answered by an error with a stable code, never by a traceback.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import structlog

from server.clock import to_ms
from server.errors import Code, VouchError
from server.principals import ANONYMOUS, ANYBODY, Allow, Kind, Principal, allow
from server.realtime import protocol as p
from server.realtime.frames import PING, text_frame
from server.realtime.hub import Hub
from server.realtime.metrics import CLOSED, REFUSED
from server.realtime.transport import Transport
from server.store import StoreError

#: Frames buffered for a slow client before it is closed (resumable), in bytes, and how long a backlog may last.
MAX_BACKLOG = 1024 * 1024
MAX_BACKLOG_SECONDS = 10.0
#: Appends of one connection that may wait for the database at once.
MAX_IN_FLIGHT = 64
#: Client frames: a steady rate per second and a burst; beyond it errors, then the close code FLOOD.
FRAMES_PER_SECOND = 50.0
FRAMES_BURST = 400.0
#: Frames that are not understood before the connection is closed.
STRIKES = 20
_HEARTBEATS_MISSED = 2
#: Seconds by which a timer may come late before it says more about the server than about the client.
_LATE = 0.25

SIGNED_IN = allow(Kind.PERSON, Kind.PLATE, Kind.HANDHELD, Kind.PROVIDER, Kind.PROGRAM)

log = structlog.get_logger(__name__)


class Connection:
    """Created when a socket opens; `principal` is known already for browsers (cookie), else after `hello`."""

    __slots__ = (
        "_backlog_since",
        "_burst",
        "_claimed",
        "_epoch",
        "_frames",
        "_hello_timer",
        "_hub",
        "_in_flight",
        "_landed",
        "_pace",
        "_size",
        "_strikes",
        "_tokens",
        "_tokens_at",
        "_transport",
        "address",
        "channels",
        "closing",
        "missed",
        "opened",
        "principal",
    )

    def __init__(self, hub: Hub, transport: Transport, principal: Principal | None, address: str) -> None:
        self._hub = hub
        self._transport = transport
        self._claimed = principal
        self.principal = ANONYMOUS
        self.address = address
        self.channels: set[str] = set()
        #: nothing is sent any more
        self.closing = False
        #: heartbeats sent since the client was last heard
        self.missed = 0
        self.opened = time.monotonic()
        self._frames: list[bytes] = []
        self._size = 0
        self._backlog_since = 0.0
        self._epoch: str | None = None
        self._pace, self._burst = FRAMES_PER_SECOND * hub.limits_factor, FRAMES_BURST * hub.limits_factor
        self._tokens = self._burst
        self._tokens_at = self.opened
        self._strikes = 0
        self._in_flight = 0
        self._hello_timer = asyncio.get_running_loop().call_later(p.HELLO_WITHIN, self._hello_is_late)
        self._landed: asyncio.Event | None = None

    # ── Sending ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def send(self, frame: bytes) -> None:
        """Takes a framed message; it leaves with the others of this tick."""
        if self.closing:
            return
        if not self._frames:
            self._hub.flusher.add(self)
        self._frames.append(frame)
        self._size += len(frame)
        if self._size > MAX_BACKLOG:
            self.flush()

    def transmit(self, frame: bytes) -> None:
        """Takes framed messages; they leave at once unless others wait before them."""
        if self._frames or self.closing:
            self.send(frame)
        else:
            self._write(frame)

    def say(self, frame: p.ServerFrame) -> None:
        self.send(text_frame(p.encode(frame)))

    def flush(self) -> None:
        frames, self._frames, self._size = self._frames, [], 0
        if frames and not self.closing:
            self._write(frames[0] if len(frames) == 1 else b"".join(frames))

    def _write(self, data: bytes) -> None:
        if self._backlog_since and self._transport.backlog == 0:
            self._backlog_since = 0.0  # an earlier backlog has gone meanwhile
        if self._transport.write(data):
            self._backlog_since = 0.0
        elif self._transport.backlog > MAX_BACKLOG:
            self.close(p.Close.SLOW_CONSUMER)
        elif not self._backlog_since:
            self._backlog_since = time.monotonic()
        elif time.monotonic() - self._backlog_since > MAX_BACKLOG_SECONDS:
            self.close(p.Close.SLOW_CONSUMER)

    def beat(self) -> None:
        """The heartbeat: pings, and closes what has not answered or not read."""
        if self.missed >= _HEARTBEATS_MISSED:
            self.close(p.Close.NO_HEARTBEAT)
            self._transport.abort()
        elif (
            self._backlog_since
            and self._transport.backlog
            and time.monotonic() - self._backlog_since > MAX_BACKLOG_SECONDS
        ):
            self.close(p.Close.SLOW_CONSUMER)
        else:
            self.missed += 1
            self.send(PING)

    def _hello_is_late(self) -> None:
        """Nobody said hello in time; unless this comes late itself: then the hello may be waiting to be read, and a
        client that is told not to come back because the server is busy would be lost."""
        loop = asyncio.get_running_loop()
        if loop.time() - self._hello_timer.when() > _LATE:
            self._hello_timer = loop.call_later(_LATE, self._hello_is_late)
        elif self.principal is ANONYMOUS:
            self.close(p.Close.UNAUTHENTICATED)

    async def drained(self) -> None:
        """Waits while the client has more than half the allowed backlog; for replays. Several may wait at once: the
        first to go on sends, the others look again."""
        self.flush()
        while not self.closing and self._transport.backlog > MAX_BACKLOG // 2:
            await self._transport.drained()
            if self._transport.backlog == 0:
                self._backlog_since = 0.0
            self.flush()  # what others who were waiting too have sent since

    def close(self, code: p.Close, *, retry_after: float | None = None) -> None:
        """Says `bye` and starts the closing handshake with this code."""
        if self.closing:
            return
        CLOSED.labels(code=code.name.lower()).inc()
        log.info("socket closed by the server", code=int(code), who=self.principal.id, ip=self.address)
        if code is not p.Close.SLOW_CONSUMER:
            self.say(p.Bye(int(code), code.name.lower(), retry_after))
        self.flush()
        self.closing = True
        self._hub.leave(self)
        self._transport.close(int(code), code.name.lower())

    def abort(self) -> None:
        """Drops the socket at once, without a word."""
        self._transport.abort()

    def closed(self) -> None:
        """The socket is gone."""
        self.closing = True
        self._hello_timer.cancel()
        self._frames = []
        self._hub.leave(self)

    # ── Receiving ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def on_frame(self, data: str | bytes) -> None:
        """Carries out one client frame. The next one is read after this returns, so that order holds."""
        self.missed = 0
        if self.closing:
            return
        if len(data) > p.MAX_FRAME:
            self.close(p.Close.TOO_LARGE)
            return
        if not self._may_speak(data):
            return
        try:
            frame = p.decode(data.encode() if isinstance(data, str) else data)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as fault:
            self._not_understood(data, fault)
            return
        command = COMMANDS[type(frame)]
        try:
            command.allow.check(self.principal)
            await command.run(self, frame)
        except VouchError as fault:
            self._refuse(frame, fault)
        except StoreError as fault:
            log.warning("database away during a frame", frame=type(frame).__name__, fault=type(fault).__name__)
            self._refuse(frame, VouchError(Code.TRY_LATER, retry_after=1.0))
        except Exception:
            log.exception("frame failed", frame=type(frame).__name__)
            self._refuse(frame, VouchError(Code.INTERNAL))

    def on_overhead(self, frames: int) -> None:
        """Counts frames that bring no message (pings, pongs, fragments): signs of life, but not without end."""
        self.missed = 0
        if not self.closing:
            self._spend(frames)

    def _spend(self, frames: int) -> float:
        """Takes frames from the allowance; what is left of it. Far below zero the connection is closed."""
        now = time.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._tokens_at) * self._pace) - frames
        self._tokens_at = now
        if self._tokens < -self._burst:
            self.close(p.Close.FLOOD, retry_after=5.0)
        return self._tokens

    def _may_speak(self, data: str | bytes) -> bool:
        if self._spend(1) >= 0:
            return True
        if not self.closing:
            REFUSED.labels(code=Code.TOO_OFTEN).inc()
            answer, wait = _correlated(data), -self._tokens / self._pace
            self.say(p.Error(Code.TOO_OFTEN, "Too many frames.", rid=answer.rid, id=answer.id, retry_after=wait))
        return False

    def _not_understood(self, data: str | bytes, fault: Exception) -> None:
        code = Code.UNKNOWN_FRAME if "at `$.t`" in str(fault) else Code.MALFORMED
        REFUSED.labels(code=code).inc()
        self._strikes += 1
        if self._strikes > STRIKES:
            self.close(p.Close.MALFORMED)
            return
        answer = _correlated(data)
        message = str(fault) if isinstance(fault, msgspec.ValidationError) else "This is not JSON."
        self.say(p.Error(code, message, rid=answer.rid, id=answer.id))

    def _refuse(self, frame: p.ClientFrame, fault: VouchError) -> None:
        REFUSED.labels(code=fault.code).inc()
        if isinstance(frame, p.Hello) or self.principal is ANONYMOUS:
            transient = fault.code in (Code.TRY_LATER, Code.INTERNAL)
            close = p.Close.TRY_LATER if transient else p.Close.UNAUTHENTICATED
            self.close(p.Close.OUT_OF_ORDER if not isinstance(frame, p.Hello) else close)
            return
        self.say(
            p.Error(
                fault.code,
                fault.message,
                rid=getattr(frame, "rid", None),
                id=getattr(frame, "id", None),
                ch=getattr(frame, "ch", None),
                field=fault.field,
                retry_after=fault.retry_after,
            )
        )

    # ── Commands ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def hello(self, frame: p.Hello) -> None:
        if self.principal is not ANONYMOUS:
            self.close(p.Close.OUT_OF_ORDER)
            return
        if frame.v != p.VERSION:
            self.close(p.Close.UNSUPPORTED_VERSION)
            return
        self._hello_timer.cancel()  # it has come; how long the answer takes is not the client's fault
        principal = self._claimed if frame.token is None else await self._hub.sign_ins.authenticate_token(frame.token)
        if self.closing:  # gone while its token was looked up: nobody would ever take it off the roster
            return
        if principal is None or not SIGNED_IN.permits(principal):
            self.close(p.Close.UNAUTHENTICATED)
            return
        if (refused := self._hub.roster.enter(self, principal)) is not None:
            self.close(refused, retry_after=30.0 if refused is p.Close.TOO_MANY_CONNECTIONS else 0.5)
            return
        self.principal = principal
        self._epoch = frame.epoch
        self.say(
            p.Welcome(
                v=p.VERSION,
                epoch=self._hub.epoch,
                node=self._hub.node,
                who=principal.id,
                kind=principal.kind,
                at=to_ms(self._hub.clock.now()),
                ping_every=self._hub.ping_every,
            )
        )

    async def subscribe(self, frame: p.Subscribe) -> None:
        # In slices, so that a client with many channels neither waits for each nor takes the whole database.
        for start in range(0, len(frame.channels), 16):
            slice_ = frame.channels[start : start + 16]
            await asyncio.gather(*(self._subscribe_one(frame.rid, want) for want in slice_))

    async def _subscribe_one(self, rid: int, want: p.Want) -> None:
        try:
            same_epoch = self._epoch in (None, self._hub.epoch)
            await self._hub.subscriptions.subscribe(self, rid, want.ch, want.after, same_epoch=same_epoch)
        except VouchError as fault:
            self.say(p.Refused(rid, want.ch, fault.code))
        except StoreError:
            self.say(p.Refused(rid, want.ch, Code.TRY_LATER))

    async def unsubscribe(self, frame: p.Unsubscribe) -> None:
        for ch in frame.channels:
            self._hub.subscriptions.unsubscribe(self, ch)
        self.say(p.Unsubscribed(frame.rid))

    async def append(self, frame: p.Append) -> None:
        while self._in_flight >= MAX_IN_FLIGHT:
            self._landed = asyncio.Event()
            await self._landed.wait()
        future = await self._hub.submit_as(self.principal, frame.ch, frame.id, frame.kind, frame.body, frame.ref)
        self._in_flight += 1
        future.add_done_callback(lambda done: self._landing(frame, done))

    def _landing(self, frame: p.Append, done: asyncio.Future[Any]) -> None:
        self._in_flight -= 1
        if self._landed is not None:
            self._landed.set()
            self._landed = None
        if self.closing or done.cancelled():
            return
        fault = done.exception()
        if fault is None:
            entry: p.Entry = done.result().entry
            self.say(p.Ack(frame.id, frame.ch, entry.seq, entry.n, entry.at))
        else:
            self._refuse(frame, fault if isinstance(fault, VouchError) else VouchError(Code.TRY_LATER))

    async def signal(self, frame: p.Signal) -> None:
        await self._hub.signal(self.principal, frame.ch, frame.kind, frame.body)

    async def position(self, frame: p.Position) -> None:
        await self._hub.move_position(self.principal, frame.ch, read=frame.read or 0, delivered=frame.delivered or 0)

    async def history(self, frame: p.History) -> None:
        access = await self._hub.access(self.principal, frame.ch)
        if not access.read:
            raise VouchError(Code.NOT_FOUND)
        page = await self._hub.pages.page(frame.ch, access.first, frame.before, frame.after, frame.limit)
        self.say(p.PageEvent(frame.rid, page))

    async def ping(self, frame: p.Ping) -> None:
        self.say(p.Pong(frame.rid, to_ms(self._hub.clock.now())))


class _Correlated(msgspec.Struct):
    """What of a frame that was not understood can still be answered to."""

    rid: p.RequestId | None = None
    id: str | None = None


def _correlated(data: str | bytes) -> _Correlated:
    try:
        return msgspec.json.decode(data, type=_Correlated)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return _Correlated()


class Command(msgspec.Struct, frozen=True):
    """Who may send a frame, and what it does."""

    allow: Allow
    run: Callable[[Connection, Any], Awaitable[None]]


COMMANDS: dict[type, Command] = {
    p.Hello: Command(ANYBODY, Connection.hello),
    p.Subscribe: Command(SIGNED_IN, Connection.subscribe),
    p.Unsubscribe: Command(SIGNED_IN, Connection.unsubscribe),
    p.Append: Command(SIGNED_IN, Connection.append),
    p.Signal: Command(SIGNED_IN, Connection.signal),
    p.Position: Command(SIGNED_IN, Connection.position),
    p.History: Command(SIGNED_IN, Connection.history),
    p.Ping: Command(SIGNED_IN, Connection.ping),
}
