"""Which browsers somebody has signed in from: two accounts of one browser may well be one person's.

A browser is known by a random cookie that stays when somebody signs out. Only a hash of it is kept, for as long as
BROWSER_LIFETIME after the last sign-in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta

from server.store import Index, Store, Tx

BROWSER_LIFETIME = timedelta(days=400)
#: browsers of one person that are looked at
_MOST = 200


class BrowsersRepo:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows = store.collection("browsers")

    async def ensure_indexes(self) -> None:
        lifetime = round(BROWSER_LIFETIME.total_seconds())
        await self._store.ensure_indexes("browsers", [Index([("person", 1)]), Index([("at", 1)], ttl=lifetime)])

    async def note(self, tx: Tx, person: str, browser: str, at: datetime) -> None:
        """`browser` is the cookie; without one there is nothing to note."""
        if not browser:
            return
        digest = hashlib.sha256(browser.encode()).hexdigest()
        row = {"person": person, "browser": digest, "at": at}
        await self._rows.update_one({"_id": f"{person}|{digest}"}, {"$set": row}, upsert=True, session=tx.session)

    async def shared(self, person: str, others: Iterable[str]) -> set[str]:
        """Those of `others` who have signed in from a browser of this person's."""
        own = await self._of([person])
        theirs = await self._of([other for other in others if other != person])
        return {row["person"] for row in theirs if row["browser"] in {row["browser"] for row in own}}

    async def _of(self, people: list[str]) -> list[dict[str, str]]:
        rows = self._rows.find({"person": {"$in": people}}, {"person": 1, "browser": 1})
        return await rows.to_list(_MOST * max(1, len(people)))

    async def forget(self, tx: Tx, person: str) -> None:
        await self._rows.delete_many({"person": person}, session=tx.session)
