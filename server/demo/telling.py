"""How chapters are told again and again: what is there already, or was changed by a visitor, is left as it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from server.errors import Code, VouchError

#: what a visitor may have done to the story: left a group, blocked somebody, deleted an account, asked too much, spent
#: what there was
_TAKEN_AWAY = frozenset(
    (
        *(Code.NOT_FOUND, Code.FORBIDDEN, Code.BLOCKED, Code.CLOSED, Code.ALREADY, Code.CONFLICT, Code.STALE),
        *(Code.LIMIT_REACHED, Code.TOO_OFTEN, Code.IDEMPOTENCY_CONFLICT),
        *(Code.INSUFFICIENT_FUNDS, Code.AMOUNT_LIMIT, Code.GUARDIAN_NEEDED),
    )
)


@asynccontextmanager
async def skipping() -> AsyncIterator[None]:
    """Leaves out the part of the story inside that a visitor has made impossible."""
    try:
        yield
    except (VouchError, KeyError) as error:
        if isinstance(error, VouchError) and error.code not in _TAKEN_AWAY:
            raise
