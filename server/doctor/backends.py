"""Database, Redis and the nodes that share them: asked as the server asks them."""

from __future__ import annotations

import asyncio
import secrets
import time
from datetime import UTC, datetime

from server import __version__
from server.administration.audit import AuditTrail
from server.administration.figures import Figures
from server.archive import RESTORING
from server.calls.recordings import bucket as recordings
from server.calls.repo import CallsRepo, RecordingsRepo
from server.chat.mentions import MentionRepo
from server.chat.repo import ConversationRepo
from server.chat.threads import ThreadRepo
from server.clock import SystemClock
from server.doctor import ledger, media, payments
from server.doctor.findings import Finding, ok, problem, warning
from server.errors import StartupError
from server.finance.repo import AdjustmentsRepo, DisputesRepo, RunsRepo
from server.guardians.repo import WardsRepo
from server.keys import Keys, compare_fingerprints
from server.media.blobs import DatabaseBlobs
from server.media.repo import MediaRepo
from server.moderation.repo import ReportsRepo
from server.money.repo import LedgerRepo
from server.notifications.repo import ChoicesRepo, PushesRepo, SubscriptionsRepo
from server.payments.repo import OrdersRepo
from server.people.browsers import BrowsersRepo
from server.people.factor_repo import FactorsRepo, ProofsRepo
from server.people.phones import PhoneVault
from server.people.repo import GrantsRepo, PairsRepo, PeopleRepo, SessionsRepo
from server.proofs.repo import ProofsRepo as LiveProofsRepo
from server.realtime import roll_call
from server.realtime.bus import RedisBus
from server.realtime.entries import EntryLog
from server.redis_url import FAULTS, RedisUrl
from server.store import Store, StoreError
from server.store.probe import IndexList, index_keys, server_time
from server.supervision.desk_repo import DeskRepo
from server.supervision.evidence_repo import EvidenceRepo
from server.supervision.meeting_repo import MeetingsRepo
from server.supervision.repo import PledgesRepo
from server.wallet.repo import AccountsRepo, RequestsRepo

#: seconds from which a durable write, or an answer of Redis, is worth a word
SLOW_WRITE, BAD_WRITE = 0.05, 1.0
SLOW_REDIS, BAD_REDIS = 0.01, 0.25
#: seconds between the clocks
SKEW, BAD_SKEW = 1.0, 30.0
_PATIENCE = 5.0
_TRIES = 5
_SCRATCH = "doctor"


async def database(uri: str, name: str, keys: Keys | None) -> list[Finding]:
    """Everything about the database; when it cannot be reached, only that."""
    try:
        store = Store(uri, name, timeout=_PATIENCE)
    except StartupError as error:
        return [problem("database", error.message, "Correct VOUCH_MONGODB_URI.")]
    try:
        await store.connect()
        found = [ok("database", "The database answers, lets us in and can do transactions.")]
        found += [await write(store), await clock(store), *await content(store, keys), await nodes(store, keys)]
        found += [await media.jobs(store), *await payments.orders(store), await ledger.books(store)]
        return found
    except StartupError as error:
        return [problem("database", error.message, error.hint or "See VOUCH_MONGODB_URI (docs/operations.md).")]
    except StoreError as fault:
        return [problem("database", f"The database fails: {fault}.", "See its log.")]
    finally:
        store.close()


