"""One line of the bus: both directions between this node and one Redis server, alive or joining again."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import msgspec
import redis.asyncio as redis
import structlog

from server.realtime.brokers import Broker, Place, has_moved
from server.redis_url import FAULTS

log = structlog.get_logger(__name__)

#: A frame on the wire is closed when it has grown to this many bytes.
_FRAME_BYTES = 256 * 1024
#: What waits for a server that does not answer; beyond this it is dropped, the log has it.
_WAITING_BYTES = 16 * 1024 * 1024
#: Seconds of silence after which the server is asked whether it is there, and after which it is not.
_PING_EVERY = 3.0
_SILENCE = 9.0
_LONGEST_PAUSE = 2.0
_LAST_WORDS = 0.5

_encode = msgspec.msgpack.Encoder().encode


class Listener(Protocol):
    """Who is told what happens on a line."""

    def heard(self, topic: bytes, data: bytes, /) -> None: ...

    def confirmed(self, line: Line, topic: bytes, /) -> None: ...

    def lost(self, line: Line, /) -> None: ...

    def doubt(self) -> None: ...


class Line:
    """Keeps one subscription and one connection for publishing to a place."""

    def __init__(self, broker: Broker, place: Place, listener: Listener, node: str) -> None:
        self._broker = broker
        self._listener = listener
        self._node = node
        self._hearing = broker.listener(place)
        self._telling = broker.publisher(place)
        #: True from the loss of the subscription until it is there again
        self.away = False
        self._topics: set[bytes] = set()
        #: topics that came or went since the server was last told
        self._changed: set[bytes] = set()
        self._change = asyncio.Event()
        #: subscriptions that the server has yet to confirm: only the last answer counts
        self._asked: Counter[bytes] = Counter()
        self._outgoing: dict[bytes, list[bytes]] = {}
        self._waiting = 0
        self._flush = asyncio.Event()
        self._sent = asyncio.Event()
        self._sent.set()
        #: the present subscription, and whether somebody has waited for an answer on it in vain
        self._session: asyncio.Task[None] | None = None
        self._given_up = False
        self._tasks = [
            asyncio.create_task(self._listen(), name="bus listener"),
            asyncio.create_task(self._send(), name="bus sender"),
        ]

    async def stop(self) -> None:
        """The last words still go out, if the server takes them at once."""
        try:
            async with asyncio.timeout(_LAST_WORDS):
                await self._sent.wait()
        except TimeoutError:
            pass
        await ended(self._tasks)
        await self._hearing.aclose()
        await self._telling.aclose()

    def join(self, topic: bytes) -> None:
        self._topics.add(topic)
        self._changed.add(topic)
        self._change.set()

    def leave(self, topic: bytes) -> None:
        self._topics.discard(topic)
        self._changed.add(topic)
        self._change.set()

    def give_up(self) -> None:
        """The server does not answer: it is away from now on, and the subscription is made anew."""
        if self._session is not None and not self.away:
            self._given_up = True
            self._lose()
            self._session.cancel()

    # ── Telling ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def put(self, topic: bytes, payload: bytes) -> None:
        self._waiting += len(payload)
        if self._waiting > _WAITING_BYTES:
            self._waiting -= len(payload)
            return
        self._outgoing.setdefault(topic, []).append(payload)
        self._sent.clear()
        self._flush.set()

    async def _send(self) -> None:
        while True:
            await self._flush.wait()
            self._flush.clear()
            batch, self._outgoing, self._waiting = self._outgoing, {}, 0
            frames = [(topic, frame) for topic, payloads in batch.items() for frame in self._frames(payloads)]
            try:
                try:
                    await self._publish(frames)
                except FAULTS:  # a connection that was lost while idle is noticed only now; gates let through once
                    await self._publish(frames)
            except FAULTS as fault:
                log.warning("bus cannot publish; other nodes will find it in the log", fault=type(fault).__name__)
                self._listener.doubt()
                await asyncio.sleep(0.2)
            except Exception:
                log.exception("bus sender failed; it goes on")
            if not self._outgoing:
                self._sent.set()

    def _frames(self, payloads: list[bytes]) -> Iterator[bytes]:
        start = size = 0
        for index, payload in enumerate(payloads):
            if size and size + len(payload) > _FRAME_BYTES:
                yield _encode((self._node, payloads[start:index]))
                start, size = index, 0
            size += len(payload)
        yield _encode((self._node, payloads[start:]))

    async def _publish(self, frames: Iterable[tuple[bytes, bytes]]) -> None:
        async with self._telling.pipeline(transaction=False) as pipe:
            for topic, frame in frames:
                self._broker.publish(pipe, topic, frame)
            answers = await pipe.execute(raise_on_error=False)
        refused = [answer for answer in answers if isinstance(answer, Exception)]
        if refused:
            log.warning("bus does not publish everything", refused=len(refused), fault=type(refused[0]).__name__)
            if any(has_moved(fault) for fault in refused):
                self._listener.doubt()

    # ── Hearing ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _listen(self) -> None:
        """Keeps one subscription alive; after each loss joins everything again."""
        pause = 0.1
        while True:
            while not self._topics:  # nothing to hear: without a topic there is no subscription
                self._change.clear()
                await self._change.wait()
            pubsub = self._hearing.pubsub()
            changer: asyncio.Task[None] | None = None
            try:
                self._asked.clear()
                self._changed.clear()
                await self._subscribe(pubsub, self._topics)
                changer = asyncio.create_task(self._tell_changes(pubsub), name="bus changes")
                self._given_up = False
                self._session = asyncio.create_task(self._hear(pubsub, changer), name="bus session")
                await asyncio.wait([self._session])
                if not self._session.cancelled():
                    self._session.result()
                elif self._given_up:
                    raise TimeoutError("the server does not answer")
                pause = 0.1
            except FAULTS as fault:
                log.warning("bus lost; joining again", fault=type(fault).__name__)
                pause = 0.1 if not self.away else min(pause * 2, _LONGEST_PAUSE)
                self._lose()
            except Exception:
                log.exception("bus listener failed; joining again")
                pause = min(pause * 2, _LONGEST_PAUSE)
                self._lose()
            finally:
                await ended([task for task in (self._session, changer) if task is not None])
                self._session = None
                await asyncio.gather(pubsub.aclose(), return_exceptions=True)  # type: ignore[no-untyped-call]
            await asyncio.sleep(pause)

    def _lose(self) -> None:
        self.away = True
        self._listener.lost(self)

    async def _hear(self, pubsub: redis.client.PubSub, changer: asyncio.Task[None]) -> None:
        """Returns when nothing is left to be heard. Raises `FAULTS` when the server is lost or has lost a topic."""
        said, joined, left = self._broker.words
        loop = asyncio.get_running_loop()
        heard_at = loop.time()
        while self._topics:
            message: dict[str, Any] | None = await pubsub.get_message(timeout=_PING_EVERY)
            if self._given_up:
                raise TimeoutError("the server does not answer")
            if changer.done():
                changer.result()
            if message is None:
                if loop.time() - heard_at > _SILENCE:
                    raise TimeoutError("the server has fallen silent")
                await pubsub.ping()
                continue
            heard_at = loop.time()
            topic, kind = message["channel"], message["type"]
            if kind == said:
                self._listener.heard(topic, message["data"])
            elif kind == joined:
                self.away = False
                self._asked[topic] -= 1
                if self._asked[topic] <= 0:
                    del self._asked[topic]
                    if topic in self._topics:
                        self._listener.confirmed(self, topic)
            elif kind == left and topic in self._topics and not self._asked[topic]:
                raise ConnectionError("a topic has moved to another server")

    async def _tell_changes(self, pubsub: redis.client.PubSub) -> None:
        """Subscribes and unsubscribes as channels come and go, many at a time."""
        while True:
            await self._change.wait()
            self._change.clear()
            changed, self._changed = self._changed, set()
            if joins := changed & self._topics:
                await self._subscribe(pubsub, joins)
            if leaves := changed - self._topics:
                await self._broker.unsubscribe(pubsub, sorted(leaves))

    async def _subscribe(self, pubsub: redis.client.PubSub, topics: set[bytes]) -> None:
        self._asked.update(topics)
        await self._broker.subscribe(pubsub, sorted(topics))


async def ended(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancels until they have ended. Asked more than once: Python 3.11's wait_for, inside the Redis client, can swallow
    a cancellation.
    """
    tasks = list(tasks)
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=0.1)
    await asyncio.gather(*tasks, return_exceptions=True)
