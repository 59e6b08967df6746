"""`python -m server restore FILE`: puts a backup back, into an empty database or over what is there."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from server import backup, logs
from server.archive import Reader
from server.clock import SystemClock
from server.commands.options import add_settings, chosen_settings
from server.commands.secrets import writable
from server.data_directory import DataDirectory
from server.embedded import Embedded
from server.errors import StartupError
from server.keys import Keys, install_secrets, load_keys
from server.settings import Settings, load
from server.store import Store


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path)
    parser.add_argument("--replace", action="store_true", help="delete what the database holds now")
    parser.add_argument(
        "--with-secrets", action="store_true", help="put the backup's secrets in place, the present ones aside"
    )
    parser.add_argument("--end-sign-ins", action="store_true", help="everybody, programs too, must sign in again")
    add_settings(parser, "data_dir", "demo", "log_level")


def run(arguments: argparse.Namespace) -> int:
    settings = load({"log_level": "warning"} | chosen_settings(arguments))
    logs.configure(settings.log_level, settings.log_format)
    reader = Reader(arguments.file)
    if arguments.with_secrets and not reader.secrets():
        raise StartupError("no_secrets", f"{arguments.file} holds no secrets.", hint="Nothing was changed.")
    with _stopped(settings) as (keys, mongodb_uri), writable(settings.secrets_path):
        asyncio.run(_restore(settings, reader, keys, mongodb_uri, arguments))
    manifest = reader.manifest
    print(f"The database {settings.database!r} is what it was on {manifest.taken_at:%Y-%m-%d at %H:%M:%S} UTC.")
    print("Every client will fetch anew. What was written, deleted or erased since then is as it was before.")
    if arguments.end_sign_ins:
        print("All sign-ins and tokens have ended.")
    else:
        print("Sign-ins ended since then hold again, newer ones do not: --end-sign-ins would have ended all.")
    return 0


@contextmanager
def _stopped(settings: Settings) -> Iterator[tuple[Keys, str]]:
    """Keys and database while no server of this data directory runs."""
    directory = DataDirectory(settings.data_dir)
    directory.open()
    try:
        keys = load_keys(settings.secrets_path)
        if settings.mongodb_uri:
            yield keys, settings.mongodb_uri
            return
        with Embedded(settings, keys, directory) as children:
            yield keys, children.mongodb_uri
    finally:
        directory.close()


async def _restore(
    settings: Settings, reader: Reader, keys: Keys, mongodb_uri: str, arguments: argparse.Namespace
) -> None:
    now = SystemClock().now()
    store = Store(mongodb_uri, settings.database)
    try:
        await store.connect()
        await backup.check_target(store, replace=arguments.replace)
        if arguments.with_secrets:
            aside = install_secrets(settings.secrets_path, reader.secrets(), now)
            if aside is not None:
                print(f"The secrets that were here are in {aside} now.")
            keys = load_keys(settings.secrets_path)
        backup.check_secrets(reader, keys)
        await backup.restore(store, reader, now, end_sign_ins=arguments.end_sign_ins)
    finally:
        store.close()
