"""Operations on what is at stake: paying it, and chores (R-08 to R-10)."""

from __future__ import annotations

from handlers.operations import Call, operation
from server.errors import Code
from server.payments.model import OrderId
from server.principals import IN_PERSON, PEOPLE
from server.supervision.model import Pledge, PledgeId
from server.supervision.views import Fund, Funding, PledgeView
from server.wallet.model import Payment

TAG = "stakes"


@operation(
    "POST",
    "/pledges/{id}/funding",
    allow=IN_PERSON,
    tag=TAG,
    errors=(
        *(Code.NOT_FOUND, Code.FORBIDDEN, Code.GUARDIAN_NEEDED, Code.ALREADY, Code.CONFLICT),
        *(Code.AMOUNT_LIMIT, Code.INSUFFICIENT_FUNDS, Code.LIMIT_REACHED, Code.IDEMPOTENCY_CONFLICT),
        *(Code.TOO_OFTEN, Code.TRY_LATER),
    ),
)
async def fund_pledge(call: Call, id: PledgeId, body: Fund) -> Funding:
    """Pay a stake.

    From the wallet at once, or at a provider's check-out page, which `url` names. It is set aside until the outcome is
    known; what comes when nobody waits for it any more stays in the payer's wallet. The same `id` pays it once.
    """
    pledge, payment = await call.services.supervision.funding.fund(call.principal.id, id, body, call.origin)
    return await _funding(call, pledge, payment)


@operation("GET", "/pledges/{id}/funding/{payment}", allow=PEOPLE, tag=TAG, errors=(Code.NOT_FOUND,))
async def get_funding(call: Call, id: PledgeId, payment: OrderId) -> Funding:
    """Look at the check-out of a stake.

    The provider is asked: this is where one comes back to from its page. `url` is null when there is nothing left to
    do there.
    """
    pledge, known = await call.services.supervision.funding.look(call.principal.id, id, payment)
    return await _funding(call, pledge, known)


@operation(
    "DELETE",
    "/pledges/{id}/funding/{payment}",
    allow=IN_PERSON,
    tag=TAG,
    errors=(Code.NOT_FOUND, Code.ALREADY, Code.CONFLICT, Code.TRY_LATER),
)
async def cancel_funding(call: Call, id: PledgeId, payment: OrderId) -> PledgeView:
    """Close the check-out of a stake.

    Paid in the meantime, it counts all the same.
    """
    supervision = call.services.supervision
    pledge = await supervision.funding.cancel(call.principal.id, id, payment)
    return await supervision.views.of(pledge, call.principal.id)


@operation(
    "POST",
    "/pledges/{id}/chore",
    allow=IN_PERSON,
    tag=TAG,
    errors=(Code.NOT_FOUND, Code.ALREADY, Code.CONFLICT, Code.TRY_LATER),
)
async def confirm_chore(call: Call, id: PledgeId) -> PledgeView:
    """Say that the chore that was at stake has been done for oneself."""
    supervision = call.services.supervision
    pledge = await supervision.funding.chore_done(call.principal.id, id)
    return await supervision.views.of(pledge, call.principal.id)


async def _funding(call: Call, pledge: Pledge, payment: Payment | None) -> Funding:
    view = await call.services.supervision.views.of(pledge, call.principal.id)
    return Funding(view, payment.id if payment else None, payment.check_out if payment else None)


OPERATIONS = [fund_pledge, get_funding, cancel_funding, confirm_chore]
