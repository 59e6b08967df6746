"""Addresses that change, are shared or are claimed, connections that never come up, and what is left of them."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest
from cryptography import x509
from OpenSSL import SSL

from server.calls.wire import Direction
from server.calls.worker import peer as peers
from server.calls.worker.dtls import DtlsError, Fingerprints, Handshake, Identity
from server.calls.worker.ice import Ice
from server.calls.worker.peer import Busy, Peer
from tests.calls.worker import offers
from tests.calls.worker.party import CONTROLLED, Party, packet_of
from tests.calls.worker.stock import endpoint, watched
from tests.calls.worker.test_hostile import party, wire
from tests.calls.worker.test_ice import HERE, THERE, agent, asked, check, reply


def proved_at(mine: Ice, address: bytes, now: float, *, nominate: bool = False) -> None:
    _, out = mine.receive(check(mine, nominate=nominate), address, now)
    for request in asked(out):
        mine.receive(reply(request), address, now)


def test_media_go_on_to_the_old_address_until_the_new_one_has_answered() -> None:
    mine = agent()
    proved_at(mine, HERE, 0.0)
    _, out = mine.receive(check(mine, nominate=True), THERE, 1.0)
    assert (mine.selected, mine.may_send(1.0)) == (HERE, True)
    mine.receive(reply(asked(out)[0]), THERE, 1.1)
    assert (mine.selected, mine.may_send(1.1)) == (THERE, True)
    mine.receive(check(mine, nominate=True), HERE, 1.2)  # it has answered before: at once
    assert mine.selected == HERE


def test_who_changes_its_mind_about_an_address_stays_where_it_is() -> None:
    mine = agent()
    proved_at(mine, HERE, 0.0)
    _, out = mine.receive(check(mine, nominate=True), THERE, 1.0)
    mine.receive(check(mine, nominate=True), HERE, 1.1)
    mine.receive(reply(asked(out)[0]), THERE, 1.2)
    assert mine.selected == HERE


def test_an_address_that_fell_silent_is_left_for_one_that_is_heard() -> None:
    """A router gives the browser another port: its checks come from there and not every browser nominates again."""
    mine = agent()
    proved_at(mine, HERE, 0.0, nominate=True)
    proved_at(mine, THERE, 1.0)
    assert mine.selected == HERE
    for now in range(2, 30):
        proved_at(mine, THERE, float(now))
        assert mine.may_send(float(now))
    assert mine.selected == THERE


def test_an_address_that_is_heard_is_not_left() -> None:
    mine = agent()
    proved_at(mine, HERE, 0.0, nominate=True)
    for now in range(1, 60):
        proved_at(mine, THERE, float(now))
        if now % 5 == 0:
            proved_at(mine, HERE, float(now))
        assert mine.selected == HERE


async def test_a_publisher_whose_router_gives_it_another_port_is_heard() -> None:
    async with endpoint() as server, party(server) as ada, wire(server) as elsewhere:
        await ada.connect()
        said = watched(ada.peer)
        elsewhere.send(ada.sealed(1))  # too early: nobody knows yet whose address this is
        elsewhere.send(ada.check())
        elsewhere.send(ada.sealed(2))
        assert await said.rtp.get() == packet_of(2, 2001)
        assert said.rtp.empty()


async def test_an_answer_reaches_whom_it_concerns_when_an_address_is_shared() -> None:
    """A port that was somebody's is given to somebody else, while the first one's silence is not long enough yet."""
    async with endpoint() as server, party(server) as gone:
        await gone.connect()
        ada = Party(server, Direction.WATCH)
        ada.close()
        ada.wire = gone.wire
        while not ada.wire.stun.empty():
            ada.wire.stun.get_nowait()
        await ada.prove()
        ada.wire.send(ada.check())
        await ada.wire.stun.get()  # our answer to it comes after everything before has been read
        assert ada.peer.ice.proved(ada.wire.address) > 0
        await ada.shake()
        assert ada.peer.up
        assert gone.peer.up


async def test_conflicts_about_roles_leave_nothing_behind() -> None:
    async with endpoint() as server, party(server) as ada:
        for port in range(1, 200):
            address = b"\x02\0" + port.to_bytes(2, "big") + b"\x7f\0\0\x01" + bytes(8)
            ada.peer.take_stun(ada.check((CONTROLLED, b"12345678")), address, server.now())
        assert len(server._owners) == 0
        await ada.connect()
        ada.peer.close()
        assert not server._owners


async def test_a_fault_of_ours_costs_one_datagram(monkeypatch: pytest.MonkeyPatch) -> None:
    faults: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: faults.append(context))
    async with endpoint() as server, party(server) as ada:
        await ada.connect()
        said = watched(ada.peer)

        def fail(*_: object) -> None:
            raise RuntimeError("a fault of ours")

        monkeypatch.setattr(ada.peer, "take_stun", fail)
        monkeypatch.setattr(ada.peer, "take_dtls", fail)
        ada.wire.send(ada.check())
        ada.wire.send(b"\x16" + bytes(60))
        ada.wire.send(ada.sealed(1))
        assert await said.rtp.get() == packet_of(1, 2001)
        assert server.counters.dropped["failed"] == 2
        monkeypatch.setattr(ada.peer, "tick", fail)
        monkeypatch.setattr(peers, "_TICK", 3_600)
        async with party(server) as bob:
            late = watched(bob.peer)
            monkeypatch.setattr(server, "now", lambda: asyncio.get_running_loop().time() + 60)
            server._tick()
            assert late.reasons == ["timeout"]
    assert faults == []


async def test_connections_are_bounded_and_so_are_those_that_do_not_come_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "MAX_OPENING", 3)
    monkeypatch.setattr(peers, "MAX_PEERS", 5)
    async with endpoint() as server:
        made: list[Party] = []

        async def one_more() -> None:
            made.append(Party(server))
            await made[-1].connect()

        await one_more()
        waiting = [server.accept(offers.publishing(), Direction.PUBLISH) for _ in range(3)]
        with pytest.raises(Busy) as full:
            server.accept(offers.publishing(), Direction.PUBLISH)
        assert full.value.code == "full"
        for _ in range(3):  # who has come up leaves room for others, until there are too many in all
            waiting.pop().close()
            await one_more()
        server.accept(offers.publishing(), Direction.PUBLISH)
        with pytest.raises(Busy):
            server.accept(offers.publishing(), Direction.PUBLISH)
        for ended in made:
            ended.peer.close()
            ended.close()
        server.accept(offers.publishing(), Direction.PUBLISH)


async def test_nothing_is_left_of_a_connection_that_ended() -> None:
    """Without the collector, whose turn comes when hundreds have come and gone."""
    async with endpoint() as server, party(server) as ada:
        await ada.connect()
        gc.collect()
        gc.disable()
        try:
            peer = ada.peer
            peer.on_rtp, peer.on_rtcp, peer.on_up, peer.on_down = (Listener(peer),) * 4
            left = weakref.ref(peer), weakref.ref(peer._handshake._ssl)
            peer.close()
            del ada.peer, peer
            await asyncio.sleep(0)
            assert [one() for one in left] == [None, None]
        finally:
            gc.enable()


class Listener:
    """Who listens to a connection also talks to it."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer

    def __call__(self, *_: object) -> None:
        pass


