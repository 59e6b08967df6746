"""Second factors: adding, naming, removing them, and the recovery codes for when they are lost.

The first factor is added with the password, every further change with a proof by a factor that is there. The person's
inbox tells of every change.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
import pyotp
import segno

from server.clock import Clock, to_ms
from server.errors import Code, VouchError
from server.ids import new_id
from server.limits import Limits
from server.people import factor_rules as rules
from server.people import passkeys
from server.people import rules as people_rules
from server.people.factor_model import (
    Factor,
    FactorAdded,
    FactorKind,
    Factors,
    FactorView,
    NewPasskey,
    PasskeySetup,
    Purpose,
    Recovery,
    RecoveryCodes,
    Setup,
    TotpSetup,
)
from server.people.factor_repo import FactorsRepo
from server.people.inbox import FactorNews
from server.people.model import Person
from server.people.news import Newsroom
from server.people.proofs import Proofs
from server.store import Duplicate, Store, Tx

ISSUER = "Vouch"


class Confirmation(msgspec.Struct, frozen=True, kw_only=True):
    """That it is oneself who adds a factor: the password for the first one, a proof for another."""

    password: str | None = None
    proof: str | None = None


#: Answers the account after its password was given again. Raises `wrong_credentials`, `too_often`.
Confirm = Callable[[str, str], Awaitable[Person]]
#: The account. Raises `unauthenticated` for one that is gone.
Account = Callable[[str], Awaitable[Person]]


class FactorsService:
    def __init__(
        self,
        store: Store,
        repo: FactorsRepo,
        proofs: Proofs,
        news: Newsroom,
        limits: Limits,
        clock: Clock,
        *,
        confirm: Confirm,
        account: Account,
    ) -> None:
        self._store = store
        self._repo = repo
        self._proofs = proofs
        self._news = news
        self._limits = limits
        self._clock = clock
        self._confirm = confirm
        self._account = account

    async def has(self, person: str) -> bool:
        """Whether a person can prove anything, on some page."""
        return any(not factor.copied for factor in await self._repo.of(person))

    async def all_of(self, me: str, origin: str) -> Factors:
        """`origin` is that of the page that asks."""
        host = rules.passkey_host(origin)
        recovery = await self._repo.recovery(me)
        factors = [_view(factor, host) for factor in await self._repo.of(me)]
        return Factors(factors, len(recovery.hashes) if recovery else 0, host is not None)

    # ── Adding ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def begin_totp(self, me: str, session: str, name: str, confirmation: Confirmation) -> TotpSetup:
        """A secret for an authenticator app. Raises `wrong_credentials`, `factor_needed`, `limit_reached`."""
        secret = pyotp.random_base32()
        setup = self._setup(me, session, FactorKind.TOTP, people_rules.name(name), secret=secret)
        person = await self._begin(setup, confirmation)
        uri = pyotp.TOTP(secret, interval=rules.STEP).provisioning_uri(name=person.handle, issuer_name=ISSUER)
        picture = segno.make(uri, error="m").svg_data_uri(scale=4, border=4, dark="#1F2A37", light="#FFFFFF")
        return TotpSetup(setup.id, secret, uri, picture, to_ms(setup.expires))

    async def add_totp(self, me: str, session: str, id: str, code: str, origin: str) -> FactorAdded:
        """Keeps it, once the app has shown a right code. Raises `not_found`, `wrong_factor`, `factor_needed`."""
        setup = await self._found(me, session, id, FactorKind.TOTP)
        await self._limits.hit("prove", me)
        step = rules.matching_step(setup.secret, rules.plain_code(code), self._clock.now(), 0)
        if step is None:
            raise VouchError(Code.WRONG_FACTOR, field="code")
        return await self._add(
            setup, msgspec.structs.replace(self._factor(setup), secret=setup.secret, step=step), origin
        )

    async def begin_passkey(
        self, me: str, session: str, name: str, confirmation: Confirmation, origin: str
    ) -> PasskeySetup:
        """Raises `conflict` on pages where browsers make no passkeys, and like `begin_totp`."""
        host = rules.passkey_host(origin)
        if host is None:
            raise VouchError(Code.CONFLICT, "Passkeys need https and a host name, or localhost.")
        setup = self._setup(me, session, FactorKind.PASSKEY, people_rules.name(name), origin=origin)
        person = await self._begin(setup, confirmation)
        known = [f.credential for f in await self._repo.of(me) if f.credential is not None and f.host == host]
        return PasskeySetup(
            setup=setup.id,
            challenge=passkeys.text(setup.challenge),
            rp_id=host,
            user_id=passkeys.user_id(me),
            user_name=person.handle,
            display_name=person.name,
            exclude=known,
            algorithms=[int(algorithm) for algorithm in passkeys.ALGORITHMS],
            expires_at=to_ms(setup.expires),
        )

    async def add_passkey(self, me: str, session: str, id: str, answer: NewPasskey, origin: str) -> FactorAdded:
        """Raises `not_found`, `wrong_factor`, `factor_needed`, `already` for a passkey that is known."""
        setup = await self._found(me, session, id, FactorKind.PASSKEY)
        await self._limits.hit("prove", me)
        host = rules.passkey_host(setup.origin) or ""
        known = passkeys.register(answer, setup.challenge, host, setup.origin)
        factor = msgspec.structs.replace(
            self._factor(setup),
            credential=known.credential,
            public_key=known.public_key,
            counter=known.counter,
            host=host,
            transports=tuple(answer.transports),
        )
        return await self._add(setup, factor, origin)

    # ── Changing ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def remove(self, me: str, session: str, id: str, proof: str) -> None:
        """Raises `not_found`, `factor_needed`. With the last factor the recovery codes go."""

        async def body(tx: Tx) -> None:
            factors = await self._repo.of(me, tx)
            gone = next((factor for factor in factors if factor.id == id), None)
            if gone is None:
                raise VouchError(Code.NOT_FOUND)
            await self._spend(tx, me, session, proof, "remove", id)
            await self._repo.delete(tx, me, id)
            if len(factors) == 1:
                await self._repo.delete_recovery(tx, me)
            await self._tell(tx, me, f"factor:{id}:removed", "removed", me, gone.name)

        await self._store.transact(body)

    async def renew_codes(self, me: str, session: str, proof: str) -> RecoveryCodes:
        """New recovery codes instead of the old ones. Raises `factor_needed`."""
        codes = rules.fresh_recovery_codes()

        async def body(tx: Tx) -> None:
            await self._spend(tx, me, session, proof, "codes", "")
            before = await self._repo.recovery(me, tx)
            version = before.version + 1 if before else 1
            if not await self._repo.put_recovery(tx, _recovery(me, codes, version)):
                raise VouchError(Code.STALE)
            await self._tell(tx, me, f"codes:{to_ms(self._clock.now())}", "codes", me)

        await self._store.transact(body)
        return RecoveryCodes(codes)

    async def reset(self, tx: Tx, person: str) -> int:
        """Takes every factor away from somebody who has lost them, in an admin's transaction; answers how many. The
        person is told, but not by whom: that is in the audit trail."""
        removed = await self._repo.delete_all(tx, person)
        await self._proofs.on_delete(tx, person)
        if removed:
            await self._tell(tx, person, f"factors:reset:{to_ms(self._clock.now())}", "reset", "system")
        return removed

    async def on_delete(self, tx: Tx, person: str) -> None:
        await self._repo.delete_all(tx, person)

    # ── Within ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _setup(
        self, me: str, session: str, kind: FactorKind, name: str, *, secret: str = "", origin: str = ""
    ) -> Setup:
        return Setup(
            id=new_id("fs"),
            person=me,
            session=session,
            kind=kind,
            name=name,
            first=True,
            expires=self._clock.now() + rules.SETUP_LASTS,
            secret=secret,
            challenge=passkeys.challenge(),
            origin=origin,
        )

    async def _begin(self, setup: Setup, confirmation: Confirmation) -> Person:
        """Keeps the setup, once it is clear that it is oneself: the password for a first factor, a proof after it."""
        await self._limits.hit("change_factors", setup.person)
        first = not await self._repo.of(setup.person)
        if first:
            person = await self._confirm(setup.person, confirmation.password or "")
        else:
            person = await self._account(setup.person)

        async def body(tx: Tx) -> None:
            factors = await self._repo.of(setup.person, tx)
            if len(factors) >= rules.MOST_FACTORS:
                raise VouchError(Code.LIMIT_REACHED, f"At most {rules.MOST_FACTORS} factors. Remove one first.")
            if factors:
                await self._spend(tx, setup.person, setup.session, confirmation.proof or "", "add", setup.kind.value)
            elif not first:  # the last one has just gone: the password is asked for
                raise VouchError(Code.FACTOR_NEEDED)
            await self._repo.insert_setup(tx, msgspec.structs.replace(setup, first=not factors))

        await self._store.transact(body)
        return person

    async def _found(self, me: str, session: str, id: str, kind: FactorKind) -> Setup:
        setup = await self._repo.setup(id)
        if setup is None or (setup.person, setup.session, setup.kind) != (me, session, kind):
            raise VouchError(Code.NOT_FOUND)
        if setup.expires <= self._clock.now():
            raise VouchError(Code.NOT_FOUND)
        return setup

    def _factor(self, setup: Setup) -> Factor:
        return Factor(
            id=new_id("f"), person=setup.person, kind=setup.kind, name=setup.name, created_at=self._clock.now()
        )

    async def _add(self, setup: Setup, factor: Factor, origin: str) -> FactorAdded:
        me, codes = setup.person, rules.fresh_recovery_codes()

        async def body(tx: Tx) -> bool:
            factors = await self._repo.of(me, tx)
            if setup.first and factors:  # of two that were begun as the first, the second needs a proof
                raise VouchError(Code.FACTOR_NEEDED)
            if len(factors) >= rules.MOST_FACTORS:
                raise VouchError(Code.LIMIT_REACHED)
            if not await self._repo.delete_setup(tx, setup.id):
                raise VouchError(Code.NOT_FOUND)
            await self._repo.insert(tx, factor)
            fresh = await self._repo.recovery(me, tx) is None
            if fresh:
                await self._repo.put_recovery(tx, _recovery(me, codes, 1))
            await self._tell(tx, me, f"factor:{factor.id}:added", "added", me, factor.name)
            return fresh

        try:
            fresh = await self._store.transact(body)
        except Duplicate:  # this passkey is known, or another first factor came at the same moment
            raise VouchError(Code.ALREADY) from None
        return FactorAdded(_view(factor, rules.passkey_host(origin)), codes if fresh else None)

    async def _spend(self, tx: Tx, me: str, session: str, proof: str, action: str, what: str) -> None:
        facts = {"action": action, "what": what}
        await self._proofs.spend(tx, me, session, proof, Purpose.FACTOR, facts)

    async def _tell(self, tx: Tx, person: str, event: str, done: str, by: str, name: str = "") -> None:
        order = to_ms(self._clock.now())
        await self._news.tell(tx, person, event, order, "factors_changed", FactorNews(done, by, name))


def _recovery(person: str, codes: list[str], version: int) -> Recovery:
    hashes = tuple(rules.recovery_hash(code, person) for code in codes)
    return Recovery(person=person, hashes=hashes, version=version)


def _view(factor: Factor, host: str | None) -> FactorView:
    return FactorView(
        id=factor.id,
        kind=factor.kind,
        name=factor.name,
        created_at=to_ms(factor.created_at),
        used_at=to_ms(factor.used_at) if factor.used_at else None,
        host=factor.host or None,
        here=rules.usable(factor, host),
        copied=factor.copied,
    )
