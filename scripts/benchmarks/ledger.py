"""The ledger: how many transfers it does in a second, whether it loses or doubles one when many come at once, and how
long it takes to verify 100,000 of them.

Everything runs against the embedded database, through the ledger's own service. Eight callers at a time move money
among two hundred people; then the same people are all paid out of one and the same account of the house. Fifty
transfers over twenty accounts, each asked for twice, on two connections, come at once. The journal that is verified is
computed by the ledger's own rules and written in bulk: what verification reads is the same, and nobody waits a quarter
of an hour.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path

from scripts.benchmarks.crowd import LoadError
from scripts.benchmarks.readings import Plan, Reading, percentile
from server.clock import SystemClock
from server.embedded import databases
from server.money.folio import PAGE, empty, folio_ids
from server.money.model import Account, Currency, Draft, Leg, TransferKind, available, clearing
from server.money.posting import Posting
from server.money.repo import statement_lines, transfer_row
from server.money.seals import Seals
from server.money.service import SETTLED, Money
from server.money.verification import Verification
from server.settings import load
from server.store import Document, Store

SUBJECTS = ("vouch",)

TRANSFERS = 100_000
PEOPLE = 200
CALLERS = 8
_HOUSE = clearing("bench")
_RICH = 10**12
_AT_ONCE = 50
_WRITTEN_AT_ONCE = 1_000


class LateClock(SystemClock):
    """The real time, and some minutes more."""

    def __init__(self, ahead: timedelta) -> None:
        self._ahead = ahead

    def now(self) -> datetime:
        return super().now() + self._ahead


def draft(source: Account, target: Account, amount: int, key: str) -> Draft:
    legs = (Leg(source, -amount), Leg(target, amount))
    return Draft(key=key, kind=TransferKind.PAYMENT, currency=Currency.CNY, legs=legs)


async def post(money: Money, wanted: Draft) -> None:
    await money.transact([leg.account for leg in wanted.legs], lambda tx: money.post(tx, wanted))


def measure(subject: str, plan: Plan) -> list[Reading]:
    """One turn on an empty database."""
    with tempfile.TemporaryDirectory(prefix="vouch-bench-") as directory:
        settings = load({"data_dir": str(Path(directory) / "data"), "log_level": "warning"})
        with databases(settings) as (keys, mongodb_uri, _):
            return asyncio.run(_measure(mongodb_uri, keys.digest, plan))


async def _measure(uri: str, secret: bytes, plan: Plan) -> list[Reading]:
    store = Store(uri, "bench")
    money = Money(store, SystemClock())
    await money.start()
    people = [f"p_{number}" for number in range(PEOPLE)]
    await _fund(money, people)
    paid, waits = await _flow(plan.seconds, _payments(money, people))
    topped_up, _ = await _flow(plan.seconds / 2, _top_ups(money, people))
    wrong = await _at_once(uri, money)
    count = round(TRANSFERS * plan.size)
    seconds = await _verify(Store(uri, "bench_verify"), secret, count)
    store.close()
    return [
        Reading("transfers_per_s", paid, "/s"),
        Reading("transfer_p95_ms", percentile(waits, 0.95) * 1000, "ms"),
        Reading("one_account_per_s", topped_up, "/s"),
        Reading("lost_or_doubled", wrong, "transfers"),
        Reading("verify_s", seconds * TRANSFERS / count, "s"),
    ]


async def _fund(money: Money, people: list[str]) -> None:
    accounts = [available(person) for person in people]
    drafts = [draft(_HOUSE, account, _RICH, f"fund:{account}") for account in accounts]
    await money.transact(accounts, lambda tx: money.post_all(tx, drafts))


def _payments(money: Money, people: list[str]) -> Callable[[int], Awaitable[None]]:
    chosen = random.Random(5)

    async def pay(number: int) -> None:
        one, other = chosen.sample(people, 2)
        await post(money, draft(available(one), available(other), 7, f"pay:{number}"))

    return pay


def _top_ups(money: Money, people: list[str]) -> Callable[[int], Awaitable[None]]:
    async def top_up(number: int) -> None:
        await post(money, draft(_HOUSE, available(people[number % PEOPLE]), 7, f"top up:{number}"))

    return top_up


async def _flow(seconds: float, work: Callable[[int], Awaitable[None]]) -> tuple[float, list[float]]:
    """(how many a second, how long each took) of CALLERS that go on for so long."""
    numbers, waits = itertools.count(), list[float]()
    began = time.perf_counter()

    async def caller() -> None:
        while time.perf_counter() - began < seconds:
            start = time.perf_counter()
            await work(next(numbers))
            waits.append(time.perf_counter() - start)

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return len(waits) / (time.perf_counter() - began), waits


async def _at_once(uri: str, money: Money) -> int:
    """How far balances are from what fifty transfers make of twenty accounts."""
    people = [f"p_once_{number}" for number in range(20)]
    await _fund(money, people)
    other_store = Store(uri, "bench")
    other = Money(other_store, SystemClock())
    expected = dict.fromkeys(people, _RICH)
    wanted: list[Draft] = []
    for number in range(50):
        one, two = people[number % 20], people[(number * 7 + 3) % 20]
        expected[one] -= number + 1
        expected[two] += number + 1
        wanted.append(draft(available(one), available(two), number + 1, f"once:{number}"))
    await asyncio.gather(*(post(node, each) for each in wanted for node in (money, other)))
    other_store.close()
    found = {person: (await money.balances(person))[0].available for person in people}
    return sum(found[person] != expected[person] for person in people)


async def _verify(store: Store, secret: bytes, count: int) -> float:
    """Seconds for a journal of so many transfers, sealed."""
    money = Money(store, SystemClock())
    await money.start()
    await _write(store, count)
    await Seals(store, LateClock(SETTLED), secret).seal()
    report = await Verification(store, LateClock(SETTLED), secret).run()
    store.close()
    if not report.whole or report.transfers != count:
        raise LoadError(f"{report.transfers} transfers, difference {report.difference}, {report.count} faults")
    return report.seconds


async def _write(store: Store, count: int) -> None:
    """A journal over the last minutes, with the folios and statements that belong to it."""
    chosen, now = random.Random(6), SystemClock().now()
    accounts = [available(f"p_{number}") for number in range(PEOPLE)]
    lane = 0
    names = {name for account in [*accounts, _HOUSE] for name in folio_ids(account, Currency.CNY)}
    folios = {name: empty(name) for name in names if name.endswith(f"#{lane}") or "#" not in name}
    lines: dict[str, list[list[object]]] = {name: [] for name in folios}
    done, rows = 0, list[Document]()
    while done < count:
        at = now - timedelta(minutes=8) * (1 - done / count)
        posting = Posting(folios, lane, at.replace(microsecond=at.microsecond // 1000 * 1000))
        for number in range(done, min(done + _AT_ONCE, count)):
            one, other = (_HOUSE, accounts[number]) if number < PEOPLE else chosen.sample(accounts, 2)
            posting.enter(draft(one, other, _RICH if number < PEOPLE else 7, f"key:{number}"))
        done += len(posting.entries)
        rows += [transfer_row(entry) for entry in posting.entries]
        if len(rows) >= _WRITTEN_AT_ONCE or done >= count:
            await store.collection("transfers").insert_many(rows)
            rows = []
        for name, some in statement_lines(posting).items():
            lines[name] += some
        folios = posting.after
    pages: list[Document] = []
    for name, folio in folios.items():
        row: Document = {"_id": name, "number": folio.number, "at": folio.at, "balances": list(folio.balances)}
        if folio.personal:
            filed = (folio.number - 1) // PAGE * PAGE
            row["tail"] = lines[name][filed:]
            pages += [
                {"_id": f"{name} {first // PAGE}", "rows": lines[name][first : first + PAGE]}
                for first in range(0, filed, PAGE)
            ]
        rows.append(row)
    await store.collection("folios").insert_many(rows)
    await store.collection("folio_pages").insert_many(pages)
