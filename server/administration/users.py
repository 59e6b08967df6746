"""Accounts in the hands of admins: who is here, what they may, where they are signed in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from server.administration import rules
from server.administration.audit import AuditTrail
from server.administration.model import Suspend, SystemRole, User, UserLine, Users
from server.clock import Clock, from_ms, to_ms
from server.errors import Code, VouchError
from server.moderation.rules import may_suspend
from server.people.inbox import ModerationNews, ProfileNews
from server.people.model import Account, PersonCard, SessionView
from server.principals import Grant, Role
from server.realtime.outbox import Outbox
from server.store import Store, Tx


class Registry(Protocol):
    async def one(self, person: str) -> Account | None: ...

    async def find(self, query: str, limit: int) -> tuple[list[Account], bool]: ...

    async def newest(self, before: datetime, limit: int) -> list[Account]: ...


class People(Protocol):
    async def cards(self, ids: Iterable[str]) -> dict[str, PersonCard]: ...

    async def grants_of(self, person: str, tx: Tx | None = None) -> tuple[Grant, ...]: ...

    async def give(self, tx: Tx, person: str, grant: Grant, by: str) -> bool: ...

    async def take(self, tx: Tx, person: str, grant: Grant) -> bool: ...


class SignIns(Protocol):
    async def all_of(self, person: str, current: str) -> list[SessionView]: ...

    async def end_all(self, tx: Tx, person: str) -> int: ...

    async def end_one(self, tx: Tx, person: str, session: str) -> bool: ...


class Suspending(Protocol):
    async def suspend(self, tx: Tx, person: str, until: datetime) -> None: ...


class Factors(Protocol):
    async def reset(self, tx: Tx, person: str) -> int: ...


#: Bytes that a person's uploads take.
Used = Callable[[str], Awaitable[int]]


class UserService:
    """Every method takes the admin who acts first, where something changes, and raises VouchError."""

    def __init__(
        self,
        *,
        store: Store,
        outbox: Outbox,
        registry: Registry,
        people: People,
        sign_ins: SignIns,
        suspensions: Suspending,
        factors: Factors,
        used: Used,
        audit: AuditTrail,
        clock: Clock,
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._registry = registry
        self._people = people
        self._sign_ins = sign_ins
        self._suspensions = suspensions
        self._factors = factors
        self._used = used
        self._audit = audit
        self._clock = clock

    async def all(self, query: str, before: int | None, limit: int) -> Users:
        """Those whom `query` finds, or without one the newest, from `before` on."""
        if query.strip():
            found, more = await self._registry.find(query, limit)
            return Users(await self._lines(found), None, more)
        # `before` is a moment in milliseconds: whoever registered in the same one comes with the page before.
        start = from_ms(before) if before is not None else self._clock.now() + timedelta(seconds=1)
        found = await self._registry.newest(start, limit)
        following = to_ms(found[-1].created_at) if len(found) == limit else None
        return Users(await self._lines(found), following, False)

    async def one(self, person: str) -> User:
        """Raises `not_found`."""
        account = await self._registry.one(person)
        if account is None:
            raise VouchError(Code.NOT_FOUND)
        cards, grants, sessions, used = await asyncio.gather(
            self._people.cards([person]),
            self._people.grants_of(person),
            self._sign_ins.all_of(person, ""),
            self._used(person),
        )
        return User(
            person=cards[person],
            language=account.language,
            created_at=to_ms(account.created_at),
            deleted_at=to_ms(account.deleted_at) if account.deleted_at else None,
            seen_at=max((session.seen_at for session in sessions), default=None),
            suspended_until=self._suspended(account),
            grants=list(grants),
            sessions=sessions,
            media_bytes=used,
        )

    async def give(self, actor: str, person: str, role: SystemRole) -> User:
        """Gives a role in the whole system. Raises `not_found`, `already`."""
        await self._existing(person)

        async def body(tx: Tx) -> None:
            await self._still_admin(tx, actor)
            if not await self._people.give(tx, person, Grant(Role(role)), actor):
                raise VouchError(Code.ALREADY)
            await self._note(tx, actor, "grant.given", person, role)

        await self._store.transact(body)
        return await self.one(person)

    async def take(self, actor: str, person: str, role: SystemRole) -> User:
        """Takes a role back. Raises `already` where it was not given, `forbidden` for one's own admin role: so there is
        always an admin left."""
        rules.may_take(actor, person, role)
        await self._existing(person)

        async def body(tx: Tx) -> None:
            await self._still_admin(tx, actor)
            if not await self._people.take(tx, person, Grant(Role(role))):
                raise VouchError(Code.ALREADY)
            await self._note(tx, actor, "grant.taken", person, role)

        await self._store.transact(body)
        return await self.one(person)

    async def end_sessions(self, actor: str, person: str) -> int:
        """Ends every sign-in of a person, programs' tokens too; answers how many. Raises `not_found`."""
        await self._existing(person)

        async def body(tx: Tx) -> int:
            ended = await self._sign_ins.end_all(tx, person)
            if ended:
                await self._audit.write(tx, actor, "sessions.ended", person, {"ended": ended})
            return ended

        return await self._store.transact(body)

    async def end_session(self, actor: str, person: str, session: str) -> None:
        """Ends one sign-in. Raises `not_found`."""

        async def body(tx: Tx) -> None:
            if not await self._sign_ins.end_one(tx, person, session):
                raise VouchError(Code.NOT_FOUND)
            await self._audit.write(tx, actor, "sessions.ended", person, {"ended": 1})

        await self._store.transact(body)

    async def reset_factors(self, actor: str, person: str) -> None:
        """Takes the second factors of somebody who has lost them away, and ends all their sign-ins: whoever has found
        one sets nothing up with it. Raises `not_found`, `already` without factors, `forbidden` for oneself."""
        if actor == person:
            raise VouchError(Code.FORBIDDEN, "Another admin does this for you.")
        await self._existing(person)

        async def body(tx: Tx) -> None:
            await self._still_admin(tx, actor)
            removed = await self._factors.reset(tx, person)
            if not removed:
                raise VouchError(Code.ALREADY)
            await self._sign_ins.end_all(tx, person)
            await self._audit.write(tx, actor, "factors.reset", person, {"removed": removed})

        await self._store.transact(body)

    async def suspend(self, actor: str, person: str, wanted: Suspend) -> User:
        """Suspends an account for a time. Raises `not_found`, `forbidden` for oneself."""
        until = self._clock.now() + timedelta(hours=wanted.hours)

        async def body(tx: Tx) -> None:
            actors, persons = await self._people.grants_of(actor, tx), await self._people.grants_of(person, tx)
            may_suspend(actor, actors, person, persons)
            await self._suspensions.suspend(tx, person, until)
            facts = {"until": to_ms(until), "reason": wanted.reason.value}
            await self._audit.write(tx, actor, "person.suspended", person, facts)
            news = ModerationNews("suspend", wanted.reason.value, until=to_ms(until))
            await self._tell(tx, person, f"suspend:{to_ms(until)}", "moderated", news)

        await self._store.transact(body)
        return await self.one(person)

    async def _lines(self, accounts: Sequence[Account]) -> list[UserLine]:
        ids = [account.id for account in accounts]
        cards = await self._people.cards(ids)
        grants = await asyncio.gather(*(self._people.grants_of(person) for person in ids))
        return [
            UserLine(cards[account.id], to_ms(account.created_at), self._suspended(account), list(granted))
            for account, granted in zip(accounts, grants, strict=True)
            if account.id in cards
        ]

    def _suspended(self, account: Account) -> int | None:
        until = account.suspended_until
        return to_ms(until) if until is not None and until > self._clock.now() else None

    async def _existing(self, person: str) -> None:
        account = await self._registry.one(person)
        if account is None or account.deleted_at is not None:
            raise VouchError(Code.NOT_FOUND)

    async def _still_admin(self, tx: Tx, actor: str) -> None:
        """Of two admins who take the role from each other at once one comes second: all that is audited is one after
        the other."""
        if Grant(Role.ADMIN) not in await self._people.grants_of(actor, tx):
            raise VouchError(Code.FORBIDDEN)

    async def _note(self, tx: Tx, actor: str, action: str, person: str, role: SystemRole) -> None:
        await self._audit.write(tx, actor, action, person, {"role": role.value})
        await self._tell(tx, person, f"grants:{to_ms(self._clock.now())}", "profile_changed", ProfileNews(person))

    async def _tell(self, tx: Tx, person: str, event: str, kind: str, body: msgspec.Struct) -> None:
        ch, order = f"inbox:{person}", to_ms(self._clock.now())
        id = f"{event}:{person}"
        await self._outbox.put(tx, id=id, ch=ch, order=order, kind=kind, body=msgspec.to_builtins(body))
