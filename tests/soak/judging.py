"""Does anything grow? Samples over the time of a soak, and what is wrong with them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import msgspec

#: Share of all samples at the beginning that is left out: caches fill, allocators take their first pages.
WARMING = 0.2
#: By how much more memory may be used at the end than after warming, as for joins and leaves.
MOST_MEMORY = 1.05
#: Descriptors, threads and tasks that come and go with a request that is just under way.
_COMING_AND_GOING = 3
_THINGS = ("descriptors", "threads", "tasks")


class Sample(msgspec.Struct, frozen=True):
    """One process at one moment. `memory` in bytes; `tasks` of its event loop, -1 where nobody tells."""

    memory: int
    descriptors: int
    threads: int
    tasks: int = -1


def growth(name: str, samples: Sequence[Sample]) -> list[str]:
    """What of a process has grown between the first and the last third of its samples after warming up.

    Medians are compared, so that neither a moment's request nor a collection that is due decides. Raises ValueError
    for less than five samples, which say nothing.
    """
    if len(samples) < 5:
        raise ValueError("too few samples")
    warm = samples[round(len(samples) * WARMING) :]
    part = max(1, len(warm) // 3)
    first, last = warm[:part], warm[-part:]
    found = []
    before, after = (statistics.median(sample.memory for sample in some) for some in (first, last))
    if after > before * MOST_MEMORY:
        found.append(f"{name}: memory from {before / 2**20:.1f} to {after / 2**20:.1f} MiB")
    for thing in _THINGS:
        before, after = (statistics.median(getattr(sample, thing) for sample in some) for some in (first, last))
        if after > before + _COMING_AND_GOING:
            found.append(f"{name}: {thing} from {before:.0f} to {after:.0f}")
    return found


def silent(before: Sequence[int], after: Sequence[int]) -> list[int]:
    """The streams of which nothing has come between two looks."""
    return [place for place, (one, other) in enumerate(zip(before, after, strict=True)) if other <= one]
