"""What offers may say, what they may not, and what is answered."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.calls.wire import MAX_SDP, Direction
from server.calls.worker import answer, sdp
from server.calls.worker.sdp import BadOffer
from tests.calls.worker import offers

OURS = answer.Ours(
    ufrag="ours",
    password="p" * 32,
    fingerprint=offers.FINGERPRINT,
    addresses=("2001:db8::1", "192.0.2.1"),
    port=4000,
    session=1,
    cname="voices",
)


def answered(text: str, direction: Direction) -> str:
    offer = sdp.read(text, direction)
    return answer.written(offer, offer.media, direction, OURS)


def test_an_offer_to_publish() -> None:
    offer = sdp.read(offers.publishing(), Direction.PUBLISH)
    assert [(media.index, media.kind, media.codec.name, media.active) for media in offer.media] == [
        (0, "audio", "OPUS", True),
        (1, "video", "VP8", True),
        (2, "video", "VP8", True),
        (3, "video", "VP8", True),
    ]
    voice, camera = offer.media[:2]
    assert (voice.codec.payload_type, voice.codec.clock_rate, voice.codec.rtx) == (111, 48_000, None)
    assert (camera.codec.payload_type, camera.codec.clock_rate, camera.codec.rtx) == (96, 90_000, 97)
    assert camera.codec.feedback == {"transport-cc", "ccm fir", "nack", "nack pli"}
    assert voice.extensions == {sdp.AUDIO_LEVEL: 1, sdp.ABS_SEND_TIME: 2, sdp.TRANSPORT_CC: 3, sdp.MID: 4}
    assert camera.extensions == {sdp.ABS_SEND_TIME: 2, sdp.TRANSPORT_CC: 3, sdp.MID: 4}
    assert (camera.ssrcs, camera.rtx_of) == ((2001, 3001), {3001: 2001})
    assert (offer.ufrag, offer.password, offer.reduced_rtcp) == (offers.UFRAG, offers.PASSWORD, True)


def test_an_offer_to_watch() -> None:
    offer = sdp.read(offers.watching(20), Direction.WATCH)
    assert len(offer.media) == 40
    picture = offer.media[20]
    assert picture.codec.feedback == {"goog-remb", "ccm fir", "nack", "nack pli"}
    assert sdp.TRANSPORT_CC not in picture.extensions
    assert (picture.ssrcs, picture.rtx_of) == ((), {})


def test_the_answer() -> None:
    text = answered(offers.publishing(), Direction.PUBLISH)
    assert text.endswith("\r\n")
    lines = text.splitlines()
    for line in ("a=ice-lite", "a=group:BUNDLE 0 1 2 3", "a=end-of-candidates"):
        assert lines.count(line) == 1
    for line in ("a=setup:passive", "a=rtcp-mux", "a=rtcp-rsize", "a=recvonly", "a=ice-ufrag:ours"):
        assert lines.count(line) == 4
    candidates = [line.split() for line in lines if line.startswith("a=candidate")]
    assert [words[4:] for words in candidates] == [
        ["2001:db8::1", "4000", "typ", "host"],
        ["192.0.2.1", "4000", "typ", "host"],
    ]
    assert int(candidates[0][3]) > int(candidates[1][3]) > 126 << 24
    assert "m=video 4000 UDP/TLS/RTP/SAVPF 96 97" in lines
    assert "a=rtpmap:111 opus/48000/2" in lines
    assert "c=IN IP6 2001:db8::1" in lines


def test_what_was_not_offered_is_not_answered() -> None:
    text = offers.publishing().replace("a=rtcp-rsize\r\n", "")
    assert "rsize" not in answered(text, Direction.PUBLISH)


def test_an_answer_to_a_watcher_names_our_streams() -> None:
    offer = sdp.read(offers.watching(1), Direction.WATCH)
    sound, picture = offer.media
    media = (msgspec.structs.replace(sound, ssrc=7), msgspec.structs.replace(picture, ssrc=8, rtx_ssrc=9))
    lines = answer.written(offer, media, Direction.WATCH, OURS).splitlines()
    assert [line for line in lines if "ssrc" in line and "ext" not in line] == [
        "a=ssrc:7 cname:voices",
        "a=ssrc-group:FID 8 9",
        "a=ssrc:8 cname:voices",
        "a=ssrc:9 cname:voices",
    ]
    assert [line for line in lines if line.startswith("a=msid:")] == ["a=msid:seat0 audio0", "a=msid:seat0 video0"]
    assert lines.count("a=sendonly") == 2


@pytest.mark.parametrize(
    ("direction", "flow", "active"),
    [
        (Direction.PUBLISH, "sendrecv", True),
        (Direction.PUBLISH, "recvonly", False),
        (Direction.PUBLISH, "inactive", False),
        (Direction.WATCH, "sendrecv", True),
        (Direction.WATCH, "sendonly", False),
    ],
)
def test_what_flows_the_wrong_way_is_inactive(direction: Direction, flow: str, active: bool) -> None:
    text = offers.offer(offers.sound("0", flow))
    assert sdp.read(text, direction).media[0].active is active
    assert ("a=inactive" in answered(text, direction)) is not active


def test_data_channels_and_given_up_lines_are_refused_in_their_place() -> None:
    gone = offers.picture("2", "sendonly")
    gone[0] = gone[0].replace(" 9 ", " 0 ")
    text = offers.offer(offers.data("0"), offers.sound("1", "sendonly"), gone)
    assert [media.index for media in sdp.read(text, Direction.PUBLISH).media] == [1]
    lines = answered(text, Direction.PUBLISH).splitlines()
    assert [line for line in lines if line.startswith("m=")] == [
        "m=application 0 UDP/DTLS/SCTP webrtc-datachannel",
        "m=audio 4000 UDP/TLS/RTP/SAVPF 111",
        "m=video 0 UDP/TLS/RTP/SAVPF 96",
    ]
    assert "a=group:BUNDLE 1" in lines
    assert lines.count("a=end-of-candidates") == 1


def test_a_line_for_the_bundle_only_is_taken() -> None:
    bundled = offers.picture("1", "sendonly")
    bundled[0] = bundled[0].replace(" 9 ", " 0 ")
    bundled = [line for line in bundled if "ice-" not in line and "fingerprint" not in line and "setup" not in line]
    text = offers.offer(offers.sound("0", "sendonly"), [*bundled, "a=bundle-only"])
    assert len(sdp.read(text, Direction.PUBLISH).media) == 2


def test_h264_only_as_constrained_baseline_and_whole_units() -> None:
    only = [line for line in offers.picture("0", "sendonly") if "VP8" not in line]
    codec = sdp.read(offers.offer(only), Direction.PUBLISH).media[0].codec
    assert (codec.name, codec.payload_type, codec.rtx) == ("H264", 39, 40)
    assert "packetization-mode=1" in codec.fmtp
    with pytest.raises(BadOffer):
        sdp.read(offers.offer(only).replace("42e01f", "640c1f"), Direction.PUBLISH)


def replaced(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return change


@pytest.mark.parametrize(
    "change",
    [
        replaced("v=0", "v=1"),
        replaced("a=rtcp-mux\r\n", ""),
        replaced("a=group:BUNDLE 0 1 2 3", "a=group:BUNDLE 0 1"),
        replaced("a=group:BUNDLE 0 1 2 3", "a=group:BUNDLE 0 1 2 3\r\na=group:BUNDLE 0"),
        replaced("a=setup:actpass", "a=setup:passive"),
        replaced("a=setup:actpass\r\n", ""),
        replaced("a=fingerprint:sha-256", "a=fingerprint:md5"),
        replaced("AB:AB:AB", "AB:AB"),
        replaced(f"a=fingerprint:{offers.FINGERPRINT}\r\n", ""),
        replaced(f"a=ice-pwd:{offers.PASSWORD}", "a=ice-pwd:short"),
        replaced(f"a=ice-ufrag:{offers.UFRAG}", "a=ice-ufrag:a b:c"),
        replaced(f"a=ice-ufrag:{offers.UFRAG}", "a=ice-ufrag:" + "a" * 257),
        replaced("a=mid:1", "a=mid:0"),
        replaced("a=mid:1\r\n", ""),
        replaced("UDP/TLS/RTP/SAVPF", "RTP/AVP"),
        replaced("UDP/TLS/RTP/SAVPF", "TCP/TLS/RTP/SAVPF"),
        replaced("opus/48000/2", "speex/16000"),
        replaced("m=audio 9 ", "m=audio 99999 "),
        replaced("m=audio 9 ", "m=audio x "),
        replaced("m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8", "m=audio 9"),
        replaced("SAVPF 111 63", "SAVPF 111 111"),
        replaced("SAVPF 111 63", "SAVPF 111 " + " ".join(map(str, range(96, 127))) + " x"),
        replaced("SAVPF 111 63", "SAVPF 111 " + "63 " * 64),
        replaced("rtpmap:111", "rtpmap:999"),
        replaced("111 63", "72 63"),
        replaced("a=sendonly", "a=sendonly\r\na=recvonly"),
        replaced("a=extmap:2 ", "a=extmap:4 "),
        replaced("a=extmap:2 ", "a=extmap:x "),
        replaced("a=ssrc-group:FID 2001 3001", "a=ssrc-group:FID 2001 2001"),
        replaced("a=ssrc:2001 ", "a=ssrc:4294967296 "),
        replaced("a=ssrc:2002 ", "a=ssrc:2001 "),
        replaced("a=ssrc:2001 ", "".join(f"a=ssrc:{n} cname:x\r\n" for n in range(20)) + "a=ssrc:2001 "),
        replaced("a=ssrc:2001 ", "a=\0ssrc:2001 "),
        replaced("s=-", "nonsense"),
        replaced("s=-", "s=\r"),
        replaced("s=-", "s=-\r\n" * 7_000),
        lambda text: "",
        lambda text: text[:100],
        lambda text: text.replace("\r\n", "\r"),
        lambda text: offers.offer(offers.data("0")),
    ],
)
def test_what_is_refused(change: Callable[[str], str]) -> None:
    with pytest.raises(BadOffer) as refused:
        sdp.read(change(offers.publishing()), Direction.PUBLISH)
    assert refused.value.code == "bad_offer"


@pytest.mark.parametrize(
    "text",
    [
        "v=0\r\n" + "a=x\r\n" * 200_000,
        "v" * 1_000_000,
        "\0" * (MAX_SDP + 1),
        offers.watching(21),
    ],
)
def test_what_is_too_large(text: str) -> None:
    with pytest.raises(BadOffer) as refused:
        sdp.read(text, Direction.WATCH)
    assert refused.value.code == "too_large"


def test_a_second_transport_is_refused() -> None:
    other = offers.picture("1", "sendonly", "sha-256 " + ":".join(["CD"] * 32))
    with pytest.raises(BadOffer):
        sdp.read(offers.offer(offers.sound("0", "sendonly"), other), Direction.PUBLISH)


@pytest.mark.parametrize(
    "candidate",
    [
        "1 1 udp 1 169.254.169.254 80 typ host",
        "1 1 udp 1 127.0.0.1 27017 typ host",
        "1 1 udp 1 evil.example 53 typ host",
        "1 1 tcp 1 10.0.0.1 6379 typ host tcptype passive",
        "x" * 3_000,
        "",
    ],
)
def test_candidates_are_not_read(candidate: str) -> None:
    plain = offers.publishing()
    hostile = re.sub("a=candidate:.*\r\n", f"a=candidate:{candidate}\r\n", plain)
    assert hostile != plain
    assert sdp.read(hostile, Direction.PUBLISH) == sdp.read(plain, Direction.PUBLISH)


_WORDS = st.sampled_from(
    [line for line in offers.publishing().split("\r\n") if line]
    + [
        "m=audio 9",
        "a=mid:",
        "a=ssrc:",
        "a=rtpmap:",
        "a=fmtp:96",
        "a=extmap:",
        "a=fingerprint:",
        "a=group:BUNDLE",
        "a=",
    ]
)


@given(st.lists(st.one_of(_WORDS, st.text(max_size=40)), max_size=60), st.sampled_from(list(Direction)))
def test_any_lines_are_read_or_refused(lines: list[str], direction: Direction) -> None:
    try:
        text = answered("\r\n".join(["v=0", *lines]), direction)
    except BadOffer:
        return
    assert text.count("a=ice-lite") == 1


@given(st.data(), st.sampled_from(list(Direction)))
def test_any_damage_is_read_or_refused(data: st.DataObject, direction: Direction) -> None:
    text = offers.publishing()
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(text)))
        end = min(len(text), at + data.draw(st.integers(0, 30)))
        text = text[:at] + data.draw(st.one_of(st.text(max_size=12), st.just("\r\n"), st.just(" "))) + text[end:]
    try:
        written = answered(text, direction)
    except BadOffer:
        return
    # One m-line is answered for each that was offered, and nothing of the offer gets to be a line of its own.
    assert written.count("\r\nm=") == ("\r\n" + text.replace("\r\n", "\n").replace("\n", "\r\n")).count("\r\nm=")
    assert written.replace("\r\n", "").isprintable()


@given(st.text(max_size=300), st.sampled_from(list(Direction)))
def test_any_text_is_read_or_refused(text: str, direction: Direction) -> None:
    with pytest.raises(BadOffer):
        sdp.read(text, direction)
