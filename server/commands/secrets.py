"""`python -m server secrets show|rotate`: which keys there are, and the next step of changing one."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from server import logs, rotation
from server.clock import SystemClock
from server.commands.options import add_settings, chosen_settings
from server.embedded import databases
from server.errors import StartupError
from server.keys import RINGS, compare_fingerprints
from server.settings import Settings, load
from server.store import Store


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    show = actions.add_parser("show", help="list the keys by their fingerprints; tells no secret")
    rotate = actions.add_parser("rotate", help="take the next step of changing a secret, and say what comes then")
    rotate.add_argument("name", metavar="NAME", choices=[*rotation.PURPOSES, *rotation.FIXED, "all"])
    rotate.add_argument("--finish", action="store_true", help="seal anew what is stored, and drop the old keys")
    rotate.add_argument("--now", action="store_true", help="with --finish: do not wait for browsers that may come back")
    for action in (show, rotate):
        add_settings(action, "data_dir", "demo", "log_level")


def run(arguments: argparse.Namespace) -> int:
    settings = load({"log_level": "warning"} | chosen_settings(arguments))
    logs.configure(settings.log_level, settings.log_format)
    if arguments.action == "show":
        asyncio.run(_show(settings))
        return 0
    with writable(settings.secrets_path):
        return asyncio.run(_rotate(settings, arguments.name, finish=arguments.finish, now=arguments.now))


@contextmanager
def writable(directory: Path) -> Iterator[None]:
    """Turns what the operating system refuses into one line."""
    try:
        yield
    except OSError as error:
        raise StartupError(
            "secrets_readonly",
            f"The secrets in {directory} cannot be written: {error.strerror or error}.",
            hint="Run this where they can be, as the user who owns them; the step is taken again from where it was.",
        ) from error


async def _show(settings: Settings) -> None:
    with databases(settings) as (keys, mongodb_uri, _):
        store = Store(mongodb_uri, settings.database)
        try:
            await store.connect()
            stored = await store.collection("meta").find_one({"_id": "secrets"})
        finally:
            store.close()
        needed = stored["prints"] if stored else {}
        missing = {name: needed[name] for name in compare_fingerprints(needed, keys.known())}
        print("\n".join(rotation.overview(keys, missing)))


async def _rotate(settings: Settings, name: str, *, finish: bool, now: bool) -> int:
    """The exit status: with `all`, one refusal does not keep the others from their step."""
    status = 0
    names = [*rotation.PURPOSES] if name == "all" else [name]
    if finish and name == "all":
        names = [*RINGS]
    with databases(settings) as (keys, mongodb_uri, _):
        store = Store(mongodb_uri, settings.database)
        try:
            await store.connect()
            if await store.collection("meta").find_one({"_id": "secrets"}) is None:
                raise StartupError("nothing_to_rotate", f"The database {settings.database!r} holds no Vouch yet.")
            steps = rotation.Rotation(store, settings.secrets_path, keys, SystemClock().now())
            for each in names:
                try:
                    told = await (steps.finish(each, now=now) if finish else steps.rotate(each))
                except StartupError as error:
                    if name != "all":
                        raise
                    told, status = [f"{each}: {error}"], error.exit_status
                print("\n".join(told), flush=True)
        finally:
            store.close()
    return status
