"""Disputes and appeals by those whom a pledge concerns, and what reviewers of staff do about them and about reviews."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from server.errors import Code, VouchError
from server.people import rules as people_rules
from server.store import Tx
from server.supervision.changes import Also, Changes
from server.supervision.desk_views import Rule
from server.supervision.impartiality import Impartiality
from server.supervision.model import Evidence, Pledge
from server.supervision.neighbours import Trail
from server.supervision.rules import cases as rules
from server.supervision.rules.change import Change
from server.supervision.terms import WORDS_LONGEST

#: characters of the reasons for an objection or a ruling
REASONS_SHORTEST = 20


class Exhibits(Protocol):
    async def of(self, pledge: Pledge) -> tuple[list[Evidence], list[Any]]: ...


class Cases:
    """Every method takes who acts first, and answers the pledge as it is then."""

    def __init__(self, changes: Changes, evidence: Exhibits, impartiality: Impartiality, trail: Trail) -> None:
        self._changes = changes
        self._evidence = evidence
        self._impartiality = impartiality
        self._trail = trail

    async def dispute(self, me: str, id: str, words: str) -> Pledge:
        """Raises `not_found`, `closed`, `already`, `bad_request`."""
        said = _reasons(words, "words")
        return await self._changes.apply(id, lambda pledge, now: rules.dispute(pledge, me, said, now))

    async def appeal(self, me: str, id: str, words: str) -> Pledge:
        """Raises `not_found`, `closed`, `conflict`, `bad_request`."""
        said = _reasons(words, "words")
        return await self._changes.apply(id, lambda pledge, now: rules.appeal(pledge, me, said, now))

    async def take(self, actor: str, id: str, case: str) -> Pledge:
        """Raises `not_found`, `already`, `conflict`, `forbidden` to whoever is not impartial."""
        pledge = await self._changes.get(id)
        await self._impartiality.check(actor, pledge, rules.waiting(pledge, case))
        noted = self._noted(actor, "case.taken", id, case=case)
        return await self._changes.apply(id, lambda pledge, now: rules.take(pledge, case, actor, now), noted)

    async def rule(self, actor: str, id: str, case: str, wanted: Rule) -> Pledge:
        """Decides it, with what follows. Raises `not_found`, `already`, `conflict`, `forbidden`, `bad_request`."""
        reasons = _reasons(wanted.reasons, "reasons")
        pledge = await self._changes.get(id)
        waiting = rules.waiting(pledge, case)
        await self._impartiality.check(actor, pledge, waiting)
        rows, _ = await self._evidence.of(pledge)
        heard = {row.by for row in rows if row.at >= waiting.opened_at}

        def ruled(pledge: Pledge, now: datetime) -> Change:
            return rules.rule(pledge, case, actor, wanted.ruling, reasons, heard, now)

        noted = self._noted(actor, "case.ruled", id, case=case, kind=waiting.kind.value, ruling=wanted.ruling.value)
        return await self._changes.apply(id, ruled, noted)

    def _noted(self, actor: str, action: str, id: str, **facts: str) -> Also:
        """A row of the audit trail, if the actor is still of staff."""

        async def note(tx: Tx, change: Change) -> Change:
            await self._impartiality.still_staff(tx, actor)
            await self._trail.write(tx, actor, action, id, facts)
            return change

        return note


def _reasons(text: str, field: str) -> str:
    said = people_rules.words(text, WORDS_LONGEST, field=field)
    if len(said) < REASONS_SHORTEST:
        raise VouchError(Code.BAD_REQUEST, f"Write at least {REASONS_SHORTEST} characters.", field=field)
    return said
