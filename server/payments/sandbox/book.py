"""The platform's database: one SQLite file, in which every commit is on the disk before it is answered.

All is called from one thread and without an await inside a transaction, so requests follow one another; BEGIN IMMEDIATE
holds them apart from a second process too.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from server.payments.sandbox.model import (
    Currency,
    Delivery,
    DeliveryState,
    Kind,
    Movement,
    RefusalCode,
    State,
    Troubles,
)

_TABLES = """
CREATE TABLE IF NOT EXISTS movements (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    order_name TEXT NOT NULL,
    state TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    currency TEXT NOT NULL,
    refunded INTEGER NOT NULL CHECK (refunded >= 0),
    disputed INTEGER NOT NULL CHECK (disputed >= 0),
    fault TEXT,
    charge TEXT,
    destination TEXT NOT NULL,
    token TEXT UNIQUE,
    description TEXT NOT NULL,
    return_url TEXT NOT NULL,
    language TEXT NOT NULL,
    due INTEGER,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    UNIQUE (kind, order_name),
    CHECK (refunded + disputed <= amount)
);
CREATE INDEX IF NOT EXISTS movements_due ON movements (due) WHERE due IS NOT NULL;
CREATE INDEX IF NOT EXISTS movements_made ON movements (kind, created_at);
CREATE TABLE IF NOT EXISTS requests (
    key TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    movement TEXT,
    refusal TEXT,
    text TEXT NOT NULL,
    at INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    notice TEXT NOT NULL,
    body BLOB NOT NULL,
    due INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    state TEXT NOT NULL,
    answer TEXT NOT NULL,
    created_at INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (due) WHERE state = 'waiting';
CREATE TABLE IF NOT EXISTS choices (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_MOVEMENT = (
    "id, kind, order_name, state, amount, currency, refunded, disputed, fault, charge, destination, token, "
    "description, return_url, language, due, created_at, changed_at, number"
)
_DELIVERY = "id, notice, body, due, tries, state, answer, created_at"


class Asked(NamedTuple):
    """What was answered to an idempotency key: a movement, or a refusal with its text."""

    digest: str
    movement: str | None
    refusal: RefusalCode | None
    text: str


class Book:
    """Opens the file at `path`, making it (0600) when it is missing."""

    def __init__(self, path: Path) -> None:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._db = sqlite3.connect(path, isolation_level=None, timeout=5.0)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.executescript(_TABLES)

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """What is done inside is done together and on the disk afterwards, or not at all."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # -- movements

    def add(self, movement: Movement) -> None:
        values = _movement_values(movement)
        self._db.execute(
            f"INSERT INTO movements ({_MOVEMENT}) VALUES ({', '.join('?' * len(values))}, NULL)",  # noqa: S608 - names
            values,
        )

    def change(self, movement: Movement) -> None:
        """Writes what can change of a movement."""
        self._db.execute(
            "UPDATE movements SET state = ?, refunded = ?, disputed = ?, fault = ?, due = ?, changed_at = ?"
            " WHERE id = ?",
            (
                movement.state,
                movement.refunded,
                movement.disputed,
                movement.fault,
                movement.due,
                movement.changed_at,
                movement.id,
            ),
        )

    def movement(self, id: str) -> Movement | None:
        return self._one("id = ?", id)

    def by_order(self, kind: Kind, order: str) -> Movement | None:
        return self._one("kind = ? AND order_name = ?", kind, order)

    def by_token(self, token: str) -> Movement | None:
        return self._one("token = ?", token)

    def due(self, now: int, most: int = 100) -> list[Movement]:
        return self._several("due IS NOT NULL AND due <= ? ORDER BY due LIMIT ?", now, most)

    def made(self, kind: Kind, since: int, until: int, after: int, most: int) -> list[Movement]:
        """Those of a kind made in [since, until), in the order of making, beyond number `after`."""
        where = "kind = ? AND created_at >= ? AND created_at < ? AND number > ? ORDER BY number LIMIT ?"
        return self._several(where, kind, since, until, after, most)

    def latest(self, kind: Kind, most: int) -> list[Movement]:
        return self._several("kind = ? ORDER BY number DESC LIMIT ?", kind, most)

    def _one(self, where: str, *values: str) -> Movement | None:
        found = self._several(where, *values)
        return found[0] if found else None

    def _several(self, where: str, *values: str | int) -> list[Movement]:
        rows = self._db.execute(f"SELECT {_MOVEMENT} FROM movements WHERE {where}", values)  # noqa: S608 - names only
        return [_movement(row) for row in rows]

    # -- requests

    def asked(self, key: str) -> Asked | None:
        row = self._db.execute("SELECT digest, movement, refusal, text FROM requests WHERE key = ?", (key,)).fetchone()
        return row and Asked(row[0], row[1], RefusalCode(row[2]) if row[2] else None, row[3])

    def answered(self, key: str, asked: Asked, at: int) -> None:
        self._db.execute("INSERT INTO requests VALUES (?, ?, ?, ?, ?, ?)", (key, *asked, at))

    # -- deliveries

    def send(self, notice: str, body: bytes, due: int, state: DeliveryState, at: int) -> None:
        self._db.execute(
            "INSERT INTO deliveries (notice, body, due, tries, state, answer, created_at)"
            " VALUES (?, ?, ?, 0, ?, '', ?)",
            (notice, body, due, state, at),
        )

    def next_notice(self) -> int:
        """Counts the notices there have been."""
        number = int(self._chosen("notices") or 0) + 1
        self._choose("notices", str(number))
        return number

    def waiting(self, now: int, most: int) -> list[Delivery]:
        query = f"SELECT {_DELIVERY} FROM deliveries WHERE state = 'waiting' AND due <= ? ORDER BY due, id LIMIT ?"  # noqa: S608
        return [_delivery(row) for row in self._db.execute(query, (now, most))]

    def delivery(self, id: int) -> Delivery | None:
        query = f"SELECT {_DELIVERY} FROM deliveries WHERE id = ?"  # noqa: S608 - names only
        row = self._db.execute(query, (id,)).fetchone()
        return _delivery(row) if row else None

    def latest_deliveries(self, most: int) -> list[Delivery]:
        query = f"SELECT {_DELIVERY} FROM deliveries ORDER BY id DESC LIMIT ?"  # noqa: S608 - names only
        return [_delivery(row) for row in self._db.execute(query, (most,))]

    def delivered(self, id: int, state: DeliveryState, tries: int, answer: str, due: int) -> None:
        self._db.execute(
            "UPDATE deliveries SET state = ?, tries = ?, answer = ?, due = ? WHERE id = ?",
            (state, tries, answer, due, id),
        )

    def lose_waiting(self) -> None:
        self._db.execute("UPDATE deliveries SET state = ? WHERE state = 'waiting'", (DeliveryState.LOST,))

    def next_due(self) -> int | None:
        """When the next movement or notice is due."""
        row = self._db.execute(
            "SELECT MIN(due) FROM (SELECT MIN(due) AS due FROM movements WHERE due IS NOT NULL UNION ALL"
            " SELECT MIN(due) FROM deliveries WHERE state = 'waiting')"
        ).fetchone()
        return None if row[0] is None else int(row[0])

    # -- choices

    def troubles(self) -> Troubles:
        value = self._chosen("troubles")
        return msgspec.json.decode(value, type=Troubles) if value else Troubles()

    def trouble(self, troubles: Troubles) -> None:
        self._choose("troubles", msgspec.json.encode(troubles).decode())

    def _chosen(self, name: str) -> str:
        row = self._db.execute("SELECT value FROM choices WHERE name = ?", (name,)).fetchone()
        return row[0] if row else ""

    def _choose(self, name: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO choices VALUES (?, ?)", (name, value))


def _movement_values(movement: Movement) -> Sequence[Any]:
    return (
        movement.id,
        movement.kind,
        movement.order,
        movement.state,
        movement.amount,
        movement.currency,
        movement.refunded,
        movement.disputed,
        movement.fault,
        movement.charge,
        msgspec.json.encode(movement.destination).decode(),
        movement.token,
        movement.description,
        movement.return_url,
        movement.language,
        movement.due,
        movement.created_at,
        movement.changed_at,
    )


def _movement(row: Sequence[Any]) -> Movement:
    return Movement(
        id=row[0],
        kind=Kind(row[1]),
        order=row[2],
        state=State(row[3]),
        amount=row[4],
        currency=Currency(row[5]),
        refunded=row[6],
        disputed=row[7],
        fault=row[8],
        charge=row[9],
        destination=msgspec.json.decode(row[10], type=dict[str, str]),
        token=row[11],
        description=row[12],
        return_url=row[13],
        language=row[14],
        due=row[15],
        created_at=row[16],
        changed_at=row[17],
        number=row[18],
    )


def _delivery(row: Sequence[Any]) -> Delivery:
    return Delivery(
        id=row[0],
        notice=row[1],
        body=row[2],
        due=row[3],
        tries=row[4],
        state=DeliveryState(row[5]),
        answer=row[6],
        created_at=row[7],
    )
