"""What the nodes that serve a database say of themselves in their leases: for the commands that look from outside."""

from __future__ import annotations

import asyncio
import time

from server.realtime.nodes import RENEW_EVERY
from server.store import Document, Store


async def describe(store: Store, node: str, about: Document) -> None:
    """Adds to a node's lease what others may want to know: its version, its secrets' fingerprints."""
    await store.collection("nodes").update_one({"_id": node}, {"$set": about})


async def living(store: Store, seconds: float = RENEW_EVERY + 2.0) -> list[Document]:
    """The leases that are being renewed. Nobody's clock is trusted: a lease lives when it is seen to change, so where
    there are any this takes some seconds."""
    rows = store.collection("nodes")
    first = {row["_id"]: row["at"] async for row in rows.find({})}
    until = time.monotonic() + seconds
    while first:
        await asyncio.sleep(0.25)
        now = {row["_id"]: row async for row in rows.find({})}
        changed = [row for node, row in now.items() if row["at"] != first.get(node)]
        if time.monotonic() >= until or len(changed) == len(now):
            return changed
    return []
