"""Where notifications are kept: `notification_settings` (one per person), `notify` (one per person and conversation,
where it is not as it begins), `push_subscriptions`, and `pushes` (one per conversation: how far it was pushed)."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

import msgspec

from server.notifications.model import Due, Level, NotificationSettings, Notify, Subscription
from server.store import Document, Duplicate, Gathered, Index, Store, Tx

#: Keys of one query.
_AT_ONCE = 1_000
#: Conversations that one look for due pushes finds.
DUE_AT_ONCE = 100


class ChoicesRepo:
    """What people have chosen; who has chosen nothing has the defaults."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._settings = store.collection("notification_settings")
        self._notify = store.collection("notify")
        self._one = Gathered(self._many)

    async def ensure_indexes(self) -> None:
        await self._store.ensure_indexes("notify", [Index([("person", 1)])])

    async def settings(self, person: str) -> NotificationSettings:
        return await self._one.get(person) or NotificationSettings()

    async def settings_of(self, persons: Collection[str]) -> dict[str, NotificationSettings]:
        found = dict[str, NotificationSettings]()
        for some in _portions(persons):
            found |= await self._many(some)
        return {person: found.get(person, NotificationSettings()) for person in persons}

    async def _many(self, persons: Sequence[str]) -> dict[str, NotificationSettings]:
        rows = await self._settings.find({"_id": {"$in": list(persons)}}).to_list(None)
        return {row["_id"]: msgspec.convert(row["choices"], NotificationSettings) for row in rows}

    async def put_settings(self, tx: Tx, person: str, choices: NotificationSettings) -> None:
        change = {"$set": {"choices": msgspec.to_builtins(choices)}}
        await self._settings.update_one({"_id": person}, change, upsert=True, session=tx.session)

    async def notify(self, person: str, conversations: Collection[str]) -> dict[str, Notify]:
        """By conversation; those that are as they began are left out."""
        found = await self._of([(conversation, person) for conversation in conversations])
        return {conversation: chosen for (conversation, _), chosen in found.items()}

    async def notify_in(self, conversation: str, persons: Collection[str]) -> dict[str, Notify]:
        """By person."""
        found = await self._of([(conversation, person) for person in persons])
        return {person: chosen for (_, person), chosen in found.items()}

    async def notify_of(self, persons: Collection[str]) -> dict[tuple[str, str], Notify]:
        """By person and conversation: everything that these people have chosen."""
        found: dict[tuple[str, str], Notify] = {}
        for some in _portions(persons):
            rows = await self._notify.find({"person": {"$in": some}}).to_list(None)
            found |= {(row["person"], row["conv"]): _chosen(row) for row in rows}
        return found

    async def _of(self, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], Notify]:
        found: dict[tuple[str, str], Notify] = {}
        for some in _portions([f"{conv}|{person}" for conv, person in keys]):
            rows = await self._notify.find({"_id": {"$in": some}}).to_list(None)
            found |= {(row["conv"], row["person"]): _chosen(row) for row in rows}
        return found

    async def put_notify(self, tx: Tx, person: str, conversation: str, wanted: Notify) -> None:
        key = {"_id": f"{conversation}|{person}"}
        if wanted.level is Level.ALL:
            await self._notify.delete_one(key, session=tx.session)
            return
        row = {"person": person, "conv": conversation, "level": wanted.level.value, "until": wanted.until}
        await self._notify.update_one(key, {"$set": row}, upsert=True, session=tx.session)

    async def forget(self, tx: Tx, person: str) -> None:
        await self._settings.delete_one({"_id": person}, session=tx.session)
        await self._notify.delete_many({"person": person}, session=tx.session)


