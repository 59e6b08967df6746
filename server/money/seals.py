"""Seals: the journal up to some minutes ago, fixed for ever.

A seal covers all transfers with a time in [since, until) and holds the digest of each. It is signed with a secret that
the database does not know, together with the seal before it: a transfer that is changed, removed or slipped in
afterwards is found and named, also when somebody has made all balances fit.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from server.clock import Clock, to_ms
from server.money import metrics
from server.money.repo import SEALED, LedgerRepo, SealedUntil
from server.money.service import SETTLED
from server.money.survey import Survey
from server.realtime.rounds import Rounds
from server.store import Document, Duplicate, Store, Tx

#: Seconds between two looks.
_EVERY = 60.0
#: Transfers of one seal, about.
_ROWS = 2_000
#: Where nothing happens, that is sealed too, now and then.
_QUIET = timedelta(hours=1)


class Seal(NamedTuple):
    number: int
    since: datetime
    until: datetime
    #: digest of each transfer by its id
    digests: dict[str, bytes]
    signature: bytes


def digest(row: Document) -> bytes:
    """Of everything that stands in a row of the journal, whatever it is."""
    return hashlib.sha256(msgspec.json.encode(row, order="sorted", enc_hook=repr)).digest()


class Signer:
    def __init__(self, secret: bytes) -> None:
        self._key = hmac.digest(secret, b"seals of the ledger", "sha256")

    def sign(self, before: bytes, number: int, since: datetime, until: datetime, digests: dict[str, bytes]) -> bytes:
        said = [before, number, to_ms(since), to_ms(until), sorted(digests.items())]
        return hmac.digest(self._key, msgspec.json.encode(said), "sha256")


def seal_row(seal: Seal) -> Document:
    return {
        "_id": seal.number,
        "since": seal.since,
        "until": seal.until,
        "ids": list(seal.digests),
        "digests": b"".join(seal.digests.values()),
        "signature": seal.signature,
    }


def read_seal(row: Document) -> Seal:
    whole = row["digests"]
    digests = {transfer: bytes(whole[32 * n : 32 * n + 32]) for n, transfer in enumerate(row["ids"])}
    return Seal(row["_id"], row["since"], row["until"], digests, bytes(row["signature"]))


class Seals:
    def __init__(self, store: Store, clock: Clock, secret: bytes) -> None:
        self._store = store
        self._clock = clock
        self._repo = LedgerRepo(store)
        self._signer = Signer(secret)
        #: by which it is done in the background, on every node: whoever is first seals
        self.rounds = Rounds("seals of the ledger", self._round, every=_EVERY)

    async def _round(self) -> None:
        await self.seal()
        survey = Survey(self._store)
        if (mark := await survey.mark()) is not None:
            metrics.UNSEALED.set((self._clock.now() - mark.until).total_seconds())
        if (report := await survey.last_report()) is not None:
            metrics.FAULTS.set(report.count)

    async def seal(self) -> int:
        """Seals what is settled; answers how many seals were made."""
        mark = await self._repo.sealed()
        if mark is None:
            return 0
        made = 0
        digests: dict[str, bytes] = {}
        end = self._clock.now() - SETTLED
        async for until, rows in self._repo.windows(mark.until, end):
            digests |= {row["_id"]: digest(row) for row in rows}
            enough = len(digests) >= _ROWS or until - mark.until >= _QUIET
            if enough or (digests and until == end):
                following = await self._write(mark, until, digests)
                if following is None:
                    return made
                mark, digests, made = following, {}, made + 1
        return made

    async def _write(self, mark: SealedUntil, until: datetime, digests: dict[str, bytes]) -> SealedUntil | None:
        """What is sealed now; None when another node has sealed meanwhile."""
        number = mark.seals + 1
        signature = self._signer.sign(mark.signature, number, mark.until, until, digests)
        seal = Seal(number, mark.until, until, digests, signature)
        following = SealedUntil(mark.opened, until, number, signature)

        async def body(tx: Tx) -> bool:
            await self._repo.seals.insert_one(seal_row(seal), session=tx.session)
            change = {"until": until, "seals": number, "signature": signature}
            match = {"_id": SEALED, "seals": mark.seals}
            done = await self._repo.folios.update_one(match, {"$set": change}, session=tx.session)
            return done.matched_count == 1

        try:
            return following if await self._store.transact(body) else None
        except Duplicate:
            return None
