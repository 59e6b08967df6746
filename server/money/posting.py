"""What a few transfers make of the folios, before anything is written. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from server.money import folio as sheets
from server.money.folio import Change, Folio, folio_id
from server.money.model import Draft, Leg, Transfer
from server.money.rules import id_of, settlement


class Entry(NamedTuple):
    """A row of the journal."""

    transfer: Transfer
    changes: tuple[Change, ...]


class Posting:
    """Transfers one after the other, each on what the one before has left. What was refused has changed nothing."""

    def __init__(self, folios: Mapping[str, Folio], lane: int, at: datetime) -> None:
        self.before = folios
        self.after = dict(folios)
        self.entries: list[Entry] = []
        self._lane = lane
        self._at = at

    def enter(self, draft: Draft) -> Transfer:
        """Raises what `folio.enter` does. Whoever owes something settles it from what they get here."""
        legs = by_folio(draft, self._lane)
        now = {name: sheets.enter(self.after[name], some, self._at) for name, some in legs.items()}
        transfer = Transfer(
            id=id_of("t", draft.key), at=self._at, **{name: getattr(draft, name) for name in Draft.__struct_fields__}
        )
        self.entries.append(Entry(transfer, tuple(Change(f.id, f.number, f.balances) for f in now.values())))
        incomes = [f for f in now.values() if f.personal and f.owed < 0 and f.available > self.after[f.id].available]
        self.after |= now
        for folio in incomes:
            person = folio.id.partition(" ")[2]
            settling = settlement(draft.key, draft.currency, person, folio.available, -folio.owed)
            if settling is not None:
                self.enter(settling)
        return transfer


def by_folio(draft: Draft, lane: int) -> dict[str, list[Leg]]:
    legs: dict[str, list[Leg]] = {}
    for leg in draft.legs:
        legs.setdefault(folio_id(leg.account, draft.currency, lane), []).append(leg)
    return legs


def touched(drafts: Sequence[Draft], lane: int) -> set[str]:
    """The folios that the drafts change."""
    return {name for draft in drafts for name in by_folio(draft, lane)}
