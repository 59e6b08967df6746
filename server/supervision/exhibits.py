"""Evidence as people see it and add it."""

from __future__ import annotations

from server.clock import to_ms
from server.errors import Code, VouchError
from server.supervision.changes import Changes
from server.supervision.evidence import EvidenceLog
from server.supervision.model import EvidenceKind
from server.supervision.neighbours import Limits, People, Things
from server.supervision.rules import evidence as rules
from server.supervision.rules import thread
from server.supervision.views import AddEvidence, EvidenceList, EvidenceView

#: what repeats votes and rulings is told elsewhere
_SHOWN = frozenset({EvidenceKind.WORDS, EvidenceKind.MEDIA, EvidenceKind.MEETING})


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
        await self._changes.apply(
            id,
            lambda pledge, now: rules.added(pledge, person, body.task, now, exhibit.words, exhibit.media, exhibit.id),
            self._log.keeping(exhibit),
        )
        return await self.of(person, id)
