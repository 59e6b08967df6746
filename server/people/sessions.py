"""Sign-ins: browsers with a cookie, programs with a token. Only the hash of either is kept (R-01)."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import timedelta

import msgspec

from server import metrics
from server.clock import Clock, to_ms
from server.errors import Code, VouchError
from server.ids import new_id
from server.limits import Limits
from server.people import devices, rules
from server.people.browsers import BrowsersRepo
from server.people.inbox import SessionNews
from server.people.model import Person, Session, SessionKind, SessionView
from server.people.news import Newsroom
from server.people.passwords import Passwords
from server.people.phones import PhoneVault
from server.people.repo import GrantsRepo, PeopleRepo, SessionsRepo
from server.principals import Kind, Principal
from server.store import Store, Tx

#: A browser stays signed in for 30 days after it was last used, a program's token for a year.
LIFETIME = {SessionKind.BROWSER: timedelta(days=30), SessionKind.TOKEN: timedelta(days=365)}
#: `seen_at` is written at most this often.
TOUCH_EVERY = timedelta(minutes=1)
MOST_BROWSERS = 50
MOST_TOKENS = 50
_PRINCIPALS = {SessionKind.BROWSER: Kind.PERSON, SessionKind.TOKEN: Kind.PROGRAM}
#: So that scanners find tokens that were published by mistake.
TOKEN_PREFIX = "vouch_"  # noqa: S105

#: Called in the transaction that ends sign-ins, with their ids.
EndHook = Callable[[Tx, Sequence[str]], Awaitable[None]]


class Known(msgspec.Struct, frozen=True):
    """Who came by a token; `touched` when the session's end has just slid on."""

    principal: Principal
    touched: bool


