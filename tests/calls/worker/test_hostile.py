"""What strangers, and people who are let in, may send at a worker's port: it goes on, and gives nothing away."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL

from server.calls.wire import Direction
from server.calls.worker import ice
from server.calls.worker.dtls import DtlsError, Fingerprints, Identity
from server.calls.worker.peer import BadOffer, Endpoint
from server.calls.worker.srtp import MAX_PACKET, MAX_SSRCS, PROFILES, Drop, Inbound, Outbound
from server.calls.worker.udp import MAX_QUEUE, Udp
from tests.calls.worker.party import USE_CANDIDATE, Party, Wire, packet_of
from tests.calls.worker.stock import endpoint, watched


@asynccontextmanager
async def party(server: Endpoint, direction: Direction = Direction.PUBLISH) -> AsyncIterator[Party]:
    made = Party(server, direction)
    try:
        yield made
    finally:
        made.close()


@asynccontextmanager
async def wire(server: Endpoint) -> AsyncIterator[Wire]:
    made = Wire(server)
    try:
        yield made
    finally:
        made.close()


async def test_rubbish_disturbs_nobody() -> None:
    async with endpoint() as server, party(server) as ada, wire(server) as stranger:
        await ada.connect()
        said = watched(ada.peer)
        for first in range(256):
            for size in (0, 1, 11, 30, 1_400):
                junk = bytes([first]) + secrets.token_bytes(size)
                stranger.send(junk)
                if not 20 <= first <= 63:
                    ada.wire.send(junk)
        stranger.send(b"")
        ada.wire.send(ada.sealed(1))
        assert await said.rtp.get() == packet_of(1, 2001)
        assert said.rtp.empty()
        assert said.rtcp.empty()
        assert said.reasons == []
        assert stranger.bytes_in == 0
        assert sum(server.counters.dropped.values()) > 1_280


async def test_rubbish_in_records_of_dtls() -> None:
    async with endpoint() as server, party(server) as ada:
        await ada.connect()
        said = watched(ada.peer)
        for kind in range(20, 64):
            for size in (0, 1, 40, 1_200):
                body = secrets.token_bytes(size)
                ada.wire.send(bytes([kind]) + b"\xfe\xfd\0\x01\0\0\0\0\0\x01" + size.to_bytes(2, "big") + body)
                ada.wire.send(bytes([kind]) + body)
        ada.wire.send(ada.sealed(1))
        assert await said.rtp.get() == packet_of(1, 2001)
        assert said.reasons == []


async def test_replayed_and_forged_media_are_dropped() -> None:
    async with endpoint() as server, party(server) as ada, wire(server) as thief:
        await ada.connect()
        said = watched(ada.peer)
        packet = ada.sealed(1)
        ada.wire.send(packet)
        assert await said.rtp.get() == packet_of(1, 2001)
        for _ in range(5):
            ada.wire.send(packet)
            thief.send(packet)
        damaged = ada.sealed(2)
        for at in (1, 12, len(damaged) - 1):
            ada.wire.send(damaged[:at] + bytes([damaged[at] ^ 1]) + damaged[at + 1 :])
        ada.wire.send(packet_of(3, 2001))
        ada.wire.send(ada.sealed(4))
        assert await said.rtp.get() == packet_of(4, 2001)
        dropped = server.counters.dropped
        assert dropped["replayed"] == 5
        assert dropped["stranger"] == 5
        assert dropped["forged"] + dropped["malformed"] == 4
        assert server.counters.packets_in == 2


async def test_ssrcs_are_bounded() -> None:
    async with endpoint() as server, party(server) as ada:
        await ada.connect()
        said = watched(ada.peer)
        for ssrc in range(1, MAX_SSRCS + 50):
            ada.wire.send(ada.sealed(1, ssrc))
            if ssrc <= MAX_SSRCS:
                await said.rtp.get()
        ada.wire.send(ada.sealed(2, 1))
        assert await said.rtp.get() == packet_of(2, 1)
        assert server.counters.dropped["ssrcs"] == 49


async def test_strangers_get_no_byte() -> None:
    async with endpoint() as server, party(server) as ada, wire(server) as stranger, wire(server) as other:
        for _ in range(50):
            stranger.send(ada.check((USE_CANDIDATE, b""), password=b"guessed"))
            stranger.send(ada.check((USE_CANDIDATE, b""), username=b"nobody:abcd"))
            stranger.send(ada.check((USE_CANDIDATE, b""), username=ada.peer.ice.ufrag.encode() + b":other"))
            stranger.send(b"\x16\xfe\xfd" + bytes(60))
            stranger.send(b"\x80\x60" + bytes(60))
        await ada.prove(other)  # all of the stranger's have been read before this
        assert ada.peer.ice.selected == other.address
        assert (stranger.bytes_in, server.counters.dropped["stun_forged"]) == (0, 100)


async def test_media_cannot_be_pointed_at_somebody_else() -> None:
    """A person who is let in names an address that does not ask for anything: it gets little, and no media."""
    async with endpoint() as server, party(server, Direction.WATCH) as ada, wire(server) as victim:
        await ada.connect()
        # As if from the victim's address: the packet is the party's, the address is not.
        for _ in range(200):
            ada.peer.take_stun(ada.check((USE_CANDIDATE, b"")), victim.address, server.now())
        ssrc = ada.peer.media[0].ssrc
        for seq in range(100):
            ada.peer.send_rtp(packet_of(seq, ssrc, bytes(100)))
        assert ada.inbound is not None
        for seq in range(100):
            assert ada.inbound.rtp(await ada.wire.media.get()) == packet_of(seq, ssrc, bytes(100))
        # Not even when nothing is heard from its own address any more.
        later = server.now() + 16
        ada.peer.take_stun(ada.check((USE_CANDIDATE, b"")), victim.address, later)
        assert ada.peer.ice.selected == victim.address
        for seq in range(100, 200):
            ada.peer.send_rtp(packet_of(seq, ssrc, bytes(1_000)))
        assert server.counters.packets_out == 100
        assert server.counters.dropped["not_up"] == 100
        ada.wire.send(ada.check((USE_CANDIDATE, b"")))
        await ada.wire.stun.get()
        assert victim.media.empty()
        assert victim.dtls.empty()


async def test_a_handshake_does_not_begin_with_an_address_that_is_only_claimed() -> None:
    async with endpoint() as server, party(server) as ada:
        ada.wire.send(ada.check())
        question = [await ada.wire.stun.get() for _ in range(2)][1]
        shaking = asyncio.ensure_future(ada.shake())
        for _ in range(20):  # our answers to these come after whatever the hello has caused
            ada.wire.send(ada.check())
            await ada.wire.stun.get()
        assert ada.wire.dtls.empty()
        assert not shaking.done()
        assert ada.wire.bytes_in < ada.wire.bytes_out
        ada.wire.send(ada.reply(question))
        await shaking


async def test_a_lost_flight_is_sent_again() -> None:
    async with endpoint() as server, party(server) as ada:
        await ada.prove()
        with pytest.raises(SSL.WantReadError):
            ada.ssl.do_handshake()
        ada._flush()
        lost = await ada.wire.dtls.get()
        assert ada.wire.dtls.empty()
        await ada.shake()  # gets what the server's own clock sends again
        assert lost[:3] == b"\x16\xfe\xfd"
        ada.wire.send(ada.sealed(1))
        assert await watched(ada.peer).rtp.get() == packet_of(1, 2001)


@pytest.mark.parametrize("batches", [True, False], ids=["batches", "one by one"])
async def test_what_does_not_fit_or_cannot_go_is_lost(monkeypatch: pytest.MonkeyPatch, batches: bool) -> None:
    udp = Udp("127.0.0.1", 0, lambda data, address: None, batches=batches)
    here = ice.sockaddr("127.0.0.1", udp.port, v6=False)
    nowhere = ice.sockaddr("240.0.0.1", 9, v6=False)  # nobody is reached there from the loopback
    udp.send(b"x", nowhere)
    udp.send(b"y", here)
    udp._flush()
    assert udp.lost == 1
    for number in range(300):  # a full batch in which every third cannot go
        udp.send(b"x", here if number % 3 else nowhere)
    udp._flush()
    assert udp.lost == 101
    udp.send(bytes(4_096), here)
    assert udp.lost == 102
    for name in ("_write_many", "_write"):
        monkeypatch.setattr(udp, name, lambda: False)  # the socket is full
    for _ in range(MAX_QUEUE + 7):
        udp.send(b"z", here)
    assert udp.lost == 109
    udp.close()
    udp.close()
    udp.send(b"after the end", here)
    assert udp.lost == 110


@pytest.mark.parametrize("batches", [True, False], ids=["batches", "one by one"])
async def test_a_full_socket_is_waited_for(monkeypatch: pytest.MonkeyPatch, batches: bool) -> None:
    got: list[bytes] = []
    udp = Udp("127.0.0.1", 0, lambda data, address: got.append(data), batches=batches)
    here = ice.sockaddr("127.0.0.1", udp.port, v6=False)
    write = udp._write
    tries: list[bool] = []

    def full_at_first() -> bool:
        tries.append(True)
        return len(tries) > 1 and write()

    monkeypatch.setattr(udp, "_write", full_at_first)
    udp.send(b"patience", here)
    udp._flush()
    assert (got, udp._waiting) == ([], True)
    while not got:
        await asyncio.sleep(0)
    assert got == [b"patience"]
    assert not udp._waiting
    udp.close()


@pytest.mark.parametrize("batches", [True, False], ids=["batches", "one by one"])
async def test_answers_go_out_in_the_turn_in_which_they_are_caused(batches: bool) -> None:
    """Another turn of the loop for them would be another look at all sockets, for every packet that is passed on."""
    async with bounced(batches) as (udp, got, here):
        for number in range(5):
            udp.send(b"ask %d" % number, here)
        udp._flush()
        udp._readable()
        assert not udp._queue
        assert got == [b"ask %d" % number for number in range(5)]
        udp._readable()
        assert got[5:] == [b"answer to ask %d" % number for number in range(5)]


@pytest.mark.parametrize("batches", [True, False], ids=["batches", "one by one"])
async def test_more_answers_than_may_wait_are_not_lost(batches: bool) -> None:
    """One packet that is read may be passed on to many: the queue does not have to hold what 64 of them cause."""
    async with bounced(batches) as (udp, _, here):
        for _ in range(2 * MAX_QUEUE):
            udp.send(b"passed on", here)
        assert udp.lost == 0


@asynccontextmanager
async def bounced(batches: bool) -> AsyncIterator[tuple[Udp, list[bytes], bytes]]:
    """A socket that answers to what it sends to itself."""
    got: list[bytes] = []

    def answer(data: bytes, address: bytes) -> None:
        got.append(data)
        if data.startswith(b"ask"):
            udp.send(b"answer to " + data, address)

    udp = Udp("127.0.0.1", 0, answer, batches=batches)
    try:
        yield udp, got, ice.sockaddr("127.0.0.1", udp.port, v6=False)
    finally:
        udp.close()


async def test_claiming_the_address_of_another_gains_nothing() -> None:
    async with endpoint() as server, party(server) as ada:
        await ada.connect()
        said = watched(ada.peer)
        thieves = [Party(server) for _ in range(8)]
        for thief in thieves:
            thief.close()
            thief.peer.take_stun(thief.check((USE_CANDIDATE, b"")), ada.wire.address, server.now())
        ada.wire.send(ada.sealed(1))
        assert await said.rtp.get() == packet_of(1, 2001)
        for thief in thieves:
            thief.peer.close()
        ada.wire.send(ada.sealed(2))
        assert await said.rtp.get() == packet_of(2, 2001)


async def test_a_browser_that_moves_goes_on() -> None:
    """Wi-Fi is left for the mobile network: checks come from a new address, and media go there."""
    async with endpoint() as server, party(server, Direction.WATCH) as ada, wire(server) as elsewhere:
        await ada.connect()
        media = ada.peer.media[0]
        await ada.prove(elsewhere)
        while ada.peer.ice.proved(elsewhere.address) < 0:
            await asyncio.sleep(0)
        ada.peer.send_rtp(packet_of(1, media.ssrc))
        assert ada.inbound is not None
        assert ada.inbound.rtp(await elsewhere.media.get()) == packet_of(1, media.ssrc)


async def test_no_index_goes_out_twice() -> None:
    async with endpoint() as server, party(server, Direction.WATCH) as ada:
        await ada.connect()
        ssrc = ada.peer.media[0].ssrc
        for seq in (1, 2, 2, 1, 3):
            ada.peer.send_rtp(packet_of(seq, ssrc, secrets.token_bytes(20)))
        for bad in (b"", b"\x80", bytes(12), b"\x80" + bytes(MAX_PACKET), b"\xff" * 12):
            ada.peer.send_rtp(bad)
        assert server.counters.packets_out == 3
        assert server.counters.dropped["out_replayed"] == 2
        assert ada.inbound is not None
        for seq in (1, 2, 3):
            opened = ada.inbound.rtp(await ada.wire.media.get())
            assert isinstance(opened, bytes)
            assert opened[:12] == packet_of(seq, ssrc)[:12]


async def test_a_reader_that_fails_does_not_stop_the_port() -> None:
    async with endpoint() as server, party(server) as ada:
        await ada.connect()

        def fail(packet: bytes, at: float) -> None:
            raise RuntimeError("a fault of the reader")

        ada.peer.on_rtp = fail
        ada.wire.send(ada.sealed(1))
        while not server.counters.dropped["unread"]:
            await asyncio.sleep(0)
        said = watched(ada.peer)
        ada.wire.send(ada.sealed(2))
        assert await said.rtp.get() == packet_of(2, 2001)


async def test_who_never_comes_is_forgotten() -> None:
    async with endpoint() as server, party(server) as ada, party(server) as bob:
        silent, stuck = watched(ada.peer), watched(bob.peer)
        await bob.prove()
        now = server.now()
        ada.peer.tick(now + 16)
        assert silent.reasons == ["timeout"]
        for later in range(31):
            bob.peer.take_stun(bob.check(), bob.wire.address, now + later)
            bob.peer.tick(now + later + 0.5)
        assert stuck.reasons == ["failed"]
        assert server.peers == ()
        assert not server._owners


@pytest.mark.parametrize("offer", ["v=0\r\n" * 250_000, "", "\0", "v=0"])
async def test_bad_offers_leave_nothing_behind(offer: str) -> None:
    async with endpoint() as server:
        with pytest.raises(BadOffer):
            server.accept(offer, Direction.PUBLISH)
        assert server.peers == ()


async def test_an_endpoint_needs_addresses_of_its_own() -> None:
    for addresses in ([], ["example.org"], ["192.0.2.1\r\na=x"]):
        with pytest.raises(ValueError, match="address"):
            await Endpoint.open("127.0.0.1", 0, addresses)
    async with endpoint() as server:
        with pytest.raises(OSError, match="in use"):
            await Endpoint.open("127.0.0.1", server.port, ["127.0.0.1"])


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_every_profile_closes_and_opens(profile: object) -> None:
    chosen = next(one for one in PROFILES if one is profile)
    key = secrets.token_bytes(chosen.key + chosen.salt)
    out, back = Outbound(chosen, key), Inbound(chosen, key)
    sealed = out.rtp(packet_of(1, 5))
    assert isinstance(sealed, bytes)
    assert back.rtp(sealed) == packet_of(1, 5)
    assert back.rtp(sealed) is Drop.REPLAYED
    report = b"\x80\xc9\0\x01\0\0\0\x05"
    closed = out.rtcp(report)
    assert isinstance(closed, bytes)
    assert back.rtcp(closed) == report
    assert back.rtcp(closed) is Drop.REPLAYED


@given(st.binary(max_size=1_600))
@settings(max_examples=300)
def test_any_bytes_are_no_media(data: bytes) -> None:
    profile = PROFILES[0]
    key = secrets.token_bytes(profile.key + profile.salt)
    inbound, outbound = Inbound(profile, key), Outbound(profile, key)
    for packet in (data, b"\x80" + data, b"\xbf" + data, b"\x90\x60" + data, b"\x81\xc8" + data):
        assert isinstance(inbound.rtp(packet), Drop)
        assert isinstance(inbound.rtcp(packet), Drop)
        outbound.rtp(packet)
        outbound.rtcp(packet)


def test_any_bytes_are_no_handshake() -> None:
    identity = Identity()

    @given(st.lists(st.binary(max_size=200), max_size=8))
    @settings(max_examples=100)
    def run(datagrams: list[bytes]) -> None:
        handshake = identity.accept(Fingerprints((("sha-256", "00"),)))
        for body in datagrams:
            size = len(body).to_bytes(2, "big")
            try:
                handshake.receive(body)
                handshake.receive(b"\x16\xfe\xfd\0\0\0\0\0\0\0\0" + size + body)
            except DtlsError:
                break
        assert handshake.keys is None

    run()


def test_a_handshake_without_end_is_ended() -> None:
    handshake = Identity().accept(Fingerprints((("sha-256", "00"),)))

    def flood() -> None:
        for _ in range(100):
            handshake.receive(b"\x16\xfe\xfd\0\0\0\0\0\0\0\0\x04\0" + bytes(1_024))

    with pytest.raises(DtlsError):
        flood()
