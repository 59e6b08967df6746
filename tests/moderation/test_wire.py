"""A suspension on real sockets of two nodes, and a removed message as everybody in the chat hears it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from server.errors import Code
from server.principals import Grant, Role
from server.realtime.protocol import Close
from server.services import Services
from tests.conftest import Run, RunningServer
from tests.wire.client import PASSWORD, Crowd


@pytest.fixture
def crowds(nodes: tuple[Services, Services], run: Run[Any]) -> Iterator[tuple[Crowd, Crowd]]:
    from handlers.application import make_application

    servers, made = [], []
    for services in nodes:
        application = make_application(services)
        http = HTTPServer(application)
        listening, port = bind_unused_port()
        http.add_socket(listening)
        servers.append(http)
        made.append(Crowd(RunningServer(port, services, application)))
    yield made[0], made[1]
    for crowd, http in zip(made, servers, strict=True):
        run(crowd.leave())
        http.stop()
        run(http.close_all_connections())


async def test_a_decision_reaches_every_socket_on_both_nodes(crowds: tuple[Crowd, Crowd]) -> None:
    here, there = crowds
    ada, ben = await here.friends("ada", "ben")
    sam = await here.person("sam")
    await here.server.services.people.grant(sam.id, Grant(Role.STAFF), "system")
    room = await here.direct(ada, ben)
    ben.server = there.server  # the same cookie at the other node
    sockets = [await ada.socket(), await ben.socket(), await ben.socket()]
    for socket in sockets[:2]:
        await socket.subscribe(room)
    seq = await sockets[1].write(room, "you fool")

    report = await ada.post("/reports", {"reason": "insult", "conversation": room.removeprefix("conv:"), "seq": seq})
    version = (await sam.get(f"/staff/reports/{report['id']}"))["version"]
    decision = {"version": version, "measures": ["remove", "suspend"], "hours": 1}
    await sam.post(f"/staff/reports/{report['id']}/decision", decision)

    removed = await sockets[0].entry(room, "delete")
    assert (removed["by"], removed["ref"]) == ("system", seq)
    for socket in sockets[1:]:
        bye = await socket.until("bye")
        assert bye["close"] == Close.SIGNED_OUT
    answer = await ben.call("POST", "/sessions", {"login": "ben", "password": PASSWORD})
    assert (answer.status, answer.code) == (403, Code.SUSPENDED)
    await sockets[0].fence()
