"""People who talk, whatever happens to the server: a small client of the protocol in docs/protocol.md.

Each member keeps an outbox: what was not acknowledged is written again, in order and with the same id, after every
reconnect. Each resumes its channels with the number it saw last. Nothing of `server` is imported here.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any

from tornado.httpclient import HTTPClientError
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from tests.faults.accounts import Account, circle, direct, group, logged, read_log
from tests.faults.checker import Checker, Verdict
from tests.faults.line import Line

Frame = dict[str, Any]

#: A member that has this much unacknowledged stops talking: repeating it stays within the allowance of frames.
_OUTBOX = 100
#: Unanswered messages that a member has on the wire: the server reads no further than 64, and what it has not read when
#: the connection breaks must not come behind what is repeated on the next one.
_WINDOW = 60
#: Seconds without any answer to something written after which a member connects anew.
_PATIENCE = 8.0
#: Seconds after which, on the average, a member goes to the next node without a reason, as people who move do.
_RESTLESS = 12.0
_TRANSIENT = frozenset({"try_later", "too_often", "unavailable", "internal"})
#: what a connection, or a page asked for beside it, ends with
_LOST = (OSError, WebSocketException, TimeoutError, EOFError, HTTPClientError)


@dataclass
class Pending:
    """A message in an outbox; `written` is when it went out on the present connection, None when not yet."""

    id: str
    ch: str
    text: str
    first: bool = True
    written: float | None = None


class Member:
    """One device of one person: follows all its channels, and talks while `rate` (messages per second) is not 0."""

    def __init__(
        self,
        account: Account,
        channels: Sequence[str],
        socket_urls: Sequence[str],
        checker: Checker,
        random: Random,
        device: str = "",
    ) -> None:
        self.account = account
        self.who = account.id + device
        self.channels = list(channels)
        #: the nodes; after a loss the next one is tried
        self.socket_urls = list(socket_urls)
        self.rate = 0.0
        self.outbox: dict[str, Pending] = {}
        self.connected = asyncio.Event()
        self.losses = 0
        self.closes: Counter[int] = Counter()
        #: what the protocol does not promise to happen: refusals that are no "later", gaps, lost memberships
        self.surprises: list[str] = []
        #: seconds from first writing to acknowledgement, over reconnects and all
        self.delays: list[float] = []
        self._checker = checker
        self._random = random
        self._queue: deque[str] = deque()
        self._unanswered: set[str] = set()
        self._wake = asyncio.Event()
        self._url = self.socket_urls[0]
        self._epoch: str | None = None
        self._live: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []
        for ch in self.channels:
            checker.watches(ch, self.who, 0)

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._stay()), asyncio.create_task(self._talk())]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # ── Talking ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _talk(self) -> None:
        while True:
            await asyncio.sleep(self._random.expovariate(self.rate) if self.rate else 0.05)
            if self.rate and len(self.outbox) < _OUTBOX:
                self.say(self._random.choice(self.channels), self._words())

    def _words(self) -> str:
        length = self._random.choices((20, 200, 2_000, 12_000), (50, 40, 9, 1))[0]
        return f"{self._random.getrandbits(64):016x} ".ljust(self._random.randrange(17, length + 17), "词")

    def say(self, ch: str, text: str) -> str:
        """Puts a message into the outbox; returns its id."""
        pending = Pending(f"{self._random.getrandbits(128):032x}", ch, text)
        self.outbox[pending.id] = pending
        self._queue.append(pending.id)
        self._wake.set()
        return pending.id

    async def _write(self, socket: ClientConnection) -> None:
        """Everything unacknowledged in the order of saying it, then what is said."""
        for pending in self.outbox.values():
            pending.written = None
        self._queue = deque(self.outbox)
        self._unanswered.clear()
        while True:
            while self._queue and len(self._unanswered) < _WINDOW:
                pending_or_acked = self.outbox.get(self._queue.popleft())
                if pending_or_acked is not None:
                    self._unanswered.add(pending_or_acked.id)
                    await self._write_one(socket, pending_or_acked)
            self._wake.clear()
            await self._wake.wait()

    async def _write_one(self, socket: ClientConnection, pending: Pending) -> None:
        now = pending.written = time.monotonic()
        if pending.first:
            pending.first = False
            self._checker.sends(pending.ch, self.account.id, pending.id, pending.text, now)
        frame = {"t": "append", "id": pending.id, "ch": pending.ch, "kind": "message", "body": {"text": pending.text}}
        await socket.send(json.dumps(frame, ensure_ascii=False))

    # ── Staying connected ───────────────────────────────────────────────────────────────────────────────────────────

    async def _stay(self) -> None:
        turn = 0
        while True:
            self._url = self.socket_urls[turn % len(self.socket_urls)]
            try:
                async with connect(
                    self._url,
                    proxy=None,
                    compression=None,
                    ping_interval=None,
                    open_timeout=5.0,
                    close_timeout=0.2,
                    max_size=None,
                ) as socket:
                    await self._converse(socket)
            except _LOST as loss:
                if isinstance(loss, ConnectionClosed) and loss.rcvd is not None:
                    self.closes[loss.rcvd.code] += 1
            finally:
                self.connected.clear()
            turn += 1
            self.losses += 1
            await asyncio.sleep(self._random.uniform(0.02, 0.3))

    async def _converse(self, socket: ClientConnection) -> None:
        hello: Frame = {"t": "hello", "v": 1, "token": self.account.token}
        await socket.send(json.dumps(hello | ({"epoch": self._epoch} if self._epoch else {})))
        self._live = set()
        await self._subscribe(socket, self.channels)
        writer = asyncio.create_task(self._write(socket))
        stays = self._random.expovariate(1 / _RESTLESS) if len(self.socket_urls) > 1 else float("inf")
        leaves = time.monotonic() + stays
        try:
            while self._unanswered or time.monotonic() < leaves:
                frame: Frame | None = None
                with suppress(TimeoutError):
                    async with asyncio.timeout(1.0):  # wait_for would now and then swallow a cancellation
                        frame = json.loads(await socket.recv())
                if frame is not None:
                    await self._hear(socket, frame)
                if writer.done():
                    writer.result()
                oldest = min((p.written for p in self.outbox.values() if p.written is not None), default=None)
                if oldest is not None and time.monotonic() - oldest > _PATIENCE:
                    self._give_up()
                    return
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    def _give_up(self) -> None:
        """Leaves a connection that is silent. What it leaves unanswered may be refused there without being heard, and
        what was written after it be taken: only an answer would tell, so all of it gives up its place in the order."""
        for id in self._unanswered:
            self._checker.refused(self.account.id, id)

    async def _subscribe(self, socket: ClientConnection, channels: Sequence[str]) -> None:
        wants = [{"ch": ch, "after": self._checker.last_seen(ch, self.who)} for ch in channels]
        await socket.send(json.dumps({"t": "subscribe", "rid": 1, "channels": wants}))

    async def _hear(self, socket: ClientConnection, frame: Frame) -> None:
        match frame["t"]:
            case "welcome":
                self._epoch = frame["epoch"]
            case "subscribed":
                self._live.add(frame["ch"])
                if (gap := frame.get("gap")) is not None:
                    await self._refetch(frame["ch"], gap, frame["head"])
                if len(self._live) == len(self.channels):
                    self.connected.set()
            case "entry":
                self._checker.saw(frame["ch"], self.who, logged(frame["entry"]))
            case "ack":
                self._acknowledged(frame)
            case "refused" if frame["code"] in _TRANSIENT:
                await asyncio.sleep(0.1)
                await self._subscribe(socket, [frame["ch"]])
            case "error" if frame["code"] in _TRANSIENT and frame.get("id") in self.outbox:
                self._checker.refused(self.account.id, frame["id"])
                self._answered(frame["id"])
                asyncio.get_running_loop().call_later(frame.get("retry_after", 0.1), self._again, frame["id"])
            case "error" if frame.get("id") in self.outbox or frame.get("id") is None:
                self.surprises.append(json.dumps(frame))
            case "refused" | "dropped":
                self.surprises.append(json.dumps(frame))

    def _acknowledged(self, frame: Frame) -> None:
        now = time.monotonic()
        self._checker.acknowledged(frame["ch"], self.account.id, frame["id"], frame["seq"], now)
        pending = self.outbox.pop(frame["id"], None)
        if pending is not None and pending.written is not None:
            self.delays.append(now - pending.written)
        self._answered(frame["id"])

    def _answered(self, id: str) -> None:
        self._unanswered.discard(id)
        self._wake.set()

    def _again(self, id: str) -> None:
        self._queue.append(id)
        self._wake.set()

    async def _refetch(self, ch: str, gap: str, head: int) -> None:
        """Fetches what the server does not replay, up to the number from which the subscription is live."""
        last = self._checker.last_seen(ch, self.who)
        if gap != "behind":
            self.surprises.append(f"gap {gap} in {ch} after {last}")
            return
        http = self._url.replace("ws://", "http://").removesuffix("/api/v1/socket")
        for entry in await read_log(http, self.account, ch, last):
            if entry.seq <= head:
                self._checker.saw(ch, self.who, entry)


class Crowd:
    """A seeded number of people in direct and group conversations, each of whom talks at `rate` messages a second."""

    def __init__(self, accounts: Sequence[Account], channels: dict[str, list[Account]], seed: int, rate: float) -> None:
        self.checker = Checker()
        self.members: list[Member] = []
        self._accounts = list(accounts)
        self._channels = channels
        self._random = Random(seed)
        self._rate = rate

    @classmethod
    async def gather(cls, url: str, *, people: int, groups: int, seed: int, rate: float) -> Crowd:
        """Makes the people and their conversations: the first has a direct one with each other, and owns the groups."""
        random = Random(seed)
        accounts = await circle(url, people)
        channels: dict[str, list[Account]] = {}
        for other in accounts[1:]:
            channels[await direct(url, accounts[0], other)] = [accounts[0], other]
        for number in range(groups):
            others = random.sample(accounts[1:], random.randint(2, people - 1))
            channels[await group(url, accounts[0], others, f"group {number}")] = [accounts[0], *others]
        return cls(accounts, channels, seed, rate)

    async def begin(self, *socket_urls: str) -> None:
        """Connects everybody (the first two with two devices each, one of which only reads) and lets them talk."""
        for number, account in enumerate(self._accounts):
            mine = [ch for ch, members in self._channels.items() if account in members]
            turned = [*socket_urls[number % len(socket_urls) :], *socket_urls[: number % len(socket_urls)]]
            for device in ("", " second device") if number < 2 else ("",):
                random = Random(self._random.getrandbits(64))
                member = Member(account, mine, turned, self.checker, random, device)
                member.rate = self._rate if not device else 0.0
                self.members.append(member)
                member.start()
        await self.connected()

    async def connected(self, seconds: float = 30.0) -> None:
        """Waits until everybody follows all their channels again."""
        async with asyncio.timeout(seconds):
            await asyncio.gather(*(member.connected.wait() for member in self.members))

    async def seen_everywhere(self, seconds: float = 45.0) -> None:
        """Waits until each node shows everybody as present in all their channels: nobody is forgotten, nobody is left
        over. The first person, who is in every channel, looks."""
        watcher = self._accounts[0]
        differs: dict[str, str] = {}
        try:
            async with asyncio.timeout(seconds):
                for url in self.members[0].socket_urls:
                    missing = {ch: {member.id for member in members} for ch, members in self._channels.items()}
                    while missing:
                        async with Line(url, watcher.token, *missing) as line:
                            online = {frame["ch"]: set(frame["online"]) for frame in line.heard if "online" in frame}
                        differs = {
                            ch: f"{url}: forgotten {sorted(ids - online[ch])}, left over {sorted(online[ch] - ids)}"
                            for ch, ids in missing.items()
                            if online[ch] != ids
                        }
                        missing = {ch: missing[ch] for ch in differs}
        except TimeoutError:
            raise AssertionError(f"presence differs after {seconds} s: {differs}") from None

    async def settle(self, url: str, seconds: float = 30.0) -> Verdict:
        """Stops the talk, waits until everything is acknowledged and seen, reads the logs and judges."""
        for member in self.members:
            member.rate = 0.0
        deadline = time.monotonic() + seconds
        while any(member.outbox for member in self.members) and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        # A node that has not heard of an entry yet shows pages without it: read when all have heard of all.
        while self._behind(self.checker.heads()) and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        logs = {ch: await read_log(url, members[0], ch) for ch, members in self._channels.items()}
        while self._behind({ch: len(entries) for ch, entries in logs.items()}) and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)  # for what should not come any more
        await self.leave()
        return self.checker.judge(logs)

    def _behind(self, heads: dict[str, int]) -> bool:
        return any(
            self.checker.last_seen(ch, member.who) < heads.get(ch, 0)
            for member in self.members
            for ch in member.channels
        )

    async def leave(self) -> None:
        for member in self.members:
            await member.stop()

    @property
    def unanswered(self) -> int:
        return sum(len(member.outbox) for member in self.members)

    @property
    def surprises(self) -> list[str]:
        return [surprise for member in self.members for surprise in member.surprises]

    @property
    def delays(self) -> list[float]:
        """All delays from writing to acknowledgement, in seconds, sorted."""
        return sorted(delay for member in self.members for delay in member.delays)
