"""Accounts: registering, one's own profile, the password, leaving for good (R-01)."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from datetime import date

import msgspec
from msgspec import UNSET, UnsetType

from server.clock import Clock, to_ms
from server.errors import Code, VouchError
from server.ids import new_id
from server.limits import Limits
from server.people import rules
from server.people.avatars import Avatars
from server.people.directory import avatar_path
from server.people.friends import FriendsService
from server.people.inbox import ProfileNews
from server.people.model import Age, Language, Me, PairState, Person
from server.people.news import Newsroom
from server.people.passwords import Passwords
from server.people.repo import GrantsRepo, PairsRepo, PeopleRepo
from server.people.sessions import Sessions
from server.principals import Grant
from server.store import Duplicate, Store, Tx

DEFAULT_TIME_ZONE = "Asia/Shanghai"
#: Called in the transaction that deletes an account, or that changes a birth date.
DeleteHook = Callable[[Tx, str], Awaitable[None]]


class NewAccount(msgspec.Struct, frozen=True, kw_only=True):
    """What a registration says, not yet checked."""

    handle: str
    password: str
    name: str
    language: Language = Language.ENGLISH
    time_zone: str = DEFAULT_TIME_ZONE
    birth_date: str | None = None
    phone: str | None = None


class ProfileChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to change, not yet checked; UNSET stays."""

    handle: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    introduction: str | UnsetType = UNSET
    language: Language | UnsetType = UNSET
    time_zone: str | UnsetType = UNSET
    birth_date: str | UnsetType | None = UNSET
    phone: str | UnsetType | None = UNSET


