"""Statements: somebody's lines with the balance after each, as the folio has kept them. Nothing is added up again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import date, datetime, tzinfo

from server.errors import Code, VouchError
from server.money.folio import PAGE, folio_id
from server.money.model import Currency, Day, History, Line, TransferKind, available
from server.money.repo import LedgerRepo, Row

#: pages that are read at once
_PAGES = 16
#: lines that one call looks at: what is rare may lie further back, where the next page looks
_LOOKED_AT = 20 * _PAGES * PAGE
_LIMIT = 500


class Statements:
    def __init__(self, repo: LedgerRepo) -> None:
        self._repo = repo

    async def history(
        self,
        person: str,
        currency: Currency,
        before: str | None,
        limit: int,
        kinds: Iterable[TransferKind] | None,
        since: datetime | None,
        until: datetime | None,
    ) -> History:
        if before is not None and not (before.isascii() and before.isdigit() and len(before) < 16):
            raise VouchError(Code.BAD_REQUEST, "This is no place in a statement.", field="before")
        if not 1 <= limit <= _LIMIT:
            raise VouchError(Code.BAD_REQUEST, f"A page has 1 to {_LIMIT} lines.", field="limit")
        place = None if before is None else int(before)
        wanted = None if kinds is None else frozenset(kinds)
        chosen: list[Row] = []
        looked_at = 0
        following: int | None = None
        async for number, row in self._back(folio_id(available(person), currency, 0), place):
            if since is not None and row.at < since:
                break
            if len(chosen) == limit or looked_at == _LOOKED_AT:
                following = number + 1
                break
            looked_at += 1
            if (until is None or row.at < until) and (wanted is None or row.kind in wanted):
                chosen.append(row)
        transfers = await self._repo.some(row.transfer for row in chosen)
        lines = [Line(transfers[r.transfer], r.balances[0], r.balances[1], -r.balances[2]) for r in chosen]
        return History(lines, str(following) if following is not None else None)

    async def daily(self, person: str, currency: Currency, since: datetime, until: datetime, zone: tzinfo) -> list[Day]:
        days: dict[date, Day] = {}
        async for _, row in self._back(folio_id(available(person), currency, 0), None):
            if row.at < since:
                break
            if row.at >= until:
                continue
            on = row.at.astimezone(zone).date()
            # The newest line of a day comes first: it has what there was in the end.
            day = days.get(on) or Day(on, 0, 0, row.balances[0])
            came, went = max(row.change, 0), max(-row.change, 0)
            days[on] = Day(on, day.came + came, day.went + went, day.available)
        return sorted(days.values(), key=lambda day: day.day)

    async def _back(self, folio: str, before: int | None) -> AsyncIterator[tuple[int, Row]]:
        """(number, line), the newest below `before` first."""
        newest, tail = await self._repo.tail(folio)
        below = newest + 1 if before is None else min(before, newest + 1)
        first = newest - len(tail) + 1
        for number in range(below - 1, first - 1, -1):
            yield number, tail[number - first]
        below = min(below, first)
        while below > 1:
            last = (below - 2) // PAGE
            numbers = range(max(0, last - _PAGES + 1), last + 1)
            pages = await self._repo.pages(folio, numbers)
            for page in reversed(numbers):
                for number in range(min(below - 1, (page + 1) * PAGE), page * PAGE, -1):
                    yield number, pages[page][number - page * PAGE - 1]
            below = numbers[0] * PAGE + 1
