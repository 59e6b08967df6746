"""The gates of this node: opened when somebody first needs a channel, closed a while after nobody does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator

import msgspec

from server.clock import from_ms, to_ms
from server.realtime.appender import Appender
from server.realtime.bus import Bus
from server.realtime.channels import ChannelKinds
from server.realtime.entries import EntryLog, Head
from server.realtime.gate import Gate
from server.realtime.metrics import GATES
from server.realtime.presence import PresenceBoard
from server.realtime.protocol import Entry

#: Seconds for which a gate without subscribers stays, so that a reconnect finds its ring.
LINGER = 60.0


class Gates:
    """`passed(gate, entry)` is called for each entry that goes through any of them, `later(gate)` when a gate has
    frames for its subscribers, `opened(ch, head)` when one opens."""

    def __init__(
        self,
        log: EntryLog,
        bus: Bus,
        kinds: ChannelKinds,
        presence: PresenceBoard,
        appender: Appender,
        passed: Callable[[Gate, Entry], None],
        later: Callable[[Gate], None],
        opened: Callable[[str, int], None],
    ) -> None:
        self._log = log
        self._bus = bus
        self._kinds = kinds
        self._presence = presence
        self._appender = appender
        self._passed = passed
        self._later = later
        self._opened = opened
        self._gates: dict[str, Gate] = {}
        self._opening: dict[str, asyncio.Task[Gate]] = {}
        self._janitor: asyncio.Task[None] | None = None

    def __iter__(self) -> Iterator[Gate]:
        return iter(list(self._gates.values()))

    def get(self, ch: str) -> Gate | None:
        """The gate, which may still be opening."""
        return self._gates.get(ch)

    def live(self, ch: str) -> Gate | None:
        """The gate if it is open: what it knows of the channel is then as fresh as the bus."""
        gate = self._gates.get(ch)
        return gate if gate is not None and gate.is_open else None

    async def open(self, ch: str) -> Gate:
        """The channel's gate, open. Order: join the bus, confirmed; then read the head; then go live."""
        if (gate := self.live(ch)) is not None:
            gate.idle_since = time.monotonic()  # else it could be closed under whoever has just asked for it
            return gate
        if (task := self._opening.get(ch)) is None:
            task = self._opening[ch] = asyncio.create_task(self._open(ch), name="gate opening")
            task.add_done_callback(lambda _: self._opening.pop(ch, None))
        return await asyncio.shield(task)

    async def _open(self, ch: str) -> Gate:
        gate = self._gates[ch] = Gate(ch, self._log.read, self._passed, self._later, self._kinds.withheld)
        gate.idle_since = time.monotonic()
        try:
            await self._bus.join(ch)
            head = await self.head(ch)
            kind = self._kinds.of(ch)
            if kind is not None and kind.presence:
                await self._presence.load(ch)
        except BaseException:
            self._gates.pop(ch, None)
            await self._bus.leave(ch)
            raise
        GATES.set(len(self._gates))
        gate.open_at(head.seq, head.n, to_ms(head.at) if head.at else 0)
        self._opened(ch, head.seq)
        return gate

    async def head(self, ch: str) -> Head:
        """The channel's head: from the gate when it is open, else searched upwards from what this node last saw."""
        if (gate := self.live(ch)) is not None:
            return Head(gate.delivered, gate.n, from_ms(gate.at) if gate.delivered else None)
        return await self.log_head(ch)

    async def log_head(self, ch: str) -> Head:
        """The head as the log has it, whatever the gate has heard."""
        cached = self._appender.cached_head(ch)
        head = await self._log.head(ch, None if cached is None else msgspec.structs.replace(cached))
        self._appender.seen(ch, head)
        return head

    async def reach(self, gate: Gate, seq: int) -> None:
        """Brings a gate to a number that somebody claims to have seen, most likely through another node while the bus
        lost what that one told. Without effect when the log ends before it.
        """
        if seq > gate.delivered:
            head = await self._log.head(gate.ch, Head(gate.delivered, gate.n))
            await gate.reach(head.seq)

    def start(self) -> None:
        self._janitor = asyncio.create_task(self._tidy(), name="gate janitor")

    async def stop(self) -> None:
        if self._janitor is not None:
            self._janitor.cancel()
            await asyncio.gather(self._janitor, return_exceptions=True)
        for gate in self:
            gate.close()

    async def _tidy(self) -> None:
        """Closes gates that nobody has used for a while, and has who may do what asked again."""
        while True:
            await asyncio.sleep(LINGER / 2)
            now = time.monotonic()
            for gate in self:
                gate.changed()
                if not gate.subscribers and not gate.pins and gate.is_open and now - gate.idle_since > LINGER:
                    del self._gates[gate.ch]
                    gate.close()
                    self._presence.forget(gate.ch)
                    await self._bus.leave(gate.ch)
            GATES.set(len(self._gates))
