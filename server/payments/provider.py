"""The contract that every payment provider passes (tests/payments/contract.py)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Protocol

from server.payments.model import Notice, Order, OrderKind, Remote, Terms


class ProviderFault(Exception):
    """The provider did not do it. `certain`: it never will have been done under this id (a refusal, a bad request);
    otherwise nobody knows yet: ask again, with the same id. `code` is a short stable word: `down`, `timeout`,
    `refused`, `declined`, `over_refund`, `unknown`, `credentials`, …"""

    def __init__(self, code: str, *, certain: bool) -> None:
        self.code = code
        self.certain = certain
        super().__init__(f"{code} ({'certain' if certain else 'unknown outcome'})")


class Forged(Exception):
    """A notification whose signature does not hold, or which is too old."""


class PaymentProvider(Protocol):
    """A third party that takes and pays money. Every method that changes something is idempotent by the order's id:
    asked again it answers with what is. All raise ProviderFault and nothing else; none waits longer than 15 s."""

    name: str

    @property
    def terms(self) -> Terms: ...

    async def charge(self, order: Order, return_url: str, language: str) -> Remote:
        """Opens a check-out; `url` of the answer is where the payer confirms, and `return_url` where they come back."""

    async def cancel(self, order: Order) -> Remote:
        """Closes a check-out that nobody has confirmed. What was paid in the meantime is answered as done."""

    async def refund(self, order: Order, charge: Order) -> Remote:
        """Gives back `order.amount` of a charge. More than is left of it: ProviderFault `over_refund`, certain."""

    async def pay_out(self, order: Order) -> Remote:
        """Sends money to `order.destination`."""

    async def find(self, order: Order) -> Remote | None:
        """What the provider knows of the order, by its reference or our id; None when it was never asked."""

    def read_notice(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Notice | None:
        """Verifies a notification; None for one that is genuine and none of our concern. Raises Forged. Header names
        are in lower case."""

    def everything(self, kind: OrderKind, since: datetime, until: datetime) -> AsyncIterator[Remote]:
        """All that the provider has with a time in [since, until), for reconciliation."""

    async def close(self) -> None: ...