class Sessions:
    def __init__(
        self,
        store: Store,
        repo: SessionsRepo,
        people: PeopleRepo,
        grants: GrantsRepo,
        browsers: BrowsersRepo,
        passwords: Passwords,
        vault: PhoneVault,
        news: Newsroom,
        limits: Limits,
        clock: Clock,
    ) -> None:
        self._store = store
        self._repo = repo
        self._people = people
        self._grants = grants
        self._browsers = browsers
        self._passwords = passwords
        self._vault = vault
        self._news = news
        self._limits = limits
        self._clock = clock
        self.end_hooks: list[EndHook] = []

    async def sign_in(
        self, login: str, password: str, ip: str, user_agent: str, browser: str = ""
    ) -> tuple[Person, SessionView, str]:
        """By handle or phone; answers the person, the session and its token. Raises `wrong_credentials` for either.

        `browser` is the cookie that browsers keep. Takes the same time for logins that do not exist. That an account is
        `suspended` is told to whoever knows its password.
        """
        key = _login_key(login)
        await self._limits.hit("sign_in", self._vault.index(key))
        await self._limits.hit("sign_in_ip", ip)
        person = await (self._people.by_phone(key) if key.startswith("+") else self._people.by_handle(key))
        given = rules.normal_password(password)
        if not await self._passwords.matches(person.password if person else None, given) or person is None:
            metrics.SIGN_INS.labels("refused").inc()
            raise VouchError(Code.WRONG_CREDENTIALS)
        if self._passwords.outdated(person.password):
            person = msgspec.structs.replace(
                person, password=await self._passwords.hash(given), version=person.version + 1
            )
            await self._people.replace(person)  # somebody faster has changed it anyway
        if person.suspended(self._clock.now()):
            metrics.SIGN_INS.labels("suspended").inc()
            raise self._suspended(person)
        session, token = await self._store.transact(lambda tx: self.open(tx, person.id, ip, user_agent, browser))
        metrics.SIGN_INS.labels("signed_in").inc()
        return person, self.view(session, session.id), token

    async def open(self, tx: Tx, person: str, ip: str, user_agent: str, browser: str = "") -> tuple[Session, str]:
        """A new browser session. The one unused for longest makes room when there are too many."""
        await self._browsers.note(tx, person, browser, self._clock.now())
        browsers = [s for s in await self._repo.of(person, tx) if s.kind is SessionKind.BROWSER]
        surplus = sorted(browsers, key=lambda s: s.seen_at)[: max(0, len(browsers) - MOST_BROWSERS + 1)]
        await self._end(tx, person, [s.id for s in surplus])
        return await self._insert(tx, person, SessionKind.BROWSER, devices.device_name(user_agent), ip, "")

    async def create_token(self, person: str, name: str, ip: str) -> tuple[str, SessionView]:
        """A program's token: shown now and never again."""
        name = rules.name(name)

        async def body(tx: Tx) -> tuple[Session, str]:
            tokens = [s for s in await self._repo.of(person, tx) if s.kind is SessionKind.TOKEN]
            if len(tokens) >= MOST_TOKENS:
                raise VouchError(Code.LIMIT_REACHED, f"At most {MOST_TOKENS} tokens. Revoke one that is not used.")
            return await self._insert(tx, person, SessionKind.TOKEN, name, ip, TOKEN_PREFIX)

        session, token = await self._store.transact(body)
        return token, self.view(session, "")

    async def authenticate_browser(self, token: str, ip: str = "") -> Known | None:
        return await self._authenticate(token, SessionKind.BROWSER, ip)

    async def authenticate_program(self, token: str, ip: str = "") -> Known | None:
        return await self._authenticate(token, SessionKind.TOKEN, ip) if token.startswith(TOKEN_PREFIX) else None

    async def all_of(self, person: str, current: str) -> list[SessionView]:
        """All live sign-ins, the current one first, then by last use."""
        now = self._clock.now()
        live = [session for session in await self._repo.of(person) if session.expires > now]
        live.sort(key=lambda session: (session.id == current, session.seen_at), reverse=True)
        return [self.view(session, current) for session in live]

    async def sign_out(self, person: str, session: str) -> None:
        """Ends the sign-in that asks, and closes its sockets. Ended already, it stays so."""
        await self._store.transact(lambda tx: self._end(tx, person, [session]))

    async def revoke(self, person: str, session: str) -> None:
        """Ends one of one's own sign-ins and closes its sockets. Raises `not_found`."""
        if not await self._store.transact(lambda tx: self._end(tx, person, [session])):
            raise VouchError(Code.NOT_FOUND)

    async def end_others(self, person: str, current: str) -> int:
        return await self._store.transact(lambda tx: self.end_all(tx, person, keep=current))

    async def end_one(self, tx: Tx, person: str, session: str) -> bool:
        """Ends one sign-in, in a transaction under way; False when there is none such."""
        return await self._end(tx, person, [session]) > 0

    async def end_all(self, tx: Tx, person: str, keep: str = "") -> int:
        """Ends every sign-in but `keep`, in a transaction under way; answers how many."""
        return await self._end(tx, person, [s.id for s in await self._repo.of(person, tx) if s.id != keep])

    async def live(self, sessions: Collection[str]) -> set[str]:
        """Which of these sign-ins still hold (one query)."""
        return await self._repo.live(sessions, self._clock.now())

    def view(self, session: Session, current: str) -> SessionView:
        return SessionView(
            session.id,
            session.kind,
            session.name,
            to_ms(session.created_at),
            to_ms(session.seen_at),
            session.ip,
            session.id == current,
        )

    async def _insert(
        self, tx: Tx, person: str, kind: SessionKind, name: str, ip: str, prefix: str
    ) -> tuple[Session, str]:
        token, now = prefix + secrets.token_urlsafe(32), self._clock.now()
        found = await self._people.get(person, tx)
        if found is None or found.deleted_at is not None:
            raise VouchError(Code.UNAUTHENTICATED)
        if found.suspended(now):
            raise self._suspended(found)
        await self._people.hold(tx, person)
        session = Session(
            id=new_id("s"),
            person=person,
            kind=kind,
            name=name,
            ip=ip,
            created_at=now,
            seen_at=now,
            expires=now + LIFETIME[kind],
        )
        await self._repo.insert(session, token, tx)
        return session, token

    async def _authenticate(self, token: str, kind: SessionKind, ip: str) -> Known | None:
        session, now = await self._repo.by_token(token), self._clock.now()
        if session is None or session.kind is not kind or session.expires <= now:
            return None
        touched = now - session.seen_at >= TOUCH_EVERY
        if touched:
            await self._repo.touch(session.id, now, now + LIFETIME[kind], ip or session.ip)
        grants = await self._grants.of(session.person)
        return Known(Principal(_PRINCIPALS[kind], session.person, session.id, grants), touched)

    def _suspended(self, person: Person) -> VouchError:
        """`retry_after` tells until when."""
        assert person.suspended_until is not None
        left = (person.suspended_until - self._clock.now()).total_seconds()
        said = f"This account is suspended until {person.suspended_until:%Y-%m-%d %H:%M} UTC."
        return VouchError(Code.SUSPENDED, said, retry_after=max(1.0, round(left, 1)))

    async def _end(self, tx: Tx, person: str, sessions: list[str]) -> int:
        ended = [session for session in sessions if await self._repo.delete(tx, person, session)]
        if ended:
            for hook in self.end_hooks:
                await hook(tx, ended)
            order = to_ms(self._clock.now())
            await self._news.tell(
                tx, person, f"sessions:{ended[0]}", order, "session_ended", SessionNews(sessions=ended)
            )
        return len(ended)


def _login_key(login: str) -> str:
    """A handle or an E.164 number. What can be neither is looked for all the same, for the same answer and time."""
    try:
        return rules.phone(login) if rules.looks_like_phone(login) else rules.handle(login)
    except VouchError:
        return "?" + login[:256]
