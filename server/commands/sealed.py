"""What commands that verify seals have in common: the head that was written down, the database with the secrets that
belong to it, and how far they have come."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from server.commands.options import add_settings
from server.embedded import databases
from server.errors import StartupError
from server.settings import Settings
from server.store import Store


def add_options(verify: argparse.ArgumentParser, head: str) -> None:
    """`head` says what `--head` is, which becomes a pair of number and seal."""
    verify.add_argument("--head", metavar="NUMBER:SEAL", type=_head, help=head)
    verify.add_argument("--json", action="store_true", help="for programs")
    add_settings(verify, "data_dir", "demo", "log_level")


def _head(text: str) -> tuple[int, str]:
    if not re.fullmatch(r"\d{1,15}:[0-9a-f]{64}", text):
        raise argparse.ArgumentTypeError("NUMBER:SEAL, for example 120:9f2c… (64 hexadecimal digits)")
    number, _, seal = text.partition(":")
    return int(number), seal


@asynccontextmanager
async def sealed_store(settings: Settings) -> AsyncIterator[tuple[Store, bytes]]:
    """The database, and the key of its seals. Raises StartupError `secrets_mismatch` when that is another one."""
    with databases(settings) as (keys, mongodb_uri, _):
        store = Store(mongodb_uri, settings.database)
        try:
            await store.connect()
            stored = await store.collection("meta").find_one({"_id": "secrets"})
            if stored and stored["prints"].get("digest") != keys.fingerprints()["digest"]:
                text = "The seals were made with other secrets than the ones that are here."
                raise StartupError("secrets_mismatch", text, hint="Put back the secrets that belong to the database.")
            yield store, keys.digest
        finally:
            store.close()


def progress(what: str, *, quiet: bool) -> Callable[[int, int], None]:
    """Tells how many of how many are done: a line that grows on a terminal, elsewhere one line for each tenth."""
    shown = -1

    def tell(done: int, of: int) -> None:
        nonlocal shown
        terminal = sys.stderr.isatty()
        step = done * (100 if terminal else 10) // of if of else 100
        if quiet or step == shown:
            return
        shown = step
        end = "" if terminal and done < of else "\n"
        start = "\r" if terminal else ""
        print(f"{start}{done} of {of} {what}", end=end, file=sys.stderr, flush=True)

    return tell
