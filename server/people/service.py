"""The front door of the domain: what other packages call, and how its services fit together."""

from __future__ import annotations

from collections.abc import Iterable

from server.clock import Clock
from server.errors import Code, VouchError
from server.keys import Keys
from server.limits import Limits
from server.people.accounts import Accounts, DeleteHook, NewAccount
from server.people.avatars import Avatars
from server.people.directory import Circle, Directory
from server.people.friends import FriendsService, PairHook
from server.people.model import PersonCard
from server.people.news import Newsroom, Outbox
from server.people.passwords import Passwords
from server.people.phones import PhoneVault
from server.people.repo import GrantsRepo, PairsRepo, PeopleRepo, SessionsRepo
from server.people.sessions import Sessions
from server.principals import Grant, Principal, Role
from server.store import Duplicate, Store, Tx


class People:
    """`accounts`, `sessions`, `friends` and `directory` are for the HTTP edge; the methods for other domains."""

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
        self._passwords = passwords or Passwords()
        self._avatars = Avatars()
        vault = PhoneVault(keys.field, keys.blind)
        news = Newsroom(outbox)
        self._people = people = PeopleRepo(store, vault)
        self._grants = grants = GrantsRepo(store)
        sessions, pairs = SessionsRepo(store), PairsRepo(store)
        self._repos = (people, grants, sessions, pairs)
        self.directory = Directory(people, pairs, limits)
        self.friends = FriendsService(store, people, pairs, self.directory, news, limits, clock)
        self.sessions = Sessions(store, sessions, people, grants, self._passwords, vault, news, limits, clock)
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

    async def start(self) -> None:
        """Makes the indexes."""
        for repo in self._repos:
            await repo.ensure_indexes()

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

    async def live_sessions(self, sessions: Iterable[str]) -> set[str]:
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

    async def hold_friendship(self, tx: Tx, a: str, b: str) -> None:
        """In a transaction that needs the two to be friends: raises `blocked` unless they are, and makes a change
        between them at the same moment wait or be waited for."""
        await self.friends.hold(tx, a, b)

    async def blocked_between(self, a: str, b: str) -> bool:
        """Whether either of the two blocks the other."""
        return await self.directory.blocked_between(a, b)

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

    # ── Grants ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def create_admin(self, handle: str, password: str) -> str:
        """A new account that is admin of the whole system; answers its id. Raises VouchError like a registration."""
        return await self.accounts.create(
            NewAccount(handle=handle, password=password, name=handle), (Grant(Role.ADMIN),)
        )

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