# -- DTLS


def ends() -> tuple[Handshake, SSL.Connection]:
    ours, theirs = Identity(), Identity()
    name, _, digits = theirs.fingerprint.partition(" ")
    server = ours.accept(Fingerprints(((name, digits),)))
    client = SSL.Connection(theirs._context)
    client.set_connect_state()
    return server, client


def written(client: SSL.Connection) -> bytes:
    try:
        return client.bio_read(65_536)
    except SSL.WantReadError:
        return b""


def handed(server: Handshake, client: SSL.Connection) -> None:
    """Shakes hands."""
    while True:
        try:
            client.do_handshake()
        except SSL.WantReadError:
            for datagram in server.receive(written(client)):
                client.bio_write(datagram)
        else:
            return


def test_every_record_of_a_datagram_is_read() -> None:
    """Data over DTLS are nothing that we want, but must neither pile up nor hide the goodbye behind them."""
    server, client = ends()
    handed(server, client)
    datagram = b""
    for _ in range(20):
        client.send(b"unwanted")
        datagram += written(client)
    client.shutdown()
    server.receive(datagram + written(client))
    assert server.closed


def test_a_certificate_of_an_odd_version_ends_the_handshake(monkeypatch: pytest.MonkeyPatch) -> None:
    server, client = ends()

    def odd(**_: object) -> None:
        raise x509.InvalidVersion("5 is not a valid X509 version", 5)

    monkeypatch.setattr(server._ssl, "get_peer_certificate", odd)
    with pytest.raises(DtlsError, match="certificate"):
        handed(server, client)
