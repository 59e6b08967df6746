"""Who numbers a hot channel: one node for a while, so that several do not fight for each number.

Appending needs no owner: the unique index lets one node win each number, and the others look again. With many writers
on several nodes in the same channel that costs most of the time, and one node may lose for long. A node that loses
often takes a lease on the channel (a key in Redis), tells the others, and they send it their drafts over the bus. The
lease is a hint and never a lock: whoever gets no answer in time appends as before, and the index remains the judge.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections import deque
from collections.abc import Callable, Iterable

import msgspec
import structlog

from server.errors import VouchError
from server.realtime.appender import Appender
from server.realtime.background import Background
from server.realtime.bus import Bus
from server.realtime.channels import ChannelKinds, Draft, EntryKind
from server.realtime.lane import Accepted
from server.realtime.metrics import FORWARDED, OWNED
from server.realtime.routes import Answer, Claim, Forward, Intake, Message, Pending, Refusal, Route, answer_of
from server.redis_url import FAULTS, Client

#: So many lost numbers within so many seconds make a channel hot; asking for the lease again waits a moment.
HOT_CONFLICTS = 3
HOT_SECONDS = 5.0
ASK_PAUSE = 0.5
#: Seconds that a claim holds, after which it is renewed, and without a forwarded draft after which it is given up.
LEASE = 10.0
RENEW_EVERY = 3.0
UNUSED = 10.0
_MOST_OWNED = 1_000
_SEAL_BYTES = 16

log = structlog.get_logger(__name__)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Message).decode


class Heat:
    """When a channel is hot. Pure: time is an argument, in seconds of any clock that only rises."""

    def __init__(self) -> None:
        self._lost: dict[str, deque[float]] = {}
        self._asked: dict[str, float] = {}

    def lost(self, ch: str, now: float) -> bool:
        """A number was lost to another node; answers whether it is time to ask for the channel."""
        times = self._lost.setdefault(ch, deque(maxlen=HOT_CONFLICTS))
        times.append(now)
        hot = len(times) == HOT_CONFLICTS and now - times[0] <= HOT_SECONDS
        if not hot or now - self._asked.get(ch, -ASK_PAUSE) < ASK_PAUSE:
            return False
        self._asked[ch] = now
        return True

    def cool(self, now: float) -> None:
        """Forgets what was long ago."""
        for ch in [ch for ch, times in self._lost.items() if now - times[-1] > HOT_SECONDS]:
            del self._lost[ch]
            self._asked.pop(ch, None)


class Leases:
    """One key per owned channel. Raises `FAULTS` while Redis is away."""

    _RENEW = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) end return 0"
    _GIVE_UP = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"

    def __init__(self, client: Client, node: str) -> None:
        self._redis = client
        self._node = node

    async def take(self, ch: str) -> str:
        """The channel's owner, which is this node where nobody was."""
        key = self._key(ch)
        if await self._redis.set(key, self._node, nx=True, px=round(LEASE * 1000)):
            return self._node
        owner = await self._redis.get(key)
        if owner is None:  # it has lapsed between the two
            return await self.take(ch)
        return owner.decode() if isinstance(owner, bytes) else str(owner)

    async def renew(self, ch: str) -> bool:
        """Whether it is still ours."""
        return bool(await self._redis.eval(self._RENEW, 1, self._key(ch), self._node, str(round(LEASE * 1000))))

    async def give_up(self, ch: str) -> None:
        await self._redis.eval(self._GIVE_UP, 1, self._key(ch), self._node)

    @staticmethod
    def _key(ch: str) -> str:
        return f"owner:{ch}"


