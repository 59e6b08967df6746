"""Every refusal that the wallet's operations declare, met by somebody, with nothing moved by it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from handlers import wallet
from server.errors import Code, VouchError
from server.limits import Limits
from server.wallet.repo import MOST_ACCOUNTS, MOST_OPEN, RequestsRepo
from server.wallet.tallies import Tallies
from tests.handlers.conftest import Answer, Client
from tests.wallet.conftest import Keeper, Street
from tests.wire.client import client_id

NO_ORDER, NO_TRANSFER, NO_ACCOUNT = (prefix + "0" * 20 for prefix in ("y_", "t_", "b_"))
CHILD = {"birth_date": "2016-05-12"}


class Scene:
    """A person with ¥100; what fails is put right after the scene."""

    def __init__(self, street: Street, number: int, patch: pytest.MonkeyPatch) -> None:
        self.street = street
        self.patch = patch
        self._names = (f"lin{number}", f"emma{number}", f"child{number}")

    async def enter(self) -> Scene:
        self.lin = await self.street.keeper(self._names[0])
        await self.street.fund(self.lin, 100_00)
        return self

    async def friend(self) -> Keeper:
        emma = await self.street.keeper(self._names[1])
        await self.street.befriend(self.lin, emma)
        return emma

    async def pay(self, amount: int = 1_00) -> Answer:
        return await self.lin.pay(await self.friend(), amount)

    async def child(self) -> Keeper:
        return await self.street.keeper(self._names[2], **CHILD)

    def exhaust(self, limit: str) -> None:
        real = Limits.take

        async def take(limits: Limits, name: str, key: str, n: int) -> bool:
            return name != limit and await real(limits, name, key, n)

        self.patch.setattr(Limits, "take", take)

    def busy(self) -> None:
        """The database has no room for one more who counts."""

        async def count(*_: Any, **__: Any) -> Any:
            raise VouchError(Code.TRY_LATER)

        self.patch.setattr(Tallies, "count", count)

    def many_open(self) -> None:
        async def open_of(*_: Any, **__: Any) -> Any:
            return [None] * MOST_OPEN

        async def settle(*_: Any) -> None:
            return None

        self.patch.setattr(RequestsRepo, "open_of", open_of)
        self.patch.setattr(self.street.services.wallet.movements, "settle", settle)

    async def charge(self, amount: int = 20_00) -> str:
        begun = (await self.lin.top_up(amount)).json
        self.street.sandbox.pay(begun["check_out"])
        assert (await self.lin.get(f"/payments/{begun['id']}"))["state"] == "done"
        return str(begun["id"])

    async def back(self, order: str, amount: int | None = None, **more: Any) -> Answer:
        return await self.lin.call("POST", f"/payments/{order}/refunds", {"id": client_id(), "amount": amount} | more)

    async def account(self) -> str:
        await self.lin.add_factor()
        account = await self.lin.add_account()
        self.street.clock.ahead += timedelta(days=3)
        return account

    async def out(self, account: str, amount: int = 10_00, **more: Any) -> Answer:
        body = {"id": client_id(), "account": account, "amount": amount, "currency": "CNY", "proof": "none"} | more
        return await self.lin.call("POST", "/pay-outs", body)

    async def add(self, number: str = "12345678", **more: Any) -> Answer:
        body = {"provider": "sandbox", "holder": "Lin", "number": number, "proof": "none"} | more
        return await self.lin.call("POST", "/payout-accounts", body)


Play = Callable[[Scene], Awaitable[Answer]]
SCENES: dict[tuple[str, Code], Play] = {}


def scene(operation: str, code: Code) -> Callable[[Play], Play]:
    def add(play: Play) -> Play:
        SCENES[operation, code] = play
        return play

    return add


# ── Whatever begins a movement ──────────────────────────────────────────────────────────────────────────────────────


async def _same_id(scene: Scene, act: Callable[[str, int], Awaitable[Answer]]) -> Answer:
    id = client_id()
    first = await act(id, 10_00)
    assert first.status == 200, first.data
    return await act(id, 11_00)


async def _hindered(scene: Scene, hinder: Callable[[Scene], None], act: Play) -> Answer:
    hinder(scene)
    return await act(scene)


@scene("top_up", Code.GUARDIAN_NEEDED)
async def _(scene: Scene) -> Answer:
    return await (await scene.child()).top_up(1_00)


@scene("pay_person", Code.GUARDIAN_NEEDED)
async def _(scene: Scene) -> Answer:
    child = await scene.child()
    await scene.street.befriend(scene.lin, child)
    assert (await child.pay(scene.lin, 1)).code == Code.GUARDIAN_NEEDED
    return await scene.lin.pay(child, 1_00)


@scene("add_payout_account", Code.GUARDIAN_NEEDED)
async def _(scene: Scene) -> Answer:
    scene.lin = await scene.child()
    return await scene.add()


async def _grow_young(scene: Scene) -> None:
    people = scene.street.services.store.collection("people")
    await people.update_one({"_id": scene.lin.id}, {"$set": {"birth_date": CHILD["birth_date"]}})


@scene("give_back", Code.GUARDIAN_NEEDED)
async def _(scene: Scene) -> Answer:
    charge = await scene.charge()
    await _grow_young(scene)
    return await scene.back(charge)


@scene("pay_out", Code.GUARDIAN_NEEDED)
async def _(scene: Scene) -> Answer:
    account = await scene.account()
    await _grow_young(scene)
    return await scene.out(account)


SCENES["top_up", Code.AMOUNT_LIMIT] = lambda scene: scene.lin.top_up(10_000_01)
SCENES["pay_person", Code.AMOUNT_LIMIT] = lambda scene: scene.pay(5_000_01)


@scene("give_back", Code.AMOUNT_LIMIT)
async def _(scene: Scene) -> Answer:
    return await scene.back(await scene.charge(20_00), 20_01)


@scene("pay_out", Code.AMOUNT_LIMIT)
async def _(scene: Scene) -> Answer:
    await scene.street.fund(scene.lin, 20_000_00)
    return await scene.out(await scene.account(), 10_000_01)


SCENES["top_up", Code.IDEMPOTENCY_CONFLICT] = lambda scene: _same_id(
    scene, lambda id, amount: scene.lin.top_up(amount, id=id)
)


@scene("pay_person", Code.IDEMPOTENCY_CONFLICT)
async def _(scene: Scene) -> Answer:
    emma = await scene.friend()
    return await _same_id(scene, lambda id, amount: scene.lin.pay(emma, amount, id=id))


@scene("give_back", Code.IDEMPOTENCY_CONFLICT)
async def _(scene: Scene) -> Answer:
    charge = await scene.charge(50_00)
    return await _same_id(scene, lambda id, amount: scene.back(charge, amount, id=id))


@scene("pay_out", Code.IDEMPOTENCY_CONFLICT)
async def _(scene: Scene) -> Answer:
    account = await scene.account()
    return await _same_id(scene, lambda id, amount: scene.lin.pay_out(account, amount, id=id))


def _top_up(scene: Scene) -> Awaitable[Answer]:
    return scene.lin.top_up(1_00)


def _pay(scene: Scene) -> Awaitable[Answer]:
    return scene.pay()


SCENES["top_up", Code.TOO_OFTEN] = lambda scene: _hindered(scene, lambda it: it.exhaust("payment"), _top_up)
SCENES["top_up", Code.TRY_LATER] = lambda scene: _hindered(scene, Scene.busy, _top_up)
SCENES["top_up", Code.LIMIT_REACHED] = lambda scene: _hindered(scene, Scene.many_open, _top_up)
SCENES["pay_person", Code.TOO_OFTEN] = lambda scene: _hindered(scene, lambda it: it.exhaust("pay_person"), _pay)
SCENES["pay_person", Code.TRY_LATER] = lambda scene: _hindered(scene, Scene.busy, _pay)


for _code, _hinder in (
    (Code.TOO_OFTEN, lambda scene: scene.exhaust("payment")),
    (Code.TRY_LATER, Scene.busy),
    (Code.LIMIT_REACHED, Scene.many_open),
):

    def _of_charge(hinder: Callable[[Scene], None]) -> Play:
        async def play(scene: Scene) -> Answer:
            charge = await scene.charge()
            hinder(scene)
            return await scene.back(charge)

        return play

    def _of_account(hinder: Callable[[Scene], None]) -> Play:
        async def play(scene: Scene) -> Answer:
            account = await scene.account()
            proof = await scene.lin.prove("pay_out", account=account, amount=10_00, currency="CNY")
            hinder(scene)
            return await scene.out(account, proof=proof)

        return play

    SCENES["give_back", _code] = _of_charge(_hinder)
    SCENES["pay_out", _code] = _of_account(_hinder)


# ── Each of its own ─────────────────────────────────────────────────────────────────────────────────────────────────

SCENES["get_payment", Code.NOT_FOUND] = lambda scene: scene.lin.call("GET", f"/payments/{NO_ORDER}")
SCENES["cancel_payment", Code.NOT_FOUND] = lambda scene: scene.lin.call("DELETE", f"/payments/{NO_ORDER}")
SCENES["give_back", Code.NOT_FOUND] = lambda scene: scene.back(NO_ORDER)
SCENES["pay_out", Code.NOT_FOUND] = lambda scene: scene.out(NO_ACCOUNT)
SCENES["get_receipt", Code.NOT_FOUND] = lambda scene: scene.lin.call("GET", f"/receipts/{NO_TRANSFER}")
SCENES["check_receipt", Code.NOT_FOUND] = lambda scene: scene.lin.client.get(f"/receipts/{'0' * 36}")
SCENES["remove_payout_account", Code.NOT_FOUND] = lambda scene: scene.lin.call(
    "DELETE", f"/payout-accounts/{NO_ACCOUNT}"
)
SCENES["pay_out", Code.COOLING] = lambda scene: _young_account(scene)
SCENES["add_payout_account", Code.FACTOR_NEEDED] = lambda scene: scene.add()


async def _young_account(scene: Scene) -> Answer:
    await scene.lin.add_factor()
    return await scene.out(await scene.lin.add_account())


@scene("pay_out", Code.FACTOR_NEEDED)
async def _(scene: Scene) -> Answer:
    return await scene.out(await scene.account())


@scene("pay_out", Code.INSUFFICIENT_FUNDS)
async def _(scene: Scene) -> Answer:
    return await scene.out(await scene.account(), 100_01)


@scene("give_back", Code.INSUFFICIENT_FUNDS)
async def _(scene: Scene) -> Answer:
    charge = await scene.charge()
    assert (await scene.pay(110_00)).status == 200
    return await scene.back(charge)


@scene("give_back", Code.CONFLICT)
async def _(scene: Scene) -> Answer:
    charge = await scene.charge()
    assert (await scene.back(charge)).status == 200
    return await scene.back(charge)


SCENES["pay_person", Code.INSUFFICIENT_FUNDS] = lambda scene: scene.pay(100_01)


@scene("pay_person", Code.BLOCKED)
async def _(scene: Scene) -> Answer:
    emma = await scene.friend()
    await emma.client.call("PUT", f"/blocks/{scene.lin.id}")
    return await scene.lin.pay(emma, 1_00)


@scene("pay_person", Code.CONFLICT)
async def _(scene: Scene) -> Answer:
    child = await scene.child()
    await scene.street.befriend(scene.lin, child)
    await scene.street.guard(child, scene.lin)
    return await scene.lin.pay(child, 1_00)


@scene("cancel_payment", Code.ALREADY)
async def _(scene: Scene) -> Answer:
    return await scene.lin.call("DELETE", f"/payments/{await scene.charge()}")


@scene("cancel_payment", Code.CONFLICT)
async def _(scene: Scene) -> Answer:
    """What a bank works on is not called back."""
    account = await scene.account()
    scene.street.sandbox.trouble(hold_pay_outs=True)
    payment = (await scene.lin.pay_out(account, 10_00)).json
    answer = await scene.lin.call("DELETE", f"/payments/{payment['id']}")
    scene.street.sandbox.calm()
    return answer


@scene("cancel_payment", Code.TRY_LATER)
async def _(scene: Scene) -> Answer:
    payment = (await scene.lin.top_up(1_00)).json

    async def cancel(*_: Any) -> Any:
        raise VouchError(Code.TRY_LATER)

    scene.patch.setattr(scene.street.services.payments, "cancel", cancel)
    return await scene.lin.call("DELETE", f"/payments/{payment['id']}")


@scene("get_receipt", Code.TOO_OFTEN)
async def _(scene: Scene) -> Answer:
    (line,) = (await scene.lin.get("/statement?currency=CNY"))["lines"]
    scene.exhaust("receipt")
    return await scene.lin.call("GET", f"/receipts/{line['transfer']}")


@scene("check_receipt", Code.TOO_OFTEN)
async def _(scene: Scene) -> Answer:
    scene.exhaust("check_receipt_ip")
    return await Client(scene.street.server.url).get(f"/receipts/{'0' * 36}")


@scene("add_payout_account", Code.ALREADY)
async def _(scene: Scene) -> Answer:
    await scene.account()
    return await scene.add("GB82 WEST 1234 5698 7654 32")


@scene("add_payout_account", Code.LIMIT_REACHED)
async def _(scene: Scene) -> Answer:
    await scene.lin.add_factor()
    for number in range(MOST_ACCOUNTS):
        await scene.lin.add_account(f"1234567{number}")
    return await scene.add("99999999")


@scene("add_payout_account", Code.TOO_OFTEN)
async def _(scene: Scene) -> Answer:
    scene.exhaust("payout_account")
    return await scene.add()


DECLARED = {(operation.id, code) for operation in wallet.OPERATIONS for code in operation.errors}


def test_every_declared_refusal_has_its_scene() -> None:
    assert set(SCENES) == DECLARED


@pytest.mark.gen_test(timeout=120)
async def test_refusals(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    """On one server, one after the other: starting one for each would take a minute more."""
    wrong: list[str] = []
    for number, (operation, code) in enumerate(sorted(SCENES)):
        with monkeypatch.context() as patch:
            scene = await Scene(street, number, patch).enter()
            answer = await SCENES[operation, code](scene)
        if answer.code != code:
            wrong.append(f"{operation} {code}: {answer.status} {answer.data[:200]!r}")
        if code is Code.TOO_OFTEN:
            assert int(answer.headers["Retry-After"]) >= 1
    assert wrong == []
