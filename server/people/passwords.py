"""Passwords: argon2id in a small pool of threads, so that a rush of sign-ins neither stops the loop nor eats memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from server.errors import Code, VouchError

T = TypeVar("T")

#: OWASP's second choice of argon2id: 19 MiB and two passes, about 20 ms on one core, 38 MiB for two threads.
DEFAULT = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


class Passwords:
    """Hashes and checks. `waiting` bounds how many requests may queue; more get `try_later`."""

    def __init__(self, hasher: PasswordHasher = DEFAULT, *, threads: int = 2, waiting: int = 64) -> None:
        self._hasher = hasher
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="passwords")
        self._room = threads + waiting
        # Checked for logins that do not exist, so that they take as long as those that do.
        self._nobody = hasher.hash("nobody has this password")

    async def hash(self, password: str) -> str:
        """Raises `try_later` when too many are waiting."""
        return await self._run(lambda: self._hasher.hash(password))

    async def matches(self, stored: str | None, password: str) -> bool:
        """Whether the password is the stored one; None (nobody) takes as long and is False. Raises `try_later`."""
        return await self._run(lambda: self._verify(stored, password))

    def outdated(self, stored: str) -> bool:
        """True when the parameters have changed since: the password should be hashed anew while it is at hand."""
        return self._hasher.check_needs_rehash(stored)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _verify(self, stored: str | None, password: str) -> bool:
        try:
            self._hasher.verify(stored or self._nobody, password)
        except (VerificationError, InvalidHashError):
            return False
        return stored is not None

    async def _run(self, work: Callable[[], T]) -> T:
        if self._room <= 0:
            raise VouchError(Code.TRY_LATER, "Too many sign-ins at once. Try again in a moment.", retry_after=1.0)
        self._room -= 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._room += 1
