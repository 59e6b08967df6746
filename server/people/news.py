"""Puts news into people's inboxes, in the transaction of the change that they tell of."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from server.store import Tx


class Outbox(Protocol):
    """What is needed of the realtime outbox."""

    async def put(self, tx: Tx, *, id: str, ch: str, order: int, kind: str, body: dict[str, Any]) -> None: ...


class Newsroom:
    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    async def tell(self, tx: Tx, person: str, event: str, order: int, kind: str, body: msgspec.Struct) -> None:
        """`event` names the change (`friend:a|b:7`): told twice, it arrives once."""
        await self._outbox.put(
            tx,
            id=f"{event}:{person}",
            ch=f"inbox:{person}",
            order=order,
            kind=str(kind),
            body=msgspec.to_builtins(body),
        )
