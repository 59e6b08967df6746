"""Processes that die between any two steps: a step is a call of the database, the ledger or the provider."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from server.payments.service import Payments


class Died(BaseException):
    """The process is gone: what was committed stays, and nothing after this is done."""


class Fate:
    """Counts steps; `strike(n)` lets the process die at the n-th from now: before it is done when n is even, right
    after it when n is odd, so that nobody hears of it."""

    def __init__(self) -> None:
        self._left = 0
        self._after = False
        self.dead = False

    def strike(self, steps: int) -> None:
        self._left, self._after = steps // 2 + 1, steps % 2 == 1

    def spare(self) -> None:
        self._left = 0

    def bound(self, step: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def fateful(*args: Any, **kwargs: Any) -> Any:
            due = self._due()
            if due and not self._after:
                self.dead = True
                raise Died
            answer = await step(*args, **kwargs)
            if due or self.dead:
                self.dead = True
                raise Died
            return answer

        return fateful

    def _due(self) -> bool:
        if self.dead:
            raise Died
        if self._left == 0:
            return False
        self._left -= 1
        return self._left == 0


class Mortal:
    """Everything that the other does, as steps of a process that may die."""

    def __init__(self, other: Any, fate: Fate) -> None:
        self._other = other
        self._fate = fate

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._other, name)
        return self._fate.bound(found) if inspect.iscoroutinefunction(found) else found


def make_mortal(payments: Payments, fate: Fate) -> None:
    """Its queries are steps too."""
    for name, method in inspect.getmembers(payments._repo, inspect.iscoroutinefunction):
        setattr(payments._repo, name, fate.bound(method))
