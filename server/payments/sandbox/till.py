"""What the platform does: opens charges, takes and returns play money, pays out, and writes down whom to tell of it.

Every request that changes something carries a key. What was answered to a key, a refusal too, is answered again; the
same key with other content is a conflict. Each change and the notice of it are one transaction.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

import msgspec

from server.payments.sandbox import rules
from server.payments.sandbox.book import Asked, Book
from server.payments.sandbox.model import (
    CancelRequest,
    ChargeRequest,
    DeliveryState,
    Kind,
    Movement,
    PayOutRequest,
    RefundRequest,
    Refusal,
    RefusalCode,
    State,
    Troubles,
)

_PREFIX = {Kind.CHARGE: "ch", Kind.REFUND: "re", Kind.PAY_OUT: "po"}
#: kinds of purses a payer can choose on the page, and what comes of it
PURSES = ("full", "slow", "empty")


class Till:
    """`now` gives milliseconds since 1970; `wake` is called when something is to be sent. `bank_ms` is how long a bank
    takes for what is pending."""

    def __init__(self, book: Book, now: Callable[[], int], wake: Callable[[], None], bank_ms: int = 3_000) -> None:
        self.book = book
        self._now = now
        self._wake = wake
        self._bank_ms = bank_ms

    # -- the merchant

    def charge(self, key: str, digest: str, request: ChargeRequest) -> Movement:
        """Opens a check-out. Raises Refusal, as all of these."""

        def opened() -> Movement:
            known = self.book.by_order(Kind.CHARGE, request.order)
            if known is not None and known.token is None:
                return known  # cancelled before it arrived
            rules.check_return_url(request.return_url)
            now = self._now()
            return self._made(
                Kind.CHARGE,
                request,
                state=State.OPEN,
                token=secrets.token_urlsafe(32),
                description=request.description,
                return_url=request.return_url,
                language=request.language,
                due=now + round(request.open_for * 1_000),
            )

        return self._once(key, digest, opened)

    def cancel(self, request: CancelRequest) -> Movement:
        """Closes a check-out that is still open; one that is not stays as it is."""
        with self.book.writing():
            known = self.book.by_order(Kind.CHARGE, request.order)
            if known is None:
                return self._made(Kind.CHARGE, request, state=State.CANCELLED)
            if (known.amount, known.currency) != (request.amount, request.currency):
                raise Refusal(RefusalCode.CONFLICT, "the order is about another amount")
            current = self._settled(known)
            return self._moved(current, state=State.CANCELLED, due=None) if current.state is State.OPEN else current

    def refund(self, key: str, digest: str, request: RefundRequest) -> Movement:
        def refunded() -> Movement:
            charge = self.book.movement(request.charge)
            if charge is None or charge.kind is not Kind.CHARGE:
                raise Refusal(RefusalCode.UNKNOWN, "there is no such charge")
            rules.check_refund(charge, request.amount, request.currency)
            made = self._made(Kind.REFUND, request, state=State.DONE, charge=charge.id)
            self._moved(charge, refunded=charge.refunded + request.amount)
            self._tell(made)
            return made

        return self._once(key, digest, refunded)

    def pay_out(self, key: str, digest: str, request: PayOutRequest) -> Movement:
        def sent() -> Movement:
            troubles = self.book.troubles()
            fault = rules.closed_account(request.destination)
            if fault is None and troubles.fail_pay_outs:
                self.book.trouble(rules.fewer(troubles, "fail_pay_outs"))
                fault = "returned"
            due = None if troubles.hold_pay_outs and fault is None else self._now() + self._bank_ms
            return self._made(
                Kind.PAY_OUT, request, state=State.PENDING, destination=request.destination, fault=fault, due=due
            )

        return self._once(key, digest, sent)

    def movement(self, kind: Kind, id: str) -> Movement:
        found = self.book.movement(id)
        if found is None or found.kind is not kind:
            raise Refusal(RefusalCode.UNKNOWN)
        return self._current(found)

    def by_order(self, kind: Kind, order: str) -> Movement | None:
        found = self.book.by_order(kind, order)
        return None if found is None else self._current(found)

    # -- the payer

    def page(self, token: str) -> Movement:
        """The charge behind a check-out page."""
        found = self.book.by_token(token)
        if found is None:
            raise Refusal(RefusalCode.UNKNOWN)
        return self._current(found)

    def pay(self, token: str, purse: str) -> Movement:
        """The payer confirms. A charge that is not open any more stays as it is: it is never taken twice."""
        with self.book.writing():
            charge = self._settled(self._behind(token))
            if charge.state is not State.OPEN:
                return charge
            if purse == "empty":
                return self._moved(charge, state=State.FAILED, fault="declined", due=None)
            if purse == "slow":
                return self._moved(charge, state=State.PENDING, due=self._now() + self._bank_ms)
            return self._moved(charge, state=State.DONE, due=None)

    def decline(self, token: str) -> Movement:
        """The payer refuses."""
        with self.book.writing():
            charge = self._settled(self._behind(token))
            if charge.state is not State.OPEN:
                return charge
            return self._moved(charge, state=State.FAILED, fault="refused", due=None)

    # -- the tester

    def trouble(self, troubles: Troubles) -> None:
        with self.book.writing():
            self.book.trouble(troubles)

    def dispute(self, id: str, amount: int | None = None) -> Movement:
        """The payer's bank takes a charge back: `amount`, or all that is left of it."""
        with self.book.writing():
            charge = self.book.movement(id)
            if charge is None or charge.kind is not Kind.CHARGE:
                raise Refusal(RefusalCode.UNKNOWN)
            taken = charge.left if amount is None else amount
            if charge.state is not State.DONE or not 0 < taken <= charge.left:
                raise Refusal(RefusalCode.STATE, "nothing of the charge can be taken back, or not so much")
            return self._moved(charge, disputed=charge.disputed + taken)

    def restore(self, id: str, amount: int | None = None) -> Movement:
        """The payer's bank gives back what it has taken: `amount`, or all of it."""
        with self.book.writing():
            charge = self.book.movement(id)
            if charge is None or charge.kind is not Kind.CHARGE:
                raise Refusal(RefusalCode.UNKNOWN)
            given = charge.disputed if amount is None else amount
            if not 0 < given <= charge.disputed:
                raise Refusal(RefusalCode.STATE, "nothing of the charge was taken back, or not so much")
            return self._moved(charge, disputed=charge.disputed - given)

    def finish(self, id: str, fault: str | None = None) -> Movement:
        """The bank ends what is pending: done, or failed with a word for why."""
        with self.book.writing():
            found = self.book.movement(id)
            if found is None:
                raise Refusal(RefusalCode.UNKNOWN)
            if found.state is not State.PENDING:
                raise Refusal(RefusalCode.STATE, f"it is {found.state}")
            return self._ended(msgspec.structs.replace(found, fault=fault))

    def lose_notices(self) -> None:
        """Loses all that are on their way."""
        with self.book.writing():
            self.book.lose_waiting()

    def send_again(self, id: int) -> None:
        """Sends a notice once more, as its first time."""
        with self.book.writing():
            known = self.book.delivery(id)
            if known is None:
                raise Refusal(RefusalCode.UNKNOWN)
            now = self._now()
            self.book.send(known.notice, known.body, now, DeliveryState.WAITING, now)
        self._wake()

    # -- time

    def pass_time(self) -> None:
        """Moves on what is due."""
        while due := self.book.due(self._now()):
            with self.book.writing():
                for movement in due:
                    self._settled(movement)

    def _current(self, movement: Movement) -> Movement:
        if movement.due is None or movement.due > self._now():
            return movement
        with self.book.writing():
            return self._settled(movement)

    def _settled(self, movement: Movement) -> Movement:
        """The movement as it is by now."""
        if movement.due is None or movement.due > self._now():
            return movement
        if movement.state is State.OPEN:
            return self._moved(movement, state=State.EXPIRED, due=None)
        return self._ended(movement)

    def _ended(self, movement: Movement) -> Movement:
        return self._moved(movement, state=State.FAILED if movement.fault else State.DONE, due=None)

    # -- inside a transaction

    def _once(self, key: str, digest: str, do: Callable[[], Movement]) -> Movement:
        """What `do` makes, or what it made when this key came first. Its refusals are kept too: what was refused under
        a key is not done under it later."""
        with self.book.writing():
            asked = self.book.asked(key)
            if asked is None:
                try:
                    self._decline_if_asked()
                    asked = Asked(digest, do().id, None, "")
                except Refusal as refusal:  # none is raised after something was written
                    asked = Asked(digest, None, refusal.code, refusal.text)
                self.book.answered(key, asked, self._now())
        if asked.digest != digest:
            raise Refusal(RefusalCode.CONFLICT, "this key came with other content before")
        if asked.refusal is not None:
            raise Refusal(asked.refusal, asked.text)
        found = self.book.movement(asked.movement or "")
        if found is None:
            raise Refusal(RefusalCode.FAULT)
        return self._current(found)

    def _decline_if_asked(self) -> None:
        troubles = self.book.troubles()
        if troubles.decline:
            self.book.trouble(rules.fewer(troubles, "decline"))
            raise Refusal(RefusalCode.DECLINED, "the tester wanted it refused")

    def _behind(self, token: str) -> Movement:
        found = self.book.by_token(token)
        if found is None:
            raise Refusal(RefusalCode.UNKNOWN)
        return found

    def _made(
        self,
        kind: Kind,
        request: ChargeRequest | CancelRequest | RefundRequest | PayOutRequest,
        *,
        state: State,
        **more: object,
    ) -> Movement:
        if self.book.by_order(kind, request.order) is not None:
            raise Refusal(RefusalCode.ORDER_EXISTS, "this order was asked for under another key")
        if kind is not Kind.REFUND:
            rules.check_amount(request.amount, request.currency)
        now = self._now()
        made = Movement(
            id=f"{_PREFIX[kind]}_{secrets.token_hex(12)}",
            kind=kind,
            order=request.order,
            state=state,
            amount=request.amount,
            currency=request.currency,
            created_at=now,
            changed_at=now,
            **more,  # type: ignore[arg-type]
        )
        self.book.add(made)
        return made

    def _moved(self, movement: Movement, **changes: object) -> Movement:
        moved: Movement = msgspec.structs.replace(movement, changed_at=self._now(), **changes)
        self.book.change(moved)
        self._tell(moved)
        return moved

    def _tell(self, movement: Movement) -> None:
        """Writes down that the merchant is to be told of a movement as it is now."""
        now = self._now()
        notice = f"ev_{secrets.token_hex(12)}"
        about = {"kind": movement.kind, "id": movement.id, "order": movement.order, "state": movement.state}
        body = msgspec.json.encode(
            {"id": notice, "type": f"{movement.kind}.{movement.state}", "at": now, "about": about}
        )
        before = self.book.troubles()
        waits, left = rules.deliveries(before, self.book.next_notice())
        if left != before:
            self.book.trouble(left)
        for wait in waits:
            self.book.send(notice, body, now + wait, DeliveryState.WAITING, now)
        if not waits:
            self.book.send(notice, body, now, DeliveryState.LOST, now)
        self._wake()
