"""Wiring: settings and secrets become stores, stores become services. No rules here."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import redis.asyncio as redis

from server.chat.channel import ConversationPolicy, conversation_kind
from server.chat.repo import ConversationRepo
from server.chat.service import ConversationService
from server.chat.view import ConversationView
from server.clock import Clock, SystemClock
from server.errors import StartupError
from server.keys import Keys, compare_fingerprints
from server.limits import Limits
from server.people.inbox import inbox_kind
from server.people.service import People
from server.realtime.allowance import SendAllowance
from server.realtime.bus import RedisBus
from server.realtime.channels import ChannelKind, ChannelKinds, ChannelPolicy, NobodyPolicy
from server.realtime.entries import EntryLog
from server.realtime.hub import Hub
from server.realtime.nodes import Nodes
from server.realtime.outbox import Outbox
from server.realtime.positions import Positions
from server.realtime.presence import PresenceBoard
from server.settings import Settings
from server.store import Document, Duplicate, Store


def channel_kinds(conversations: ChannelPolicy | None = None) -> list[ChannelKind]:
    """Every kind of channel. Without policies it describes them only: nobody may do anything (for the generators)."""
    return [inbox_kind(), conversation_kind(conversations or NobodyPolicy())]


class Services:
    """Everything that the edge calls. `start` before use, `stop` after; made anew for each run."""

    def __init__(
        self, settings: Settings, keys: Keys, clock: Clock | None = None, *, mongodb_uri: str, redis_url: str
    ) -> None:
        self.settings = settings
        self.keys = keys
        self.clock = clock or SystemClock()
        self.node = "n_" + secrets.token_hex(6)
        self.store = Store(mongodb_uri, settings.database)
        self.limits = Limits(redis_url, factor=settings.limits_factor)
        self.outbox = Outbox(self.store, self.clock)
        self.people = People(store=self.store, outbox=self.outbox, limits=self.limits, keys=keys, clock=self.clock)
        self._redis_url = redis_url
        self._presence_redis = redis.Redis.from_url(redis_url, socket_timeout=2.0, socket_connect_timeout=2.0)
        self._log = EntryLog(self.store)
        self._nodes = Nodes(self.store, self.clock, self.node)
        self.hub: Hub
        self.conversations: ConversationService
        self.conversation_view: ConversationView

    async def start(self) -> None:
        """Connects, checks that the secrets fit, makes indexes, starts the hub. Raises StartupError."""
        await self.store.connect()
        epoch = await self._meta()
        await self._log.ensure_indexes()
        await self.people.start()
        await self._nodes.start()
        self._wire(epoch)
        await self.hub.start()
        await self.conversations.start()
        await self.outbox.start(self.hub.append)

    async def stop(self) -> None:
        """Sockets first, with a code that tells clients to come back; then everything down to the database."""
        hub = getattr(self, "hub", None)
        if hub is not None:
            await self.hub.drain()
            try:
                async with asyncio.timeout(3):
                    await self.outbox.drained()
            except TimeoutError:
                pass  # the next start relays what is left
            await self.outbox.stop()
            await self.conversations.stop()
            await self.hub.stop()
        await self._nodes.stop()
        await self.people.stop()
        await self.limits.stop()
        await self._presence_redis.aclose()
        self.store.close()

    def _wire(self, epoch: str) -> None:
        hub: Hub
        kinds = ChannelKinds(channel_kinds(ConversationPolicy(ConversationRepo(self.store))))
        presence = PresenceBoard(
            self._presence_redis,
            self.node,
            self._nodes.live,
            tell=lambda change: hub.tell_presence(change),
            publish=lambda change: hub.publish_presence(change),
        )
        positions = Positions(
            self.store,
            count=lambda ch, seq: hub.pages.count_at(ch, seq),
            announce=lambda event: hub.announce_position(event),
        )
        hub = self.hub = Hub(
            log=self._log,
            kinds=kinds,
            bus=RedisBus(self._redis_url, self.node),
            nodes=self._nodes,
            positions=positions,
            presence=presence,
            clock=self.clock,
            epoch=epoch,
            digest_key=self.keys.blind,
            sign_ins=self.people,
            allowance=SendAllowance(self.limits),
            limits_factor=self.settings.limits_factor,
        )
        self.conversations = ConversationService(self.store, self.outbox, hub, self.people, self.clock)
        self.conversation_view = ConversationView(self.conversations.repo, hub, self.people)
        self.people.add_circle(self.conversations.met)
        self.people.on_block(self.conversations.on_block)
        self.people.on_unblock(self.conversations.on_unblock)
        self.people.on_delete(self.conversations.on_delete)

    async def _meta(self) -> str:
        """The database's epoch; checks that the secrets are those that it was filled with."""
        meta = self.store.collection("meta")
        epoch: Document = {"_id": "epoch", "value": secrets.token_hex(8), "at": self.clock.now()}
        prints: dict[str, Any] = {"_id": "secrets", "prints": self.keys.fingerprints()}
        for row in (epoch, prints):
            try:
                await meta.insert_one(row)
            except Duplicate:
                continue
        stored = await meta.find_one({"_id": "secrets"})
        differing = compare_fingerprints(stored["prints"], self.keys.fingerprints()) if stored else []
        if differing:
            raise StartupError(
                "secrets_mismatch",
                f"The secrets do not fit this database: {', '.join(differing)} differ.",
                hint="Put back the secrets directory that belongs to it (docs/operations.md).",
            )
        known = await meta.find_one({"_id": "epoch"})
        return str(known["value"]) if known else str(epoch["value"])
