"""What carries the bus: one Redis, or a cluster of them whose sharded pub/sub spreads the topics over its primaries.

A broker knows at which place a topic is published and heard, and the commands for both. Everything else (who has joined
what, what was confirmed, what is done when a place is lost) is the bus's, and the same for every broker.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Sequence
from itertools import groupby
from typing import Any, Protocol

import redis.asyncio as redis
from redis.crc import key_slot
from redis.exceptions import MovedError, RedisError

from server.redis_url import FAULTS, RedisUrl

#: Host and port of a primary; None is the only server.
Place = tuple[str, int] | None
#: Seconds for the answer to a command; listening waits for ever.
_ANSWER_WITHIN = 2.0


class Broker(Protocol):
    #: what the server calls a message, and the confirmation of a subscription and of its end
    words: tuple[str, str, str]

    async def learn(self) -> None:
        """Finds out which place has which topics. Raises `FAULTS` when nobody can be asked."""

    def places(self) -> set[Place]: ...

    def place(self, topic: bytes) -> Place:
        """Where the topic is. Raises LookupError while nobody has it."""

    def listener(self, place: Place) -> redis.Redis: ...

    def publisher(self, place: Place) -> redis.Redis: ...

    async def subscribe(self, pubsub: redis.client.PubSub, topics: Sequence[bytes]) -> None: ...

    async def unsubscribe(self, pubsub: redis.client.PubSub, topics: Sequence[bytes]) -> None: ...

    def publish(self, pipe: redis.client.Pipeline, topic: bytes, frame: bytes) -> None: ...


def broker_for(url: str) -> Broker:
    parsed = RedisUrl(url)
    return ClusterBroker(parsed) if parsed.cluster else PlainBroker(parsed)


class PlainBroker:
    """One server has everything."""

    words = ("message", "subscribe", "unsubscribe")

    def __init__(self, url: RedisUrl) -> None:
        self._url = url

    async def learn(self) -> None:
        """There is nothing to learn."""

    def places(self) -> set[Place]:
        return {None}

    def place(self, topic: bytes) -> Place:
        return None

    def listener(self, place: Place) -> redis.Redis:
        return self._url.server()

    def publisher(self, place: Place) -> redis.Redis:
        return self._url.server(socket_timeout=_ANSWER_WITHIN)

    async def subscribe(self, pubsub: redis.client.PubSub, topics: Sequence[bytes]) -> None:
        await pubsub.subscribe(*topics)

    async def unsubscribe(self, pubsub: redis.client.PubSub, topics: Sequence[bytes]) -> None:
        await pubsub.unsubscribe(*topics)

    def publish(self, pipe: redis.client.Pipeline, topic: bytes, frame: bytes) -> None:
        pipe.publish(topic, frame)


class ClusterBroker:
    """A topic lives in the hash slot of its name, at the primary that has this slot now.

    Connections of our own to each primary, because redis-py's cluster client polls its subscriptions in turn and moves
    them between nodes silently: the bus must know of each moment in which it did not hear.
    """

    words = ("smessage", "ssubscribe", "sunsubscribe")

    def __init__(self, url: RedisUrl) -> None:
        self._url = url
        self._starts: list[int] = []  # first slots of the ranges, ascending; their ends and owners beside
        self._ranges: list[tuple[int, tuple[str, int]]] = []

    async def learn(self) -> None:
        """Asks the nodes that are known, then the seeds, for the slots; the first answer counts."""
        known = {place for _, place in self._ranges}
        fault: BaseException = RedisError("no node of the cluster is known")
        for place in [*known, *(seed for seed in self._url.seeds if seed not in known)]:
            client = self._url.server(place, socket_timeout=_ANSWER_WITHIN)
            try:
                async with asyncio.timeout(2 * _ANSWER_WITHIN):
                    slots: list[list[Any]] = await client.cluster("SLOTS")
            except FAULTS as refused:
                fault = refused
                continue
            finally:
                await client.aclose()
            rows = sorted((first, last, _address(primary, place)) for first, last, primary, *_ in slots)
            if rows:
                self._starts = [first for first, _, _ in rows]
                self._ranges = [(last, owner) for _, last, owner in rows]
                return
        raise fault

    def places(self) -> set[Place]:
        return {place for _, place in self._ranges}

    def place(self, topic: bytes) -> Place:
        slot = key_slot(topic)
        index = bisect_right(self._starts, slot) - 1
        if index >= 0 and slot <= self._ranges[index][0]:
            return self._ranges[index][1]
        raise LookupError("no node has this slot")

    def listener(self, place: Place) -> redis.Redis:
        return self._url.server(place)

    def publisher(self, place: Place) -> redis.Redis:
        return self._url.server(place, socket_timeout=_ANSWER_WITHIN)

    async def subscribe(self, pubsub: redis.client.PubSub, topics: Sequence[bytes]) -> None:
        for slot in _by_slot(topics):
            await pubsub.ssubscribe(*slot)

    async def unsubscribe(self, pubsub: redis.client.PubSub, topics: Sequence[bytes]) -> None:
        for slot in _by_slot(topics):
            await pubsub.sunsubscribe(*slot)

    def publish(self, pipe: redis.client.Pipeline, topic: bytes, frame: bytes) -> None:
        pipe.execute_command("SPUBLISH", topic, frame)


def _address(primary: list[Any], asked: Place) -> tuple[str, int]:
    """A node that does not know its own name means the one that was asked."""
    host, port = primary[:2]
    host = host.decode() if isinstance(host, bytes) else host
    return (host or (asked[0] if asked else ""), int(port))


def _by_slot(topics: Sequence[bytes]) -> list[list[bytes]]:
    """One command takes topics of one slot only."""
    return [list(group) for _, group in groupby(sorted(topics, key=key_slot), key=key_slot)]


def has_moved(fault: object) -> bool:
    """Whether a refusal says that somebody else has the slot."""
    return isinstance(fault, MovedError)
