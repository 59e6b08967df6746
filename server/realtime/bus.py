"""The bus: how nodes tell each other of new entries and signals at once.

It may lose, double and reorder (Redis pub/sub does); the gates and the log make up for it. What it must do: `join`
returns only when the subscription is confirmed, and `on_rejoin` is called after each time that something may have been
missed. Two topics are always joined: the node's own, for what is meant for it alone, and one on which nodes greet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import msgspec
import structlog

from server.realtime.brokers import Broker, Place, broker_for
from server.realtime.bus_line import Line, ended
from server.realtime.metrics import BUS_RECONNECTS
from server.redis_url import FAULTS

log = structlog.get_logger(__name__)

_CHANNEL = b"v:"
_NODE = b"node:"
_GREETINGS = b"nodes"
_CONFIRM_WITHIN = 1.5
#: Seconds after which the places are asked for again: without a reason, while something is missing, at the soonest.
_LOOK_EVERY = 15.0
_LOOK_MISSING = 0.5
_LOOK_PAUSE = 0.2

#: (channel, node that published, payload)
Receive = Callable[[str, str, bytes], None]
#: (node that sent, payload)
ReceiveDirect = Callable[[str, bytes], None]
#: (node that greets)
Greeted = Callable[[str], None]

_frame = msgspec.msgpack.Decoder(tuple[str, list[bytes]])


class Bus(Protocol):
    async def start(
        self,
        receive: Receive,
        on_rejoin: Callable[[], None],
        *,
        on_direct: ReceiveDirect = ...,
        on_greeting: Greeted = ...,
    ) -> None: ...

    async def stop(self) -> None: ...

    async def join(self, ch: str) -> None: ...

    async def leave(self, ch: str) -> None: ...

    def publish(self, ch: str, payload: bytes) -> None:
        """To every other node that has joined the channel."""

    def send(self, node: str, payload: bytes) -> None:
        """To one node; nobody tells whether it arrived."""

    def announce(self) -> None:
        """Greets all nodes, so that a newcomer is known before its lease is read."""


class RedisBus:
    """Redis pub/sub, one topic per channel; on a cluster its sharded pub/sub, one `Line` to each primary.

    What is published within one tick goes out as one command per topic. Frames: MessagePack `[node, [payload, …]]`.
    While Redis is away this node goes on alone: publishing drops, joining waits no longer than its time-out; the sweep
    finds what other nodes have appended meanwhile.
    """

    def __init__(self, broker: Broker | str, node: str) -> None:
        self._broker = broker_for(broker) if isinstance(broker, str) else broker
        self._node = node
        self._receive: Receive = lambda ch, node, payload: None
        self._on_direct: ReceiveDirect = lambda node, payload: None
        self._on_greeting: Greeted = lambda node: None
        self._on_rejoin: Callable[[], None] = lambda: None
        #: joined topic → the line that hears it; None while nobody has it
        self._joined: dict[bytes, Line | None] = {_NODE + node.encode(): None, _GREETINGS: None}
        self._lines: dict[Place, Line] = {}
        self._confirmations: dict[bytes, asyncio.Future[None]] = {}
        #: topics that were not heard for a while; when all are heard again, `on_rejoin`
        self._missing: set[bytes] = set()
        self._doubt = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    async def start(
        self,
        receive: Receive,
        on_rejoin: Callable[[], None],
        *,
        on_direct: ReceiveDirect = lambda node, payload: None,
        on_greeting: Greeted = lambda node: None,
    ) -> None:
        self._receive, self._on_rejoin = receive, on_rejoin
        self._on_direct, self._on_greeting = on_direct, on_greeting
        for topic in self._joined:  # who is told of us may answer at once
            self._confirmations[topic] = asyncio.get_running_loop().create_future()
        waiting = list(self._confirmations.values())
        await self._look()
        if not self._missing:
            await asyncio.wait(waiting, timeout=_CONFIRM_WITHIN)
        self._keeper = asyncio.create_task(self._keep(), name="bus keeper")

    async def stop(self) -> None:
        if self._keeper is not None:
            await ended([self._keeper])
        lines, self._lines = list(self._lines.values()), {}
        await asyncio.gather(*(line.stop() for line in lines))

    async def join(self, ch: str) -> None:
        topic = _CHANNEL + ch.encode()
        if topic in self._joined and topic not in self._confirmations:
            return
        waiting = self._confirmations.get(topic)
        if waiting is None:
            waiting = self._confirmations[topic] = asyncio.get_running_loop().create_future()
            line = self._joined[topic] = self._line(topic)
            if line is not None:
                line.join(topic)
        else:
            line = self._joined[topic]
        if line is None or line.away:  # joined as soon as it is back; the sweep brings what was missed until then
            self._confirmations.pop(topic, None)
            self._missing.add(topic)
            return
        try:
            await asyncio.wait_for(asyncio.shield(waiting), _CONFIRM_WITHIN)
        except TimeoutError:
            log.warning("bus does not confirm; going on with the log alone", ch=ch)
            if self._joined.get(topic) is line:
                line.give_up()

    async def leave(self, ch: str) -> None:
        topic = _CHANNEL + ch.encode()
        if topic in self._joined:
            line = self._joined.pop(topic)
            # An unanswered one would make the next join wait for an answer that nobody has asked for.
            self._confirmations.pop(topic, None)
            if line is not None:
                line.leave(topic)
            self._found(topic)

    def publish(self, ch: str, payload: bytes) -> None:
        self._put(_CHANNEL + ch.encode(), payload)

    def send(self, node: str, payload: bytes) -> None:
        self._put(_NODE + node.encode(), payload)

    def announce(self) -> None:
        self._put(_GREETINGS, b"")

    def _put(self, topic: bytes, payload: bytes) -> None:
        line = self._line(topic)
        if line is not None:
            line.put(topic, payload)

    # ── What the lines tell ─────────────────────────────────────────────────────────────────────────────────────────

    def heard(self, topic: bytes, data: bytes) -> None:
        """A frame has come; our own come as well, and are nothing new."""
        try:
            node, payloads = _frame.decode(data)
        except msgspec.DecodeError:
            log.warning("the bus brought something that is no frame", topic=topic.decode(errors="replace"))
            return
        if node == self._node:
            return
        if topic.startswith(_CHANNEL):
            ch = topic[len(_CHANNEL) :].decode()
            for payload in payloads:
                self._receive(ch, node, payload)
        elif topic == _GREETINGS:
            self._on_greeting(node)
        else:
            for payload in payloads:
                self._on_direct(node, payload)

    def confirmed(self, line: Line, topic: bytes) -> None:
        """The server has said that from now on the topic is heard."""
        if self._joined.get(topic) is line:
            confirmation = self._confirmations.pop(topic, None)
            if confirmation is not None and not confirmation.done():
                confirmation.set_result(None)
            self._found(topic)

    def lost(self, line: Line) -> None:
        """A line's topics are not heard any more, until it has joined them again or they have moved elsewhere."""
        for topic, at in self._joined.items():
            if at is line:
                self._miss(topic)
        self.doubt()

    def doubt(self) -> None:
        """The places of the topics may have changed."""
        self._doubt.set()

    # ── Places ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _line(self, topic: bytes) -> Line | None:
        """The line that carries a topic now; None while nobody has it."""
        try:
            place = self._broker.place(topic)
        except LookupError:
            return None
        line = self._lines.get(place)
        if line is None:
            line = self._lines[place] = Line(self._broker, place, self, self._node)
        return line

    def _miss(self, topic: bytes) -> None:
        """Nobody waits for the confirmation of a topic that is away."""
        self._missing.add(topic)
        confirmation = self._confirmations.pop(topic, None)
        if confirmation is not None and not confirmation.done():
            confirmation.set_result(None)

    def _found(self, topic: bytes) -> None:
        """When the last one that was missing is heard again, or wanted by nobody, what was missed can be looked for."""
        if topic in self._missing:
            self._missing.discard(topic)
            if not self._missing:
                BUS_RECONNECTS.inc()
                self._on_rejoin()

    async def _keep(self) -> None:
        """Follows the topics as they move between places."""
        while True:
            try:
                async with asyncio.timeout(_LOOK_MISSING if self._missing else _LOOK_EVERY):
                    await self._doubt.wait()
            except TimeoutError:
                pass
            self._doubt.clear()
            try:
                await self._look()
            except Exception:
                log.exception("bus keeper failed; it goes on")
            await asyncio.sleep(_LOOK_PAUSE)

    async def _look(self) -> None:
        """Learns the places, and moves to them what is heard elsewhere."""
        try:
            await self._broker.learn()
        except FAULTS as fault:
            log.warning("bus does not find its servers", fault=type(fault).__name__)
            self.doubt()
        for topic, before in list(self._joined.items()):
            line = self._line(topic)
            if line is None:
                self._missing.add(topic)
            if line is before:
                continue
            self._joined[topic] = line
            if before is not None:
                before.leave(topic)
                self._miss(topic)
            if line is not None:
                line.join(topic)
        places = self._broker.places()
        leaving = [self._lines.pop(place) for place in list(self._lines) if place not in places]
        await asyncio.gather(*(line.stop() for line in leaving))
