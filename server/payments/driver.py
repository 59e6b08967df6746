"""Works off the orders that are due: asks their providers, settles the answers, again and again until they have ended.

What is to be done stands in the database, so a process that dies leaves nothing undone: an order that somebody works on
is due again when its time (LEASE) is over. Whoever asks twice is answered twice with the same, for providers do a thing
once under its id. A provider that does not answer is left alone for longer and longer, up to some minutes.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import defaultdict
from collections.abc import Coroutine, Mapping
from datetime import datetime, timedelta

import msgspec
import structlog

from server.clock import Clock
from server.errors import TRANSIENT, VouchError
from server.payments import metrics, rules
from server.payments.books import Books, Stale
from server.payments.model import FINAL, Order, OrderState, Remote
from server.payments.provider import PaymentProvider, ProviderFault
from server.payments.repo import SOME, OrdersRepo
from server.payments.rules import Ask, Silence
from server.realtime.rounds import Rounds, put_down
from server.store import StoreError

#: how long an order belongs to whoever works on it: longer than any provider takes
LEASE = timedelta(seconds=30)
#: how long an order is left to nodes that know its provider
NOT_OURS = timedelta(seconds=60)
#: seconds between looks for what others have left
LOOK = 5.0
#: seconds that a provider is given, whatever it promises
ANSWERS_WITHIN = 20.0
#: orders of one provider that are worked on at once
AT_ONCE = 8
#: how often somebody else may be faster before an order is left for the next round
TRIES = 8
#: seconds between counts of what has not ended
COUNT_EVERY = 30.0
#: faults that say that the provider itself is away, not that it dislikes something
AWAY = frozenset({"down", "timeout"})

log = structlog.get_logger(__name__)


class Driver:
    def __init__(self, repo: OrdersRepo, books: Books, providers: Mapping[str, PaymentProvider], clock: Clock) -> None:
        self._repo = repo
        self._books = books
        self._providers = providers
        self._clock = clock
        self._turns: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(AT_ONCE))
        self._tasks: dict[str, asyncio.Task[Order]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._counted = float("-inf")
        #: providers that do not answer: how often they have not, and until when they are left alone
        self._away: dict[str, tuple[int, datetime]] = {}
        self.rounds = Rounds("payments", self.look, every=LOOK)

    def start(self) -> None:
        """Where no provider is used (a command at the terminal) orders are left to those who use some."""
        if self._providers:
            self.rounds.start()

    async def stop(self) -> None:
        """What is under way is gone on with by the next start, or by another node."""
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.gather(self.rounds.stop(), put_down(self._tasks.values()))

    def hurry(self, provider: str | None = None) -> None:
        """Something is due now; `provider`: it has just shown that it lives."""
        if provider is not None:
            self._away.pop(provider, None)
        self.rounds.hurry()

    def away(self, provider: str) -> bool:
        """Whether it did not answer the last time."""
        return provider in self._away

    async def idle(self) -> None:
        """Waits until nothing is worked on in this process. For tests."""
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    # ── One order ───────────────────────────────────────────────────────────────────────────────────────────────────

    def work(self, order: Order) -> asyncio.Task[Order]:
        """Goes on with an order that belongs to the caller, in the background; answers what became of it."""
        if (task := self._tasks.get(order.id)) is None:
            task = asyncio.create_task(self._in_turn(order), name=f"payment {order.id}")
            self._tasks[order.id] = task
            task.add_done_callback(lambda done: self._forget(order.id, done))
        return task

    def working(self, id: str) -> asyncio.Task[Order] | None:
        """What this process does about an order just now."""
        return self._tasks.get(id)

    def _forget(self, id: str, done: asyncio.Task[Order]) -> None:
        self._tasks.pop(id, None)
        if not done.cancelled() and (fault := done.exception()) is not None:
            level = log.warning if isinstance(fault, StoreError) else log.error
            level("an order waits", order=id, fault=f"{type(fault).__name__}: {fault}")

    async def _in_turn(self, order: Order) -> Order:
        async with self._turns[order.provider]:
            order = await self.advance(order)
        self._wake_for(order)
        return order

    async def advance(self, order: Order) -> Order:
        """Asks and settles once, or as often as somebody else was faster. Raises StoreError."""
        for _ in range(TRIES):
            provider = self._providers.get(order.provider)
            if provider is None:
                answer: Remote | Silence | None = Silence("not_configured", certain=False)
                ask = Ask.FIND
            else:
                ask = rules.question(order, provider.terms, self._clock.now())
                answer = await self._asked(provider, ask, order)
            step = rules.settle(order, ask, answer, self._clock.now(), _jitter())
            if step is None:
                return order
            try:
                saved = await self._books.carry_out(order, step)
            except Stale:
                order = await self._repo.get(order.id) or order
                continue
            except VouchError as fault:
                if fault.code in TRANSIENT:
                    raise
                return await self._rest(order, fault)
            if saved.state is OrderState.OPEN and saved.stopping and ask is not Ask.CANCEL:
                order = saved
                continue
            return saved
        return order

    async def _rest(self, order: Order, fault: VouchError) -> Order:
        """The ledger does not take it: nothing is booked until somebody has looked."""
        log.error("the ledger refuses what a provider says", order=order.id, code=fault.code)
        resting = msgspec.structs.replace(order, fault=rules.BOOKS, due=None, version=order.version + 1)
        return resting if await self._repo.replace(resting) else order

    async def _asked(self, provider: PaymentProvider, ask: Ask, order: Order) -> Remote | Silence | None:
        """The answer as a value. What is refused after an attempt that nobody answered may have been done by that, and
        a check-out that cannot be closed has ended in another way."""
        answer = await self._timed(provider, self._asking(provider, ask, order))
        doubtful = ask is Ask.CANCEL or (ask is not Ask.FIND and order.tries > 0)
        if isinstance(answer, Silence) and answer.certain and doubtful:
            known = await self._timed(provider, provider.find(order))
            return answer if known is None else known
        return answer

    def _asking(self, provider: PaymentProvider, ask: Ask, order: Order) -> Coroutine[None, None, Remote | None]:
        match ask:
            case Ask.CHARGE:
                return provider.charge(order, order.return_url, order.language)
            case Ask.REFUND:
                return self._refund(provider, order)
            case Ask.PAY_OUT:
                return provider.pay_out(order)
            case Ask.CANCEL:
                return provider.cancel(order)
            case Ask.FIND:
                return provider.find(order)

    async def _refund(self, provider: PaymentProvider, order: Order) -> Remote:
        charge = await self._repo.get(order.charge or "")
        if charge is None:
            raise ProviderFault("unknown", certain=True)
        return await provider.refund(order, charge)

    async def _timed(
        self, provider: PaymentProvider, asking: Coroutine[None, None, Remote | None]
    ) -> Remote | Silence | None:
        began = time.perf_counter()
        answer: Remote | Silence | None
        try:
            async with asyncio.timeout(ANSWERS_WITHIN):
                answer = await asking
            result = "answered"
        except ProviderFault as fault:
            answer, result = Silence(fault.code, fault.certain), fault.code
        except TimeoutError:
            answer, result = Silence("timeout", certain=False), "timeout"
        except (StoreError, VouchError):
            raise
        except Exception:  # a fault of the adapter's: nobody knows what was done
            log.exception("a provider's adapter failed", provider=provider.name)
            answer, result = Silence("broken", certain=False), "broken"
        metrics.ASKED.labels(provider.name, result).observe(time.perf_counter() - began)
        self._heard(provider.name, result)
        return answer

    def _heard(self, name: str, result: str) -> None:
        if result in AWAY:
            times = self._away[name][0] + 1 if name in self._away else 1
            self._away[name] = (times, self._clock.now() + rules.pause(times, _jitter()) / 4)
            if times == 1:
                log.warning("a payment provider does not answer", provider=name, result=result)
        elif self._away.pop(name, None) is not None:
            log.info("a payment provider answers again", provider=name)
            self.rounds.hurry()
        metrics.SILENT.labels(name).set(name in self._away)

    # ── All that are due ────────────────────────────────────────────────────────────────────────────────────────────

    async def look(self) -> None:
        """Begins with what is due, in the background."""
        now = self._clock.now()
        due = await self._repo.due(now)
        for order in due:
            if order.id in self._tasks:
                continue
            if (rest := self._rest_of(order.provider)) is not None:
                await self._repo.postpone(order, now + rest * (1 + _jitter() / 4))
            elif (mine := await self._claim(order)) is not None:
                self.work(mine)
        await self._count()
        if len(due) == SOME:  # there are more: when some of these are done
            await self._breath()
            self.rounds.hurry()
        else:
            await self._plan()

    def _rest_of(self, provider: str) -> timedelta | None:
        """How long the provider is left alone still, by this node; None when it may be asked."""
        if provider not in self._providers:
            return NOT_OURS
        if provider not in self._away:
            return None
        left = self._away[provider][1] - self._clock.now()
        # More than any rest: the clock was turned back.
        return left if timedelta() < left < timedelta(seconds=rules.PAUSE_MOST) else None

    async def _claim(self, order: Order) -> Order | None:
        """Whoever moves its time has it until then; that its provider may hear of it now is kept before it does."""
        until = self._clock.now() + LEASE
        if order.state is OrderState.WAITING and not order.asked:
            asked = msgspec.structs.replace(order, asked=True, due=until, version=order.version + 1)
            return asked if await self._repo.replace(asked) else None
        if not await self._repo.postpone(order, until):
            return None
        return msgspec.structs.replace(order, due=until)

    async def _breath(self) -> None:
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()), return_when=asyncio.FIRST_COMPLETED)

    async def _plan(self) -> None:
        """The next round begins when the next order is due, if that is before the next regular one."""
        now = self._clock.now()
        due = await self._repo.next_due(now, timedelta(seconds=LOOK))
        if due is not None:
            self._hurry_in((due - now).total_seconds())

    def _wake_for(self, order: Order) -> None:
        if order.due is not None:
            self._hurry_in(max(0.0, (order.due - self._clock.now()).total_seconds()))

    def _hurry_in(self, seconds: float) -> None:
        if seconds > LOOK:
            return
        loop = asyncio.get_running_loop()
        if self._timer is not None and not self._timer.cancelled() and loop.time() < self._timer.when():
            if self._timer.when() <= loop.time() + seconds:
                return
            self._timer.cancel()
        self._timer = loop.call_later(seconds, self.rounds.hurry)

    async def _count(self) -> None:
        if time.monotonic() - self._counted < COUNT_EVERY:
            return
        self._counted = time.monotonic()
        states = {state: 0 for state in OrderState if state not in FINAL}
        resting = 0
        for order in await self._repo.unfinished():
            states[order.state] += 1
            resting += order.resting
        for state, count in states.items():
            metrics.OPEN.labels(state.value).set(count)
        metrics.RESTING.set(resting)


def _jitter() -> float:
    return secrets.randbelow(1 << 20) / (1 << 20)
