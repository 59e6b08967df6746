"""Where orders are kept: `payments`, one document each, numbered in the order in which they were made."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

import msgspec

from server.money.model import Currency
from server.payments import rules
from server.payments.model import FINAL, Order, OrderKind, OrderState, Regained
from server.sealing import FieldSeal
from server.store import Document, Index, Numbered, Store, Tx

#: orders that one look takes
SOME = 50
#: not yet ended orders that a list shows; more wait until these have
OPEN_MOST = 1_000
#: orders of one person that are counted when their list is turned over
_OF_PERSON = 20_000
#: width of the windows in which orders are read by time
_WINDOW = timedelta(hours=1)


class Unfinished(msgspec.Struct, frozen=True):
    """What is known at a glance of an order that has not ended."""

    provider: str
    state: OrderState
    changed_at: datetime
    due: datetime | None
    fault: str | None

    @property
    def resting(self) -> bool:
        """Whether it waits for the finance desk: the provider did something else than it was asked."""
        return self.due is None and self.state is not OrderState.APPROVAL


class OrdersRepo:
    """Where pay-outs go is sealed by `field`, a ring of keys of 32 bytes: the first one writes, all of them read."""

    def __init__(self, store: Store, field: Sequence[bytes]) -> None:
        self._store = store
        self._numbered = Numbered(store, "payments")
        self._rows = self._numbered.rows
        self._seal = FieldSeal(field, "destination")

    async def ensure_indexes(self) -> None:
        await self._numbered.ensure_indexes(
            [
                Index([("key", 1)], unique=True),
                Index([("person", 1)]),
                Index([("due", 1)], sparse=True),
                Index([("open", 1)], sparse=True),
                Index([("reference", 1)], sparse=True),
                Index([("charge", 1)], sparse=True),
                Index([("created_at", 1)]),
            ]
        )

    async def ensure_counter(self) -> None:
        await self._numbered.ensure_counter()

    # ── One order ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def insert(self, tx: Tx, order: Order, key: str) -> None:
        """Raises Duplicate when this key was used before."""
        await self._numbered.insert(tx, {"_id": order.id, "key": key, **self._document(order)})

    async def get(self, id: str, tx: Tx | None = None) -> Order | None:
        row = await self._rows.find_one({"_id": id}, session=tx.session if tx else None)
        return self._order(row) if row else None

    async def by_key(self, key: str) -> Order | None:
        row = await self._rows.find_one({"key": key})
        return self._order(row) if row else None

    async def by_reference(self, provider: str, reference: str) -> Order | None:
        rows = await self._rows.find({"reference": reference}).to_list(SOME)
        return next((self._order(row) for row in rows if row["provider"] == provider), None)

    async def replace(self, order: Order, tx: Tx | None = None) -> bool:
        """Compare-and-set on `version - 1`; False when somebody else was faster."""
        kept = self._document(order)
        gone = {name: "" for name in _ABSENT if name not in kept}
        change: Document = {"$set": kept} | ({"$unset": gone} if gone else {})
        key = {"_id": order.id, "version": order.version - 1}
        done = await self._rows.update_one(key, change, session=tx.session if tx else None)
        return done.matched_count == 1

    async def free(self, tx: Tx, charge: str, amount: int) -> None:
        """So much of a charge may be given back again."""
        change = {"$inc": {"refunded": -amount, "version": 1}}
        await self._rows.update_one({"_id": charge}, change, session=tx.session)

    # ── Whose turn it is ────────────────────────────────────────────────────────────────────────────────────────────

    async def due(self, now: datetime) -> list[Order]:
        """Some of those that are due, and of those that can only be so late because the clock was turned back."""
        rows = await self._rows.find({"due": {"$lte": now}}).limit(SOME).to_list(SOME)
        if not rows:
            rows = await self._rows.find({"due": {"$gt": now + rules.DUE_MOST}}).limit(SOME).to_list(SOME)
        return [self._order(row) for row in rows]

    async def next_due(self, now: datetime, within: timedelta) -> datetime | None:
        """When the next order is due, if that is within this time."""
        window = {"due": {"$gt": now, "$lte": now + within}}
        rows = await self._rows.find(window, {"due": 1}).limit(SOME).to_list(SOME)
        return min((row["due"] for row in rows), default=None)

    async def postpone(self, order: Order, due: datetime) -> bool:
        """Moves when it is looked at; False when somebody else has. Whoever moves it has it until then."""
        same = {"_id": order.id, "version": order.version, "due": order.due}
        return (await self._rows.update_one(same, {"$set": {"due": due}})).modified_count == 1

    async def wake(self, id: str, now: datetime) -> None:
        """Looked at next, whatever was planned: also whoever has asked already asks again."""
        await self._rows.update_one({"_id": id}, {"$set": {"due": now}, "$inc": {"version": 1}})

    # ── Lists ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def of_person(self, person: str, before: int | None, limit: int) -> tuple[list[Order], int | None]:
        """The newest first, below a number, and where to go on; None at the end."""
        rows = await self._rows.find({"person": person}, {"number": 1}).to_list(_OF_PERSON)
        numbers = sorted((int(row["number"]) for row in rows), reverse=True)
        fitting = [number for number in numbers if before is None or number < before]
        shown = fitting[:limit]
        found = await self._rows.find({"number": {"$in": shown}}).to_list(limit)
        found.sort(key=lambda row: int(row["number"]), reverse=True)
        return [self._order(row) for row in found], shown[-1] if len(fitting) > limit else None

    async def open_of(self, person: str) -> list[Order]:
        """What has not ended."""
        rows = await self._rows.find({"person": person, "open": True}).to_list(OPEN_MOST)
        return [self._order(row) for row in rows]

    async def in_state(
        self, state: OrderState | None, before: int | None, limit: int
    ) -> tuple[list[Order], int | None]:
        """The newest first, below a number, and where to go on; a page may hold fewer though more lie beyond."""
        if state is None or state in FINAL:
            match = {} if state is None else {"state": state.value}
            rows, following = await self._numbered.page(match, before, limit)
            return [self._order(row) for row in rows], following
        rows = await self._rows.find({"open": True}).limit(OPEN_MOST).to_list(OPEN_MOST)
        fitting = [row for row in rows if row["state"] == state and (before is None or row["number"] < before)]
        fitting.sort(key=lambda row: int(row["number"]), reverse=True)
        shown = fitting[:limit]
        return [self._order(row) for row in shown], int(shown[-1]["number"]) if len(fitting) > limit else None

    async def open(self) -> list[Order]:
        """What has not ended; at most OPEN_MOST."""
        rows = await self._rows.find({"open": True}).limit(OPEN_MOST).to_list(OPEN_MOST)
        return [self._order(row) for row in rows]

    async def unfinished(self) -> list[Unfinished]:
        """As `open`, without what few need to know."""
        few = dict.fromkeys(Unfinished.__struct_fields__, 1)
        rows = await self._rows.find({"open": True}, few).limit(OPEN_MOST).to_list(OPEN_MOST)
        return [
            Unfinished(row["provider"], OrderState(row["state"]), row["changed_at"], row.get("due"), row.get("fault"))
            for row in rows
        ]

    async def refunds_of(self, charges: Sequence[str]) -> list[Order]:
        rows = await self._rows.find({"charge": {"$in": list(charges)}}).to_list(None)
        return [self._order(row) for row in rows]

    async def many(self, ids: Sequence[str]) -> dict[str, Order]:
        rows = await self._rows.find({"_id": {"$in": list(ids)}}).to_list(None)
        return {row["_id"]: self._order(row) for row in rows}

    async def made(self, provider: str, since: datetime, until: datetime) -> AsyncIterator[Order]:
        """Those of a provider that were made in [since, until)."""
        start = since
        while start < until:
            end = min(until, start + _WINDOW)
            for row in await self._rows.find({"created_at": {"$gte": start, "$lt": end}}).to_list(None):
                if row["provider"] == provider:
                    yield self._order(row)
            start = end

    async def reseal(self) -> int:
        """Seals anew what the key of today has not; answers how many."""
        changed = 0
        async for row in self._rows.find({}, {"destination": 1}):
            if (kept := row.get("destination")) is None or self._seal.is_current(bytes(kept), row["_id"]):
                continue
            anew = self._seal.seal(self._seal.open(bytes(kept), row["_id"]), row["_id"])
            done = await self._rows.update_one(
                {"_id": row["_id"], "destination": kept}, {"$set": {"destination": anew}}
            )
            changed += done.modified_count
        return changed

    # ── Documents ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _document(self, order: Order) -> Document:
        kept = {name: value for name, value in msgspec.structs.asdict(order).items() if value is not None}
        del kept["id"]
        kept["regained"] = msgspec.to_builtins(order.regained)
        kept |= {"kind": order.kind.value, "state": order.state.value, "currency": order.currency.value}
        if order.destination:
            kept["destination"] = self._seal.seal(json.dumps(order.destination), order.id)
        else:
            del kept["destination"]
        if order.state not in FINAL:
            kept["open"] = True
        return kept

    def _order(self, row: Document) -> Order:
        kept = {name: row[name] for name in Order.__struct_fields__ if name in row}
        sealed = row.get("destination")
        destination = json.loads(self._seal.open(bytes(sealed), row["_id"])) if sealed else {}
        special = {
            "id": row["_id"],
            "kind": OrderKind(row["kind"]),
            "state": OrderState(row["state"]),
            "currency": Currency(row["currency"]),
            "destination": destination,
            "regained": tuple(Regained(**one) for one in row["regained"]),
        }
        return Order(**(kept | special))


#: what a document may lack, so that sparse indexes leave it out
_ABSENT = ("reference", "url", "charge", "hold", "fault", "approved_by", "due", "open", "destination")
