"""What waits on the finance desk of the story: a pay-out for a second pair of eyes, a payment that somebody disputes,
an adjustment that was proposed, and a provider's list that agrees with ours."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from server.clock import to_ms
from server.demo.cast import ids
from server.demo.telling import skipping
from server.finance.dispute_model import OpenDispute
from server.finance.model import Propose, Reconcile
from server.money.model import Currency, available
from server.payments.model import FINAL, Order, OrderState
from server.principals import Grant, Role
from server.services import Services

#: seconds that the platform for play money has for a pay-out of the story
_PATIENCE = 20.0


async def tell(services: Services) -> Sequence[str]:
    """Tom looks after the money, beside Chen who is admin."""
    people = await ids(services)
    async with skipping():
        await services.people.grant(people["tom"], Grant(Role.FINANCE), "system")
    if "sandbox" not in services.payments.terms:
        return ["tom looks after the money (Desk)."]
    async with skipping():
        await _pay_out(services, people["linba"], 800_00, "approval", "林建国", "6217", approval=True)
    async with skipping():
        paid = await _pay_out(services, people["emma"], 120_00, "dispute", "Emma Clarke", "7788", approval=False)
        if await _ended(services, paid):
            words = "The bank says that nothing has come. Could you look where it is?"
            await services.finance.disputes.open(people["emma"], paid.id, OpenDispute(words))
    async with skipping():
        wanted = Propose(
            id="story-of-the-cashbox-1",
            source="fee:platform",
            target=str(available(people["fang"])),
            amount=5_00,
            currency=Currency.CNY,
            reason="The fee of October was taken twice.",
        )
        await services.finance.adjustments.propose(people["chen"], wanted)
    async with skipping():
        await _reconcile(services, people["chen"])
    return ["tom and chen look after the money (Desk): a pay-out, a dispute and an adjustment wait."]


async def _pay_out(
    services: Services, person: str, amount: int, name: str, holder: str, ending: str, *, approval: bool
) -> Order:
    return await services.payments.begin_pay_out(
        key=f"story:cashbox:{name}",
        person=person,
        provider="sandbox",
        amount=amount,
        currency=Currency.CNY,
        destination={"holder": holder, "number": f"621700001000{ending}", "ending": ending},
        by=person,
        approval=approval,
    )


async def _ended(services: Services, order: Order) -> bool:
    """Whether it came to an end soon: the story does not wait for a platform that is away."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            while order.state not in FINAL:
                await asyncio.sleep(0.2)
                order = await services.payments.look(await services.payments.order(order.id))
    return order.state is OrderState.DONE


async def _reconcile(services: Services, actor: str) -> None:
    """Once: the story may be told again."""
    runs = services.finance.reconciliations
    if (await runs.page(None, 1)).reconciliations:
        return
    now = services.clock.now()
    line = await runs.begin(actor, Reconcile("sandbox", to_ms(now - timedelta(days=1)), to_ms(now)))
    await runs.finished(line.id)
