"""`python -m server backup FILE|DIRECTORY`: the database at one moment, in one file, while everything runs."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from server import backup, logs
from server.archive import Manifest
from server.clock import SystemClock
from server.commands.options import add_settings, chosen_settings
from server.embedded import databases
from server.errors import StartupError
from server.keys import portable_secrets
from server.settings import Settings, load
from server.store import Store


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="FILE|DIRECTORY", type=Path, help="a directory gets a file named by the time")
    parser.add_argument(
        "--with-secrets", action="store_true", help="put the secrets in: whoever has the file can then read everything"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there")
    add_settings(parser, "data_dir", "demo", "log_level")


def run(arguments: argparse.Namespace) -> int:
    settings = load({"log_level": "warning"} | chosen_settings(arguments))
    logs.configure(settings.log_level, settings.log_format)
    path = target_path(arguments.target, settings, overwrite=arguments.overwrite)
    try:
        manifest = asyncio.run(_take(settings, path, with_secrets=arguments.with_secrets))
    except OSError as error:
        raise StartupError("backup_failed", f"{path} cannot be written: {error.strerror or error}.") from error
    documents = sum(collection.documents for collection in manifest.collections.values())
    size = path.stat().st_size / 2**20
    print(f"{path}: {documents} documents, {size:.1f} MB, as of {manifest.taken_at:%Y-%m-%d %H:%M:%S} UTC.")
    if manifest.secrets:
        print("The secrets are in it: keep it where nobody else can read it.")
    else:
        print("The secrets are not in it: keep a copy of them too, in another place (docs/operations.md).")
    return 0


def target_path(target: Path, settings: Settings, *, overwrite: bool) -> Path:
    """The file to be written. Raises StartupError `file_exists`."""
    if target.is_dir():
        target = target / f"vouch-{settings.database}-{SystemClock().now():%Y%m%dT%H%M%SZ}.tar.gz"
    if target.exists() and not overwrite:
        raise StartupError("file_exists", f"{target} is there already.", hint="--overwrite replaces it.")
    return target


async def _take(settings: Settings, path: Path, *, with_secrets: bool) -> Manifest:
    with databases(settings) as (keys, mongodb_uri, _):
        store = Store(mongodb_uri, settings.database)
        try:
            await store.connect()
            files = portable_secrets(settings.secrets_path) if with_secrets else {}
            manifest = await backup.take(store, path, keys, SystemClock(), files)
            await backup.note(store, manifest.taken_at)
            return manifest
        finally:
            store.close()
