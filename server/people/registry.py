"""All accounts, for those who administer them: found by the beginnings of names and handles, or the newest first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from server.errors import VouchError
from server.people import rules
from server.people.model import Account, Person
from server.people.repo import PeopleRepo
from server.people.terms import TERM_LONGEST, folded, terms

#: accounts looked at for one search: whoever needs more writes more of the name
_LOOKED_AT = 500
#: no account is older
_BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)
_NARROWEST, _WIDEST = timedelta(minutes=1), timedelta(days=400)


class Registry:
    """Reads only, and without anybody's permission: the operations that ask are for admins."""

    def __init__(self, people: PeopleRepo) -> None:
        self._people = people

    async def one(self, person: str) -> Account | None:
        found = await self._people.get(person)
        return _account(found) if found else None

    async def find(self, query: str, limit: int) -> tuple[list[Account], bool]:
        """Accounts whose handle or name has words that begin like those of `query`, or whose phone number it is;
        and whether there are more than were looked at."""
        if rules.looks_like_phone(query):
            try:
                found = await self._people.by_phone(rules.phone(query))
            except VouchError:
                return [], False
            return ([_account(found)] if found else []), False
        words = folded(query.strip().removeprefix("@")).split()
        if not words:
            return [], False
        longest = max(words, key=len)
        rows = await self._people.by_term(longest[:TERM_LONGEST], _LOOKED_AT)
        fitting = [person for person in rows if all(_fits(person, word) for word in words)]
        fitting.sort(key=lambda person: (person.handle not in words, person.handle))
        return [_account(person) for person in fitting[:limit]], len(fitting) > limit or len(rows) == _LOOKED_AT

    async def newest(self, before: datetime, limit: int) -> list[Account]:
        """The accounts made last before a moment, the newest first; deleted ones are left out."""
        found: list[Person] = []
        width = timedelta(days=1)
        high = before
        while len(found) < limit and high > _BEGINNING:
            low = max(high - width, _BEGINNING)
            rows = await self._people.made_between(low, high, _LOOKED_AT)
            if len(rows) == _LOOKED_AT and width > _NARROWEST:
                width /= 4  # too many at once to know which of them are the newest
                continue
            found += sorted(rows, key=lambda person: (person.created_at, person.id), reverse=True)
            high = low
            if len(rows) < limit:
                width = min(width * 4, _WIDEST)
        return [_account(person) for person in found if person.deleted_at is None][:limit]


def _fits(person: Person, word: str) -> bool:
    return word[:TERM_LONGEST] in terms(person.handle, person.name)


def _account(person: Person) -> Account:
    return Account(
        id=person.id,
        handle=person.handle,
        name=person.name,
        language=person.language,
        created_at=person.created_at,
        deleted_at=person.deleted_at,
        suspended_until=person.suspended_until,
    )
