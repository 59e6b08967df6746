"""Timers: 10,000 pledges whose tasks are due in the same moment, and what those who chat meanwhile notice.

Eight people write 200 messages a second in groups of their own. Their acknowledgements are timed while nothing is due,
and again from the moment in which everything is, until the server has done it: asked each supervisor for a stamp, with
all that is kept and told of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from itertools import count, cycle
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.benchmarks import vouch
from scripts.benchmarks.crowd import Crowd, LoadError
from scripts.benchmarks.durable import Sender
from scripts.benchmarks.people import strangers
from scripts.benchmarks.readings import Plan, Reading, percentile
from server.clock import SystemClock
from server.embedded import databases
from server.ids import new_id
from server.settings import load
from server.store import Store
from server.supervision.model import Pledge, PledgeState, Seat, SeatState, SeatVia, Side, Stake, StakeState, Task
from server.supervision.repo import row_of
from server.supervision.rules import timing
from server.supervision.rules.change import turned
from server.supervision.terms import StakeKind, StakeTerms, TaskTerms, Terms

SUBJECTS = ("vouch",)

PLEDGES = 10_000
SENDERS = 8
#: messages per second
PACE = 200
#: seconds in which so many rows are written, and the others are measured before they are due
_WRITTEN_WITHIN = 15.0
_WRITTEN_AT_ONCE = 1_000
_PATIENCE = 900.0
_DONE = 'vouch_pledge_timers_total{result="done"}'


def measure(subject: str, plan: Plan) -> list[Reading]:
    """One turn on a fresh server."""
    number = round(PLEDGES * plan.size)
    with (
        TemporaryDirectory(prefix="vouch-bench-") as directory,
        vouch.running(Path(directory) / "data") as server,
        Crowd(server.port) as crowd,
    ):
        senders = [Sender(crowd, person) for person in strangers(server.url, SENDERS)]
        _write(crowd, senders, lambda sent: sent >= PACE)  # first of everything
        before = time.monotonic() + _WRITTEN_WITHIN + plan.seconds
        asyncio.run(_fill(Path(directory) / "data", number, before - time.monotonic()))
        left = before - time.monotonic()
        if left < plan.seconds / 2:
            raise LoadError("the pledges were written too slowly")
        alone = _write(crowd, senders, lambda _: time.monotonic() >= before)
        seconds, beside = _while_due(server, crowd, senders, number)
    return [
        Reading("seconds", seconds * PLEDGES / number, "s"),
        Reading("ack_p99_ratio", percentile(beside, 0.99) / percentile(alone, 0.99), "×"),
        Reading("ack_p99_beside_ms", percentile(beside, 0.99) * 1000, "ms"),
        Reading("ack_p99_alone_ms", percentile(alone, 0.99) * 1000, "ms"),
    ]


async def _fill(data_dir: Path, number: int, seconds: float) -> None:
    """So many pledges, due after `seconds`, in the database of the running server."""
    settings = load({"data_dir": str(data_dir), "log_level": "warning"})
    with databases(settings) as (_, uri, _):
        store = Store(uri, settings.database)
        rows = [row_of(one) for one in _pledges(number, seconds)]
        for first in range(0, number, _WRITTEN_AT_ONCE):
            some = [{"_id": new_id("g"), **row} for row in rows[first : first + _WRITTEN_AT_ONCE]]
            await store.collection("pledges").insert_many(some)
        store.close()


def _pledges(number: int, seconds: float) -> list[Pledge]:
    now = SystemClock().now()
    due = now + timedelta(seconds=seconds)
    terms = Terms(
        title="Read for half an hour",
        zone="Europe/London",
        tasks=(TaskTerms(title="Read", due="2026-11-25T21:00"),),
        stake=StakeTerms(kind=StakeKind.POINTS, points=10),
    )
    task = Task(
        n=1,
        title="Read",
        opens_at=due - timedelta(hours=12),
        due_at=due,
        late_until=due,
        judge_until=due + timedelta(hours=48),
        reminded=True,
    )
    made = []
    for _ in range(number):
        owner, supervisor = new_id("p"), new_id("p")
        seat = Seat(person=supervisor, state=SeatState.SEATED, via=SeatVia.DESIGNATED, by=supervisor, at=now)
        pledge = Pledge(
            id=new_id("g"),
            owner=owner,
            drafted_by=owner,
            side=Side.OWNER,
            terms=terms,
            state=PledgeState.ACTIVE,
            consented=True,
            seats=(seat,),
            tasks=(task,),
            stake=Stake(state=StakeState.HELD, held_at=now),
            created_at=now,
            published_at=now,
        )
        made.append(turned(pledge, due=timing.next_due(pledge)))
    return made


def _while_due(server: vouch.Vouch, crowd: Crowd, senders: list[Sender], number: int) -> tuple[float, list[float]]:
    """Seconds until all is done, and how long acknowledgements took meanwhile."""
    began = time.monotonic()
    looked = began

    def done(_: int) -> bool:
        nonlocal looked
        if time.monotonic() - looked < 0.5:
            return False
        looked = time.monotonic()
        if looked - began > _PATIENCE:
            raise LoadError(f"{server.counter(_DONE):.0f} of {number} are done")
        return server.counter(_DONE) >= number

    beside = _write(crowd, senders, done)
    return looked - began, beside


def _write(crowd: Crowd, senders: list[Sender], over: Callable[[int], bool]) -> list[float]:
    """Latencies in seconds at PACE messages a second; a late message does not delay the next (open loop)."""
    for sender in senders:
        sender.latencies.clear()
    began, turns = time.perf_counter(), cycle(senders)
    for number in count():
        if over(number):
            break
        while (pause := began + number / PACE - time.perf_counter()) > 0:
            crowd.pump(pause)
        next(turns).say()
    crowd.until(lambda: not any(sender.waiting for sender in senders), "acknowledgements")
    crowd.check()
    return [latency for sender in senders for latency in sender.latencies]
