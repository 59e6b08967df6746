"""Second factors at rest. The secrets of TOTP are sealed; of recovery codes only hashes are kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import msgspec
from cryptography.exceptions import InvalidTag

from server.people.factor_model import Factor, FactorKind, KeptProof, ProofState, Purpose, Recovery, Setup
from server.sealing import FieldSeal
from server.store import Document, Index, Store, Tx

#: Rows of proofs stay for a day after their end, so that what was spent on something is known to be.
_REMEMBERED = timedelta(days=1)


class FactorsRepo:
    def __init__(self, store: Store, field: Sequence[bytes]) -> None:
        self._store = store
        self._seal = FieldSeal(field, "totp")
        self._factors = store.collection("factors")
        self._setups = store.collection("factor_setups")
        self._recovery = store.collection("recovery_codes")

    async def ensure_indexes(self) -> None:
        await self._store.ensure_indexes(
            "factors", [Index([("person", 1)]), Index([("credential", 1)], unique=True, sparse=True)]
        )
        await self._store.ensure_indexes("factor_setups", [Index([("person", 1)]), Index([("expires", 1)], ttl=0)])

    # ── Factors ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def of(self, person: str, tx: Tx | None = None) -> list[Factor]:
        """The oldest first."""
        rows = await self._factors.find({"person": person}, session=tx.session if tx else None).to_list(None)
        return sorted((self._factor(row) for row in rows), key=lambda factor: (factor.created_at, factor.id))

    async def insert(self, tx: Tx, factor: Factor) -> None:
        """Raises Duplicate when somebody has this passkey."""
        await self._factors.insert_one(self._document(factor), session=tx.session)

    async def replace(self, factor: Factor, tx: Tx | None = None) -> bool:
        """Compare-and-set on `version - 1`; False when somebody else was faster."""
        document = self._document(factor)
        key = {"_id": document.pop("_id"), "version": factor.version - 1}
        done = await self._factors.update_one(key, {"$set": document}, session=tx.session if tx else None)
        return done.matched_count == 1

    async def delete(self, tx: Tx, person: str, factor: str) -> bool:
        done = await self._factors.delete_one({"_id": factor, "person": person}, session=tx.session)
        return done.deleted_count == 1

    async def delete_all(self, tx: Tx, person: str) -> int:
        """Everything by which a person proves anything; answers how many factors there were."""
        done = await self._factors.delete_many({"person": person}, session=tx.session)
        await self._setups.delete_many({"person": person}, session=tx.session)
        await self._recovery.delete_one({"_id": person}, session=tx.session)
        return done.deleted_count

    async def reseal(self) -> int:
        """Seals the secrets anew that the key of today has not; answers how many. Setups are not: they last minutes."""
        changed = 0
        async for row in self._factors.find({}, {"secret": 1}):
            if (sealed := row.get("secret")) is None or self._seal.is_current(bytes(sealed), row["_id"]):
                continue
            anew = self._seal.seal(self._seal.open(bytes(sealed), row["_id"]), row["_id"])
            done = await self._factors.update_one({"_id": row["_id"], "secret": sealed}, {"$set": {"secret": anew}})
            changed += done.modified_count
        return changed

    # ── What is being added ─────────────────────────────────────────────────────────────────────────────────────────

    async def insert_setup(self, tx: Tx, setup: Setup) -> None:
        row = msgspec.structs.asdict(setup)
        row["_id"] = row.pop("id")
        row["kind"] = setup.kind.value
        row["secret"] = self._seal.seal(setup.secret, setup.id)
        await self._setups.insert_one(row, session=tx.session)

    async def setup(self, id: str) -> Setup | None:
        """None also for one that was sealed with a key which is gone."""
        row = await self._setups.find_one({"_id": id})
        if row is None:
            return None
        try:
            row["secret"] = self._seal.open(bytes(row["secret"]), id)
        except InvalidTag:
            return None
        row |= {"id": row.pop("_id"), "kind": FactorKind(row["kind"]), "challenge": bytes(row["challenge"])}
        return Setup(**row)

    async def delete_setup(self, tx: Tx, id: str) -> bool:
        """False when it was used, or thrown away, meanwhile."""
        return (await self._setups.delete_one({"_id": id}, session=tx.session)).deleted_count == 1

    # ── Recovery codes ──────────────────────────────────────────────────────────────────────────────────────────────

    async def recovery(self, person: str, tx: Tx | None = None) -> Recovery | None:
        row = await self._recovery.find_one({"_id": person}, session=tx.session if tx else None)
        return Recovery(person=person, hashes=tuple(row["hashes"]), version=row["version"]) if row else None

    async def put_recovery(self, tx: Tx, codes: Recovery) -> bool:
        """The first ones, or compare-and-set on `version - 1`. Raises Duplicate when there are first ones already."""
        row = {"hashes": list(codes.hashes), "version": codes.version}
        if codes.version == 1:
            await self._recovery.insert_one({"_id": codes.person, **row}, session=tx.session)
            return True
        key = {"_id": codes.person, "version": codes.version - 1}
        return (await self._recovery.update_one(key, {"$set": row}, session=tx.session)).matched_count == 1

    async def delete_recovery(self, tx: Tx, person: str) -> None:
        await self._recovery.delete_one({"_id": person}, session=tx.session)

    def _document(self, factor: Factor) -> Document:
        row = msgspec.structs.asdict(factor)
        row["_id"] = row.pop("id")
        row["kind"] = factor.kind.value
        row["transports"] = list(factor.transports)
        if factor.kind is FactorKind.TOTP:
            row["secret"] = self._seal.seal(factor.secret, factor.id)
            del row["credential"]
        else:
            del row["secret"]
        return row

    def _factor(self, row: Document) -> Factor:
        known = {name: row[name] for name in Factor.__struct_fields__ if name in row}
        known |= {"id": row["_id"], "kind": FactorKind(row["kind"]), "transports": tuple(row["transports"])}
        known["public_key"] = bytes(row["public_key"])
        if "secret" in row:
            known["secret"] = self._seal.open(bytes(row["secret"]), row["_id"])
        return Factor(**known)


class ProofsRepo:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._proofs = store.collection("proofs")

    async def ensure_indexes(self) -> None:
        indexes = [Index([("person", 1)]), Index([("session", 1)]), Index([("gone", 1)], ttl=0)]
        await self._store.ensure_indexes("proofs", indexes)

    async def insert(self, proof: KeptProof) -> None:
        row = msgspec.structs.asdict(proof)
        row["_id"] = row.pop("id")
        row |= {"purpose": proof.purpose.value, "state": proof.state.value, "gone": proof.expires + _REMEMBERED}
        await self._proofs.insert_one(row)

    async def get(self, id: str, tx: Tx | None = None) -> KeptProof | None:
        row = await self._proofs.find_one({"_id": id}, session=tx.session if tx else None)
        if row is None:
            return None
        known = {name: row[name] for name in KeptProof.__struct_fields__ if name != "id"}
        known |= {"purpose": Purpose(row["purpose"]), "state": ProofState(row["state"])}
        known["challenge"] = bytes(row["challenge"])
        return KeptProof(id=id, **known)

    async def count_try(self, id: str, most: int) -> bool:
        """Counts one answer; False when it has borne as many as it may, or is not open."""
        key = {"_id": id, "state": ProofState.OPEN.value, "tries": {"$lt": most}}
        return (await self._proofs.update_one(key, {"$inc": {"tries": 1}})).matched_count == 1

    async def move(self, tx: Tx, id: str, before: ProofState, after: ProofState, use: str = "") -> bool:
        """Compare-and-set of the state; False when it is another one."""
        change = {"$set": {"state": after.value, "use": use}}
        key = {"_id": id, "state": before.value}
        return (await self._proofs.update_one(key, change, session=tx.session)).matched_count == 1

    async def delete_of_session(self, tx: Tx, session: str) -> None:
        await self._proofs.delete_many({"session": session}, session=tx.session)

    async def delete_all(self, tx: Tx, person: str) -> None:
        await self._proofs.delete_many({"person": person}, session=tx.session)
