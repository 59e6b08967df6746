"""Wiring: settings and secrets become stores, stores become services. No rules here."""

from __future__ import annotations

import asyncio
import secrets
from datetime import timedelta
from typing import Any

from server.administration import condition
from server.administration.audit import AuditTrail
from server.administration.condition import Condition
from server.administration.figures import Figures
from server.administration.service import Administration
from server.administration.storage import Census
from server.administration.users import UserService
from server.archive import RESTORING
from server.calls.channel import CallPolicy, call_kind
from server.calls.repo import CallsRepo
from server.calls.service import Calls
from server.chat.channel import ConversationPolicy, conversation_kind
from server.chat.reading import ConversationReader
from server.chat.repo import ConversationRepo
from server.chat.service import ConversationService
from server.chat.view import ConversationView
from server.clock import Clock, SystemClock, to_ms
from server.errors import StartupError
from server.finance import books
from server.finance.model import Book
from server.finance.service import Finance
from server.guardians.service import Guardians
from server.keys import Keys, compare_fingerprints
from server.limits import Limits
from server.live import Live, Parts
from server.media.service import MediaService
from server.moderation.service import Moderation
from server.money.seals import Seals
from server.money.service import Money
from server.money.verification import Verification
from server.notifications.choices import Choices
from server.notifications.service import Notifications
from server.outbound import Outbound
from server.payments import providers
from server.payments.service import Payments
from server.people.inbox import inbox_kind
from server.people.service import People
from server.proofs.service import Proofs
from server.realtime import roll_call
from server.realtime.allowance import SendAllowance
from server.realtime.bus import RedisBus
from server.realtime.channels import ChannelKind, ChannelKinds, ChannelPolicy, NobodyPolicy
from server.realtime.entries import EntryLog
from server.realtime.followers import Followers
from server.realtime.hub import Hub
from server.realtime.nodes import Nodes
from server.realtime.outbox import Outbox
from server.realtime.owners import Leases
from server.realtime.positions import Positions
from server.realtime.presence import PresenceBoard
from server.redis_url import RedisUrl
from server.search.indexer import Indexer
from server.search.repo import IndexRepo
from server.search.service import Search
from server.settings import Settings
from server.store import Document, Duplicate, Store
from server.supervision.channel import PledgePolicy, pledge_kind
from server.supervision.neighbours import Neighbours
from server.supervision.repo import PledgesRepo
from server.supervision.service import Supervision
from server.wallet.service import Wallet


