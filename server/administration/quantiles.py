"""What can be told of many measurements that were only counted in buckets. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def quantile(bounds: Sequence[float], counts: Sequence[float], share: float) -> float | None:
    """The value below which `share` (0–1) of the measurements lie, straight within its bucket; None without any.

    `bounds` are the buckets' upper ends; `counts` how many lie in each, the last beyond all bounds (told as the highest
    bound).
    """
    total = sum(counts)
    if total <= 0:
        return None
    wanted, passed, low = share * total, 0.0, 0.0
    for bound, count in zip(bounds, counts, strict=False):
        if count and passed + count >= wanted:
            return low + (bound - low) * (wanted - passed) / count
        passed += count
        low = bound
    return bounds[-1]


def added(one: Sequence[float], other: Sequence[float]) -> list[float]:
    """Both bucket by bucket; the shorter one is taken as empty beyond its end."""
    length = max(len(one), len(other))
    padded = [[*counts, *[0.0] * (length - len(counts))] for counts in (one, other)]
    return [a + b for a, b in zip(*padded, strict=True)]
