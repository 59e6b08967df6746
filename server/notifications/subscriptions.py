"""Browsers that get pushes: each belongs to a person and to the sign-in that it was made in, and ends with it."""

from __future__ import annotations

from server.clock import Clock, to_ms
from server.errors import Code, VouchError
from server.ids import new_id
from server.limits import Limits
from server.notifications import rules
from server.notifications.model import SUBSCRIPTIONS_MOST, AddSubscription, Subscription, SubscriptionView
from server.notifications.repo import SubscriptionsRepo
from server.outbound import Outbound, OutboundRefused, target
from server.people import devices
from server.store import Duplicate, Store, Tx


class Subscriptions:
    def __init__(self, store: Store, outbound: Outbound, limits: Limits, clock: Clock) -> None:
        self.repo = SubscriptionsRepo(store)
        self._store = store
        self._outbound = outbound
        self._limits = limits
        self._clock = clock

    async def add(self, person: str, session: str, user_agent: str, wanted: AddSubscription) -> SubscriptionView:
        """Takes the place of what this sign-in, or this browser, had before. The oldest makes room where there are too
        many. Raises `bad_request` for addresses inside private networks and keys that are none, and `too_often`."""
        await self._limits.hit("push_subscription", person)
        subscription = Subscription(
            id=new_id("w"),
            person=person,
            session=session,
            name=devices.device_name(user_agent),
            endpoint=wanted.endpoint,
            p256dh=rules.receiver_key(wanted.p256dh),
            auth=rules.receiver_secret(wanted.auth),
            created_at=self._clock.now(),
        )
        try:
            await self._outbound.vet(wanted.endpoint)
        except OutboundRefused as fault:
            raise VouchError(Code.BAD_REQUEST, f"No push service has this address. {fault}", field="endpoint") from None

        async def body(tx: Tx) -> None:
            await self.repo.take_away(tx, subscription.endpoint, session)
            others = sorted(await self.repo.of([person], tx), key=lambda one: one.created_at)
            for surplus in others[: max(0, len(others) - SUBSCRIPTIONS_MOST + 1)]:
                await self.repo.delete(person, surplus.id, tx)
            await self.repo.insert(tx, subscription)

        try:
            await self._store.transact(body)
        except Duplicate:  # twice at once: now it is there, and is taken away
            await self._store.transact(body)
        return _view(subscription, session)

    async def all_of(self, person: str, session: str) -> list[SubscriptionView]:
        """The one of this sign-in first, then the newest."""
        found = await self.repo.of([person])
        found.sort(key=lambda one: (one.session == session, one.created_at), reverse=True)
        return [_view(subscription, session) for subscription in found]

    async def remove(self, person: str, id: str) -> None:
        """Raises `not_found`."""
        if not await self.repo.delete(person, id):
            raise VouchError(Code.NOT_FOUND)


def _view(subscription: Subscription, session: str) -> SubscriptionView:
    last, since = subscription.last_at, subscription.failing_since
    return SubscriptionView(
        id=subscription.id,
        service=target(subscription.endpoint).host,
        name=subscription.name,
        current=subscription.session == session,
        created_at=to_ms(subscription.created_at),
        last_at=None if last is None else to_ms(last),
        fault=subscription.fault,
        failing_since=None if since is None else to_ms(since),
    )