def channel_kinds(
    conversations: ChannelPolicy | None = None,
    pledges: ChannelPolicy | None = None,
    calls: ChannelPolicy | None = None,
) -> list[ChannelKind]:
    """Every kind of channel. Without policies it describes them only: nobody may do anything (for the generators)."""
    return [
        inbox_kind(),
        conversation_kind(conversations or NobodyPolicy()),
        pledge_kind(pledges or NobodyPolicy()),
        call_kind(calls or NobodyPolicy()),
    ]


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
        self.outbound = Outbound(allow=settings.push_allow, authorities=settings.outbound_ca)
        self.choices = Choices(self.store, self.outbox, self.clock)
        self.people = People(store=self.store, outbox=self.outbox, limits=self.limits, keys=keys, clock=self.clock)
        self.money = Money(self.store, self.clock)
        self.seals = Seals(self.store, self.clock, keys.digest)
        self.ledger = Verification(self.store, self.clock, keys.digest)
        self.payments = Payments(
            store=self.store,
            outbox=self.outbox,
            money=self.money,
            limits=self.limits,
            clock=self.clock,
            field=keys.field.secrets,
            providers=providers.build(providers.Surroundings(settings, keys, self.clock)),
        )
        self._redis_url = redis_url
        self._redis = RedisUrl(redis_url).client(2.0)
        self._log = EntryLog(self.store)
        self._nodes = Nodes(self.store, self.clock, self.node)
        #: what is done after entries are durable; each domain adds its own before the hub starts
        self.followers = Followers(self.store, self._log, lambda: self._nodes.alone)
        self.media = MediaService(
            store=self.store,
            log=self._log,
            clock=self.clock,
            node=self.node,
            scratch=settings.data_dir / "scratch",
            quota=settings.media_quota,
            channels=lambda: self.hub,
            other_nodes=self._nodes.live,
        )
        self.hub: Hub
        self.conversations: ConversationService
        self.conversation_view: ConversationView
        self.notifications: Notifications
        self.conversation_reader: ConversationReader
        self.guardians: Guardians
        self.wallet: Wallet
        self.finance: Finance
        self.supervision: Supervision
        self.calls: Calls
        self.proofs: Proofs

    async def start(self) -> None:
        """Connects, checks that the secrets fit, makes indexes, starts the hub. Raises StartupError."""
        await self.store.connect()
        epoch = await self._meta()
        await self._log.ensure_indexes()
        await self.people.start()
        await self.money.start()
        self.seals.rounds.start()
        await self._nodes.start()
        started = to_ms(self.clock.now())
        about = {**condition.about(self.settings, started), "secrets": self.keys.known()}
        await roll_call.describe(self.store, self.node, about)
        self._wire(epoch)
        await self.notifications.start()
        await self.media.start()
        await self.hub.start()
        await self.conversations.start()
        await self.administration.start()
        await self.moderation.start()
        await self.guardians.start()
        await self.wallet.start()
        await self.supervision.start()
        await self._live.start()
        await self.outbox.start(self.hub.append)
        await self.payments.start()
        await self.finance.start()

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
            # Together: each waits a moment for a database that hangs.
            domains = (
                self._live,
                self.supervision,
                self.finance,
                self.payments,
                self.guardians,
                self.administration,
                self.conversations,
            )
            await asyncio.gather(*(domain.stop() for domain in domains))
            await self.outbox.stop()
            await asyncio.gather(self.hub.stop(), self.media.stop(), self._indexer.stop(), self.notifications.stop())
        self.outbound.close()
        await asyncio.gather(self.seals.rounds.stop(), self._nodes.stop())
        await self.people.stop()
        await self.limits.stop()
        await self._redis.aclose()
        self.store.close()

    def _wire(self, epoch: str) -> None:
        hub: Hub
        conversations = ConversationPolicy(ConversationRepo(self.store), self.clock, self.media)
        pledges = PledgePolicy(PledgesRepo(self.store), self.clock, self.media)
        calls = CallPolicy(CallsRepo(self.store), ConversationRepo(self.store))
        kinds = ChannelKinds(channel_kinds(conversations, pledges, calls))
        presence = PresenceBoard(
            self._redis,
            self.node,
            self._nodes.live,
            tell=lambda change: hub.teller.presence(change),
            publish=lambda change: hub.teller.announce_presence(change),
        )
        positions = Positions(
            self.store,
            count=lambda ch, seq: hub.pages.count_at(ch, seq),
            announce=lambda moved: hub.teller.announce_position(moved),
            hiding=self.choices.hiding,
        )
        hub = self.hub = Hub(
            log=self._log,
            kinds=kinds,
            bus=RedisBus(self._redis_url, self.node),
            nodes=self._nodes,
            positions=positions,
            presence=presence,
            leases=Leases(self._redis, self.node),
            clock=self.clock,
            epoch=epoch,
            digest_key=self.keys.digest,
            sign_ins=self.people,
            allowance=SendAllowance(self.limits),
            followers=self.followers,
            limits_factor=self.settings.limits_factor,
        )
        self.conversations = ConversationService(self.store, self.outbox, hub, self.people, self.clock)
        self.conversation_view = ConversationView(
            self.conversations.repo, self.conversations.mentions, hub, self.people, self.choices
        )
        self.conversation_reader = ConversationReader(self.conversations.repo, self.conversations.threads, hub)
        self.followers.add(self.conversations.follower())
        self._indexer = Indexer(IndexRepo(self.store), self._log)
        self.followers.add(self._indexer)
        self.search = Search(
            IndexRepo(self.store), self._log, self.conversations, lambda: self.followers.lag()[Indexer.name].seconds
        )
        audit = AuditTrail(self.store, self.clock, self.keys.digest)
        self.guardians = Guardians(
            store=self.store,
            outbox=self.outbox,
            people=self.people,
            trail=audit,
            limits=self.limits,
            clock=self.clock,
        )
        self.moderation = Moderation(
            store=self.store,
            outbox=self.outbox,
            hub=hub,
            people=self.people,
            acquaintances=self.people.directory,
            suspensions=self.people.suspensions,
            titles=self.conversations,
            trail=audit,
            limits=self.limits,
            clock=self.clock,
        )
        self.notifications = Notifications(
            store=self.store,
            choices=self.choices,
            outbound=self.outbound,
            limits=self.limits,
            vapid_private_pem=self.keys.vapid_private_pem,
            contact=self.settings.contact,
            on=self.settings.push,
            people=self.people,
            rooms=self.conversations,
            titles=PledgesRepo(self.store).titles,
            log=self._log,
            pages=hub.pages,
            positions=positions,
            append=hub.append,
            clock=self.clock,
        )
        self.followers.add(self.notifications)
        self.wallet = self._wallet()
        self.finance = self._finance(audit)
        self.supervision = self._supervision(audit)
        self._live = Live(
            Parts(
                settings=self.settings,
                keys=self.keys,
                clock=self.clock,
                store=self.store,
                outbox=self.outbox,
                limits=self.limits,
                hub=hub,
                nodes=self._nodes,
                people=self.people,
                conversations=self.conversations,
                supervision=self.supervision,
                media=self.media,
            )
        )
        self.calls, self.proofs = self._live.calls, self._live.proofs
        self.administration = self._administration(audit)
        self.people.on_sessions_end(self.notifications.on_sessions_end)
        self.people.on_delete(self.notifications.on_delete)
        self.people.add_circle(self.conversations.met)
        self.people.on_block(self.conversations.on_block)
        self.people.on_block(self.guardians.on_block)
        self.people.on_block(self.supervision.seats.on_block)
        self.people.on_delete(self.wallet.on_delete)
        self.people.on_delete(self.supervision.seats.on_delete)
        self.people.on_delete(self.guardians.on_delete)
        self.people.on_delete(self.supervision.staff.on_delete)
        self.people.on_take(self.supervision.staff.on_take)
        self.people.on_delete(self.supervision.records.on_delete)
        self.people.on_birth_date(self.guardians.on_birth_date)
        self.payments.on_done(self.supervision.funding.on_done)
        self.guardians.on_change(self.supervision.funding.on_guardian_change)
        self.people.add_circle(self.guardians.met)
        self.people.add_circle(self.supervision.met)
        self.people.on_unblock(self.conversations.on_unblock)
        self.conversations.erase_also(self.supervision.threads.erased)
        self.people.on_delete(self.conversations.on_delete)
        self.people.on_delete(self.media.on_delete)
        self._live.listen()
        self.followers.add(self.media)
        hub.eraser.on_scrub(self.media.on_scrub)

    def _wallet(self) -> Wallet:
        wallet = Wallet(
            store=self.store,
            outbox=self.outbox,
            money=self.money,
            payments=self.payments,
            people=self.people,
            factors=self.people.factors,
            proofs=self.people.proofs,
            guardians=self.guardians,
            limits=self.limits,
            clock=self.clock,
            field_keys=self.keys.field.secrets,
            receipt_key=self.keys.digest,
            cooling=timedelta(days=self.settings.pay_out_cooling),
            factor=self.settings.money_factor,
        )
        self.money.on_post(wallet.on_post)
        return wallet

    def _finance(self, audit: AuditTrail) -> Finance:
        finance = Finance(
            store=self.store,
            outbox=self.outbox,
            money=self.money,
            payments=self.payments,
            providers=self.payments.terms,
            people=self.people,
            registry=self.people.registry,
            trail=audit,
            verifies={Book.LEDGER: books.of_ledger(self.ledger.run), Book.TRAIL: books.of_trail(audit.verify)},
            limits=self.limits,
            clock=self.clock,
        )
        self.payments.on_taken_back(finance.disputes.on_taken_back)
        self.wallet.movements.show_disputes(finance.disputes.states_of)
        return finance

    def _supervision(self, audit: AuditTrail) -> Supervision:
        near = Neighbours(
            store=self.store,
            outbox=self.outbox,
            clock=self.clock,
            limits=self.limits,
            people=self.people,
            guardians=self.guardians,
            money=self.money,
            wallet=self.wallet,
            check_outs=self.wallet.movements,
            payments=self.payments,
            conversations=self.conversations,
            trail=audit,
            media=self.media.keeping,
            secret=self.keys.digest,
        )
        return Supervision(near)

    def _administration(self, audit: AuditTrail) -> Administration:
        users = UserService(
            store=self.store,
            outbox=self.outbox,
            registry=self.people.registry,
            people=self.people,
            sign_ins=self.people.sessions,
            suspensions=self.people.suspensions,
            factors=self.people.factors,
            used=self.media.used,
            audit=audit,
            clock=self.clock,
        )
        state = Condition(
            self.store,
            self.settings,
            self.clock,
            node=self.node,
            nodes=self._nodes.live,
            queues={
                "outbox": self.outbox.waiting,
                "aside": self.outbox.aside,
                "erasures": self.conversations.erasure.waiting,
            },
            lag=self.followers.lag,
            pushing=self.notifications,
        )
        embedded = None if self.settings.mongodb_uri else self.settings.data_dir / "database"
        census = Census(self.store, self.clock, kept={"entries": self._log.total}, directory=embedded)
        figures = Figures(self.store, self.clock, self.node)
        return Administration(
            trail=audit, users=users, condition=state, census=census, figures=figures, people=self.people
        )

    async def _meta(self) -> str:
        """The database's epoch; checks that the secrets are those that it was filled with."""
        meta = self.store.collection("meta")
        if await meta.find_one({"_id": RESTORING}):
            raise StartupError(
                "half_restored",
                "A backup was being restored into this database, and that was not finished.",
                hint="Restore it again with --replace.",
            )
        epoch: Document = {"_id": "epoch", "value": secrets.token_hex(8), "at": self.clock.now()}
        prints: dict[str, Any] = {"_id": "secrets", "prints": self.keys.fingerprints()}
        for row in (epoch, prints):
            try:
                await meta.insert_one(row)
            except Duplicate:
                continue
        stored = await meta.find_one({"_id": "secrets"})
        differing = compare_fingerprints(stored["prints"], self.keys.known()) if stored else []
        if differing:
            raise StartupError(
                "secrets_mismatch",
                f"The secrets do not fit this database: {', '.join(differing)} differ.",
                hint="Put back the secrets directory that belongs to it (docs/operations.md).",
            )
        known = await meta.find_one({"_id": "epoch"})
        return str(known["value"]) if known else str(epoch["value"])
