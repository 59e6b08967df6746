"""What time does to pledges, done when it is due (R-18): by any node, at most once in effect, however many at once.

What is due stands in the database with the pledge. A node claims some of it for LEASE and does it through `Changes`,
so that two who do the same by mistake do it once. A node that dies leaves its claims to whoever looks when they have
lapsed. Whatever the clock says is compared with what is due; a clock that is turned makes things late or early, never
double.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from server.clock import Clock
from server.realtime.rounds import Rounds
from server.store import Store, StoreError
from server.supervision import metrics
from server.supervision.changes import Changes, draw
from server.supervision.model import Pledge
from server.supervision.rules import timing
from server.supervision.timers_repo import TimersRepo

#: how long a pledge belongs to the node that works on it; what has failed is tried again after it
LEASE = timedelta(seconds=60)
#: seconds between looks for what others have left
LOOK = 5.0
#: pledges that are found, claimed, and worked on together
MOST = 20_000
SOME = 64
AT_ONCE = 4
#: after each handful the others on this node have so many times as long: chat comes first
REST = 1.0

log = structlog.get_logger("vouch.timers")


class Timers:
    def __init__(self, store: Store, changes: Changes, clock: Clock) -> None:
        self._repo = TimersRepo(store)
        self._changes = changes
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        self.rounds = Rounds("timers", self.look, every=LOOK)

    def start(self) -> None:
        self.rounds.start()

    async def stop(self) -> None:
        """What is claimed and not done is done when its lease has lapsed."""
        if self._timer is not None:
            self._timer.cancel()
        await self.rounds.stop()

    def hurry(self) -> None:
        """Something is due now."""
        self.rounds.hurry()

    async def look(self) -> int:
        """Does everything that is due; answers how many pledges it was."""
        done = 0
        while due := await self._repo.due(self._clock.now(), MOST):
            ids = list(due)
            random.shuffle(ids)  # other nodes begin elsewhere
            for first in range(0, len(ids), SOME):
                done += await self._some(ids[first : first + SOME], due)
        metrics.LATE.set(0)
        await self._plan()
        return done

    async def _some(self, ids: Sequence[str], due: Mapping[str, datetime]) -> int:
        """Those of these that nobody else was faster to claim."""
        now = self._clock.now()
        claimed = await self._repo.claim(ids, now, now + LEASE)
        for first in range(0, len(claimed), AT_ONCE):
            some = claimed[first : first + AT_ONCE]
            began = time.perf_counter()
            await asyncio.gather(*(self._do(id, now + LEASE) for id in some))
            metrics.LATE.set(max((self._clock.now() - due[id]).total_seconds() for id in some))
            await asyncio.sleep((time.perf_counter() - began) * REST)
        return len(claimed)

    async def _do(self, id: str, lease: datetime) -> None:
        """What fails is left until the lease has lapsed and does not keep others waiting."""
        try:
            after = await self._changes.apply(id, lambda pledge, now: timing.tick(pledge, now, draw))
        except StoreError:
            metrics.TIMED.labels("waits").inc()
            raise
        except Exception as fault:
            metrics.TIMED.labels("failed").inc()
            log.error("a pledge that is due could not go on", pledge=id, exc_info=fault)
            return
        metrics.TIMED.labels("done").inc()
        if after.due == lease:
            await self._rest(after, lease)

    async def _rest(self, pledge: Pledge, lease: datetime) -> None:
        """Nothing was to be done."""
        planned = timing.next_due(pledge)
        if planned is not None and planned <= lease - LEASE:
            log.error("time has changed nothing", pledge=pledge.id)
        else:
            await self._repo.put_off(pledge.id, pledge.version, planned)

    async def _plan(self) -> None:
        """The next round begins when the next pledge is due, if that is before the next regular one."""
        now = self._clock.now()
        due = await self._repo.next_due(now, timedelta(seconds=LOOK))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due is not None:
            wait = (due - now).total_seconds()
            self._timer = asyncio.get_running_loop().call_later(wait, self.rounds.hurry)
