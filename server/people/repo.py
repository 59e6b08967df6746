"""The only place that names this domain's collections, fields and indexes."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime

import msgspec

from server.people.model import Language, Pair, PairState, Person, Session, SessionKind
from server.people.phones import PhoneVault
from server.people.terms import terms
from server.principals import Grant, Role, Scope
from server.store import Collection as Rows
from server.store import Document, Gathered, Index, Store, Tx


def token_hash(token: str) -> str:
    """What is kept of a sign-in's token. It has 256 random bits, so one plain hash is enough."""
    return hashlib.sha256(token.encode()).hexdigest()


class PeopleRepo:
    """Accounts and their pictures."""

    def __init__(self, store: Store, vault: PhoneVault) -> None:
        self._store = store
        self._vault = vault
        self._people: Rows = store.collection("people")
        self._avatars: Rows = store.collection("avatars")

    async def ensure_indexes(self) -> None:
        # Sparse and unique: deleted people have no handle, most have no phone.
        await self._store.ensure_indexes(
            "people",
            [
                Index([("handle", 1)], unique=True, sparse=True),
                Index([("phone_index", 1)], unique=True, sparse=True),
                Index([("terms", 1)]),
                Index([("created_at", 1)]),
            ],
        )
        await self._store.ensure_indexes("avatars", [Index([("person", 1)])])

    async def insert(self, person: Person, tx: Tx | None = None) -> None:
        """Raises Duplicate when the handle or the phone number is taken."""
        await self._people.insert_one(self._document(person), session=tx.session if tx else None)

    async def get(self, person: str, tx: Tx | None = None) -> Person | None:
        found = await self._people.find_one({"_id": person}, session=tx.session if tx else None)
        return self._person(found) if found else None

    async def by_handle(self, handle: str) -> Person | None:
        found = await self._people.find_one({"handle": handle})
        return self._person(found) if found else None

    async def by_phone(self, number: str) -> Person | None:
        found = await self._people.find_one({"phone_index": {"$in": self._vault.indexes(number)}})
        return self._person(found) if found else None

    async def by_term(self, term: str, limit: int) -> list[Person]:
        """Those who are found by this term (`registry.terms`), in no order."""
        rows = await self._people.find({"terms": term}).limit(limit).to_list(limit)
        return [self._person(document) for document in rows]

    async def made_between(self, first: datetime, end: datetime, limit: int) -> list[Person]:
        """Those who registered in `first <= … < end`, in no order."""
        rows = await self._people.find({"created_at": {"$gte": first, "$lt": end}}).limit(limit).to_list(limit)
        return [self._person(document) for document in rows]

    async def add_terms(self) -> None:
        """Makes accounts findable that were made before terms were kept; once, for it looks at each."""
        done = self._store.collection("meta")
        if await done.find_one({"_id": "people_terms"}):
            return
        async for row in self._people.find({}, {"handle": 1, "name": 1, "terms": 1}):
            if "terms" not in row:
                found_by = terms(row.get("handle", ""), row["name"])
                await self._people.update_one({"_id": row["_id"], "name": row["name"]}, {"$set": {"terms": found_by}})
        await done.update_one({"_id": "people_terms"}, {"$set": {"done": True}}, upsert=True)

    async def many(self, people: Iterable[str]) -> list[Person]:
        found = await self._people.find({"_id": {"$in": list(people)}}).to_list(None)
        return [self._person(document) for document in found]

    async def replace(self, person: Person, tx: Tx | None = None) -> bool:
        """Compare-and-set on `version - 1`; False when somebody else was faster. Raises Duplicate like `insert`."""
        document = self._document(person)
        absent = {name: "" for name in ("handle", "phone", "phone_index") if name not in document}
        key = {"_id": document.pop("_id"), "version": person.version - 1}
        change: Document = {"$set": document}
        if absent:
            change["$unset"] = absent
        done = await self._people.update_one(key, change, session=tx.session if tx else None)
        return done.matched_count == 1

    async def hold(self, tx: Tx, person: str) -> None:
        """Touches the account, so that a suspension and a sign-in under way cannot pass each other unseen."""
        await self._people.update_one({"_id": person}, {"$inc": {"held": 1}}, session=tx.session)

    async def reseal(self) -> int:
        """Seals and indexes the phone numbers anew that the keys of today have not; answers how many. What somebody
        changes meanwhile is left to them: they write with the keys of today too."""
        changed = 0
        async for row in self._people.find({}, {"phone": 1, "phone_index": 1}):
            if (sealed := row.get("phone")) is None:
                continue
            number = self._vault.open(bytes(sealed), row["_id"])
            indexes = self._vault.indexes(number)
            if self._vault.is_current(bytes(sealed), row["_id"]) and row["phone_index"] == indexes:
                continue
            anew = {"phone": self._vault.seal(number, row["_id"]), "phone_index": indexes}
            done = await self._people.update_one({"_id": row["_id"], "phone": sealed}, {"$set": anew})
            changed += done.modified_count
        return changed

    async def put_avatar(self, tx: Tx, person: str, version: str, data: bytes, at: datetime) -> None:
        await self._avatars.insert_one(
            {"_id": f"{person}:{version}", "person": person, "data": data, "at": at}, session=tx.session
        )

    async def drop_avatars(self, tx: Tx, person: str, keep: str | None = None) -> None:
        kept = f"{person}:{keep}"
        async for row in self._avatars.find({"person": person}, {"_id": 1}, session=tx.session):
            if row["_id"] != kept:
                await self._avatars.delete_one({"_id": row["_id"]}, session=tx.session)

    async def avatar(self, person: str, version: str) -> bytes | None:
        found = await self._avatars.find_one({"_id": f"{person}:{version}"})
        return bytes(found["data"]) if found else None

    def _document(self, person: Person) -> Document:
        document: Document = {
            "_id": person.id,
            "name": person.name,
            "introduction": person.introduction,
            "language": person.language.value,
            "time_zone": person.time_zone,
            "birth_date": person.birth_date and person.birth_date.isoformat(),
            "avatar": person.avatar,
            "password": person.password,
            "created_at": person.created_at,
            "deleted_at": person.deleted_at,
            "suspended_until": person.suspended_until,
            "terms": terms(person.handle, person.name),
            "version": person.version,
        }
        if person.handle:
            document["handle"] = person.handle
        if person.phone:
            document["phone"] = self._vault.seal(person.phone, person.id)
            document["phone_index"] = self._vault.indexes(person.phone)
        return document

    def _person(self, document: Document) -> Person:
        born, sealed = document["birth_date"], document.get("phone")
        return Person(
            id=document["_id"],
            handle=document.get("handle", ""),
            name=document["name"],
            introduction=document["introduction"],
            language=Language(document["language"]),
            time_zone=document["time_zone"],
            birth_date=born and date.fromisoformat(born),
            phone=sealed and self._vault.open(bytes(sealed), document["_id"]),
            avatar=document["avatar"],
            password=document["password"],
            created_at=document["created_at"],
            deleted_at=document["deleted_at"],
            suspended_until=document.get("suspended_until"),
            version=document["version"],
        )


