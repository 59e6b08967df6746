"""Every refusal that the operations of stakes declare, as a scene."""

from __future__ import annotations

from typing import Any

import msgspec

from server.errors import Code
from server.payments.model import OrderKind, RemoteState
from server.payments.repo import OrdersRepo
from server.supervision.model import Outcome, PledgeState
from server.supervision.rules import lifecycle
from server.supervision.terms import StakeKind, StakeTerms
from server.wallet.repo import MOST_OPEN, RequestsRepo
from tests.handlers.conftest import Answer, Client
from tests.handlers.pledge_stage import SCENES, Theatre, scene
from tests.supervision.conftest import PROVIDER
from tests.supervision.examples import DEPOSIT
from tests.wire.client import client_id

NOWHERE = "/pledges/g_" + "0" * 20
NO_PAYMENT = "y_" + "0" * 20


async def _waiting(stage: Theatre, owner: str = "emma", stake: StakeTerms = DEPOSIT) -> str:
    """A pledge that waits for its money, which is there."""
    if owner != "lin":
        await stage.fund(stage.ids[owner], stake.amount)
    return await stage.placed(owner=owner, stake=stake, state=PledgeState.AWAITING_FUNDS, unpaid=True)


async def _pay(client: Client, id: str, **more: Any) -> Answer:
    return await client.post(f"/pledges/{id}/funding", {"id": client_id(), **more})


async def _opened(stage: Theatre) -> str:
    """The path of a check-out that is open."""
    id = await _waiting(stage)
    answer = await _pay(stage.emma, id, provider=PROVIDER)
    return f"/pledges/{id}/funding/{answer.json['payment']}"


async def _settle(stage: Theatre, path: str, state: RemoteState) -> None:
    """What the provider knows of a check-out, and its payer comes back."""
    thing = stage.provider.of(path.rpartition("/")[2], OrderKind.CHARGE)
    assert thing is not None
    stage.provider.settle(thing, state)
    await stage.emma.get(path)


async def _chore(stage: Theatre, state: PledgeState = PledgeState.UNDER_REVIEW) -> str:
    """What Emma owes Ann if she fails; nothing of it happened."""
    chore = StakeTerms(kind=StakeKind.CHORE, words="Wash up", to=stage.ids["ann"])
    return await stage.placed(stake=chore, state=state)


@scene("fund_pledge", Code.FORBIDDEN)
async def _(stage: Theatre) -> Answer:
    return await _pay(stage.tom, await _waiting(stage))


@scene("fund_pledge", Code.GUARDIAN_NEEDED)
async def _(stage: Theatre) -> Answer:
    return await _pay(stage.lin, await _waiting(stage, "lin"))


@scene("fund_pledge", Code.ALREADY)
async def _(stage: Theatre) -> Answer:
    return await _pay(stage.emma, await stage.placed(stake=DEPOSIT))


@scene("fund_pledge", Code.CONFLICT)
async def _(stage: Theatre) -> Answer:
    return await _pay(stage.emma, (await _opened(stage)).split("/")[2])


@scene("fund_pledge", Code.AMOUNT_LIMIT)
async def _(stage: Theatre) -> Answer:
    return await _pay(stage.emma, await _waiting(stage, stake=msgspec.structs.replace(DEPOSIT, amount=20_000_000_00)))


@scene("fund_pledge", Code.INSUFFICIENT_FUNDS)
async def _(stage: Theatre) -> Answer:
    id = await stage.placed(owner="max", stake=DEPOSIT, state=PledgeState.AWAITING_FUNDS, unpaid=True)
    return await _pay(stage.max, id)


@scene("fund_pledge", Code.LIMIT_REACHED)
async def _(stage: Theatre) -> Answer:
    async def open_of(*_: Any, **__: Any) -> Any:
        return [None] * MOST_OPEN

    async def settle(*_: Any) -> None:
        return None

    stage.patch.setattr(RequestsRepo, "open_of", open_of)
    stage.patch.setattr(stage.services.wallet.movements, "settle", settle)
    return await _pay(stage.emma, await _waiting(stage), provider=PROVIDER)


@scene("fund_pledge", Code.IDEMPOTENCY_CONFLICT)
async def _(stage: Theatre) -> Answer:
    """The id of another pledge's check-out."""
    body = {"id": client_id(), "provider": PROVIDER}
    one, other = await _waiting(stage), await _waiting(stage)
    await stage.emma.post(f"/pledges/{one}/funding", body)
    return await stage.emma.post(f"/pledges/{other}/funding", body)


@scene("fund_pledge", Code.TOO_OFTEN)
async def _(stage: Theatre) -> Answer:
    stage.exhaust("payment")
    return await _pay(stage.emma, await _waiting(stage), provider=PROVIDER)


@scene("fund_pledge", Code.TRY_LATER)
async def _(stage: Theatre) -> Answer:
    id = await _waiting(stage)
    stage.others_faster()
    return await _pay(stage.emma, id)


@scene("cancel_funding", Code.ALREADY)
async def _(stage: Theatre) -> Answer:
    """It was paid."""
    path = await _opened(stage)
    await _settle(stage, path, RemoteState.DONE)
    return await stage.emma.call("DELETE", path)


@scene("cancel_funding", Code.CONFLICT)
async def _(stage: Theatre) -> Answer:
    """It was confirmed, and the provider works on it."""
    path = await _opened(stage)
    await _settle(stage, path, RemoteState.PENDING)
    return await stage.emma.call("DELETE", path)


@scene("cancel_funding", Code.TRY_LATER)
async def _(stage: Theatre) -> Answer:
    path = await _opened(stage)
    stage.others_faster(OrdersRepo)
    return await stage.emma.call("DELETE", path)


@scene("confirm_chore", Code.CONFLICT)
async def _(stage: Theatre) -> Answer:
    return await stage.ann.post(f"/pledges/{await _chore(stage)}/chore")


@scene("confirm_chore", Code.ALREADY)
async def _(stage: Theatre) -> Answer:
    path = f"/pledges/{await _owed(stage)}/chore"
    await stage.ann.post(path)
    return await stage.ann.post(path)


@scene("confirm_chore", Code.TRY_LATER)
async def _(stage: Theatre) -> Answer:
    id = await _owed(stage)
    stage.others_faster()
    return await stage.ann.post(f"/pledges/{id}/chore")


async def _owed(stage: Theatre) -> str:
    id = await _chore(stage)
    await stage.supervision.changes.apply(id, lambda pledge, now: lifecycle.decide(pledge, Outcome.FAILED, now))
    await stage.pass_by(hours=24)
    return id


SCENES["fund_pledge", Code.NOT_FOUND] = lambda stage: _pay(stage.emma, NOWHERE.rpartition("/")[2])
SCENES["get_funding", Code.NOT_FOUND] = lambda stage: stage.emma.get(f"{NOWHERE}/funding/{NO_PAYMENT}")
SCENES["cancel_funding", Code.NOT_FOUND] = lambda stage: stage.emma.call("DELETE", f"{NOWHERE}/funding/{NO_PAYMENT}")
SCENES["confirm_chore", Code.NOT_FOUND] = lambda stage: stage.emma.post(f"{NOWHERE}/chore")
