"""A process that moves money until it is done or killed: `python -m tests.money.payer DIRECTORY COUNT`.

It owns the embedded database of the directory, so whoever kills it kills that, too. A line is written for everything
that was acknowledged; asked again, it asks for all of it again.
"""

from __future__ import annotations

import asyncio
import itertools
import sys

from server.clock import SystemClock
from server.embedded import databases
from server.money.model import Share, available
from server.money.service import Money
from server.settings import load
from server.store import Store
from tests.money.bank import CNY, SANDBOX, Bank, moving

_CALLERS = 8
_PEOPLE = 12
FUNDED = _PEOPLE


async def one(bank: Bank, number: int) -> None:
    """Every fifth sets money aside instead, and shares it out: two transfers in two transactions."""
    person, other = f"p_{number % _PEOPLE}", f"p_{(number * 5 + 1) % _PEOPLE}"
    if person == other:
        other = f"p_{(number + 1) % _PEOPLE}"
    if number % 5:
        await bank.pay(person, other, 3, key=f"pay {number}")
        return
    hold = await bank.hold(person, 7, key=f"hold {number}")
    await bank.split(hold, [Share(available(other), 1), Share(available(person), 1)], key=f"split {number}")


async def pay(uri: str, database: str, count: int) -> None:
    store = Store(uri, database)
    money = Money(store, SystemClock())
    await money.start()
    bank = Bank(money)
    accounts = [available(f"p_{number}") for number in range(_PEOPLE)]
    drafts = [moving(SANDBOX, account, 100_000, key=f"fund {account}", currency=CNY) for account in accounts]
    await money.transact(accounts, lambda tx: money.post_all(tx, drafts))
    numbers = itertools.count()

    async def caller() -> None:
        while (number := next(numbers)) < count:
            await one(bank, number)
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()

    await asyncio.gather(*(caller() for _ in range(_CALLERS)))
    store.close()


if __name__ == "__main__":
    settings = load({"data_dir": sys.argv[1], "log_level": "error"})
    with databases(settings) as found:
        asyncio.run(pay(found[1], settings.database, int(sys.argv[2])))
