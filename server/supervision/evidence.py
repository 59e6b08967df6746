"""Evidence: what people add to a pledge to be judged by. Append-only, chained, with the digests of what it shows.

It is prepared before the pledge changes and kept in the transaction that changes it, where the pledge's version sees to
it that rows follow each other:

    exhibit = await evidence.prepare(person, pledge, task=3, words=…, media=[…])
    await changes.apply(pledge, rule_with(exhibit.ids), evidence.keeping(exhibit))

Verdicts and rulings are repeated there by themselves (`follow`), so that they cannot be changed unseen either.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from server.clock import Clock
from server.ids import new_id
from server.media.model import Media
from server.store import Duplicate, Store, Tx
from server.supervision.changes import Also, Stale
from server.supervision.evidence_repo import EvidenceRepo
from server.supervision.model import Evidence, EvidenceEnd, EvidenceKind, Pledge
from server.supervision.neighbours import NoProofs, Proofs, Things
from server.supervision.rules import evidence as rules
from server.supervision.rules.change import Change, turned


class Exhibit(msgspec.Struct, frozen=True, kw_only=True):
    """What is about to be added; empty when nobody said or showed anything. `media` are the facts for the thread."""

    id: str
    pledge: str
    by: str
    kind: EvidenceKind
    task: int = 0
    words: str = ""
    media: tuple[Media, ...] = ()
    digests: tuple[str, ...] = ()
    facts: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def empty(self) -> bool:
        return not (self.words or self.media or self.facts)

    @property
    def ids(self) -> tuple[str, ...]:
        """What votes, reports and checks refer to it by."""
        return () if self.empty else (self.id,)


class EvidenceLog:
    """`secret` is 32 bytes that are not in the database."""

    def __init__(self, store: Store, media: Things, clock: Clock, secret: bytes) -> None:
        self.repo = EvidenceRepo(store)
        self._media = media
        self._clock = clock
        self._key = rules.evidence_key(secret)
        self.proofs: Proofs = NoProofs()

    async def prepare(
        self,
        person: str,
        pledge: str,
        *,
        task: int = 0,
        words: str = "",
        media: Sequence[str] = (),
        kind: EvidenceKind | None = None,
        facts: dict[str, str] | None = None,
    ) -> Exhibit:
        """Raises `bad_request` (`media`) for what the person has not uploaded for this pledge, or has sent before."""
        offered = await self._media.offered(person, pledge, media)
        if live := await self.proofs.of_media(media):
            kind = kind or EvidenceKind.PHOTO
            facts = {rules.PROOFS: " ".join(live[id] for id in media if id in live), **(facts or {})}
        return Exhibit(
            id=new_id("e"),
            pledge=pledge,
            by=person,
            kind=kind or (EvidenceKind.MEDIA if offered else EvidenceKind.WORDS),
            task=task,
            words=words.strip(),
            media=tuple(one.media for one in offered),
            digests=tuple(one.digest for one in offered),
            facts=facts or {},
        )

    def keeping(self, *exhibits: Exhibit) -> Also:
        """Keeps them with a change (`Changes.apply`)."""

        async def also(tx: Tx, change: Change) -> Change:
            pledge = change.pledge
            for exhibit in exhibits:
                pledge = await self.add(tx, pledge, exhibit)
            return replace(change, pledge=pledge)

        return also

    async def add(self, tx: Tx, pledge: Pledge, exhibit: Exhibit) -> Pledge:
        """The pledge as it is to be kept in the same transaction. Raises `conflict` when a thing was sent meanwhile."""
        if exhibit.empty:
            return pledge
        media = [one.id for one in exhibit.media]
        await self._media.keep(tx, media, exhibit.id)
        row = Evidence(
            id=exhibit.id,
            pledge=exhibit.pledge,
            n=0,
            by=exhibit.by,
            at=self._clock.now(),
            kind=exhibit.kind,
            task=exhibit.task,
            words=exhibit.words,
            media=tuple(media),
            digests=exhibit.digests,
            facts=exhibit.facts,
        )
        return await self._append(tx, pledge, row)

    async def follow(self, tx: Tx, before: Pledge | None, after: Pledge) -> Pledge:
        """Repeats what this change has decided: votes, admissions, rulings."""
        for row in rules.new_verdicts(before, after):
            after = await self._append(tx, after, replace(row, id=new_id("e"), at=self._clock.now()))
        return after

    async def _append(self, tx: Tx, pledge: Pledge, row: Evidence) -> Pledge:
        row = rules.sealed(self._key, row, pledge.evidence)
        try:
            await self.repo.insert(tx, row)
        except Duplicate:  # somebody else's row has this number: their change of the pledge was faster
            raise Stale from None
        return turned(pledge, evidence=EvidenceEnd(row.n, row.hash))

    async def of(self, pledge: Pledge) -> tuple[list[Evidence], list[rules.Fault]]:
        """All rows in order, and what does not hold of them."""
        rows = await self.repo.of(pledge.id)
        return rows, rules.examine(self._key, pledge, rows)
