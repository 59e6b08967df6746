"""What the story's people have in their wallets: a beginning declared as such, and what they have paid each other."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from server.demo.cast import ids
from server.demo.telling import skipping
from server.money.model import Account, AccountKind, Currency, Draft, Leg, TransferKind, available
from server.services import Services
from server.wallet.model import PayPerson

#: where the beginning comes from: nobody has paid it in
_OUTSIDE = Account(AccountKind.EXTERNAL, "story")


class Opening(msgspec.Struct, frozen=True):
    """What somebody begins with, in minor units."""

    handle: str
    amount: int
    currency: Currency
    note: str


class Deed(msgspec.Struct, frozen=True):
    """One pays another: `amount` in minor units. What Lin gets goes to her father, who keeps it for her."""

    payer: str
    to: str
    amount: int
    currency: Currency
    note: str


OPENINGS = (
    Opening("linba", 2_600_00, Currency.CNY, "演示用的起始余额"),
    Opening("fang", 1_200_00, Currency.CNY, "演示用的起始余额"),
    Opening("chen", 450_00, Currency.CNY, "演示用的起始余额"),
    Opening("emma", 180_00, Currency.GBP, "What the story begins with"),
    Opening("emma", 600_00, Currency.CNY, "What the story begins with"),
    Opening("tom", 64_00, Currency.GBP, "What the story begins with"),
)
DEEDS = (
    Deed("fang", "lin", 200_00, Currency.CNY, "生日红包，买你喜欢的书"),
    Deed("linba", "chen", 35_00, Currency.CNY, "班费：练习册"),
    Deed("tom", "emma", 7_20, Currency.GBP, "Paper for the calendar"),
    Deed("linba", "fang", 58_50, Currency.CNY, "周末的菜钱"),
    Deed("emma", "lin", 66_00, Currency.CNY, "For a picture dictionary"),
    Deed("fang", "linba", 120_00, Currency.CNY, "小雨的舞蹈鞋，一人一半"),
    Deed("emma", "tom", 15_00, Currency.GBP, "Half of the room for the study group"),
    Deed("emma", "chen", 12_50, Currency.GBP, "Printing for the reading circle"),
    Deed("linba", "fang", 300_00, Currency.CNY, "小雨暑期班，先还一半"),
    Deed("chen", "linba", 18_00, Currency.CNY, "练习册退款，班里多收了"),
    Deed("tom", "emma", 4_35, Currency.GBP, "Stamps"),
)


async def tell(services: Services) -> Sequence[str]:
    """Lin's father becomes her guardian, everybody gets a beginning, and pays what there is to pay."""
    people = await ids(services)
    async with skipping():
        await _guard(services, people["lin"], people["linba"])
    for number, opening in enumerate(OPENINGS):
        async with skipping():
            await _open(services, people[opening.handle], number, opening)
    for number, deed in enumerate(DEEDS):
        async with skipping():
            wanted = PayPerson(
                id=f"story-of-the-purses-{number}",
                to=people[deed.to],
                amount=deed.amount,
                currency=deed.currency,
                note=deed.note,
            )
            await services.wallet.transfers.pay(people[deed.payer], wanted)
    return ["linba and emma have money to play with, and a statement (Wallet)."]


async def _guard(services: Services, ward: str, guardian: str) -> None:
    if await services.guardians.payee_of(ward) is None:
        async with skipping():
            await services.guardians.ask(ward, ward, guardian)
        await services.guardians.confirm(guardian, ward, guardian)


async def _open(services: Services, person: str, number: int, opening: Opening) -> None:
    draft = Draft(
        key=f"story:opening:{number}",
        kind=TransferKind.ADJUSTMENT,
        currency=opening.currency,
        legs=(Leg(_OUTSIDE, -opening.amount), Leg(available(person), opening.amount)),
        note=opening.note,
    )
    await services.money.transact([available(person)], lambda tx: services.money.post(tx, draft))