async def write(store: Store) -> Finding:
    """How long a write takes until it is durable on the majority (`w: majority, j: true`)."""
    rows, taken = store.collection(_SCRATCH), []
    try:
        async with asyncio.timeout(_TRIES * _PATIENCE):
            for _ in range(_TRIES):
                began = time.perf_counter()
                await rows.insert_one({"_id": secrets.token_hex(8), "at": datetime.now(UTC)})
                taken.append(time.perf_counter() - began)
            await rows.drop()
    except (StoreError, TimeoutError) as fault:
        said = "in time" if isinstance(fault, TimeoutError) else f"({fault})"
        return problem(
            "database_write",
            f"No write became durable {said}.",
            "Is the majority of the replica set up, its disk writable, and may this user write?",
        )
    median = sorted(taken)[_TRIES // 2]
    return latency("database_write", "A write is durable after", median, SLOW_WRITE, BAD_WRITE, "Look at its disk.")


def latency(name: str, what: str, seconds: float, slow: float, bad: float, remedy: str) -> Finding:
    said = f"{what} {seconds * 1000:.1f} ms."
    if seconds >= bad:
        return problem(name, said, remedy)
    return warning(name, said, remedy) if seconds >= slow else ok(name, said)


async def clock(store: Store) -> Finding:
    before = datetime.now(UTC)
    told = await server_time(store)
    after = datetime.now(UTC)
    if told is None:
        return ok("clock", "The database does not tell the time.")
    return skew(abs((told - (before + (after - before) / 2)).total_seconds()))


def skew(seconds: float) -> Finding:
    said = f"This machine's clock and the database's differ by {seconds:.1f} s."
    if seconds < SKEW:
        return ok("clock", said)
    return (problem if seconds >= BAD_SKEW else warning)("clock", said, "Let NTP set both (timedatectl set-ntp true).")


async def wanted_indexes(uri: str, name: str) -> dict[str, set[tuple[tuple[str, ...], bool]]]:
    """Collection → its indexes as the repos declare them."""
    noted = IndexList(uri, name)
    vault = PhoneVault([bytes(32)], [bytes(32)])
    for repo in (
        EntryLog(noted),
        PeopleRepo(noted, vault),
        SessionsRepo(noted),
        GrantsRepo(noted),
        PairsRepo(noted),
        BrowsersRepo(noted),
        FactorsRepo(noted, [bytes(32)]),
        ProofsRepo(noted),
        ConversationRepo(noted),
        CallsRepo(noted),
        RecordingsRepo(noted),
        recordings(noted),
        MediaRepo(noted),
        ChoicesRepo(noted),
        SubscriptionsRepo(noted),
        PushesRepo(noted),
        DatabaseBlobs(noted, SystemClock()),
        ThreadRepo(noted),
        MentionRepo(noted),
        ReportsRepo(noted),
        DisputesRepo(noted),
        AdjustmentsRepo(noted),
        RunsRepo(noted),
        WardsRepo(noted),
        PledgesRepo(noted),
        EvidenceRepo(noted),
        LiveProofsRepo(noted),
        DeskRepo(noted),
        MeetingsRepo(noted),
        RequestsRepo(noted),
        AccountsRepo(noted, [bytes(32)]),
        LedgerRepo(noted),
        OrdersRepo(noted, [bytes(32)]),
        AuditTrail(noted, SystemClock(), bytes(32)),
        Figures(noted, SystemClock(), node=""),
    ):
        await repo.ensure_indexes()
    noted.close()
    return noted.wanted


async def content(store: Store, keys: Keys | None) -> list[Finding]:
    meta = store.collection("meta")
    if await meta.find_one({"_id": RESTORING}):
        return [problem("content", "A restore was not finished.", "Restore the backup again with --replace.")]
    if await meta.find_one({"_id": "epoch"}) is None:
        return [ok("content", f"The database {store.name!r} is empty; the first start fills it.")]
    found: list[Finding] = []
    stored = await meta.find_one({"_id": "secrets"})
    if stored is not None and keys is not None:
        differing = compare_fingerprints(stored["prints"], keys.known())
        if differing:
            text = f"The secrets do not fit the database: {', '.join(differing)} differ."
            found.append(problem("secrets_fit", text, "Put back the secrets that belong to it."))
        else:
            found.append(ok("secrets_fit", "The secrets fit the database."))
    missing = []
    for name, wanted in (await wanted_indexes("mongodb://127.0.0.1", store.name)).items():
        missing += [f"{name}({', '.join(fields)})" for fields, _ in wanted - await index_keys(store, name)]
    if missing:
        text = f"Indexes are missing: {', '.join(sorted(missing))}."
        found.append(problem("indexes", text, "Restart a node: it makes them, or says why it cannot."))
    else:
        found.append(ok("indexes", "All indexes are there."))
    return found


async def nodes(store: Store, keys: Keys | None) -> Finding:
    """What the running nodes say of themselves in their leases."""
    living = await roll_call.living(store)
    if not living:
        return ok("nodes", "No node is running.")
    versions = {node.get("version", "an unknown version") for node in living}
    if versions != {__version__}:
        text = f"The nodes run {', '.join(sorted(versions))}; installed here is {__version__}."
        return warning("nodes", text, "Finish the upgrade: restart the nodes one after the other.")
    if keys is not None:
        current = {name: prints[0] for name, prints in keys.known().items()}
        behind = [node["_id"] for node in living if compare_fingerprints(current, node.get("secrets", {}))]
        if behind:
            text = f"{len(behind)} of {len(living)} nodes run with former secrets."
            return warning("nodes", text, "Restart them with the secrets of today.")
    return ok("nodes", f"{len(living)} node(s) run, all with version {__version__}.")


async def redis(url: str) -> list[Finding]:
    try:
        client = RedisUrl(url).client(_PATIENCE)
    except StartupError as error:
        return [problem("redis", error.message, "Correct VOUCH_REDIS_URL.")]
    key, taken = f"vouch:doctor:{secrets.token_hex(8)}", []
    try:
        for _ in range(_TRIES):
            began = time.perf_counter()
            await client.set(key, "1", ex=10)
            taken.append(time.perf_counter() - began)
        await client.delete(key)
    except FAULTS as fault:
        text = f"Redis does not work: {fault}."
        return [problem("redis", text, "Is it running, and is VOUCH_REDIS_URL right? Limits count per node meanwhile.")]
    finally:
        await client.aclose()
    median = sorted(taken)[_TRIES // 2]
    found = [latency("redis", "Redis answers after", median, SLOW_REDIS, BAD_REDIS, "Is it near, and not busy?")]
    return [*found, await bus(url)]


async def bus(url: str) -> Finding:
    """From one bus to another one, as entries go from node to node."""
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    def receive(ch: str, node: str, payload: bytes) -> None:
        heard.put_nowait(payload)

    ch, one, other = f"doctor:{secrets.token_hex(8)}", RedisBus(url, "doctor_1"), RedisBus(url, "doctor_2")
    try:
        await one.start(receive, lambda: None)
        await other.start(lambda ch, node, payload: None, lambda: None)
        await one.join(ch)
        taken = []
        for _ in range(_TRIES):
            began = time.perf_counter()
            other.publish(ch, b"ping")
            async with asyncio.timeout(_PATIENCE):
                await heard.get()
            taken.append(time.perf_counter() - began)
    except (*FAULTS, StartupError) as fault:
        text = f"Nothing comes through Redis' pub/sub ({type(fault).__name__})."
        return problem("redis_bus", text, "May this user subscribe and publish (ACL: +@pubsub, channels allowed)?")
    finally:
        await one.stop()
        await other.stop()
    median = sorted(taken)[_TRIES // 2]
    return latency("redis_bus", "From node to node the bus takes", median, SLOW_REDIS * 2, BAD_REDIS, "Is it near?")
