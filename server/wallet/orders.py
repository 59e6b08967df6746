"""An order as its person sees it. Pure."""

from __future__ import annotations

from server.clock import to_ms
from server.money.model import Amount
from server.payments.model import Order, OrderKind, OrderState
from server.wallet.model import Payment

_CHECK_OUT = (OrderState.WAITING, OrderState.OPEN)


def can_give_back(order: Order) -> int:
    """How much of a top-up may still go back the way it came."""
    if order.kind is not OrderKind.CHARGE or order.state is not OrderState.DONE:
        return 0
    return max(0, order.amount - order.refunded - order.disputed)


def view(order: Order, dispute: str | None = None) -> Payment:
    """`dispute` is the state of the one that its person has opened."""
    gone = order.kind is OrderKind.CHARGE and can_give_back(order) == 0
    return Payment(
        id=order.id,
        kind=order.kind,
        state=order.state,
        provider=order.provider,
        amount=Amount(order.amount, order.currency),
        purpose=order.purpose,
        created_at=to_ms(order.created_at),
        changed_at=to_ms(order.changed_at),
        check_out=order.url if order.state in _CHECK_OUT and not order.stopping else None,
        fault=order.fault,
        charge=order.charge,
        refunded=order.refunded,
        to=order.destination.get("ending"),
        can_cancel=_can_cancel(order),
        can_give_back=can_give_back(order),
        disputable=order.state is OrderState.DONE and not gone and dispute is None,
        dispute=dispute,
    )


def _can_cancel(order: Order) -> bool:
    """What nobody was told of ends at once, an open check-out is closed; what is on its way is not called back."""
    if order.stopping:
        return False
    if order.state is OrderState.APPROVAL or (order.state is OrderState.WAITING and not order.asked):
        return True
    return order.kind is OrderKind.CHARGE and order.state in _CHECK_OUT
