"""The front door of the domain: what other packages call, and how its services fit together."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from server.clock import Clock
from server.errors import Code, VouchError
from server.keys import Keys
from server.limits import Limits
from server.people.accounts import Accounts, DeleteHook, NewAccount
from server.people.avatars import Avatars
from server.people.browsers import BrowsersRepo
from server.people.directory import Circle, Directory
from server.people.factor_repo import FactorsRepo, ProofsRepo
from server.people.factors import FactorsService
from server.people.friends import FriendsService, PairHook
from server.people.model import Age, Language, PersonCard
from server.people.news import Newsroom, Outbox
from server.people.passwords import Passwords
from server.people.phones import PhoneVault
from server.people.proofs import Proofs
from server.people.registry import Registry
from server.people.repo import GrantsRepo, PairsRepo, PeopleRepo, SessionsRepo
from server.people.sessions import EndHook, Sessions
from server.people.suspensions import Suspensions
from server.principals import Grant, Principal, Role
from server.store import Duplicate, Store, Tx


class People:
    """`accounts`, `sessions`, `friends` and `directory` are for the HTTP edge; the methods for other domains, as are
    `factors.has` and `proofs.spend`."""

    def __init__(
        self,
        *,
        store: Store,
        outbox: Outbox,
        limits: Limits,
        keys: Keys,
        clock: Clock,
        passwords: Passwords | None = None,
    ) -> None:
        self._clock = clock
        self._take_hooks: list[DeleteHook] = []
        self._passwords = passwords or Passwords()
        self._avatars = Avatars()
        vault = PhoneVault(keys.field.secrets, keys.blind.secrets)
        news = Newsroom(outbox)
        self._people = people = PeopleRepo(store, vault)
        self._grants = grants = GrantsRepo(store)
        sessions, pairs = SessionsRepo(store), PairsRepo(store)
        kept_factors, kept_proofs = FactorsRepo(store, keys.field.secrets), ProofsRepo(store)
        self._browsers = browsers = BrowsersRepo(store)
        self._repos = (people, grants, sessions, pairs, browsers, kept_factors, kept_proofs)
        self.directory = Directory(people, pairs, limits)
        self.friends = FriendsService(store, people, pairs, self.directory, news, limits, clock)
        self.sessions = Sessions(store, sessions, people, grants, browsers, self._passwords, vault, news, limits, clock)
        self.registry = Registry(people)
        self.suspensions = Suspensions(people, self.sessions, clock)
        self.accounts = Accounts(
            store,
            people,
            grants,
            pairs,
            self.sessions,
            self.friends,
            self._passwords,
            self._avatars,
            news,
            limits,
            clock,
        )
        self.proofs = Proofs(store, kept_factors, kept_proofs, news, limits, clock, keys.digest)
        self.factors = FactorsService(
            store,
            kept_factors,
            self.proofs,
            news,
            limits,
            clock,
            confirm=self.accounts.confirmed,
            account=self.accounts.own,
        )
        self.on_sessions_end(self.proofs.on_sessions_end)
        self.on_delete(self.proofs.on_delete)
        self.on_delete(self.factors.on_delete)
        self.on_delete(browsers.forget)

    async def start(self) -> None:
        """Makes the indexes."""
        for repo in self._repos:
            await repo.ensure_indexes()
        await self._people.add_terms()

    async def stop(self) -> None:
        self._passwords.close()
        self._avatars.close()

    # ── Who is asking ───────────────────────────────────────────────────────────────────────────────────────────────

    async def authenticate_session(self, token: str, ip: str = "") -> Principal | None:
        """The person behind a browser's session token (out of its signed cookie)."""
        known = await self.sessions.authenticate_browser(token, ip)
        return known.principal if known else None

    async def authenticate_token(self, token: str, ip: str = "") -> Principal | None:
        """The program behind a bearer token."""
        known = await self.sessions.authenticate_program(token, ip)
        return known.principal if known else None

    async def live_sessions(self, sessions: Collection[str]) -> set[str]:
        """Which of these sign-ins still hold; one query for all open sockets."""
        return await self.sessions.live(sessions)

    # ── Who knows whom ──────────────────────────────────────────────────────────────────────────────────────────────

    async def cards(self, ids: Iterable[str]) -> dict[str, PersonCard]:
        """Cards of all of these who exist; the caller has made sure that they may be shown."""
        return await self.directory.cards(ids)

    async def id_of(self, handle: str) -> str | None:
        """Who has this handle. Without limits: for the command line and the demo, never for the edge."""
        found = await self._people.by_handle(handle)
        return found.id if found else None

    async def are_friends(self, person: str, others: Iterable[str]) -> set[str]:
        """Those of `others` who are friends of `person`."""
        return await self.directory.are_friends(person, others)

    async def known_to(self, person: str, ids: Iterable[str]) -> set[str]:
        """Those of `ids` whom somebody has met here: whose cards they may see, and between whom there is no block."""
        met = {card.id for card in await self.directory.cards_for(person, ids) if card.handle}
        return met - await self.directory.blocked_with(person, met)

    async def friends_of(self, person: str) -> list[str]:
        """Everybody who is a friend of this person."""
        return await self.friends.ids_of(person)

    async def hold_friendship(self, tx: Tx, a: str, b: str) -> None:
        """In a transaction that needs the two to be friends: raises `blocked` unless they are, and makes a change
        between them at the same moment wait or be waited for."""
        await self.friends.hold(tx, a, b)

    async def blocked_between(self, a: str, b: str) -> bool:
        """Whether either of the two blocks the other."""
        return await self.directory.blocked_between(a, b)

    async def blocked_with(self, person: str, others: Iterable[str]) -> set[str]:
        """Those of `others` between whom and this person there is a block, whoever made it."""
        return await self.directory.blocked_with(person, others)

    async def share_browser(self, person: str, others: Iterable[str]) -> set[str]:
        """Those of `others` who have signed in from a browser from which this person has, too."""
        return await self._browsers.shared(person, others)

    async def languages(self, ids: Iterable[str]) -> dict[str, Language]:
        """What these people read."""
        return await self.directory.languages(ids)

    async def age(self, person: str, tx: Tx | None = None) -> Age | None:
        """How old somebody is where they are; None for nobody."""
        return await self.accounts.age(person, tx)

    async def correct_birth_date(self, tx: Tx, person: str, text: str) -> None:
        """For staff. Raises `not_found`, `bad_request`."""
        await self.accounts.correct_birth_date(tx, person, text)

    async def locale(self, person: str) -> tuple[Language, str]:
        """What a person reads, and their time zone. Raises `unauthenticated` for an account that is gone."""
        found = await self._people.get(person)
        if found is None or found.deleted_at is not None:
            raise VouchError(Code.UNAUTHENTICATED)
        return found.language, found.time_zone

    def add_circle(self, circle: Circle) -> None:
        """`circle(person, ids)` answers which of `ids` the person meets in another domain: they may see cards."""
        self.directory.add_circle(circle)

    # ── What others must do along ───────────────────────────────────────────────────────────────────────────────────

    def on_block(self, hook: PairHook) -> None:
        """`hook(tx, who, whom)` runs in the transaction of every new block."""
        self.friends.block_hooks.append(hook)

    def on_unblock(self, hook: PairHook) -> None:
        self.friends.unblock_hooks.append(hook)

    def on_delete(self, hook: DeleteHook) -> None:
        """`hook(tx, person)` runs in the transaction that deletes an account."""
        self.accounts.delete_hooks.append(hook)

    def on_birth_date(self, hook: DeleteHook) -> None:
        """`hook(tx, person)` runs in the transaction that changes a birth date."""
        self.accounts.birth_date_hooks.append(hook)

    def on_sessions_end(self, hook: EndHook) -> None:
        """`hook(tx, sessions)` runs in the transaction that ends sign-ins."""
        self.sessions.end_hooks.append(hook)

    def on_take(self, hook: DeleteHook) -> None:
        """`hook(tx, person)` runs in the transaction that takes a role back."""
        self._take_hooks.append(hook)

    # ── Grants ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def create_admin(self, handle: str, password: str) -> str:
        """A new account that is admin of the whole system; answers its id. Raises VouchError like a registration."""
        return await self.accounts.create(
            NewAccount(handle=handle, password=password, name=handle), (Grant(Role.ADMIN),)
        )

    async def grants_of(self, person: str, tx: Tx | None = None) -> tuple[Grant, ...]:
        return await (self._grants.of(person) if tx is None else self._grants.of_now(person, tx))

    async def give(self, tx: Tx, person: str, grant: Grant, by: str) -> bool:
        """Gives a role, in a transaction under way; False when it was given before."""
        if grant in await self._grants.of_now(person, tx):
            return False
        await self._grants.insert(person, grant, by, self._clock.now(), tx)
        return True

    async def take(self, tx: Tx, person: str, grant: Grant) -> bool:
        """Takes a role back, in a transaction under way; False when it was not granted."""
        taken = await self._grants.delete(person, grant, tx)
        for hook in self._take_hooks if taken else ():
            await hook(tx, person)
        return taken

    async def holders(self, *roles: Role) -> set[str]:
        """Everybody who holds one of these roles in the whole system."""
        return await self._grants.holders(*roles)

    async def grant(self, person: str, grant: Grant, by: str) -> None:
        """Gives a role. Granting what is granted changes nothing. Raises `not_found`."""
        found = await self._people.get(person)
        if found is None or found.deleted_at is not None:
            raise VouchError(Code.NOT_FOUND)
        try:
            await self._grants.insert(person, grant, by, self._clock.now())
        except Duplicate:
            return

    async def revoke(self, person: str, grant: Grant) -> bool:
        """Takes a role back; False when it was not granted."""
        return await self._grants.delete(person, grant)
