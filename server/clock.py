"""The clock that everything else is given, so that tests can turn it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The present moment, timezone-aware UTC, cut to milliseconds (what BSON keeps)."""


class SystemClock:
    def now(self) -> datetime:
        at = datetime.now(UTC)
        return at.replace(microsecond=at.microsecond // 1000 * 1000)


def from_ms(ms: int) -> datetime:
    """The aware UTC moment of milliseconds since 1970-01-01T00:00Z."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def to_ms(at: datetime) -> int:
    """Milliseconds since 1970-01-01T00:00Z: how times travel over the wire."""
    return round(at.timestamp() * 1000)
