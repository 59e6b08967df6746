"""Where proofs and nonces are kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from server.proofs import rules
from server.proofs.model import Nonce, Proof
from server.store import Document, Index, Store, Tx

#: earlier pictures that a new one is compared with, at most: six of a thousand share a word with it, so none is missed
#: up to some 80,000 proofs
LIKE_MOST = 500
#: pictures of one call that are listed, at most
CALL_MOST = 500


class ProofsRepo:
    """`live_proofs`: a row each, never changed but for what goes with an account; `words` are those under which its
    picture is found by its looks. `proof_nonces`: one each, until its person asks for another a day later."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._proofs = store.collection("live_proofs")
        self._nonces = store.collection("proof_nonces")

    async def ensure_indexes(self) -> None:
        await self._store.ensure_indexes(
            "live_proofs",
            [
                Index([("sha256", 1)], unique=True),
                Index([("source", 1)], unique=True),
                Index([("person", 1)]),
                Index([("media", 1)], sparse=True),
                Index([("call", 1)], sparse=True),
                Index([("words", 1)], sparse=True),
            ],
        )
        await self._store.ensure_indexes("proof_nonces", [Index([("person", 1)])])

    # ── Nonces ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def add_nonce(self, nonce: Nonce, forget_before: datetime) -> None:
        """With it go those of this person that were over long ago."""
        await self._nonces.delete_many({"person": nonce.person, "until": {"$lt": forget_before}})
        row: Document = msgspec.to_builtins(nonce, builtin_types=(datetime,))
        row["_id"] = row.pop("id")
        await self._nonces.insert_one(row)

    async def nonce(self, id: str) -> Nonce | None:
        row = await self._nonces.find_one({"_id": id})
        return None if row is None else msgspec.convert({**row, "id": row["_id"]}, Nonce)

    async def use_nonce(self, tx: Tx, id: str, proof: str) -> bool:
        """Once: False when it was used meanwhile."""
        change: Document = {"$set": {"proof": proof}}
        result = await self._nonces.update_one({"_id": id, "proof": None}, change, session=tx.session)
        return result.matched_count == 1

    # ── Proofs ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def add(self, tx: Tx, proof: Proof) -> None:
        """Raises Duplicate for a picture that came in before."""
        row: Document = msgspec.to_builtins(proof, builtin_types=(datetime, bytes))
        row["_id"] = row.pop("id")
        if proof.media is None:
            del row["media"]  # what the sparse indexes leave out
        if not proof.call:
            del row["call"]
        if proof.looks:
            row["words"] = rules.kept_under(proof.looks, proof.person)
        await self._proofs.insert_one(row, session=tx.session)

    async def get(self, id: str) -> Proof | None:
        return _proof(await self._proofs.find_one({"_id": id}))

    async def many(self, ids: Sequence[str]) -> list[Proof]:
        """In this order; what is not there is left out."""
        rows = await self._proofs.find({"_id": {"$in": list(ids)}}).to_list(None) if ids else []
        found = {row["_id"]: _proof(row) for row in rows}
        return [proof for id in ids if (proof := found.get(id)) is not None]

    async def of_digest(self, sha256: str) -> Proof | None:
        return _proof(await self._proofs.find_one({"sha256": sha256}))

    async def of_source(self, source: str) -> Proof | None:
        return _proof(await self._proofs.find_one({"source": source}))

    async def of_media(self, ids: Sequence[str]) -> dict[str, str]:
        """Picture → proof, for those that are proofs."""
        if not ids:
            return {}
        rows = await self._proofs.find({"media": {"$in": list(ids)}}, {"media": 1}).to_list(None)
        return {row["media"]: row["_id"] for row in rows}

    async def of_call(self, call: str) -> list[Proof]:
        """Pictures that were taken in a call, the newest first; of very many the rest is left out."""
        rows = await self._proofs.find({"call": call}).to_list(CALL_MOST)
        found = [proof for row in rows if (proof := _proof(row)) is not None]
        return sorted(found, key=lambda proof: (proof.at, proof.id), reverse=True)

    async def like(self, words: Sequence[str]) -> list[Proof]:
        """Some whose pictures may look like one that is sought under these words."""
        rows = await self._proofs.find({"words": {"$in": list(words)}}).to_list(LIKE_MOST)
        return [proof for row in rows if (proof := _proof(row)) is not None]

    async def shown_by_others(self, tx: Tx, person: str) -> list[str]:
        """The pictures that others have taken of somebody."""
        rows = await self._proofs.find({"person": person}, {"by": 1, "media": 1}, session=tx.session).to_list(None)
        return [row["media"] for row in rows if row["by"] != person and row.get("media")]

    async def forget(self, tx: Tx, person: str) -> None:
        """What an account's deletion takes along: where the person was, and what their pictures look like. The digests
        stay, by which others verify what they hold."""
        change: Document = {"$set": {"place": None, "looks": [], "alike": None}, "$unset": {"words": ""}}
        await self._proofs.update_many({"person": person}, change, session=tx.session)
        await self._nonces.delete_many({"person": person}, session=tx.session)


def _proof(row: Document | None) -> Proof | None:
    if row is None:
        return None
    looks = row.get("looks")  # an earlier version has kept one of a picture, which nothing finds any more
    return msgspec.convert({**row, "id": row["_id"], "looks": looks if isinstance(looks, list) else []}, Proof)
