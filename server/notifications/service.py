"""The front door of the domain, and the follower by which it hears of what is said."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

import msgspec

from server.chat.model import Room
from server.clock import Clock, to_ms
from server.errors import Code, VouchError
from server.limits import Limits
from server.notifications import notices, pushes
from server.notifications.badges import Badges, Memberships
from server.notifications.call_pushes import CallPushes
from server.notifications.choices import Choices
from server.notifications.courier import Courier, ServiceHealth
from server.notifications.model import (
    AddSubscription,
    NotificationSettings,
    Notify,
    PushKey,
    SubscriptionView,
)
from server.notifications.notices import Append, Notices
from server.notifications.pledge_pushes import PledgePushes, Titles
from server.notifications.pushes import Pushes
from server.notifications.repo import PushesRepo
from server.notifications.subscriptions import Subscriptions
from server.notifications.webpush import Sealer
from server.outbound import Outbound
from server.realtime.entries import EntryLog
from server.realtime.pages import Pages
from server.realtime.positions import Positions
from server.realtime.protocol import Entry, Millis
from server.store import Store, Tx

#: Subscriptions that are counted; beyond this the number says "at least".
_COUNTED = 10_000


class Rooms(Memberships, Protocol):
    async def room(self, id: str) -> Room | None: ...


class People(pushes.People, notices.People, Protocol):
    """What notifications need of people."""


class PushHealth(msgspec.Struct, frozen=True):
    """How pushing goes. The counts are of this node since it has started; `subscriptions` and `failing` are everybody's
    (up to 10,000 are counted). `on`: pushes are sent at all; `contact`: how operators of services reach ours (empty:
    Apple's refuses our pushes). `dropped`: too many were waiting. `services` are those used last, the newest first."""

    on: bool
    contact: str
    subscriptions: int
    failing: int
    sent: int
    failed: int
    ended: int
    dropped: int
    waiting: int
    last_sent_at: Millis | None
    services: list[ServiceHealth]


class Notifications:
    """`choices` is made before the hub, which asks it who hides how far they have read."""

    name = "notifications"
    kinds = frozenset({"conv", "inbox"})

    def __init__(
        self,
        *,
        store: Store,
        choices: Choices,
        outbound: Outbound,
        limits: Limits,
        vapid_private_pem: bytes,
        contact: str,
        on: bool,
        people: People,
        rooms: Rooms,
        titles: Titles,
        log: EntryLog,
        pages: Pages,
        positions: Positions,
        append: Append,
        clock: Clock,
    ) -> None:
        self.choices = choices
        self.subscriptions = Subscriptions(store, outbound, limits, clock)
        self._rooms = rooms
        self._sealer = Sealer(vapid_private_pem, contact)
        self._contact = contact
        self._on = on
        self._pushes_repo = PushesRepo(store)
        self.courier = Courier(self.subscriptions.repo, outbound, self._sealer, clock)
        badges = Badges(rooms, choices.repo, pages, positions, clock)
        pledges = PledgePushes(
            choices=choices.repo,
            subscriptions=self.subscriptions.repo,
            people=people,
            titles=titles,
            log=log,
            positions=positions,
            badges=badges,
            courier=self.courier,
            limits=limits,
            clock=clock,
        )
        self.pushes = Pushes(
            repo=self._pushes_repo,
            choices=choices.repo,
            subscriptions=self.subscriptions.repo,
            rooms=rooms,
            people=people,
            log=log,
            positions=positions,
            badges=badges,
            courier=self.courier,
            pledges=pledges,
            limits=limits,
            clock=clock,
        )
        self._calls = CallPushes(
            choices=choices.repo,
            subscriptions=self.subscriptions.repo,
            rooms=rooms,
            people=people,
            badges=badges,
            courier=self.courier,
            limits=limits,
            clock=clock,
        )
        self._notices = Notices(log=log, rooms=rooms, people=people, choices=choices.repo, append=append, clock=clock)

    async def start(self) -> None:
        for repo in (self.choices.repo, self.subscriptions.repo, self._pushes_repo):
            await repo.ensure_indexes()
        if self._on:
            self.pushes.rounds.start()

    async def stop(self) -> None:
        await self.pushes.rounds.stop()
        await self.courier.stop()

    async def follow(self, ch: str, entries: Sequence[Entry]) -> None:
        """What was said in a conversation, or told in an inbox (a Follower's)."""
        if ch.startswith("conv:"):
            await self._notices.note(ch, entries)
        if self._on:
            await self.pushes.note(ch, entries)
            if ch.startswith("inbox:"):
                await self._calls.note(ch, entries)

    # ── For the edge ────────────────────────────────────────────────────────────────────────────────────────────────

    async def settings(self, person: str) -> NotificationSettings:
        return await self.choices.settings(person)

    async def change(self, person: str, wanted: NotificationSettings) -> NotificationSettings:
        return await self.choices.change(person, wanted)

    async def mute(self, person: str, conversation: str, wanted: Notify) -> Notify:
        """Raises `not_found` for anybody but a member."""
        room = await self._rooms.room(conversation)
        if room is None or person not in room.members:
            raise VouchError(Code.NOT_FOUND)
        return await self.choices.mute(person, conversation, wanted)

    def key(self) -> PushKey:
        return PushKey(self._sealer.public if self._on else None)

    async def subscribe(self, person: str, session: str, user_agent: str, wanted: AddSubscription) -> SubscriptionView:
        """Raises `unavailable` where pushes are switched off."""
        if not self._on:
            raise VouchError(Code.UNAVAILABLE, "This server sends no pushes.")
        made = await self.subscriptions.add(person, session, user_agent, wanted)
        self.pushes.somebody_subscribed()
        return made

    async def health(self) -> PushHealth:
        subscriptions, failing = await self.subscriptions.repo.summary(_COUNTED)
        courier = self.courier
        return PushHealth(
            on=self._on,
            contact=self._contact,
            subscriptions=subscriptions,
            failing=failing,
            sent=courier.sent,
            failed=courier.failed,
            ended=courier.ended,
            dropped=courier.dropped,
            waiting=courier.waiting,
            last_sent_at=None if courier.last_sent_at is None else to_ms(courier.last_sent_at),
            services=courier.services(),
        )

    # ── What other domains tell us (registered with people at wiring) ───────────────────────────────────────────────

    async def on_sessions_end(self, tx: Tx, sessions: Sequence[str]) -> None:
        await self.subscriptions.repo.end_sessions(tx, sessions)

    async def on_delete(self, tx: Tx, person: str) -> None:
        await self.choices.repo.forget(tx, person)
        await self.subscriptions.repo.forget(tx, person)

    async def notify(self, person: str, conversations: Collection[str]) -> Mapping[str, Notify]:
        """By conversation, for a person's view of them; those that are as they began are left out."""
        return await self.choices.of(person, conversations)