class SubscriptionsRepo:
    """Browsers that get pushes. An endpoint belongs to one person: whoever subscribed it last."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows = store.collection("push_subscriptions")

    async def ensure_indexes(self) -> None:
        await self._store.ensure_indexes(
            "push_subscriptions",
            [Index([("person", 1)]), Index([("session", 1)]), Index([("print", 1)], unique=True)],
        )

    async def insert(self, tx: Tx, subscription: Subscription) -> None:
        row = msgspec.structs.asdict(subscription)
        row["_id"] = row.pop("id")
        row["print"] = _print(subscription.endpoint)
        await self._rows.insert_one(row, session=tx.session)

    async def take_away(self, tx: Tx, endpoint: str, session: str) -> None:
        """Ends what this endpoint, and this sign-in, had before."""
        await self._rows.delete_many({"print": _print(endpoint)}, session=tx.session)
        await self._rows.delete_many({"session": session}, session=tx.session)

    async def of(self, persons: Collection[str], tx: Tx | None = None) -> list[Subscription]:
        found: list[Subscription] = []
        session = tx.session if tx else None
        for some in _portions(persons):
            rows = await self._rows.find({"person": {"$in": some}}, session=session).to_list(None)
            found += map(_subscription, rows)
        return found

    async def any(self) -> bool:
        return await self._rows.find_one({}, {"_id": 1}) is not None

    async def delete(self, person: str, id: str, tx: Tx | None = None) -> bool:
        done = await self._rows.delete_one({"_id": id, "person": person}, session=tx.session if tx else None)
        return done.deleted_count == 1

    async def gone(self, ids: Sequence[str]) -> None:
        await self._rows.delete_many({"_id": {"$in": list(ids)}})

    async def end_sessions(self, tx: Tx, sessions: Sequence[str]) -> None:
        await self._rows.delete_many({"session": {"$in": list(sessions)}}, session=tx.session)

    async def forget(self, tx: Tx, person: str) -> None:
        await self._rows.delete_many({"person": person}, session=tx.session)

    async def tried(self, subscription: Subscription, at: datetime, fault: str | None) -> None:
        """Notes how the last try went."""
        since = None if fault is None else subscription.failing_since or at
        change = {"last_at": at, "fault": fault, "failing_since": since}
        await self._rows.update_one({"_id": subscription.id}, {"$set": change})

    async def summary(self, at_most: int) -> tuple[int, int]:
        """How many there are, and how many of them fail (of `at_most` looked at)."""
        rows = await self._rows.find({}, {"fault": 1}).limit(at_most).to_list(at_most)
        return len(rows), sum(row["fault"] is not None for row in rows)


class PushesRepo:
    """How far each conversation was pushed: one document that only moves forward, so that nothing is pushed twice."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows = store.collection("pushes")

    async def ensure_indexes(self) -> None:
        await self._store.ensure_indexes("pushes", [Index([("due", 1)], sparse=True)])

    async def note(self, ch: str, seen: int, due: datetime) -> None:
        """Entries up to `seen` wait from `due` on; one that waits longer keeps its time."""
        change = {"$max": {"seen": seen, "done": 0}, "$min": {"due": due}}
        try:
            await self._rows.update_one({"_id": ch}, change, upsert=True)
        except Duplicate:  # two nodes, the first message of a conversation: now it is there
            await self._rows.update_one({"_id": ch}, change)

    async def due(self, at: datetime) -> list[Due]:
        """What waits no longer. There are few at any time, for each is taken at once."""
        rows = await self._rows.find({"due": {"$lte": at}}).limit(DUE_AT_ONCE).to_list(DUE_AT_ONCE)
        return [Due(row["_id"], row["done"], row["seen"]) for row in rows]

    async def claim(self, due: Due) -> bool:
        """Takes the entries above `done` for this node; False when another one has them, or there are more now."""
        taken = await self._rows.update_one(
            {"_id": due.ch, "done": due.done, "seen": due.seen},
            {"$set": {"done": due.seen}, "$unset": {"due": ""}},
        )
        return taken.modified_count == 1


def _portions(keys: Collection[str]) -> Iterator[list[str]]:
    listed = list(keys)
    for start in range(0, len(listed), _AT_ONCE):
        yield listed[start : start + _AT_ONCE]


def _chosen(row: Document) -> Notify:
    return Notify(Level(row["level"]), row["until"])


def _print(endpoint: str) -> str:
    return hashlib.sha256(endpoint.encode()).hexdigest()


def _subscription(row: Document) -> Subscription:
    return Subscription(id=row["_id"], **{n: row[n] for n in Subscription.__struct_fields__ if n != "id"})