class Owners:
    """This node's part: which channels it owns, and the routes to the owners of others.

    `live` names the other nodes, `offer` gives this node's gates what another node has appended for it. What nodes tell
    each other is sealed with `key`: whoever can write to Redis must not be able to speak for somebody.
    """

    def __init__(
        self,
        *,
        node: str,
        bus: Bus,
        leases: Leases,
        appender: Appender,
        kinds: ChannelKinds,
        live: Callable[[], set[str]],
        offer: Callable[[Accepted], None],
        key: bytes,
        background: Background,
    ) -> None:
        self._node = node
        self._bus = bus
        self._leases = leases
        self._appender = appender
        self._kinds = kinds
        self._live = live
        self._key = hashlib.blake2b(b"owners", key=key[:64]).digest()
        self._background = background
        self.accepted = offer
        self._heat = Heat()
        self._intake = Intake()
        #: owned channel → when another node last needed it
        self._owned: dict[str, float] = {}
        self._routes: dict[str, Route] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="channel owners")

    async def stop(self) -> None:
        """Gives up what it owns; what is under way to others goes into this node's own appender."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for route in list(self._routes.values()):
            route.fall_back()
        owned, self._owned = list(self._owned), {}
        self._claim(owned, 0.0)
        try:
            async with asyncio.timeout(1):
                await asyncio.gather(*(self._leases.give_up(ch) for ch in owned))
        except FAULTS:
            pass  # they lapse

    # ── Drafts of this node ─────────────────────────────────────────────────────────────────────────────────────────

    def submit(self, draft: Draft, kind: EntryKind | None) -> asyncio.Future[Accepted]:
        """As `Appender.submit`; where somebody else owns the channel, through them."""
        route = self._routes.get(draft.ch)
        return self._appender.submit(draft, kind) if route is None else route.submit(draft, kind)

    def conflicted(self, channels: Iterable[str]) -> None:
        """Numbers of these channels were lost to other nodes."""
        now = asyncio.get_running_loop().time()
        for ch in channels:
            if self._heat.lost(ch, now) and self._live():
                self._background.spawn(self._ask(ch), "channel owner")

    def gone(self, node: str) -> None:
        """A node has died: nobody waits for its answers."""
        for route in list(self._routes.values()):
            if route.owner == node:
                route.fall_back()

    async def _ask(self, ch: str) -> None:
        try:
            owner = await self._leases.take(ch)
        except FAULTS as fault:
            log.debug("no lease on a hot channel", ch=ch, fault=type(fault).__name__)
            return
        if owner == self._node:
            if len(self._owned) < _MOST_OWNED:
                self._own(ch)
        elif owner in self._live():
            self._follow(ch, owner, LEASE)

    def _own(self, ch: str) -> None:
        if ch not in self._owned:
            log.debug("owns a hot channel", ch=ch)
        self._owned[ch] = asyncio.get_running_loop().time()
        if (route := self._routes.get(ch)) is not None:
            route.follow(None)
        self._claim([ch], LEASE)
        OWNED.set(len(self._owned))

    def _follow(self, ch: str, owner: str, seconds: float) -> None:
        self._disown(ch)
        if (route := self._routes.get(ch)) is None:
            route = self._routes[ch] = Route(ch, self)
        route.until = asyncio.get_running_loop().time() + seconds
        route.follow(owner)

    def _disown(self, ch: str) -> None:
        if self._owned.pop(ch, None) is not None:
            self._intake.forget(ch)
            OWNED.set(len(self._owned))

    # ── Ways (of the routes) ────────────────────────────────────────────────────────────────────────────────────────

    def append(self, draft: Draft, kind: EntryKind | None) -> asyncio.Future[Accepted]:
        return self._appender.submit(draft, kind)

    def flying(self, ch: str) -> Iterable[Pending]:
        return [Pending(*each) for each in self._appender.flying(ch)]

    def forward(self, owner: str, forward: Forward) -> None:
        FORWARDED.inc()
        self._send(owner, forward)

    def new_run(self) -> str:
        return secrets.token_hex(8)

    # ── Between nodes ───────────────────────────────────────────────────────────────────────────────────────────────

    def told(self, node: str, payload: bytes) -> None:
        """Another node has sent something to this one."""
        seal, text = payload[:_SEAL_BYTES], payload[_SEAL_BYTES:]
        if not hmac.compare_digest(seal, self._seal(node, self._node, text)):
            log.warning("a message for this node has no seal of ours", node=node)
            return
        try:
            message = _decode(text)
        except msgspec.DecodeError:  # a node of another version
            log.warning("a message for this node cannot be read", node=node)
            return
        match message:
            case Forward():
                self._take(node, message)
            case Answer(ch=ch):
                if (route := self._routes.get(ch)) is not None:
                    route.answered(message)
            case Refusal(ch=ch, run=run):
                if (route := self._routes.get(ch)) is not None:
                    route.refused(run)
            case Claim(channels=channels, seconds=seconds):
                for ch in channels:
                    if seconds > 0:
                        self._follow(ch, node, seconds)
                    elif (route := self._routes.get(ch)) is not None and route.owner == node:
                        route.follow(None)

    def _take(self, node: str, forward: Forward) -> None:
        """A draft of another node: rights and limits were checked there."""
        draft = forward.draft
        taken = self._intake.take(node, forward) if draft.ch in self._owned else False
        if taken is None:
            return
        if not taken:
            self._send(node, Refusal(draft.ch, forward.run))
            return
        self._owned[draft.ch] = asyncio.get_running_loop().time()
        kind = self._kinds.of(draft.ch)
        try:
            done = self._appender.submit(draft, kind.entry(draft.kind) if kind else None)
        except VouchError as fault:
            done = asyncio.get_running_loop().create_future()
            done.set_exception(fault)
        done.add_done_callback(lambda done: self._send(node, answer_of(forward, done)))

    def _claim(self, channels: list[str], seconds: float) -> None:
        if channels:
            for node in self._live():
                self._send(node, Claim(channels, seconds))

    def _send(self, node: str, message: Message) -> None:
        text = _encode(message)
        self._bus.send(node, self._seal(self._node, node, text) + text)

    def _seal(self, sender: str, receiver: str, text: bytes) -> bytes:
        digest = hashlib.blake2b(text, digest_size=_SEAL_BYTES, key=self._key)
        digest.update(f"{sender}>{receiver}".encode())
        return digest.digest()

    # ── Keeping ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY)
            try:
                await self.renew()
            except Exception:
                log.exception("channel owners failed; it goes on")

    async def renew(self) -> None:
        """Keeps what is needed, gives up what is not, and forgets owners that have fallen silent."""
        now = asyncio.get_running_loop().time()
        self._heat.cool(now)
        for ch, route in list(self._routes.items()):
            if route.owner is not None and route.until < now:
                route.follow(None)
            if route.idle:
                del self._routes[ch]
        unused = [ch for ch, used in self._owned.items() if now - used > UNUSED]
        kept = [ch for ch in self._owned if ch not in unused]
        for ch in unused:
            self._disown(ch)
        self._claim(unused, 0.0)
        try:
            await asyncio.gather(*(self._leases.give_up(ch) for ch in unused))
            ours = await asyncio.gather(*(self._leases.renew(ch) for ch in kept))
        except FAULTS:
            ours = [False] * len(kept)  # nobody can say whose they are
        lost = [ch for ch, still in zip(kept, ours, strict=True) if not still]
        for ch in lost:
            self._disown(ch)
        self._claim([ch for ch in kept if ch in self._owned], LEASE)
        self._claim(lost, 0.0)
