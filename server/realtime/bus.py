"""The bus: how nodes tell each other of new entries and signals at once.

It may lose, double and reorder (Redis pub/sub does); the gates and the log make up for it. What it must do: `join`
returns only when the subscription is confirmed, and `on_rejoin` is called after each time that something may have been
missed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import redis.asyncio as redis
import structlog
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from server.realtime.metrics import BUS_RECONNECTS

log = structlog.get_logger(__name__)

_PREFIX = b"v:"
_CONFIRM_WITHIN = 5.0
_FAULTS = (RedisError, OSError, asyncio.TimeoutError)

#: (channel, node that published, payload)
Receive = Callable[[str, str, bytes], None]


class Bus(Protocol):
    async def start(self, receive: Receive, on_rejoin: Callable[[], None]) -> None: ...
    async def stop(self) -> None: ...
    async def join(self, ch: str) -> None: ...
    async def leave(self, ch: str) -> None: ...
    def publish(self, ch: str, payload: bytes) -> None: ...


class RedisBus:
    """Redis pub/sub, one topic per channel. Frames: node name, NUL, payload.

    While Redis is away this node goes on alone: publishing drops, joining waits no longer than its time-out; the sweep
    finds what other nodes have appended meanwhile.
    """

    def __init__(self, url: str, node: str) -> None:
        # No silent reconnects: each loss must be noticed, because messages may have been missed.
        self._redis = redis.Redis.from_url(url, socket_connect_timeout=5.0, retry=Retry(NoBackoff(), 0))
        self._node = node.encode()
        self._receive: Receive = lambda ch, node, payload: None
        self._on_rejoin: Callable[[], None] = lambda: None
        self._joined: set[bytes] = set()
        self._away = False
        self._confirmations: dict[bytes, asyncio.Future[None]] = {}
        self._changes: asyncio.Queue[tuple[bool, bytes]] = asyncio.Queue()
        self._outgoing: list[tuple[bytes, bytes]] = []
        self._flush = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, receive: Receive, on_rejoin: Callable[[], None]) -> None:
        self._receive, self._on_rejoin = receive, on_rejoin
        self._tasks = [
            asyncio.create_task(self._listen(), name="bus listener"),
            asyncio.create_task(self._send(), name="bus sender"),
        ]

    async def stop(self) -> None:
        # Asked more than once: Python 3.11's wait_for, inside the Redis client, can swallow a cancellation.
        while pending := [task for task in self._tasks if not task.done()]:
            for task in pending:
                task.cancel()
            await asyncio.wait(pending, timeout=0.1)
        await self._redis.aclose()

    async def join(self, ch: str) -> None:
        topic = _PREFIX + ch.encode()
        if topic in self._joined and topic not in self._confirmations:
            return
        self._joined.add(topic)
        waiting = self._confirmations.get(topic)
        if waiting is None:
            waiting = self._confirmations[topic] = asyncio.get_running_loop().create_future()
            self._changes.put_nowait((True, topic))
        if self._away:  # joined again as soon as it is back; the sweep brings what was missed until then
            return
        try:
            await asyncio.wait_for(asyncio.shield(waiting), _CONFIRM_WITHIN)
        except TimeoutError:
            log.warning("bus does not confirm; going on with the log alone", ch=ch)

    async def leave(self, ch: str) -> None:
        topic = _PREFIX + ch.encode()
        if topic in self._joined:
            self._joined.discard(topic)
            # An unanswered one would make the next join wait for an answer that nobody has asked for.
            self._confirmations.pop(topic, None)
            self._changes.put_nowait((False, topic))

    def publish(self, ch: str, payload: bytes) -> None:
        if len(self._outgoing) < 50_000:
            self._outgoing.append((_PREFIX + ch.encode(), self._node + b"\0" + payload))
            self._flush.set()

    async def _send(self) -> None:
        while True:
            await self._flush.wait()
            self._flush.clear()
            batch, self._outgoing = self._outgoing[:1_000], self._outgoing[1_000:]
            if self._outgoing:
                self._flush.set()
            try:
                try:
                    await self._publish(batch)
                except _FAULTS:  # a connection that was lost while idle is noticed only now; gates let through once
                    await self._publish(batch)
            except _FAULTS as fault:
                log.warning("bus cannot publish; other nodes will find it in the log", fault=type(fault).__name__)
                await asyncio.sleep(0.2)
            except Exception:
                log.exception("bus sender failed; it goes on")

    async def _publish(self, batch: list[tuple[bytes, bytes]]) -> None:
        async with self._redis.pipeline(transaction=False) as pipe:
            for topic, payload in batch:
                pipe.publish(topic, payload)
            await pipe.execute()

    async def _listen(self) -> None:
        """Keeps one subscription alive; after each loss joins everything again and then tells the hub."""
        pause = 0.1
        while True:
            pubsub = self._redis.pubsub()
            changer: asyncio.Task[None] | None = None
            try:
                # A topic of our own keeps the connection subscribed while no channel is.
                await pubsub.subscribe(_PREFIX + b"node:" + self._node, *self._joined)
                changer = asyncio.create_task(self._change(pubsub))
                missing = set(self._joined)
                rejoining, self._away, pause = self._away, False, 0.1
                if rejoining:
                    BUS_RECONNECTS.inc()
                while True:
                    if rejoining:
                        missing &= self._joined  # some may have been left before they were confirmed
                        if not missing:
                            rejoining = False
                            self._on_rejoin()
                    message = await pubsub.get_message(timeout=1.0)
                    if changer.done():
                        changer.result()
                    if message is None:
                        continue
                    topic = message["channel"]
                    if message["type"] == "subscribe":
                        missing.discard(topic)
                        confirmation = self._confirmations.pop(topic, None)
                        if confirmation is not None and not confirmation.done():
                            confirmation.set_result(None)
                    elif message["type"] == "message":
                        node, _, payload = message["data"].partition(b"\0")
                        if node != self._node:
                            self._receive(topic[len(_PREFIX) :].decode(), node.decode(), payload)
            except _FAULTS as fault:
                log.warning("bus lost; joining again", fault=type(fault).__name__)
                self._lost()
                await asyncio.sleep(pause)
                pause = min(pause * 2, 2.0)
            except Exception:
                log.exception("bus listener failed; joining again")
                self._lost()
                await asyncio.sleep(pause)
                pause = min(pause * 2, 2.0)
            finally:
                if changer is not None:
                    changer.cancel()
                    await asyncio.gather(changer, return_exceptions=True)
                await asyncio.gather(pubsub.aclose(), return_exceptions=True)  # type: ignore[no-untyped-call]

    def _lost(self) -> None:
        """Nobody waits for confirmations of a bus that is away."""
        self._away = True
        waiting, self._confirmations = self._confirmations, {}
        for confirmation in waiting.values():
            if not confirmation.done():
                confirmation.set_result(None)

    async def _change(self, pubsub: redis.client.PubSub) -> None:
        """Subscribes and unsubscribes as channels come and go, many at a time."""
        while True:
            changes = [await self._changes.get()]
            while not self._changes.empty():
                changes.append(self._changes.get_nowait())
            wanted = {topic for _, topic in changes}
            joins = [topic for topic in wanted if topic in self._joined]
            leaves = [topic for topic in wanted if topic not in self._joined]
            if joins:
                await pubsub.subscribe(*joins)
            if leaves:
                await pubsub.unsubscribe(*leaves)
