"""What the doctor says of database, Redis and nodes: each thing is really made wrong first."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis

from server import doctor
from server.archive import RESTORING
from server.doctor import Finding, Verdict, backends
from server.embedded import Embedded
from server.keys import Keys, load_keys
from server.realtime import nodes
from server.services import Services
from server.settings import Settings
from server.store import Store
from server.store.probe import index_keys
from tests.operations.test_doctor import only, verdict
from tests.platform.standalone_mongo import standalone_mongo


class TestDatabase:
    @pytest.fixture(autouse=True)
    def leases_that_change_sooner(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(nodes, "RENEW_EVERY", 0.2)

    async def found(self, services: Services) -> list[Finding]:
        return await backends.database(services.settings.mongodb_uri, services.settings.database, services.keys)

    async def test_a_good_one(self, services: Services) -> None:
        found = await self.found(services)
        assert {finding.name for finding in found} == {
            "database", "database_write", "clock", "secrets_fit", "indexes", "nodes", "media_jobs", "payment_orders",
            "ledger",
        }  # fmt: skip
        assert [finding for finding in found if verdict(finding) is Verdict.PROBLEM] == []
        assert "doctor" not in await services.store._database.list_collection_names()

    async def test_an_empty_one(self, settings: Settings, keys: Keys) -> None:
        found = await backends.database(settings.mongodb_uri, settings.database, keys)
        assert "is empty" in only(found, "content").says

    async def test_one_that_does_not_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(backends, "_PATIENCE", 0.2)
        found = only(await backends.database("mongodb://127.0.0.1:1/", "vouch", None), "database")
        assert verdict(found) is Verdict.PROBLEM
        assert "does not answer" in found.says
        store = Store("mongodb://127.0.0.1:1/", "vouch", timeout=0.2)
        assert verdict(await backends.write(store)) is Verdict.PROBLEM
        store.close()

    async def test_one_that_refuses_the_password_or_the_address(self, settings: Settings) -> None:
        wrong = settings.mongodb_uri.replace("mongodb://vouch:", "mongodb://vouch:x")
        assert "refused the sign-in" in only(await backends.database(wrong, "vouch", None), "database").says
        assert "not usable" in only(await backends.database("http://nowhere", "vouch", None), "database").says

    async def test_one_that_is_no_replica_set(self) -> None:
        with standalone_mongo() as uri:
            assert "no replica set" in only(await backends.database(uri, "vouch", None), "database").says

    async def test_a_missing_index(self, services: Services) -> None:
        await services.store.collection("people").drop_index("handle_1")
        found = only(await self.found(services), "indexes")
        assert verdict(found) is Verdict.PROBLEM
        assert found.says == "Indexes are missing: people(handle)."

    async def test_payments_that_wait(self, services: Services) -> None:
        long_ago = services.clock.now() - timedelta(hours=2)
        rows = services.store.collection("payments")
        row: dict[str, Any] = {"open": True, "provider": "stripe", "changed_at": long_ago}
        states: list[dict[str, Any]] = [
            {"state": "waiting", "due": long_ago, "fault": "down"},
            {"state": "sent", "fault": "amount"},
        ]
        for number, more in enumerate(states):
            await rows.insert_one({"_id": f"y_{number}", "number": number, "key": str(number), **row, **more})
        waiting, resting = [found for found in await self.found(services) if found.name == "payment_orders"]
        assert (waiting.verdict, resting.verdict) == (Verdict.WARNING, Verdict.WARNING)
        assert waiting.says == "1 payment(s) wait for stripe, the first for 120 minutes (down)."
        assert "rest" in resting.says

    async def test_every_repo_that_makes_indexes_is_known(self, services: Services, settings: Settings) -> None:
        wanted = await backends.wanted_indexes(settings.mongodb_uri, settings.database)
        made = {
            name: {keys for keys in await index_keys(services.store, name) if keys[0] != ("_id",)}
            for name in await services.store._database.list_collection_names()
        }
        # Made by every node at its start as it takes its lease and begins to relay.
        by_themselves = {"nodes", "outbox"}
        assert {name: keys for name, keys in made.items() if keys and name not in by_themselves} == wanted

    async def test_other_secrets(self, services: Services, tmp_path: Path) -> None:
        others = load_keys(tmp_path / "others")
        found = await backends.database(services.settings.mongodb_uri, services.settings.database, others)
        assert verdict(only(found, "secrets_fit")) is Verdict.PROBLEM
        assert "former secrets" in only(found, "nodes").says

    async def test_a_half_restored_one(self, services: Services) -> None:
        await services.store.collection("meta").insert_one({"_id": RESTORING})
        assert "not finished" in only(await self.found(services), "content").says

    async def test_a_node_of_another_version(self, services: Services) -> None:
        lease = services.store.collection("nodes")
        await lease.update_one({"_id": services.node}, {"$set": {"version": "0.0.9"}})
        assert "0.0.9; installed here is" in only(await self.found(services), "nodes").says

    async def test_no_node(self, services: Services) -> None:
        await services._nodes.stop()
        assert only(await self.found(services), "nodes").says == "No node is running."

    def test_latency_and_clocks(self) -> None:
        slow = [backends.latency("x", "It took", s, 0.05, 1.0, "Look.") for s in (0.04, 0.05, 1.0)]
        assert [verdict(finding) for finding in slow] == [Verdict.OK, Verdict.WARNING, Verdict.PROBLEM]
        clocks = [backends.skew(seconds) for seconds in (0.2, 1.5, 3600.0)]
        assert [verdict(finding) for finding in clocks] == [Verdict.OK, Verdict.WARNING, Verdict.PROBLEM]

    async def test_a_clock_that_is_an_hour_off(self, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
        class Late(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> Any:
                return datetime.now(tz) - timedelta(hours=1)

        monkeypatch.setattr(backends, "datetime", Late)
        assert verdict(await backends.clock(services.store)) is Verdict.PROBLEM


class TestRedis:
    async def test_a_good_one(self, redis_url: str) -> None:
        found = await backends.redis(redis_url)
        assert [finding.name for finding in found] == ["redis", "redis_bus"]
        assert Verdict.PROBLEM not in map(verdict, found)

    async def test_one_that_does_not_answer(self, tmp_path: Path) -> None:
        found = only(await backends.redis(f"unix://{tmp_path}/nothing.sock"), "redis")
        assert verdict(found) is Verdict.PROBLEM
        assert "not usable" in only(await backends.redis("http://nowhere"), "redis").says

    async def test_a_user_who_may_not_publish(
        self, embedded: Embedded, redis_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(backends, "_PATIENCE", 1.0)
        with redis.Redis.from_url(redis_url) as client:
            client.execute_command("ACL", "SETUSER", "mute", "on", ">secret", "~*", "+@all", "-@pubsub")
            try:
                found = await backends.redis(redis_url.replace("unix://", "unix://mute:secret@"))
            finally:
                client.execute_command("ACL", "DELUSER", "mute")
        assert verdict(only(found, "redis")) is not Verdict.PROBLEM
        assert verdict(only(found, "redis_bus")) is Verdict.PROBLEM


async def test_servers_of_ones_own_are_asked_directly(settings: Settings) -> None:
    found = await doctor.examine(settings, 1)
    assert {"database", "redis", "redis_bus"} <= {finding.name for finding in found}
    assert "embedded" not in {finding.name for finding in found}
