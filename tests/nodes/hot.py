"""Hot channels: many writers on several nodes, all in the same few channels.

`python -m tests.nodes.hot [--nodes 2] [--channels 5] [--writers 8] [--window 4] [--seconds 8]` starts the nodes and
prints how many messages a second were acknowledged and how long that took; the tests use the same.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import secrets
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tornado.httpclient import AsyncHTTPClient

from server.data_directory import DataDirectory
from server.embedded import Embedded
from server.keys import load_keys
from server.settings import Settings
from tests.faults.accounts import Account, circle, group
from tests.faults.line import Line
from tests.faults.server_process import ServerProcess

_WARM_UP = 2.0


@dataclass
class Figures:
    """`rate` is messages a second, `p50`, `p99` and `worst` are milliseconds from sending to the acknowledgement."""

    rate: float
    p50: float
    p99: float
    worst: float
    count: int

    def __str__(self) -> str:
        times = f"p50 {self.p50:.0f} ms, p99 {self.p99:.0f} ms, at worst {self.worst:,.0f} ms"
        return f"{self.rate:,.0f} messages/s, acknowledged {times}"


class Writer:
    """Keeps `window` messages unacknowledged, in all channels in turn."""

    def __init__(self, socket_url: str, account: Account, channels: Sequence[str], window: int) -> None:
        self._line = Line(socket_url, account.token)
        self._channels = itertools.cycle(channels)
        self._window = window
        self._sent: dict[str, float] = {}
        #: (when it was sent, how long its acknowledgement took), both in seconds
        self.acknowledged: list[tuple[float, float]] = []
        self.refused: list[str] = []

    async def write(self, seconds: float) -> None:
        async with self._line as line:
            until = time.monotonic() + seconds
            for _ in range(self._window):
                await self._say()
            while self._sent:
                frame = json.loads(await line._socket.recv())
                if frame["t"] not in ("ack", "error"):
                    continue
                now = time.monotonic()
                sent = self._sent.pop(frame["id"])
                if frame["t"] == "ack":
                    self.acknowledged.append((sent, now - sent))
                else:
                    self.refused.append(frame["code"])
                if now < until:
                    await self._say()

    async def _say(self) -> None:
        id = secrets.token_urlsafe(16)
        self._sent[id] = time.monotonic()
        body = {"text": "A word in a channel where many write at once."}
        await self._line.say(t="append", id=id, ch=next(self._channels), kind="message", body=body)


async def prepare(url: str, writers: int, channels: int) -> tuple[list[Account], list[str]]:
    """People who share all of the channels."""
    people = await circle(url, writers)
    return people, [await group(url, people[0], people[1:], f"Hot {number}") for number in range(channels)]


async def measure(
    nodes: Sequence[ServerProcess], people: Sequence[Account], channels: Sequence[str], *, window: int, seconds: float
) -> Figures:
    """The people write through the nodes in turn; what the first two seconds bring is not counted."""
    writers = [
        Writer(node.socket_url, person, channels, window)
        for node, person in zip(itertools.cycle(nodes), people, strict=False)
    ]
    began = time.monotonic()
    await asyncio.gather(*(writer.write(_WARM_UP + seconds) for writer in writers))
    refused = [code for writer in writers for code in writer.refused]
    assert not refused, refused
    first, last = began + _WARM_UP, began + _WARM_UP + seconds
    took = [each for writer in writers for sent, each in writer.acknowledged if first <= sent < last]
    cuts = statistics.quantiles(took, n=100)
    return Figures(len(took) / seconds, cuts[49] * 1000, cuts[98] * 1000, max(took) * 1000, len(took))


async def _main(options: argparse.Namespace, directory: Path) -> None:
    data = DataDirectory(directory / "data")
    data.open()
    keys = load_keys(data.path / "secrets")
    with Embedded(Settings(data_dir=data.path), keys, data) as children, contextlib.ExitStack() as stack:
        environ = {
            "VOUCH_MONGODB_URI": children.mongodb_uri,
            "VOUCH_REDIS_URL": children.redis_url,
            "VOUCH_SECRETS_DIR": str(data.path / "secrets"),
        }
        nodes = [ServerProcess(directory / f"node{number}", environ) for number in range(options.nodes)]
        for node in nodes:
            stack.callback(node.end)
            await node.start()
        people, channels = await prepare(nodes[0].url, options.writers * options.nodes, options.channels)
        for _ in range(options.rounds):
            figures = await measure(nodes, people, channels, window=options.window, seconds=options.seconds)
            print(f"{options.nodes} nodes, {options.channels} channels, {len(people)} writers: {figures}")  # noqa: T201
        AsyncHTTPClient().close()
        for node in nodes:
            await node.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("nodes", 2), ("channels", 5), ("writers", 8), ("window", 4), ("rounds", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--seconds", type=float, default=8.0)
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(_main(parser.parse_args(), Path(directory)))
