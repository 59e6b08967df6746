"""What people ask of providers: topping up, sending a top-up back, paying out. Each under an id that makes it once.

A request is admitted first – limits counted, a proof spent, its row written, in one transaction – and then handed to
payments under its own key. Dying in between leaves a row whose repeat goes on where it stopped; what was refused, or
did not come to pass, is counted back.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date, timedelta

import msgspec

from server.clock import Clock
from server.errors import TRANSIENT, Code, VouchError
from server.money.model import Currency
from server.payments.model import FINAL, Order, OrderKind, OrderState
from server.store import Duplicate, Store, Tx
from server.wallet import rules
from server.wallet.accounts import AccountBook
from server.wallet.model import GiveBack, Payment, Payments, PayOut, Request, TopUp
from server.wallet.neighbours import Payments as PaymentsPort
from server.wallet.neighbours import People, Proofs
from server.wallet.orders import can_give_back, view
from server.wallet.repo import MOST_OPEN, RequestsRepo
from server.wallet.standings import Standings
from server.wallet.tallies import Tallies

#: a request that became no order within this time never will, unless it is repeated
GIVEN_UP = timedelta(hours=1)
#: seconds for which a reader waits for the provider's word on a payment
LOOK = 4.0
#: what a charge of the wallet is for
PURPOSE = "top_up"

#: Order → the state of the dispute that its person has opened, for those that have one.
Disputes = Callable[[Sequence[str]], Awaitable[Mapping[str, str]]]
#: Hands a request to payments.
Begin = Callable[[], Awaitable[Order]]


class Movements:
    def __init__(
        self,
        *,
        store: Store,
        requests: RequestsRepo,
        tallies: Tallies,
        accounts: AccountBook,
        standings: Standings,
        payments: PaymentsPort,
        people: People,
        proofs: Proofs,
        clock: Clock,
    ) -> None:
        self._store = store
        self._requests = requests
        self._tallies = tallies
        self._accounts = accounts
        self._standings = standings
        self._payments = payments
        self._people = people
        self._proofs = proofs
        self._clock = clock
        self._disputes: Disputes | None = None

    def show_disputes(self, disputes: Disputes) -> None:
        """Whom to ask for the disputes of orders."""
        self._disputes = disputes

    # ── Asking ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def top_up(self, me: str, wanted: TopUp, origin: str) -> Payment:
        """Raises what `charge` does."""
        back = f"{origin}/wallet/payments/{{order}}"
        return await self.charge(me, wanted, purpose=PURPOSE, return_url=back)

    async def charge(self, me: str, wanted: TopUp, *, purpose: str, return_url: str) -> Payment:
        """Opens a check-out; what it pays comes into the wallet first, whatever it is for. `{order}` in `return_url`
        becomes the payment's id. Raises `guardian_needed`, `bad_request`, `amount_limit`, `limit_reached`,
        `idempotency_conflict`."""
        content: object = wanted if purpose == PURPOSE else [wanted, purpose]
        request = self._request(me, OrderKind.CHARGE, wanted.id, content, wanted.amount, wanted.currency)
        language, zone = await self._people.locale(me)

        async def check() -> None:
            terms = self._payments.terms.get(wanted.provider)
            if terms is None:
                raise VouchError(Code.BAD_REQUEST, "There is no such provider.", field="provider")
            if wanted.currency not in terms.charges:
                raise VouchError(Code.BAD_REQUEST, "This provider does not take this currency.", field="currency")
            least, most = terms.charges[wanted.currency]
            if not least <= wanted.amount <= most:
                raise VouchError(Code.AMOUNT_LIMIT, field="amount")

        kept = await self._admitted(request, zone, check)
        return await self._begun(
            kept,
            lambda: self._payments.begin_charge(
                key=kept.id,
                person=me,
                provider=wanted.provider,
                amount=wanted.amount,
                currency=wanted.currency,
                purpose=purpose,
                by=me,
                return_url=return_url,
                language=language.value,
            ),
        )

    async def give_back(self, me: str, charge: str, wanted: GiveBack) -> Payment:
        """Raises `not_found`, `guardian_needed`, `conflict` when nothing is left, `amount_limit`, `insufficient_funds`
        when it was spent, `idempotency_conflict`."""
        order = await self._own(me, charge)
        left = can_give_back(order)
        amount = left if wanted.amount is None else wanted.amount
        request = self._request(me, OrderKind.REFUND, wanted.id, [charge, wanted.amount], amount, order.currency)
        _, zone = await self._people.locale(me)

        async def check() -> None:
            if left == 0:
                raise VouchError(Code.CONFLICT, "Nothing of this can be sent back.")
            if amount > left:
                raise VouchError(Code.AMOUNT_LIMIT, "This is more than is left of it.", field="amount")

        kept = await self._admitted(request, zone, check)
        return await self._begun(
            kept,
            lambda: self._payments.begin_refund(
                key=kept.id, charge=charge, amount=kept.amount, by=me, approval=kept.approval
            ),
        )

    async def pay_out(self, me: str, session: str, wanted: PayOut) -> Payment:
        """Raises `guardian_needed`, `not_found` for an account that is not one's own, `cooling`, `factor_needed`,
        `amount_limit`, `insufficient_funds`, `idempotency_conflict`."""
        content = [wanted.account, wanted.amount, wanted.currency]
        request = self._request(me, OrderKind.PAY_OUT, wanted.id, content, wanted.amount, wanted.currency)
        account = await self._accounts.own(me, wanted.account)
        _, zone = await self._people.locale(me)
        facts: dict[str, str | int] = {
            "account": wanted.account,
            "amount": wanted.amount,
            "currency": wanted.currency.value,
        }

        async def check() -> None:
            rules.cooled(account.usable_at, self._clock.now())
            terms = self._payments.terms.get(account.provider)
            if terms is None or not terms.pay_outs or wanted.currency not in terms.charges:
                raise VouchError(Code.BAD_REQUEST, "This provider does not pay out in this currency.", field="currency")
            await self._accounts.covered(me, wanted.amount, wanted.currency)

        async def prove(tx: Tx) -> None:
            await self._proofs.spend(tx, me, session, wanted.proof, "pay_out", facts, use=request.id)

        kept = await self._admitted(request, zone, check, prove)
        return await self._begun(
            kept,
            lambda: self._payments.begin_pay_out(
                key=kept.id,
                person=me,
                provider=account.provider,
                amount=wanted.amount,
                currency=wanted.currency,
                destination={
                    "account": account.id,
                    "holder": account.holder,
                    "number": account.number,
                    "ending": account.ending,
                },
                by=me,
                approval=kept.approval,
            ),
        )

    # ── Looking ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def payment(self, me: str, id: str) -> Payment:
        """As its provider knows it by now, if that answers soon; else as it was known last. Raises `not_found`."""
        order = await self._own(me, id)
        if order.state in FINAL or order.state is OrderState.APPROVAL:
            return (await self._views([order]))[0]
        looking = asyncio.ensure_future(self._payments.look(order))
        done, _ = await asyncio.wait({looking}, timeout=LOOK)
        if not done:  # it goes on by itself, and tells the inbox
            looking.add_done_callback(lambda task: task.cancelled() or task.exception())
            return view(order)
        try:
            return view(looking.result())
        except VouchError:
            return view(await self._payments.order(id))

    async def all_of(self, me: str, before: int | None, limit: int) -> Payments:
        """Newest first."""
        orders, following = await self._payments.of_person(me, before, limit)
        return Payments(await self._views(orders), None if following is None else str(following))

    async def _views(self, orders: Sequence[Order]) -> list[Payment]:
        """With the disputes of those that are done."""
        done = [order.id for order in orders if order.state is OrderState.DONE]
        disputes = await self._disputes(done) if self._disputes and done else {}
        return [view(order, disputes.get(order.id)) for order in orders]

    async def cancel(self, me: str, id: str) -> Payment:
        """Raises `not_found`, `already`, `conflict` for what is on its way."""
        await self._own(me, id)
        return view(await self._payments.cancel(id, me))

    async def under_way(self, tx: Tx, person: str) -> bool:
        """Whether something that a person has asked for has not ended."""
        fresh = self._clock.now() - GIVEN_UP
        requests = await self._requests.open_of(person, tx)
        if any(request.order is None and request.at > fresh for request in requests):
            return True
        return bool(await self._payments.open_of(person))

    async def settle(self, person: str) -> None:
        """Counts back what did not come to pass of a person's requests. Done before limits are told or asked."""
        for request in await self._requests.open_of(person):
            order = await self._order_of(request)
            if order is None:
                if request.at + GIVEN_UP < self._clock.now():
                    await self._withdraw(request)
            elif order.state in FINAL:
                await self._close(request, came_to_pass=order.state is OrderState.DONE)

    # ── Within ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _request(self, me: str, kind: OrderKind, id: str, content: object, amount: int, currency: Currency) -> Request:
        return Request(
            id=f"{kind.value}:{me}:{id}",
            person=me,
            kind=kind,
            content=hashlib.sha256(msgspec.json.encode(content)).hexdigest(),
            amount=amount,
            currency=currency,
            day=None,
            approval=False,
            at=self._clock.now(),
        )

    async def _admitted(
        self,
        request: Request,
        zone: str,
        check: Callable[[], Awaitable[None]],
        prove: Callable[[Tx], Awaitable[None]] | None = None,
    ) -> Request:
        """The request as it is kept: this one, or the first of its id. Raises `idempotency_conflict`."""
        known = await self._requests.get(request.id)
        if known is None:
            await self._standings.may_move(request.person)
            await check()
            await self.settle(request.person)
            if len(await self._requests.open_of(request.person)) >= MOST_OPEN:
                raise VouchError(Code.LIMIT_REACHED, f"At most {MOST_OPEN} payments may be under way.")

            async def body(tx: Tx) -> Request:
                await self._standings.may_move(request.person, tx)
                counted = await self._tallies.count(
                    tx, request.person, zone, request.kind, request.currency, request.amount
                )
                kept = msgspec.structs.replace(request, day=counted.day.isoformat(), approval=counted.approval)
                await self._requests.insert(tx, kept)
                if prove is not None:
                    await prove(tx)
                return kept

            known = await self._once(request.id, body)
        if known.content != request.content:
            raise VouchError(Code.IDEMPOTENCY_CONFLICT)
        return known

    async def _once(self, id: str, body: Callable[[Tx], Awaitable[Request]]) -> Request:
        """Of several at the same moment one is written, and all answer it."""
        for _ in range(2):
            try:
                return await self._store.transact(body)
            except Duplicate:
                if (known := await self._requests.get(id)) is not None:
                    return known
        raise VouchError(Code.TRY_LATER)

    async def _begun(self, request: Request, begin: Begin) -> Payment:
        if request.order is not None:
            return view(await self._payments.order(request.order))
        try:
            order = await begin()
        except VouchError as refusal:
            if refusal.code not in TRANSIENT:
                await self._withdraw(request)
            raise
        await self._requests.name(request.id, order.id)
        return view(order)

    async def _order_of(self, request: Request) -> Order | None:
        if request.order is not None:
            return await self._payments.order(request.order)
        order = await self._payments.by_key(request.id)
        if order is not None:  # somebody has died before noting it
            await self._requests.name(request.id, order.id)
        return order

    async def _own(self, me: str, id: str) -> Order:
        order = await self._payments.order(id)
        if order.person != me:
            raise VouchError(Code.NOT_FOUND)
        return order

    async def _withdraw(self, request: Request) -> None:
        async def body(tx: Tx) -> None:
            if await self._requests.delete(tx, request.id):
                await self._count_back(tx, request)

        await self._store.transact(body)

    async def _close(self, request: Request, *, came_to_pass: bool) -> None:
        async def body(tx: Tx) -> None:
            if await self._requests.close(tx, request.id) and not came_to_pass:
                await self._count_back(tx, request)

        await self._store.transact(body)

    async def _count_back(self, tx: Tx, request: Request) -> None:
        if request.day is not None:
            day = date.fromisoformat(request.day)
            await self._tallies.give_back(tx, request.person, request.kind, request.currency, day, request.amount)
