"""The rights that docs/nodes.md gives the nodes in Redis are enough, and no more than it says."""

from __future__ import annotations

import re
from typing import Any

import pytest
import redis

from server.limits import LIMITS, Limit, Limits
from server.realtime.owners import Leases
from server.realtime.presence import PresenceBoard
from server.redis_url import RedisUrl
from server.settings import ROOT
from tests.conftest import eventually
from tests.nodes.test_bus import CH, nodes
from tests.nodes.valkey import Cluster, Valkey


def rights() -> list[str]:
    """The words of `ACL SETUSER vouch …` in the documentation."""
    found = re.search(r"^ACL SETUSER vouch (.+)$", (ROOT / "docs" / "nodes.md").read_text(), re.MULTILINE)
    assert found is not None
    return found[1].replace("PASSWORD", "secret").split()


@pytest.mark.parametrize("kind", ["plain", "cluster"])
async def test_a_node_needs_no_more(request: pytest.FixtureRequest, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    server: Valkey | Cluster = request.getfixturevalue(kind)
    servers = server.servers if isinstance(server, Cluster) else [server]
    for each in servers:
        with each.client as admin:
            admin.execute_command("ACL", "SETUSER", "vouch", "reset", *rights())
            admin.execute_command("ACL", "LOG", "RESET")
    url = server.url.replace("://", "://vouch:secret@")
    monkeypatch.setitem(LIMITS, "sign_in", Limit("3 per 1 minute", "login"))

    async with nodes(url, "n_a", "n_b") as (a, b):
        await b.bus.join(CH)
        a.bus.publish(CH, b"word")
        a.bus.send("n_b", b"word")
        a.bus.announce()
        await eventually(lambda: bool(b.heard and b.direct and b.greeted))
        await b.bus.leave(CH)
    limits = Limits(url)
    assert await limits.ping()
    for _ in range(3):
        await limits.hit("sign_in", "lin")
    with pytest.raises(Exception, match="too_often"):
        await limits.hit("sign_in", "lin")
    await limits.stop()
    client: Any = RedisUrl(url).client(2.0)
    board = PresenceBoard(client, "n_a", set, tell=lambda _: None, publish=lambda _: None)
    board.enter(CH, "p_1")
    await eventually(lambda: not board._changed)
    await board.load(CH)
    await board.stop()
    leases = Leases(client, "n_a")
    assert await leases.take(CH) == "n_a"
    assert await leases.renew(CH)
    await leases.give_up(CH)
    await client.aclose()
    refused = []
    for each in servers:
        with each.client as admin:
            refused += admin.execute_command("ACL", "LOG")
    assert not refused

    with redis.Redis(port=servers[0].port, username="vouch", password="secret") as node:
        for words in (("FLUSHALL",), ("CONFIG", "GET", "*"), ("SET", "other", "1"), ("KEYS", "*"), ("ACL", "LIST")):
            with pytest.raises(redis.exceptions.NoPermissionError):
                node.execute_command(*words)
