"""What happens to an installation, and when: a pure function of a number.

Two lanes run beside each other. In one, programs die, stop and come back, one at a time; in the other, lines and clocks
misbehave for a while. One series has each kind of harm at least once.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from random import Random

#: Seconds after which the lease of a node lapses that nobody renews, with the time it takes to be noticed.
BEYOND_LEASES = 17.0


class Harm(StrEnum):
    """Where something lasts, it lasts for `Step.seconds`."""

    NODE_KILLED = "node killed"
    NODE_RESTARTED = "node restarted"
    NODE_STOPPED = "node stopped"
    DATABASE_KILLED = "database killed"
    DATABASE_RESTARTED = "database restarted"
    DATABASE_STOPPED = "database stopped"
    REDIS_KILLED = "redis killed"
    REDIS_RESTARTED = "redis restarted"
    REDIS_STOPPED = "redis stopped"
    DISK_FULL = "disk full"

    BUS_CUT = "bus cut"
    BUS_DROPPED = "bus messages dropped"
    BUS_DOUBLED = "bus messages doubled"
    BUS_REORDERED = "bus messages reordered"
    BUS_DELAYED = "bus messages delayed"
    REDIS_EMPTIED = "redis emptied"
    DATABASE_CUT = "database cut"
    DATABASE_SLOW = "database slow"
    DATABASE_REFUSING = "database refusing"
    CLOCK_AHEAD = "clock an hour ahead"
    CLOCK_BEHIND = "clock an hour behind"


_PROGRAMS = (
    Harm.NODE_KILLED,
    Harm.NODE_RESTARTED,
    Harm.NODE_STOPPED,
    Harm.DATABASE_KILLED,
    Harm.DATABASE_RESTARTED,
    Harm.DATABASE_STOPPED,
    Harm.REDIS_KILLED,
    Harm.REDIS_RESTARTED,
    Harm.REDIS_STOPPED,
    Harm.DISK_FULL,
)
_STOPPED = (Harm.NODE_STOPPED, Harm.DATABASE_STOPPED, Harm.REDIS_STOPPED)
_LINES = tuple(harm for harm in Harm if harm not in _PROGRAMS)
_MOMENTARY = frozenset((Harm.BUS_CUT, Harm.DATABASE_CUT, Harm.REDIS_EMPTIED))


@dataclass(frozen=True)
class Step:
    """After `pause` seconds node number `node` (or what all share) is harmed, for `seconds` where that lasts."""

    pause: float
    harm: Harm
    node: int
    seconds: float

    def __str__(self) -> str:
        lasting = f" {self.seconds:.1f} s" if self.seconds else ""
        return f"+{self.pause:.1f} s {self.harm}{lasting} [{self.node}]"


def series(seed: int, number: int, nodes: int = 2) -> tuple[list[Step], list[Step]]:
    """The two lanes of one series. In each, one of the programs is stopped for longer than leases last."""
    random = Random(f"{seed}/{number}")
    long = _STOPPED[(seed + number) % len(_STOPPED)]
    programs = [
        Step(random.uniform(0.2, 1.0), harm, random.randrange(nodes), _lasting(harm, random)) for harm in _PROGRAMS
    ]
    programs.append(Step(random.uniform(0.2, 1.0), long, random.randrange(nodes), BEYOND_LEASES))
    lines = [Step(random.uniform(0.2, 1.5), harm, random.randrange(nodes), _lasting(harm, random)) for harm in _LINES]
    random.shuffle(programs)
    random.shuffle(lines)
    return programs, lines


def _lasting(harm: Harm, random: Random) -> float:
    if harm in _STOPPED or harm is Harm.DATABASE_REFUSING:
        return random.uniform(1.0, 4.0)
    if harm is Harm.DISK_FULL:
        return random.uniform(3.0, 5.0)
    return 0.0 if harm in _MOMENTARY or harm in _PROGRAMS else random.uniform(3.0, 6.0)


def told(seed: int, number: int) -> str:
    """The series in words, for whoever looks for the reason of a fault."""
    return "\n".join(f"  {', '.join(map(str, lane))}" for lane in series(seed, number))
