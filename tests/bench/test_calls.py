"""The bench of calls, small: its parts, and each subject once with a real Chromium."""

from __future__ import annotations

import asyncio
import socket

import pytest

from scripts.benchmarks import calls, calls_crowd
from scripts.benchmarks.film import FPS, begins_key, everywhere, scenes
from scripts.benchmarks.light import LightPublisher, packets
from scripts.benchmarks.lossy import LossyLine
from scripts.benchmarks.peers.running import missing
from scripts.benchmarks.readings import Plan
from scripts.benchmarks.venues import vouch
from tests.bench.test_benches import values

#: A peer that has no processor left starves what is measured.
pytestmark = pytest.mark.alone

SHORT = Plan(rounds=1, seconds=0.6, size=0.1)
OFFER = (
    "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n"
    "a=candidate:1 1 udp 1 127.0.0.1 {port} typ host\r\na=end-of-candidates\r\n"
)


@pytest.mark.browser
@pytest.mark.parametrize("subject", calls.SUBJECTS)
def test_calls(monkeypatch: pytest.MonkeyPatch, subject: str) -> None:
    if subject != "vouch" and missing(subject) is not None:
        pytest.fail(f"the peers belong to what tests need: {missing(subject)}")
    monkeypatch.setattr(calls, "VIEWERS", (1, 2))
    monkeypatch.setattr(calls, "_RATE", 50_000)  # a busy machine shows less
    monkeypatch.setattr(calls, "_PICTURES", 1)
    found = values(calls.measure(subject, SHORT), "calls", "cpu_pct_v2", "fps_v2")
    for count in (1, 2):
        assert found[f"cpu_pct_v{count}"] > 0
        assert found[f"fps_v{count}"] >= 0
    if subject != "mediarelay":
        assert 0 < found["ramp_s"] < calls._RAMP
        assert found["added_ms_p95"] > 0
        assert found["fps_at_5pct_loss"] >= 0
        assert found["frozen_pct_at_5pct_loss"] >= 0


def test_crowd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls_crowd, "PUBLISHERS", 3)
    monkeypatch.setattr(calls_crowd, "WATCHED", 2)
    found = values(calls_crowd.measure("vouch", SHORT), "calls_crowd")
    assert found["cpu_pct"] > 0
    assert 0 <= found["lost_pct"] < 100
    assert 0 < found["delay_p50_ms"] <= found["delay_p95_ms"]
    assert 50 < found["memory_pct"] < 200


async def test_a_stream_that_does_not_come_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls_crowd, "PUBLISHERS", 2)
    monkeypatch.setattr(calls_crowd, "WATCHED", 2)
    monkeypatch.setattr(calls_crowd, "_SETTLING", 0.5)
    monkeypatch.setattr(LightPublisher, "picture", lambda publisher: None)
    async with vouch() as venue:
        with pytest.raises(RuntimeError, match="only 4 of 8 streams came"):
            await calls_crowd._crowd(venue, 0.5)


async def test_a_lossy_line_loses_its_share_of_media_and_nothing_else() -> None:
    loop = asyncio.get_running_loop()
    line = await LossyLine("127.0.0.1", 0.5).open()
    server, viewer = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    for end in (server, viewer):
        end.bind(("127.0.0.1", 0))
        end.setblocking(False)
    try:
        told = line.towards_viewer(OFFER.format(port=server.getsockname()[1]))
        back = line.towards_server(OFFER.format(port=1))
        ports = [int(sdp.rpartition(" typ host")[0].rpartition(" ")[2]) for sdp in (told, back)]
        assert told.count("a=candidate") == back.count("a=candidate") == 1
        assert "end-of-candidates" not in told
        assert ports[0] != ports[1]
        viewer.sendto(b"\0\1hello", ("127.0.0.1", ports[0]))
        data, where = await loop.sock_recvfrom(server, 100)
        assert (data, where[1]) == (b"\0\1hello", ports[1])
        handshakes = [bytes([22, number]) for number in range(50)]
        media = [bytes([128, number]) for number in range(200)]
        for packet in (*media, *handshakes):
            server.sendto(packet, where)
        got: list[bytes] = []
        while not got or got[-1] != handshakes[-1]:
            got.append(await loop.sock_recv(viewer, 100))
        assert [packet for packet in got if packet[0] == 22] == handshakes
        assert line.passed == 200
        assert 60 < line.lost < 140
        assert len([packet for packet in got if packet[0] == 128]) == 200 - line.lost
    finally:
        line.close()
        server.close()
        viewer.close()


def test_a_server_without_an_address_cannot_be_reached_by_a_lossy_line() -> None:
    with pytest.raises(RuntimeError, match="no address"):
        LossyLine("127.0.0.1", 0.05).towards_viewer("v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n")


def test_candidates_stand_in_every_line_that_flows() -> None:
    found = "a=candidate:1 1 udp 1 127.0.0.1 9 typ host"
    answer = "\r\n".join(["v=0", "m=audio 9 x 1", found, "m=video 9 x 2", "m=video 0 x 3", "a=inactive", ""])
    assert everywhere(answer).count(found) == 2
    assert everywhere(answer).endswith("m=video 0 x 3\r\na=inactive\r\n")


def test_the_film_begins_with_its_only_keyframe() -> None:
    keys = [begins_key(payload) for picture in packets() for payload in picture[:1]]
    assert keys == [True] + [False] * (len(keys) - 1)
    assert len(list(scenes())) >= FPS
