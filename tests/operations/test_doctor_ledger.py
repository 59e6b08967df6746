"""What the doctor says of the ledger, and what `ledger verify` says to a person."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from scripts.hub_process import run_command
from server.clock import SystemClock
from server.doctor import Finding, Verdict
from server.doctor.ledger import books
from server.keys import Keys
from server.money.model import Currency
from server.money.report import Report
from server.money.seals import Seals
from server.money.service import SETTLED, Money
from server.money.survey import Survey
from server.services import Services
from server.settings import Settings
from server.store import Store
from tests.conftest import Run
from tests.faults.conftest import shared
from tests.money.bank import Bank
from tests.operations.test_doctor import verdict


class Ahead(SystemClock):
    """The real time, and as much as it takes until what is here is settled."""

    def now(self) -> datetime:
        return super().now() + SETTLED + timedelta(seconds=1)


async def test_it_tells_whether_the_books_are_whole(services: Services) -> None:
    store, survey = services.store, Survey(services.store)

    async def found() -> Finding:
        return await books(store)

    assert (await found()).says == "No money has moved yet."
    await Bank(services.money).give("p_ann", 100)
    assert "nobody has verified" in (await found()).says
    assert (await services.ledger.run()).whole
    assert verdict(await found()) is Verdict.OK
    report = await survey.last_report()
    assert report is not None
    await survey.keep_report(msgspec.structs.replace(report, at=report.at - timedelta(days=4)))
    assert verdict(await found()) is Verdict.WARNING
    await survey.keep_report(report)
    folios = store.collection("folios")
    mark = await survey.mark()
    assert mark is not None
    await folios.update_one({"_id": "sealed"}, {"$set": {"until": mark.until - timedelta(hours=3)}})
    assert "sealed only until" in (await found()).says
    await folios.update_one({"_id": "sealed"}, {"$set": {"until": mark.until}})
    await folios.update_one({"_id": "CNY p_ann"}, {"$inc": {"balances.0": 1}})
    assert not (await services.ledger.run()).whole
    assert verdict(await found()) is Verdict.PROBLEM


def test_the_command_says_what_it_found(settings: Settings, keys: Keys, store: Store, run: Run[Any]) -> None:
    async def life() -> None:
        money = Money(store, SystemClock())
        await money.start()
        bank = Bank(money)
        await bank.give("p_ann", 1_000)
        await bank.give("p_ann", 50, Currency.JPY)
        await bank.hold("p_ann", 300)
        await Seals(store, Ahead(), keys.digest).seal()

    async def tamper() -> None:
        await store.collection("folios").update_one({"_id": "CNY p_ann"}, {"$inc": {"balances.0": 500}})

    run(life())
    whole = command(settings)
    assert whole.returncode == 0
    assert "3 of 3 transfers" in whole.stdout
    assert re.search(r"3 transfers, [34] balances and 1 holds", whole.stdout)
    assert "CNY: all accounts together 0" in whole.stdout
    assert "Difference: 0. Whole." in whole.stdout
    head = re.search(r"--head (\d+:[0-9a-f]{64})", whole.stdout)
    assert head is not None
    run(tamper())
    differs = command(settings, "--head", head[1])
    assert differs.returncode == 1
    assert "account CNY p_ann: it says 1200, the journal says 700" in differs.stdout
    assert "Difference: 500. 1 fault(s)." in differs.stdout
    told = command(settings, "--json", "--head", "9:" + "0" * 64)
    report = msgspec.json.decode(told.stdout, type=Report)
    assert (told.returncode, report.difference, report.count) == (1, 500, 2)


def command(settings: Settings, *words: str) -> subprocess.CompletedProcess[str]:
    return run_command("ledger", "verify", *words, environ=shared(settings))


@pytest.fixture
def store(settings: Settings, io_loop: object) -> Iterator[Store]:
    store = Store(settings.mongodb_uri, settings.database)
    yield store
    store.close()
