"""Carries notices to the merchant until they are taken, and lets time pass for what is due."""

from __future__ import annotations

import asyncio
import sqlite3
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from server.payments.sandbox import rules
from server.payments.sandbox.model import Delivery, DeliveryState
from server.payments.sandbox.till import Till

#: notices under way at once
MOST_AT_ONCE = 8
#: seconds in which the merchant has to take a notice
_TAKE_WITHIN = 10.0
#: seconds after which it looks again at the latest
_LONGEST_REST = 5.0


class Messenger:
    """`url` is where notices go (none: they wait), `first_pause` the milliseconds before a notice is tried again."""

    def __init__(
        self, till: Till, now: Callable[[], int], *, secret: str, url: str, authority: Path | None, first_pause: int
    ) -> None:
        self.url = url
        self._till = till
        self._now = now
        self._secret = secret
        self._first_pause = first_pause
        self._context = ssl.create_default_context(cafile=authority) if authority else None
        self._client = SimpleAsyncHTTPClient(force_instance=True, max_clients=MOST_AT_ONCE, max_body_size=64 * 1024)
        self._woken = asyncio.Event()
        self._under_way: dict[int, asyncio.Task[None]] = {}
        self._fault: sqlite3.Error | None = None

    def wake(self) -> None:
        self._woken.set()

    async def run(self) -> None:
        """Until cancelled. Raises what the database says when it cannot be written any more."""
        try:
            while True:
                self._woken.clear()
                if self._fault is not None:
                    raise self._fault
                self._till.pass_time()
                self._set_out()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), self._rest())
        finally:
            for task in self._under_way.values():
                task.cancel()
            self._client.close()

    def _set_out(self) -> None:
        if not self.url:
            return
        for delivery in self._till.book.waiting(self._now(), 2 * MOST_AT_ONCE):
            if delivery.id not in self._under_way and len(self._under_way) < MOST_AT_ONCE:
                self._under_way[delivery.id] = asyncio.create_task(self._carry(delivery))

    def _rest(self) -> float:
        """Seconds until something is due. What is under way wakes us when it has come back."""
        due = self._till.book.next_due()
        if due is None or (due <= self._now() and (self._under_way or not self.url)):
            return _LONGEST_REST
        return min(max(0.001, (due - self._now()) / 1_000), _LONGEST_REST)

    async def _carry(self, delivery: Delivery) -> None:
        try:
            answer = await self._post(delivery.body)
            tries = delivery.tries + 1
            if answer.startswith("2"):
                state = DeliveryState.DELIVERED
            else:
                state = DeliveryState.WAITING if tries < rules.MOST_TRIES else DeliveryState.GIVEN_UP
            due = self._now() + rules.pause(tries, self._first_pause)
            with self._till.book.writing():
                self._till.book.delivered(delivery.id, state, tries, answer, due)
        except sqlite3.Error as fault:
            self._fault = fault
        finally:
            del self._under_way[delivery.id]
            self.wake()

    async def _post(self, body: bytes) -> str:
        """The status as text, or a word for why there was none."""
        headers = {
            "Content-Type": "application/json",
            rules.SIGNATURE: rules.signature(self._secret, int(time.time()), body),
        }
        request = HTTPRequest(
            self.url,
            method="POST",
            headers=headers,
            body=body,
            connect_timeout=5.0,
            request_timeout=_TAKE_WITHIN,
            follow_redirects=False,
            ssl_options=self._context,
            user_agent="PracticePay",
        )
        try:
            return str((await self._client.fetch(request)).code)
        except HTTPClientError as fault:
            return "timeout" if fault.code == 599 else str(fault.code)
        except OSError as fault:
            return type(fault).__name__