class Accounts:
    def __init__(
        self,
        store: Store,
        people: PeopleRepo,
        grants: GrantsRepo,
        pairs: PairsRepo,
        sessions: Sessions,
        friends: FriendsService,
        passwords: Passwords,
        avatars: Avatars,
        news: Newsroom,
        limits: Limits,
        clock: Clock,
    ) -> None:
        self._store = store
        self._people = people
        self._grants = grants
        self._pairs = pairs
        self._sessions = sessions
        self._friends = friends
        self._passwords = passwords
        self._avatars = avatars
        self._news = news
        self._limits = limits
        self._clock = clock
        self.delete_hooks: list[DeleteHook] = []
        self.birth_date_hooks: list[DeleteHook] = []

    async def register(self, account: NewAccount, ip: str, user_agent: str, browser: str = "") -> tuple[Me, str]:
        """Makes the account and signs in; answers the session's token too. Raises `handle_taken`, `phone_taken`."""
        person = self._checked(account)
        secret = rules.password(account.password, person.handle)
        await self._limits.hit("register_ip", ip)
        person = msgspec.structs.replace(person, password=await self._passwords.hash(secret))

        async def body(tx: Tx) -> str:
            await self._people.insert(person, tx)
            _, token = await self._sessions.open(tx, person.id, ip, user_agent, browser)
            return token

        try:
            token = await self._store.transact(body)
        except Duplicate:
            raise await self._taken(person) from None
        return self._me(person, ()), token

    async def create(self, account: NewAccount, grants: tuple[Grant, ...] = ()) -> str:
        """Makes an account without signing in, for the command line; answers its id."""
        person = self._checked(account)
        secret = rules.password(account.password, person.handle)
        person = msgspec.structs.replace(person, password=await self._passwords.hash(secret))

        async def body(tx: Tx) -> None:
            await self._people.insert(person, tx)
            for grant in grants:
                await self._grants.insert(person.id, grant, "system", person.created_at, tx)

        try:
            await self._store.transact(body)
        except Duplicate:
            raise await self._taken(person) from None
        return person.id

    async def me(self, me: str) -> Me:
        return await self.me_of(await self.own(me))

    async def me_of(self, person: Person) -> Me:
        return self._me(person, await self._grants.of(person.id))

    async def change(self, me: str, change: ProfileChange, ip: str) -> Me:
        """Changes what is set. A new handle or phone counts as looking for somebody, for its answer tells as much."""
        before = await self.own(me)
        checked = self._checked_change(change, before)
        if "birth_date" in checked:
            born = checked["birth_date"]
            assert born is None or isinstance(born, date)
            rules.keep_birth_date(before.birth_date, born, self._clock.now(), before.time_zone)
        await self._limits.hit("change_profile", me)
        if isinstance(change.handle, str) or isinstance(change.phone, str):
            await self._limits.hit("find_person", me)
            await self._limits.hit("find_person_ip", ip)

        try:
            changed = await self._update(me, lambda before: msgspec.structs.replace(before, **checked))
        except Duplicate:
            raise await self._taken(msgspec.structs.replace(await self.own(me), **checked)) from None
        return await self.me_of(changed)

    async def put_avatar(self, me: str, data: bytes) -> Me:
        """Re-encodes the picture (nothing of the original file is kept) and replaces the one before."""
        await self._limits.hit("change_profile", me)
        encoded = await self._avatars.encode(data)
        version = secrets.token_hex(12)

        async def store(tx: Tx) -> None:
            await self._people.drop_avatars(tx, me)
            await self._people.put_avatar(tx, me, version, encoded, self._clock.now())

        return await self.me_of(
            await self._update(me, lambda before: msgspec.structs.replace(before, avatar=version), store)
        )

    async def delete_avatar(self, me: str) -> Me:
        return await self.me_of(
            await self._update(
                me,
                lambda before: msgspec.structs.replace(before, avatar=None),
                lambda tx: self._people.drop_avatars(tx, me),
            )
        )

    async def change_password(self, me: str, session: str, current: str, new: str) -> None:
        """Ends all other sign-ins, programs' tokens too. Raises `wrong_credentials`."""
        person = await self.confirmed(me, current)
        secret = await self._passwords.hash(rules.password(new, person.handle, field="new"))

        async def body(tx: Tx) -> None:
            await self._replace(tx, msgspec.structs.replace(person, password=secret, version=person.version + 1))
            await self._sessions.end_all(tx, me, keep=session)

        await self._store.transact(body)

    async def delete(self, me: str, password: str) -> None:
        """Scrubs the words, keeps the numbers: the id stays as that of somebody deleted; handle and phone are free."""
        person = await self.confirmed(me, password)
        gone = Person(
            id=person.id,
            handle="",
            name="",
            created_at=person.created_at,
            deleted_at=self._clock.now(),
            version=person.version + 1,
        )

        async def body(tx: Tx) -> None:
            await self._replace(tx, gone)
            await self._people.drop_avatars(tx, me)
            await self._grants.delete_all(tx, me)
            await self._friends.forget(tx, me)
            for hook in self.delete_hooks:
                await hook(tx, me)
            await self._sessions.end_all(tx, me)

        await self._store.transact(body)

    async def correct_birth_date(self, tx: Tx, person: str, text: str) -> None:
        """Staff put right what somebody has mistyped, in their transaction. Raises `not_found`, `bad_request`."""
        before = await self._people.get(person, tx)
        if before is None or before.deleted_at is not None:
            raise VouchError(Code.NOT_FOUND)
        born = rules.birth_date(text, rules.local_day(self._clock.now(), before.time_zone))
        await self._replace(tx, msgspec.structs.replace(before, birth_date=born, version=before.version + 1))
        await self._birth_date_changed(tx, person)
        event = f"profile:{person}:{before.version + 1}"
        await self._news.tell(tx, person, event, before.version + 1, "profile_changed", ProfileNews(person=person))

    async def age(self, person: str, tx: Tx | None = None) -> Age | None:
        """None for nobody."""
        found = await self._people.get(person, tx)
        if found is None or found.deleted_at is not None:
            return None
        return rules.age(found.birth_date, self._clock.now(), found.time_zone)

    async def _birth_date_changed(self, tx: Tx, person: str) -> None:
        for hook in self.birth_date_hooks:
            await hook(tx, person)

    def _checked(self, account: NewAccount) -> Person:
        now = self._clock.now()
        zone = rules.time_zone(account.time_zone)
        born = account.birth_date
        return Person(
            id=new_id("p"),
            handle=rules.handle(account.handle),
            name=rules.name(account.name),
            language=account.language,
            time_zone=zone,
            birth_date=rules.birth_date(born, rules.local_day(now, zone)) if born else None,
            phone=rules.phone(account.phone) if account.phone else None,
            created_at=now,
        )

    def _checked_change(self, change: ProfileChange, before: Person) -> dict[str, object]:
        checked: dict[str, object] = {}
        if change.handle is not UNSET:
            checked["handle"] = rules.handle(change.handle)
        if change.name is not UNSET:
            checked["name"] = rules.name(change.name)
        if change.introduction is not UNSET:
            checked["introduction"] = rules.words(change.introduction, rules.INTRODUCTION_LONGEST, field="introduction")
        if change.language is not UNSET:
            checked["language"] = change.language
        if change.time_zone is not UNSET:
            checked["time_zone"] = rules.time_zone(change.time_zone)
        if change.birth_date is not UNSET:
            zone = str(checked.get("time_zone", before.time_zone))
            today = rules.local_day(self._clock.now(), zone)
            checked["birth_date"] = rules.birth_date(change.birth_date, today) if change.birth_date else None
        if change.phone is not UNSET:
            checked["phone"] = rules.phone(change.phone) if change.phone else None
        return checked

    async def own(self, me: str) -> Person:
        """The account. Raises `unauthenticated` for one that is gone."""
        person = await self._people.get(me)
        if person is None or person.deleted_at is not None:
            raise VouchError(Code.UNAUTHENTICATED)
        return person

    async def confirmed(self, me: str, password: str) -> Person:
        """The account, after its password was given again. Raises `wrong_credentials`, `too_often`."""
        await self._limits.hit("confirm_password", me)
        person = await self.own(me)
        if not await self._passwords.matches(person.password, rules.normal_password(password)):
            raise VouchError(Code.WRONG_CREDENTIALS, "This is not your password.")
        return person

    async def _update(
        self,
        me: str,
        change: Callable[[Person], Person],
        also: Callable[[Tx], Awaitable[None]] | None = None,
    ) -> Person:
        """Changes the account and tells oneself, and friends when the card has changed, in one transaction."""

        async def body(tx: Tx) -> Person:
            before = await self._people.get(me, tx)
            if before is None or before.deleted_at is not None:
                raise VouchError(Code.UNAUTHENTICATED)
            after = change(before)
            if after == before:
                return before
            after = msgspec.structs.replace(after, version=before.version + 1)
            await self._replace(tx, after)
            if after.birth_date != before.birth_date:
                await self._birth_date_changed(tx, me)
            if also is not None:
                await also(tx)
            told = [me]
            if _face(before) != _face(after):
                told += [p.other(me) for p in await self._pairs.of(me, tx) if p.state is PairState.FRIENDS]
            for person in told:
                event = f"profile:{me}:{after.version}"
                await self._news.tell(tx, person, event, after.version, "profile_changed", ProfileNews(person=me))
            return after

        return await self._store.transact(body)

    async def _replace(self, tx: Tx, person: Person) -> None:
        if not await self._people.replace(person, tx):
            raise VouchError(Code.STALE)

    async def _taken(self, person: Person) -> VouchError:
        """Which of the two unique things somebody else has."""
        holder = await self._people.by_handle(person.handle)
        if holder is not None and holder.id != person.id:
            return VouchError(Code.HANDLE_TAKEN, field="handle")
        return VouchError(Code.PHONE_TAKEN, field="phone")

    def _me(self, person: Person, grants: tuple[Grant, ...]) -> Me:
        return Me(
            id=person.id,
            handle=person.handle,
            name=person.name,
            avatar=avatar_path(person),
            introduction=person.introduction,
            language=person.language,
            time_zone=person.time_zone,
            birth_date=person.birth_date.isoformat() if person.birth_date else None,
            minor=rules.is_minor(person.birth_date, self._clock.now(), person.time_zone),
            phone=person.phone,
            grants=grants,
            created_at=to_ms(person.created_at),
        )


def _face(person: Person) -> tuple[str, str, str | None]:
    return person.handle, person.name, person.avatar
