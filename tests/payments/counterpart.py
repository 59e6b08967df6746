"""The other side of a payment provider's tests, what it may lack, and what it sends (contract.py)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

from server.money.model import Currency
from server.payments.model import Remote
from server.payments.provider import PaymentProvider


class Ability(StrEnum):
    """What a counterpart may lack, beyond charging, finding and being paid."""

    #: the same id with the same content is done once
    REPEATS = "repeats"
    #: the same id with other content is refused
    OTHER_CONTENT = "other_content"
    #: no more is given back than was charged
    OVER_REFUND = "over_refund"
    #: the payer can say no
    REFUSE = "refuse"
    #: a check-out can be closed
    CANCEL = "cancel"
    #: the payer's bank can take money back
    CHARGE_BACK = "charge_back"
    PAY_OUT = "pay_out"
    #: a pay-out can be made to fail
    FAILING_PAY_OUT = "failing_pay_out"
    #: it can be made unreachable
    DOWN = "down"
    #: it can do something and not answer
    LOST_ANSWER = "lost_answer"
    #: it sends signed notifications
    NOTICES = "notices"
    #: it finds things by our id alone
    FIND_BY_ORDER = "find_by_order"
    #: it lists what it has
    LISTING = "listing"


class Sent(NamedTuple):
    """A notification as it arrives: header names in lower case."""

    headers: Mapping[str, str]
    body: bytes


class Counterpart(Protocol):
    """The other side in a test. Methods for abilities that it lacks are never called."""

    @property
    def provider(self) -> PaymentProvider: ...

    @property
    def currency(self) -> Currency: ...

    @property
    def signs_headers(self) -> bool:
        """Whether a notice's signature travels in its headers; otherwise it is in its body."""

    def destination(self, *, fails: bool = False) -> dict[str, str]:
        """Where a pay-out may go; `fails`: the provider accepts it and it does not arrive, or it is refused."""

    async def confirm(self, remote: Remote) -> None:
        """The payer pays at the check-out page."""

    async def refuse(self, remote: Remote) -> None:
        """The payer says no, or has no money."""

    async def charge_back(self, remote: Remote, amount: int) -> None:
        """The payer's bank takes back so much of a paid charge."""

    async def take_down(self) -> None: ...

    async def bring_up(self) -> None: ...

    async def lose_next_answer(self) -> None:
        """The next thing asked for is done, and the answer does not come."""

    async def notices(self) -> Sequence[Sent]:
        """What was sent since the last call, at least one: waits for it."""
