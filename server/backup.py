"""Takes a backup of the database into an archive, and puts it back.

Taking reads everything in one transaction, so a backup is the database at one moment, also while nodes write: numbers
have no holes, every author and member is there, and what a change has to tell is either in the log or still in the
outbox. Left out are the nodes' leases, and Redis, which holds nothing that must last. Indexes are not copied: the code
makes them at its start.

Restoring gives the database a new epoch, so that every client fetches anew instead of going on from numbers that may
now mean something else.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from pathlib import Path

from server import __version__
from server.archive import RESTORING, Manifest, Reader, Writer
from server.clock import Clock
from server.errors import StartupError
from server.keys import Keys, compare_fingerprints
from server.realtime import roll_call
from server.store import Store, StoreError, raw

#: collections that say something of the running nodes only
_LEFT_OUT = frozenset({"nodes"})
_META = "meta"


async def take(store: Store, path: Path, keys: Keys, clock: Clock, files: dict[str, bytes]) -> Manifest:
    """Writes the backup to `path`; `files` are the secrets to be put in, by file name.

    Raises StartupError `nothing_to_back_up`, `backup_failed`.
    """
    with Writer(path) as writer:
        try:
            names = [name for name in await raw.names(store) if name not in _LEFT_OUT]
            async with raw.snapshot(store) as read:
                taken_at = clock.now()
                meta = [raw.decoded(document) async for document in read(_META)]
                epoch = next((row["value"] for row in meta if row["_id"] == "epoch"), None)
                if epoch is None or any(row["_id"] == RESTORING for row in meta):
                    raise StartupError(
                        "nothing_to_back_up",
                        f"The database {store.name!r} holds no complete Vouch.",
                        hint="Is VOUCH_DATABASE right?",
                    )
                needed = next((row["prints"] for row in meta if row["_id"] == "secrets"), keys.fingerprints())
                for name in names:
                    collection = writer.collection(name)
                    async for document in read(name):
                        collection.add(document)
                    collection.close()
        except StoreError as fault:
            raise StartupError(
                "backup_failed",
                f"The database stopped the reading: {fault}.",
                hint="A MongoDB may end long transactions: raise transactionLifetimeLimitSeconds (docs/operations.md).",
            ) from None
        for name, content in files.items():
            writer.secret(name, content)
        return writer.finish(
            version=__version__,
            taken_at=taken_at,
            database=store.name,
            epoch=epoch,
            needed={name: [prints] if isinstance(prints, str) else list(prints) for name, prints in needed.items()},
        )


async def note(store: Store, at: datetime) -> None:
    """Writes down that there is a backup of this moment: the desk of admins warns where there is none."""
    await store.collection(_META).update_one({"_id": "backup"}, {"$set": {"at": at}}, upsert=True)


def check_secrets(reader: Reader, keys: Keys) -> None:
    """Raises StartupError `secrets_mismatch` when these secrets cannot read what the backup holds."""
    differing = compare_fingerprints(reader.manifest.secrets_needed, keys.known())
    if differing:
        raise StartupError(
            "secrets_mismatch",
            f"The secrets here do not fit this backup: {', '.join(differing)} differ.",
            hint="Nothing was changed. Put the secrets that belong to it in place first, or use --with-secrets.",
        )


async def check_target(store: Store, *, replace: bool) -> None:
    """Raises StartupError `nodes_running`, `database_not_empty` when nothing may be restored here."""
    running = await roll_call.living(store)
    if running:
        raise StartupError(
            "nodes_running",
            f"{len(running)} node(s) serve this database.",
            hint="Nothing was changed. Stop them first.",
        )
    existing = [name for name in await raw.names(store) if name not in _LEFT_OUT]
    if existing and not replace:
        raise StartupError(
            "database_not_empty",
            f"The database {store.name!r} is not empty.",
            hint="Nothing was changed. --replace deletes what is in it.",
        )


async def restore(store: Store, reader: Reader, at: datetime, *, end_sign_ins: bool = False) -> str:
    """Fills the database from the backup instead of what it holds; answers its new epoch. Target and secrets have been
    checked. Until it is done, no server starts on this database."""
    meta = store.collection(_META)
    await meta.update_one({"_id": RESTORING}, {"$set": {"at": at}}, upsert=True)
    for name in await raw.names(store):
        if name != _META:
            await store.collection(name).drop()
    await meta.delete_many({"_id": {"$ne": RESTORING}})
    epoch = secrets.token_hex(8)
    for name, content in reader.parts():
        if end_sign_ins and name == "sessions":
            continue
        documents = raw.split(content)
        if name == _META:
            rows = [raw.decoded(document) for document in documents]
            await meta.insert_many([row for row in rows if row["_id"] not in ("epoch", RESTORING)])
        else:
            await raw.insert(store, name, documents)
    await meta.insert_one({"_id": "epoch", "value": epoch, "at": at})
    await meta.delete_one({"_id": RESTORING})
    return epoch
