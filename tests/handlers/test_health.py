"""Whether the server lives and serves, and who may see how it does."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from handlers.application import check_proxies
from server.errors import StartupError
from server.settings import Settings
from server.store import Store, Unavailable
from tests.conftest import RunningServer
from tests.handlers.conftest import PASSWORD, Client


async def test_alive_and_ready(server: RunningServer) -> None:
    client = Client(server.url)
    answer = await client.get("//healthz")
    assert (answer.status, answer.data) == (200, b"ok")
    answer = await client.get("//readyz")
    assert (answer.status, answer.json) == (200, {"database": "ok", "redis": "ok"})


async def test_not_ready_without_the_database(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(store: Store) -> None:
        raise Unavailable("mongodb://vouch:secret@127.0.0.1")

    monkeypatch.setattr(Store, "ping", fail)
    answer = await Client(server.url).get("//readyz")
    assert (answer.status, answer.json) == (503, {"database": "away", "redis": "ok"})
    assert (await Client(server.url).get("//healthz")).status == 200


async def test_measurements_name_operations_and_no_people(server: RunningServer) -> None:
    client = Client(server.url)
    me = await client.register("lin")
    answer = await client.get("//metrics")
    assert answer.status == 200
    assert b'vouch_http_request_seconds_count{operation="register",status="2xx"}' in answer.data
    assert b"lin" not in answer.data.replace(b"linux", b"").replace(b"line", b"").replace(b"ling", b"")
    assert me["id"].encode() not in answer.data


async def test_a_proxy_that_we_were_not_told_of_shows_no_measurements(server: RunningServer) -> None:
    for header in ("X-Forwarded-For", "Forwarded"):
        answer = await Client(server.url).call("GET", "//metrics", headers={header: "127.0.0.1"})
        assert answer.status == 403


async def test_load_balancers_may_ask_for_the_head_only(server: RunningServer) -> None:
    for path in ("//healthz", "//readyz"):
        answer = await Client(server.url).call("HEAD", path)
        assert (answer.status, answer.data) == (200, b"")


def test_what_is_no_proxy_is_told_at_the_start() -> None:
    check_proxies(("10.0.0.1", "fd00::/8"))
    with pytest.raises(StartupError, match="VOUCH_TRUSTED_PROXIES"):
        check_proxies(("proxy.example",))


class TestThroughAProxy:
    """Seen from elsewhere: the tests' own address counts as a proxy."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return msgspec.structs.replace(settings, trusted_proxies=("127.0.0.1",))

    async def test_measurements_are_for_admins(self, server: RunningServer) -> None:
        async def ask(client: Client, **more: str) -> int:
            headers = {"X-Forwarded-For": "203.0.113.9", **more}
            return (await client.call("GET", "//metrics", headers=headers)).status

        person, admin = Client(server.url), Client(server.url)
        assert await ask(person) == 403
        await person.register("lin")
        assert await ask(person) == 403
        assert await ask(person, Authorization="Bearer nonsense") == 403
        await server.services.people.create_admin("root.user", PASSWORD)
        await admin.begin()
        await admin.post("/sessions", {"login": "root.user", "password": PASSWORD})
        assert await ask(admin) == 200
        token = (await admin.post("/tokens", {"name": "Prometheus"})).json["token"]
        assert await ask(Client(server.url, token)) == 200
        assert await ask(person, **{"X-Forwarded-For": "127.0.0.1"}) == 200  # the proxy's own machine

    async def test_the_address_of_a_sign_in_is_the_clients(self, server: RunningServer) -> None:
        client = await Client(server.url).begin()
        await client.call(
            "POST",
            "/registrations",
            {"handle": "lin", "password": PASSWORD, "name": "Lin"},
            headers={"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"},
        )
        sessions: list[dict[str, Any]] = (await client.get("/sessions")).json["sessions"]
        assert sessions[0]["ip"] == "203.0.113.9"
