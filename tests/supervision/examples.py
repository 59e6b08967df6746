"""Pledges made by hand, for tests of pure rules: no database, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from server.money.model import Currency
from server.supervision.model import (
    Passed,
    Pledge,
    PledgeState,
    Seat,
    SeatState,
    SeatVia,
    Side,
    Stake,
    StakeState,
    Task,
)
from server.supervision.terms import MONEY, StakeKind, StakeTerms, TaskTerms, Terms

#: When the tests' clock begins: a Sunday, at noon in Tunis.
AT = datetime(2026, 11, 22, 11, 0, tzinfo=UTC)
OWNER, TOM, MAX, ANN = (f"p_{name:0<20}" for name in ("emma", "tom", "max", "ann"))
ID = "g_" + "0" * 20

DEPOSIT = StakeTerms(kind=StakeKind.DEPOSIT, amount=100_00, currency=Currency.CNY, moves_if_failed=60_00)
STAFF = StakeTerms(kind=StakeKind.STAFF, amount=50_00, currency=Currency.CNY, moves_if_failed=50_00)
REWARD = StakeTerms(kind=StakeKind.REWARD, amount=80_00, currency=Currency.CNY, moves_if_kept=70_00)
POINTS = StakeTerms(kind=StakeKind.POINTS, points=10)
NOTHING = StakeTerms(kind=StakeKind.NONE)


def terms(stake: StakeTerms = POINTS, **more: Any) -> Terms:
    """Runs on three evenings, the first one tomorrow."""
    run = TaskTerms(title="Run 5 km", due="2026-11-23T20:00", repeat="FREQ=DAILY;COUNT=3", opens=720)
    return Terms(**{"title": "Run again", "zone": "Africa/Tunis", "tasks": (run,), "stake": stake, **more})


def task(n: int = 1, due: datetime = AT + timedelta(days=1), *, late: int = 0, judge: int = 48, **more: Any) -> Task:
    """Due a day from the beginning by itself; `late` in minutes, `judge` in hours."""
    until = due + timedelta(minutes=late)
    times = {
        "opens_at": due - timedelta(hours=12),
        "due_at": due,
        "late_until": until,
        "judge_until": until + timedelta(hours=judge),
    }
    return Task(**{"n": n, "title": "Run 5 km", **times, **more})


def tasks(count: int) -> tuple[Task, ...]:
    """One on each day."""
    return tuple(task(n, AT + timedelta(days=n)) for n in range(1, count + 1))


def seat(person: str, state: SeatState = SeatState.SEATED, **more: Any) -> Seat:
    return Seat(**{"person": person, "state": state, "via": SeatVia.DESIGNATED, "by": person, "at": AT, **more})


def pledge(
    stake: StakeTerms = POINTS,
    /,
    *seated: str,
    state: PledgeState = PledgeState.ACTIVE,
    count: int = 3,
    words: dict[str, Any] | None = None,
    seats: Sequence[Seat] | None = None,
    **more: Any,
) -> Pledge:
    """One that has begun, of `count` tasks, watched by Tom or by those who are named; `words` are other terms."""
    people = seated or (TOM,)
    payer = None if stake.kind not in MONEY else people[0] if stake.kind is StakeKind.REWARD else OWNER
    begun = state not in (PledgeState.DRAFT, PledgeState.AWAITING_OWNER)
    fields: dict[str, Any] = {
        "id": ID,
        "owner": OWNER,
        "drafted_by": people[0] if stake.kind is StakeKind.REWARD else OWNER,
        "side": Side.SUPERVISOR if stake.kind is StakeKind.REWARD else Side.OWNER,
        "terms": terms(stake, **{"least": len(people), "most": len(people), **(words or {})}),
        "state": state,
        "consented": begun,
        "seats": tuple(seats) if seats is not None else tuple(seat(person) for person in people),
        "tasks": tasks(count),
        "stake": Stake(state=StakeState.HELD, payer=payer, held_at=AT) if begun else Stake(),
        "created_at": AT,
        "published_at": AT,
        "history": (Passed(state, AT),),
    }
    return Pledge(**{**fields, **more})
