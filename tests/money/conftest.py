"""A ledger on the real embedded database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from server.clock import SystemClock
from server.embedded import Embedded
from server.money.service import Money
from server.store import Store
from tests.conftest import Run
from tests.money.bank import Bank


@pytest.fixture
def store(embedded: Embedded, database_name: str, io_loop: object) -> Iterator[Store]:
    store = Store(embedded.mongodb_uri, database_name)
    yield store
    store.close()


@pytest.fixture
def money(store: Store, run: Run[Any]) -> Money:
    money = Money(store, SystemClock())
    run(money.start())
    return money


@pytest.fixture
def bank(money: Money) -> Bank:
    return Bank(money)
