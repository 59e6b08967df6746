"""Moving money. Every writer takes part in a transaction of `Money.transact`, together with whatever else changes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import NamedTuple, TypeVar

from server.clock import Clock
from server.errors import Code, VouchError
from server.money import folio as sheets
from server.money import rules
from server.money.folio import Folio, folio_id
from server.money.model import (
    Account,
    AccountKind,
    Balances,
    Currency,
    Day,
    Draft,
    History,
    Hold,
    HoldState,
    Leg,
    Share,
    Transfer,
    TransferKind,
    available,
    held,
)
from server.money.posting import Posting, touched
from server.money.repo import LedgerRepo, Raced, found, read_transfer
from server.money.statements import Statements
from server.money.turns import Turns, any_lane
from server.store import Store, Tx

T = TypeVar("T")
#: Called in the transaction that posts a transfer.
PostHook = Callable[[Tx, Transfer], Awaitable[None]]

_TRIES = 8
#: Nothing is written into the journal so soon after what is sealed: longer than a transaction can take.
_AFTER_SEAL = timedelta(minutes=2)
#: A transaction lasts a minute at most: what is older than this is complete, though the nodes' clocks differ somewhat.
SETTLED = timedelta(minutes=10)


class _Attempt(NamedTuple):
    """How a transaction under way goes about it: the lane that is its own, and whether it looks for an earlier transfer
    of the same key before it writes. The first attempt does not: nearly every transfer is new, and the journal's unique
    ids tell when one is not."""

    lane: int
    careful: bool


class Money:
    """The ledger. Amounts are whole minor units; what is refused is a VouchError with a code of `errors.py`."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._repo = LedgerRepo(store)
        self._turns = Turns()
        self._open: dict[Tx, _Attempt] = {}
        self._statements = Statements(self._repo)
        self._hooks: list[PostHook] = []

    async def start(self) -> None:
        """Makes the indexes, and a journal where there is none."""
        await self._repo.ensure_indexes()
        await self._repo.open(self._clock.now() - SETTLED)

    def on_post(self, hook: PostHook) -> None:
        """`hook(tx, transfer)` runs in the transaction of every new transfer."""
        self._hooks.append(hook)

    async def transact(self, accounts: Iterable[Account], body: Callable[[Tx], Awaitable[T]]) -> T:
        """Runs `body` in a transaction, when it is the turn of these accounts: name those of all people whose money it
        may move. It is run again after a conflict, so it touches nothing but the database. Not to be called inside
        another one's body. Raises `try_later` when others were faster too many times."""
        async with self._turns.of(accounts) as lane:
            for again in range(_TRIES):
                manner = _Attempt(lane, careful=again > 0)

                async def attempt(tx: Tx, manner: _Attempt = manner) -> T:
                    self._open[tx] = manner
                    try:
                        return await body(tx)
                    finally:
                        del self._open[tx]

                try:
                    return await self._store.transact(attempt)
                except Raced:
                    continue
        raise VouchError(Code.TRY_LATER)

    # ── Transfers ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def post(self, tx: Tx, draft: Draft) -> Transfer:
        """Moves money. The same draft again is answered with the first transfer.

        Raises `bad_request` (legs that do not sum to 0, an amount that is none, held money), `insufficient_funds`,
        `amount_limit` (more than an account counts) and `idempotency_conflict` (the key was used for something else).
        """
        rules.check_open(draft)
        return await self._post(tx, draft)

    async def post_all(self, tx: Tx, drafts: Sequence[Draft]) -> list[Transfer]:
        """Many transfers in little more time than one takes: all of them or, when one is refused, none."""
        for draft in drafts:
            rules.check_open(draft)
        return await self._post_all(tx, drafts, self._manner(tx))

    async def _post(self, tx: Tx, draft: Draft) -> Transfer:
        return (await self._post_all(tx, [draft], self._manner(tx)))[0]

    async def _post_all(self, tx: Tx, drafts: Sequence[Draft], manner: _Attempt) -> list[Transfer]:
        for draft in drafts:
            rules.check(draft)
        ids = [rules.id_of("t", draft.key) for draft in drafts]
        known = await self._repo.some(ids, tx) if manner.careful else {}
        new = [draft for each, draft in zip(ids, drafts, strict=True) if each not in known]
        before, sealed = await self._repo.for_change(tx, touched(new, manner.lane))
        posting = Posting(before, manner.lane, self._moment(before.values(), sealed))
        try:
            for each, draft in zip(ids, drafts, strict=True):
                if each in known:
                    rules.same(known[each], draft)
                else:
                    known[each] = posting.enter(draft)
        except VouchError:
            if manner.careful:
                raise
            # It may well have been possible the first time.
            return await self._post_all(tx, drafts, manner._replace(careful=True))
        if posting.entries:
            await self._repo.write(tx, posting)
            for entry in posting.entries:
                for hook in self._hooks:
                    await hook(tx, entry.transfer)
        return [known[each] for each in ids]

    def _manner(self, tx: Tx) -> _Attempt:
        return self._open.get(tx) or _Attempt(any_lane(), careful=True)

    def _moment(self, folios: Iterable[Folio], sealed: datetime | None) -> datetime:
        """Now; never before the last change of somebody's statement, nor in a part of the journal that is sealed."""
        moments = [folio.at for folio in folios if folio.personal and folio.at is not None]
        if sealed is not None:
            moments.append(sealed + _AFTER_SEAL)
        return max([self._clock.now(), *moments])

    # ── Holds ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def hold(
        self,
        tx: Tx,
        *,
        key: str,
        person: str,
        amount: int,
        currency: Currency,
        about: str,
        note: str = "",
        by: str = "system",
    ) -> Hold:
        """Sets a person's money aside. Asked again it answers the hold as it is now. Raises what `post` does."""
        rules.amount(amount)
        hold_id = rules.id_of("h", rules.check_key(key))
        draft = Draft(
            key=key,
            kind=TransferKind.HOLD,
            currency=currency,
            legs=(Leg(available(person), -amount), Leg(held(person), amount)),
            about=about,
            note=note,
            by=by,
            hold=hold_id,
        )
        transfer = await self._post(tx, draft)
        if known := await self._repo.hold(hold_id, tx):
            return known
        hold = Hold(id=hold_id, person=person, amount=amount, currency=currency, about=about, at=transfer.at)
        await self._repo.insert_hold(tx, hold, transfer.id)
        return hold

    async def release(
        self,
        tx: Tx,
        hold: str,
        *,
        key: str,
        to: Account,
        kind: TransferKind = TransferKind.RELEASE,
        note: str = "",
        by: str = "system",
    ) -> Transfer:
        """All of it to another account. A hold resolves once: the same key and content again are answered with the
        first transfer, anything else raises `already`."""
        if to.kind in (AccountKind.HELD, AccountKind.OWED):
            raise VouchError(Code.BAD_REQUEST, "It goes to an account that can be paid.", field="to")
        known = await self._hold(tx, hold)
        legs = (Leg(held(known.person), -known.amount), Leg(to, known.amount))
        return await self._resolve(tx, known, HoldState.RELEASED, kind, legs, key, note, by)

    async def refund(self, tx: Tx, hold: str, *, key: str, note: str = "", by: str = "system") -> Transfer:
        """All of it back to whom it was taken from. Repeats as for `release`."""
        known = await self._hold(tx, hold)
        legs = (Leg(held(known.person), -known.amount), Leg(available(known.person), known.amount))
        return await self._resolve(tx, known, HoldState.REFUNDED, TransferKind.REFUND, legs, key, note, by)

    async def split(
        self, tx: Tx, hold: str, *, key: str, shares: Sequence[Share], note: str = "", by: str = "system"
    ) -> Transfer:
        """Takes it apart by weight, to the last minor unit (`rules.split`). Repeats as for `release`."""
        known = await self._hold(tx, hold)
        legs = rules.split_legs(known, shares)
        return await self._resolve(tx, known, HoldState.SPLIT, TransferKind.SPLIT, legs, key, note, by)

    async def _hold(self, tx: Tx, hold: str) -> Hold:
        known = await self._repo.hold(hold, tx)
        if known is None:
            raise VouchError(Code.NOT_FOUND)
        return known

    async def _resolve(
        self,
        tx: Tx,
        hold: Hold,
        state: HoldState,
        kind: TransferKind,
        legs: tuple[Leg, ...],
        key: str,
        note: str,
        by: str,
    ) -> Transfer:
        draft = Draft(
            key=key, kind=kind, currency=hold.currency, legs=legs, about=hold.about, note=note, by=by, hold=hold.id
        )
        rules.check(draft)
        if hold.state is not HoldState.HELD:
            if hold.resolved_by != rules.id_of("t", key):
                raise VouchError(Code.ALREADY)
            try:
                return rules.same(found(await self._repo.transfer(hold.resolved_by, tx)), draft)
            except VouchError:
                raise VouchError(Code.ALREADY) from None
        transfer = await self._post(tx, draft)
        await self._repo.resolve_hold(tx, hold, state, transfer.id)
        return transfer

    # ── Taking back ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def claw_back(
        self,
        tx: Tx,
        transfer: str,
        *,
        key: str,
        amount: int | None,
        by: str,
        note: str = "",
        kind: TransferKind = TransferKind.CLAW_BACK,
    ) -> Transfer:
        """Takes back from those who received (`amount` None: all that is left), and gives to those who had given.
        What somebody has spent meanwhile becomes a claim on them, which is settled from what they get later.

        Raises `already` when all of it was taken back, `bad_request` for more than is left and for what cannot be taken
        back. `kind` is `claw_back` or `charge_back`.
        """
        if kind not in rules.CLAWS:
            raise VouchError(Code.BAD_REQUEST, "This is no kind of claw-back.", field="kind")
        original = found(await self._repo.transfer(transfer, tx))
        if known := await self._repo.transfer(rules.id_of("t", rules.check_key(key)), tx):
            moved = sum(leg.amount for leg in known.legs if leg.amount > 0)
            repeat = (transfer, kind, note, by, amount if amount is not None else moved)
            if (known.reverses, known.kind, known.note, known.by, moved) != repeat:
                raise VouchError(Code.IDEMPOTENCY_CONFLICT)
            return known
        before, version = await self._repo.reversal(tx, transfer)
        now, after = rules.reverse(original, before, amount)
        people = {a: folio_id(a, original.currency, 0) for a in now.taken if a.kind is AccountKind.AVAILABLE}
        folios = await self._repo.folios_of(people.values(), tx)
        funds = {account: folios[folio].available for account, folio in people.items() if folio in folios}
        draft = Draft(
            key=key,
            kind=kind,
            currency=original.currency,
            legs=rules.claw_legs(now, funds),
            about=original.about,
            note=note,
            by=by,
            reverses=transfer,
        )
        await self._repo.write_reversal(tx, transfer, after, version)
        return await self._post(tx, draft)

    # ── Looking ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def hold_of(self, hold: str) -> Hold:
        """Raises `not_found`."""
        known = await self._repo.hold(hold)
        if known is None:
            raise VouchError(Code.NOT_FOUND)
        return known

    async def holds(self, person: str) -> list[Hold]:
        """Those that still hold something, newest first."""
        return await self._repo.open_holds(person)

    async def transfer(self, transfer: str) -> Transfer:
        """Raises `not_found`."""
        return found(await self._repo.transfer(transfer))

    async def by_key(self, key: str) -> Transfer | None:
        return await self._repo.transfer(rules.id_of("t", key))

    async def balances(self, person: str) -> list[Balances]:
        """One per currency that the person ever had to do with."""
        ids = {folio_id(available(person), currency, 0): currency for currency in Currency}
        folios = await self._repo.folios_of(ids)
        return [
            Balances(currency, folios[folio].available, folios[folio].held, -folios[folio].owed)
            for folio, currency in ids.items()
            if folio in folios
        ]

    async def balance(self, account: Account, currency: Currency) -> int:
        folios = await self._repo.folios_of(sheets.folio_ids(account, currency))
        return sum(folio.balances[sheets.column(account)] for folio in folios.values())

    async def history(
        self,
        person: str,
        currency: Currency,
        *,
        before: str | None = None,
        limit: int = 50,
        kinds: Iterable[TransferKind] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> History:
        """A person's statement, newest first, of transfers in [since, until). `before` is `next` of the page before."""
        return await self._statements.history(person, currency, before, limit, kinds, since, until)

    async def daily(self, person: str, currency: Currency, since: datetime, until: datetime, zone: tzinfo) -> list[Day]:
        """What came and went on each day of [since, until) in this zone, days without any transfer left out."""
        return await self._statements.daily(person, currency, since, until, zone)

    async def journal(self, since: datetime, until: datetime) -> AsyncIterator[Transfer]:
        """All transfers with a time in [since, until), in order of time. Reads as it goes: any length is well."""
        async for _, rows in self._repo.windows(since, until):
            for row in rows:
                yield read_transfer(row)
