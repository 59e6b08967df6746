"""Evidence as people see it and add it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from server.clock import to_ms
from server.errors import Code, VouchError
from server.ids import new_id
from server.media.model import Media
from server.proofs.model import Proof
from server.store import Tx
from server.supervision.changes import Changes
from server.supervision.evidence import EvidenceLog, Exhibit
from server.supervision.model import Evidence, EvidenceKind, Pledge
from server.supervision.neighbours import Limits, People, Things
from server.supervision.rules import evidence as rules
from server.supervision.rules import thread
from server.supervision.rules.change import Change
from server.supervision.views import AddEvidence, EvidenceList, EvidenceView

#: writes something in a transaction
Keep = Callable[[Tx], Awaitable[None]]
#: what repeats votes and rulings is told elsewhere
_SHOWN = frozenset(EvidenceKind) - {EvidenceKind.VERDICT, EvidenceKind.RULING}


class Exhibits:
    def __init__(self, changes: Changes, log: EvidenceLog, people: People, things: Things, limits: Limits) -> None:
        self._changes = changes
        self._log = log
        self._people = people
        self._things = things
        self._limits = limits

    async def of(self, person: str, id: str) -> EvidenceList:
        """For those who read the pledge's thread. Raises `not_found`."""
        pledge = await self._changes.get(id)
        if not thread.reads(pledge, person):
            raise VouchError(Code.NOT_FOUND)
        rows, faults = await self._log.of(pledge)
        hidden = rules.withheld(pledge, person)
        shown = [row for row in rows if row.kind in _SHOWN and row.id not in hidden]
        cards = await self._people.cards({row.by for row in shown})
        facts = await self._things.facts([id for row in shown for id in row.media])
        proofs = {proof.id: proof for proof in await self._log.proofs.views(_proofs(*shown))}
        views = [
            EvidenceView(
                id=row.id,
                n=row.n,
                by=cards.get(row.by),
                at=to_ms(row.at),
                kind=row.kind,
                task=row.task,
                words=row.words,
                media=[facts[id] for id in row.media if id in facts],
                proofs=[proofs[id] for id in _proofs(row) if id in proofs],
                hash=row.hash,
            )
            for row in shown
        ]
        return EvidenceList(views, whole=not faults)

    async def add(self, person: str, id: str, body: AddEvidence) -> EvidenceList:
        """Raises what `rules.evidence.added` raises, and `bad_request` where there is nothing to add, or `media` were
        not uploaded for this pledge."""
        await self._limits.hit("add_evidence", person)
        pledge = await self._changes.get(id)
        if not thread.reads(pledge, person):
            raise VouchError(Code.NOT_FOUND)
        if not body.words.strip() and not body.media:
            raise VouchError(Code.BAD_REQUEST, "Say or show something.", field="words")
        exhibit = await self._log.prepare(person, id, task=body.task, words=body.words, media=body.media)
        await self._add(exhibit)
        return await self.of(person, id)

    async def prove(self, proof: Proof, picture: Media | None, keep: Keep) -> None:
        """Adds a proof at once, by itself: a place, or what was seen in a call (`picture`). `keep` writes the proof in
        the same transaction: there is none outside the chain, whoever dies when. Raises what `add` and `keep` raise."""
        exhibit = Exhibit(
            id=new_id("e"),
            pledge=proof.pledge,
            by=proof.by,
            kind=EvidenceKind.PHOTO if picture else EvidenceKind.LOCATION,
            task=proof.task,
            media=(picture,) if picture else (),
            digests=(proof.sha256,),
            facts={rules.PROOFS: proof.id},
        )
        await self._add(exhibit, keep)

    async def _add(self, exhibit: Exhibit, first: Keep | None = None) -> None:
        def rule(pledge: Pledge, now: datetime) -> Change:
            said = (exhibit.words, exhibit.media, exhibit.id, exhibit.kind)
            return rules.added(pledge, exhibit.by, exhibit.task, now, *said)

        keeping = self._log.keeping(exhibit)

        async def also(tx: Tx, change: Change) -> Change:
            if first is not None:
                await first(tx)
            return await keeping(tx, change)

        await self._changes.apply(exhibit.pledge, rule, also)


def _proofs(*rows: Evidence) -> list[str]:
    """The proofs that rows name."""
    return [id for row in rows for id in row.facts.get(rules.PROOFS, "").split()]