class SessionsRepo:
    """Sign-ins. The TTL index takes expired ones away; readers check `expires` themselves until it has."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._sessions: Rows = store.collection("sessions")
        self._by_hash = Gathered(self._of_hashes)
        self._expiry = Gathered(self._expiries)

    async def ensure_indexes(self) -> None:
        await self._store.ensure_indexes(
            "sessions", [Index([("hash", 1)], unique=True), Index([("person", 1)]), Index([("expires", 1)], ttl=0)]
        )

    async def insert(self, session: Session, token: str, tx: Tx | None = None) -> None:
        document = msgspec.structs.asdict(session)
        document["_id"] = document.pop("id")
        document["kind"] = session.kind.value
        document["hash"] = token_hash(token)
        await self._sessions.insert_one(document, session=tx.session if tx else None)

    async def by_token(self, token: str) -> Session | None:
        return await self._by_hash.get(token_hash(token))

    async def _of_hashes(self, hashes: Sequence[str]) -> dict[str, Session]:
        found = await self._sessions.find({"hash": {"$in": list(hashes)}}).to_list(None)
        return {document["hash"]: _session(document) for document in found}

    async def of(self, person: str, tx: Tx | None = None) -> list[Session]:
        found = await self._sessions.find({"person": person}, session=tx.session if tx else None).to_list(None)
        return [_session(document) for document in found]

    async def touch(self, session: str, seen_at: datetime, expires: datetime, ip: str) -> None:
        await self._sessions.update_one({"_id": session}, {"$set": {"seen_at": seen_at, "expires": expires, "ip": ip}})

    async def delete(self, tx: Tx, person: str, session: str) -> bool:
        done = await self._sessions.delete_one({"_id": session, "person": person}, session=tx.session)
        return done.deleted_count == 1

    async def live(self, sessions: Collection[str], now: datetime) -> set[str]:
        if len(sessions) == 1:  # asked for each socket that opens
            (one,) = sessions
            expires = {one: await self._expiry.get(one)}
        else:
            expires = dict(await self._expiries(list(sessions)))
        return {session for session, at in expires.items() if at is not None and at > now}

    async def _expiries(self, sessions: Sequence[str]) -> dict[str, datetime | None]:
        found = await self._sessions.find({"_id": {"$in": list(sessions)}}, {"expires": 1}).to_list(None)
        return {document["_id"]: document["expires"] for document in found}


class GrantsRepo:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._grants: Rows = store.collection("grants")
        self._of = Gathered(self._of_many)

    async def ensure_indexes(self) -> None:
        await self._store.ensure_indexes("grants", [Index([("person", 1)]), Index([("scope", 1), ("scope_id", 1)])])

    async def of(self, person: str) -> tuple[Grant, ...]:
        return tuple(sorted(await self._of.get(person) or (), key=lambda one: (one.scope, one.scope_id, one.role)))

    async def of_now(self, person: str, tx: Tx) -> tuple[Grant, ...]:
        rows = await self._grants.find({"person": person}, session=tx.session).to_list(None)
        return tuple(Grant(Role(row["role"]), Scope(row["scope"]), row["scope_id"]) for row in rows)

    async def _of_many(self, people: Sequence[str]) -> dict[str, list[Grant]]:
        found: dict[str, list[Grant]] = {}
        for row in await self._grants.find({"person": {"$in": list(people)}}).to_list(None):
            found.setdefault(row["person"], []).append(Grant(Role(row["role"]), Scope(row["scope"]), row["scope_id"]))
        return found

    async def holders(self, *roles: Role) -> set[str]:
        """Everybody who holds one of these roles in the whole system."""
        key = {"scope": Scope.SYSTEM.value, "scope_id": ""}
        return {row["person"] for row in await self._grants.find(key).to_list(None) if Role(row["role"]) in roles}

    async def insert(self, person: str, grant: Grant, by: str, at: datetime, tx: Tx | None = None) -> None:
        """Raises Duplicate when it is granted already."""
        row = {"_id": _grant_id(person, grant), "person": person, "by": by, "at": at}
        row |= {"role": grant.role.value, "scope": grant.scope.value, "scope_id": grant.scope_id}
        await self._grants.insert_one(row, session=tx.session if tx else None)

    async def delete(self, person: str, grant: Grant, tx: Tx | None = None) -> bool:
        key = {"_id": _grant_id(person, grant)}
        done = await self._grants.delete_one(key, session=tx.session if tx else None)
        return done.deleted_count == 1

    async def delete_all(self, tx: Tx, person: str) -> None:
        await self._grants.delete_many({"person": person}, session=tx.session)


class PairsRepo:
    """How two people stand. Documents are never deleted, for `version` must not begin again."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pairs: Rows = store.collection("pairs")

    async def ensure_indexes(self) -> None:
        await self._store.ensure_indexes("pairs", [Index([("a", 1)]), Index([("b", 1)]), Index([("asker", 1)])])

    async def get(self, pair: Pair, tx: Tx | None = None) -> Pair:
        """The stored pair of these two, or the given one when there is none."""
        found = await self._pairs.find_one({"_id": pair.id}, session=tx.session if tx else None)
        return _pair(found) if found else pair

    async def put(self, tx: Tx, pair: Pair) -> bool:
        """Compare-and-set on `version - 1`; False when somebody else was faster. Raises Duplicate for a first one."""
        document = msgspec.structs.asdict(pair)
        document["state"] = pair.state.value
        document["blocked_by"] = sorted(pair.blocked_by)
        if pair.version == 1:
            await self._pairs.insert_one({"_id": pair.id, **document}, session=tx.session)
            return True
        key = {"_id": pair.id, "version": pair.version - 1}
        done = await self._pairs.update_one(key, {"$set": document}, session=tx.session)
        return done.matched_count == 1

    async def hold_friends(self, tx: Tx, pair: Pair) -> bool:
        """Touches the document of two friends, so that transactions about them cannot pass each other unseen."""
        key = {"_id": pair.id, "state": PairState.FRIENDS.value}
        done = await self._pairs.update_one(key, {"$inc": {"held": 1}}, session=tx.session)
        return done.matched_count == 1

    async def of(self, person: str, tx: Tx | None = None) -> list[Pair]:
        """Every pair that this person is half of, also ended ones."""
        session = tx.session if tx else None
        halves = [await self._pairs.find({half: person}, session=session).to_list(None) for half in ("a", "b")]
        return [_pair(document) for half in halves for document in half]

    async def between(self, person: str, others: Iterable[str]) -> dict[str, Pair]:
        """Other person → pair, for those pairs that exist."""
        ids = [Pair(a=min(person, other), b=max(person, other)).id for other in others if other != person]
        found = await self._pairs.find({"_id": {"$in": ids}}).to_list(None)
        return {pair.other(person): pair for pair in map(_pair, found)}

    async def open_requests(self, person: str, at_most: int) -> int:
        """How many requests of this person are unanswered, counted up to `at_most`."""
        rows = self._pairs.find({"asker": person}, {"_id": 1}).limit(at_most)
        return len(await rows.to_list(at_most))


def _session(document: Document) -> Session:
    kept = {name: document[name] for name in Session.__struct_fields__ if name not in ("id", "kind")}
    return Session(id=document["_id"], kind=SessionKind(document["kind"]), **kept)


def _grant_id(person: str, grant: Grant) -> str:
    return f"{person}|{grant.role}|{grant.scope}|{grant.scope_id}"


def _pair(document: Document) -> Pair:
    return Pair(
        a=document["a"],
        b=document["b"],
        state=PairState(document["state"]),
        asker=document["asker"],
        note=document["note"],
        at=document["at"],
        blocked_by=frozenset(document["blocked_by"]),
        version=document["version"],
    )
