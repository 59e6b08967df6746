"""How the server is now: what waits, which versions run, what is not configured and what follows from it."""

from __future__ import annotations

import asyncio
import hashlib
import platform
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from importlib import metadata
from typing import Any, Protocol

import msgspec
import structlog

from server import __version__
from server.administration.model import Configuration, Finding, Node, NodeVersions, Push, Queue, Queues, Verdict
from server.clock import Clock
from server.metrics import REGISTRY
from server.settings import Settings
from server.store import Store, StoreError, probe

#: what people ask about first when something is wrong
PACKAGES = (
    "tornado",
    "motor",
    "pymongo",
    "redis",
    "msgspec",
    "argon2-cffi",
    "cryptography",
    "pillow",
    "av",
    "pywebpush",
)
#: samples of the process's own measurements that are queues too
_SAMPLES = {"media": "vouch_media_waiting", "pushes": "vouch_pushes_waiting", "appends": "vouch_append_queue_entries"}
#: from so many days on a backup is old
_BACKUP_OLD = timedelta(days=7)

log = structlog.get_logger(__name__)

#: (how many wait, for how many seconds the first of them does)
Waiting = Callable[[], Awaitable[tuple[int, float | None]]]
#: Adds what somebody else finds.
Examiner = Callable[[], Awaitable[Sequence[Finding]]]


class Lag(Protocol):
    @property
    def channels(self) -> int: ...

    @property
    def seconds(self) -> float: ...


class Pushing(Protocol):
    async def health(self) -> Any:
        """Something with the fields of `Push`."""


def about(settings: Settings, started_at: int) -> dict[str, Any]:
    """What a node says of itself in its lease."""
    return {
        "version": __version__,
        "python": platform.python_version(),
        "client": _client(settings),
        "started_at": started_at,
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
    }


def _client(settings: Settings) -> str:
    """Which build of the web client is given out: its page names all others by their contents."""
    try:
        return hashlib.sha256((settings.static_dir / "index.html").read_bytes()).hexdigest()[:10]
    except OSError:
        return ""


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


class Condition:
    """Asks the others. `examiners` may be added while it runs."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        clock: Clock,
        *,
        node: str,
        nodes: Callable[[], set[str]],
        queues: Mapping[str, Waiting],
        lag: Callable[[], Mapping[str, Lag]],
        pushing: Pushing | None,
    ) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._node = node
        self._nodes = nodes
        self._queues = queues
        self._lag = lag
        self._pushing = pushing
        self.examiners: list[Examiner] = []

    async def queues(self) -> Queues:
        waiting = await asyncio.gather(*(ask() for ask in self._queues.values()))
        found = [Queue(name, count, age) for name, (count, age) in zip(self._queues, waiting, strict=True)]
        for name, lag in self._lag().items():
            found.append(Queue(f"follower:{name}", lag.channels, round(lag.seconds, 1) if lag.channels else None, True))
        for name, sample in _SAMPLES.items():
            if (value := REGISTRY.get_sample_value(sample)) is not None:
                found.append(Queue(name, round(value), None, True))
        return Queues(found, await self._push())

    async def _push(self) -> Push | None:
        if self._pushing is None:
            return None
        return msgspec.convert(await self._pushing.health(), Push, from_attributes=True)

    async def versions(self) -> NodeVersions:
        """The nodes that this one sees alive, itself among them."""
        living = {self._node, *self._nodes()}
        rows = await self._store.collection("nodes").find({"_id": {"$in": sorted(living)}}).to_list(None)
        nodes = [
            Node(
                id=row["_id"],
                own=row["_id"] == self._node,
                version=row.get("version", ""),
                python=row.get("python", ""),
                client=row.get("client", ""),
                started_at=row.get("started_at"),
                packages=row.get("packages", {}),
            )
            for row in rows
        ]
        nodes.sort(key=lambda node: (not node.own, node.started_at or 0, node.id))
        return NodeVersions(nodes, await probe.version(self._store))

    async def configuration(self) -> Configuration:
        """Everything that is worth a word, problems first. What cannot be examined is left out, and logged."""
        backup = await self._store.collection("meta").find_one({"_id": "backup"})
        push = await self._push()
        found = findings(self._settings, push, backup["at"] if backup else None, self._clock.now())
        for examine in self.examiners:
            try:
                found += await examine()
            except (OSError, StoreError) as fault:
                log.warning("not examined", fault=type(fault).__name__)
        order = [Verdict.PROBLEM, Verdict.WARNING, Verdict.OK]
        return Configuration(sorted(found, key=lambda finding: order.index(finding.verdict)))


def findings(settings: Settings, push: Push | None, backup: datetime | None, now: datetime) -> list[Finding]:
    """What the settings say by themselves. Each name has its own sentences in the clients' languages."""
    ok, warning, problem = Verdict.OK, Verdict.WARNING, Verdict.PROBLEM
    found: list[Finding] = []
    if settings.demo:
        found.append(
            Finding(
                "demo",
                problem,
                "The demo's people are here, and everybody knows their password.",
                "Start without --demo and with another data directory before others come.",
            )
        )
    if not settings.tls and not any(origin.startswith("https://") for origin in settings.public_origins):
        found.append(
            Finding(
                "plain",
                warning,
                "There is no https: other devices get no notifications, no microphone and no camera.",
                "Use --tls, or a proxy with a certificate and VOUCH_PUBLIC_ORIGINS.",
            )
        )
    if push is not None and not push.on:
        found.append(
            Finding(
                "push_off", warning, "Pushes are switched off: nobody is told while the page is closed.", "VOUCH_PUSH=1"
            )
        )
    elif push is not None and not push.contact:
        found.append(
            Finding(
                "push_contact",
                warning,
                "Push services do not know whom to ask: Apple's refuses such pushes.",
                "Set VOUCH_PUSH_CONTACT to mailto:… or an https address.",
            )
        )
    elif push is not None and push.failing:
        found.append(
            Finding(
                "push_failing", warning, "Some devices could not be reached by push.", "See the queues, and the log."
            )
        )
    elif push is not None:
        found.append(Finding("push", ok, "Pushes can be sent.", ""))
    if backup is None:
        found.append(
            Finding("backup_never", warning, "There was no backup yet.", "python -m server backup FILE, daily.")
        )
    elif now - backup > _BACKUP_OLD:
        found.append(Finding("backup_old", warning, "The last backup is old.", "python -m server backup FILE, daily."))
    else:
        found.append(Finding("backup", ok, "There is a backup of the past week.", ""))
    if settings.limits_factor != 1:
        found.append(
            Finding("limits", warning, "Limits are not the ones that were meant.", "Leave VOUCH_LIMITS_FACTOR at 1.")
        )
    if settings.mongodb_uri and settings.redis_url:
        found.append(Finding("several_nodes", ok, "Database and Redis are shared: several machines can serve.", ""))
    else:
        found.append(
            Finding(
                "one_machine",
                ok,
                "The embedded database or Redis is used: this one machine serves.",
                "Set VOUCH_MONGODB_URI and VOUCH_REDIS_URL to use several (docs/nodes.md).",
            )
        )
    return found
