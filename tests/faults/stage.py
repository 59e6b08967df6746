"""An installation to be harmed: nodes with lines and clocks of their own, in front of one database and one Redis."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from random import Random
from typing import Self

from tests.faults import plan
from tests.faults.backing import DATABASE, REDIS, Backing
from tests.faults.plan import Harm, Step
from tests.faults.proxies import Bus, Database, Manner
from tests.faults.server_process import ServerProcess
from tests.faults.turned import turn

_HOUR = 3600.0
_SLOWEST = 1.0  # seconds
_TREATED, _TREATED_WITHIN = 20, 30.0
_MANNERS = {
    Harm.BUS_DROPPED: Manner.DROPPED,
    Harm.BUS_DOUBLED: Manner.DOUBLED,
    Harm.BUS_REORDERED: Manner.REORDERED,
    Harm.BUS_DELAYED: Manner.DELAYED,
}


class Node:
    """One server with a line to the database, a line to Redis, and a clock."""

    def __init__(self, directory: Path, backing: Backing, seed: int) -> None:
        self.database = Database(backing.database_port, Random(seed))
        self.bus = Bus(backing.redis_socket, Random(seed + 1))
        self.clock = directory.with_name(directory.name + ".clock")
        self._directory = directory
        self._backing = backing
        self.server: ServerProcess

    async def start(self) -> None:
        await self.database.start()
        await self.bus.start()
        turn(self.clock, 0.0)
        environ = {
            "VOUCH_MONGODB_URI": self._backing.mongodb_uri(self.database.port),
            "VOUCH_REDIS_URL": f"redis://127.0.0.1:{self.bus.port}",
            "VOUCH_SECRETS_DIR": str(self._backing.secrets),
        }
        self.server = ServerProcess(self._directory, environ, clock=self.clock)
        await self.server.start()

    async def stop(self) -> None:
        self.server.end()
        await self.database.stop()
        await self.bus.stop()


class Stage:
    """`async with Stage(directory, seed) as stage:`; `harms` counts what was inflicted."""

    def __init__(self, directory: Path, seed: int, nodes: int = 2) -> None:
        self.backing = Backing(directory / "backing")
        self._directory = directory
        self._seed = seed
        self._count = nodes
        self._stack = AsyncExitStack()
        self.nodes: list[Node] = []
        self.harms: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.backing)
            for number in range(self._count):
                name = self._directory / f"node{number}"
                self.nodes.append(Node(name, self.backing, self._seed + number))
                stack.push_async_callback(self.nodes[-1].stop)
                await self.nodes[-1].start()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def socket_urls(self) -> list[str]:
        return [node.server.socket_url for node in self.nodes]

    @property
    def treated(self) -> Counter[Manner]:
        """How many messages of the bus were lost, doubled and so on."""
        return sum((node.bus.treated for node in self.nodes), Counter())

    def printed(self) -> str:
        return "".join(node.server.printed() for node in self.nodes)

    async def suffer(self, number: int, until: float = float("inf")) -> None:
        """One series of the plan, both lanes at once; nothing begins after `until` on the monotonic clock."""
        async with asyncio.TaskGroup() as lanes:
            for lane in plan.series(self._seed, number, len(self.nodes)):
                lanes.create_task(self._go_through(lane, until))

    async def _go_through(self, lane: Sequence[Step], until: float) -> None:
        for step in lane:
            if time.monotonic() >= until:
                return
            await asyncio.sleep(step.pause)
            await self._inflict(step)
            self.harms[step.harm] += 1

    async def _inflict(self, step: Step) -> None:
        node, backing = self.nodes[step.node], self.backing
        match step.harm:
            case Harm.NODE_KILLED:
                await node.server.kill()
                await node.server.start(again=True)
            case Harm.NODE_RESTARTED:
                assert await node.server.stop() == 0
                await node.server.start(again=True)
            case Harm.NODE_STOPPED:
                os.kill(node.server.pid, signal.SIGSTOP)
                await asyncio.sleep(step.seconds)
                os.kill(node.server.pid, signal.SIGCONT)
            case Harm.DATABASE_KILLED:
                await backing.end(DATABASE, signal.SIGKILL)
            case Harm.DATABASE_RESTARTED:
                await backing.end(DATABASE, signal.SIGTERM)
            case Harm.REDIS_KILLED:
                await backing.end(REDIS, signal.SIGKILL)
            case Harm.REDIS_RESTARTED:
                await backing.end(REDIS, signal.SIGTERM)
            case Harm.DATABASE_STOPPED | Harm.REDIS_STOPPED:
                program = DATABASE if step.harm is Harm.DATABASE_STOPPED else REDIS
                backing.send(program, signal.SIGSTOP)
                await asyncio.sleep(step.seconds)
                backing.wake(program)
            case Harm.DISK_FULL:
                await backing.fill_disk(step.seconds)
            case Harm.REDIS_EMPTIED:
                await backing.empty_redis()
            case _:
                await self._bend(node, step)

    async def _bend(self, node: Node, step: Step) -> None:
        """What happens to the lines and the clock of one node."""
        match step.harm:
            case Harm.BUS_CUT:
                node.bus.cut()
            case Harm.DATABASE_CUT:
                node.database.cut()
            case Harm.DATABASE_SLOW:
                node.database.slow = _SLOWEST
                await asyncio.sleep(step.seconds)
                node.database.slow = 0.0
            case Harm.DATABASE_REFUSING:
                node.database.refuse()
                await asyncio.sleep(step.seconds)
                await node.database.start()
            case Harm.CLOCK_AHEAD | Harm.CLOCK_BEHIND:
                turn(node.clock, _HOUR if step.harm is Harm.CLOCK_AHEAD else -_HOUR)
                await asyncio.sleep(step.seconds)
                turn(node.clock, 0.0)
            case _:
                await self._treat(node.bus, _MANNERS[step.harm], step.seconds)

    async def _treat(self, bus: Bus, manner: Manner, seconds: float) -> None:
        """For so long, and until it has met some messages: in the other lane Redis may be away."""
        before, bus.manner = bus.treated[manner], manner
        await asyncio.sleep(seconds)
        with suppress(TimeoutError):
            async with asyncio.timeout(_TREATED_WITHIN):
                while bus.treated[manner] < before + _TREATED:
                    await asyncio.sleep(0.05)
        bus.manner = Manner.FAITHFUL
