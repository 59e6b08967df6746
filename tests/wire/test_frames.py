"""Whatever a client sends ends in a named error or a close code, never in a fault, and hurts nobody else.

The watch over the log (conftest.py) makes every test here fail on a traceback.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from server.errors import Code
from server.realtime.protocol import MAX_CHANNELS_PER_FRAME, MAX_FRAME, VERSION, Close
from tests.conftest import Run
from tests.wire.client import Crowd, Person, Raw, Socket, client_id, frame_bytes

ID = "an-id-of-the-client"


@contextlib.asynccontextmanager
async def others_chat_on(crowd: Crowd) -> AsyncIterator[Person]:
    """Lin and Mei chat all the while and miss nothing; Ada, who is nobody's friend, is the one who sends nonsense."""
    ada = await crowd.person("ada")
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    from_lin, from_mei = await lin.socket(), await mei.socket()
    await from_mei.subscribe(ch)
    over = asyncio.Event()

    async def chat() -> int:
        count = 0
        while not over.is_set() or not count:
            seq = await from_lin.write(ch, f"message {count}")
            await from_mei.entry(ch, seq=seq)
            count += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), 0.1)  # well below what one person may send
        return count

    chatting = asyncio.create_task(chat())
    try:
        yield ada
    finally:
        over.set()
        count = await chatting
    assert from_mei.numbers(ch) == list(range(2, count + 2))


#: what is sent → the code of the error that answers, and what it can be told by
MISTAKES: dict[str, tuple[str, Code]] = {
    "nothing": ("", Code.MALFORMED),
    "no JSON": ("hello there", Code.MALFORMED),
    "half of a frame": ('{"t":"ping","rid":1', Code.MALFORMED),
    "two frames in one": ('{"t":"ping","rid":1}{"t":"ping","rid":2}', Code.MALFORMED),
    "a list": ("[]", Code.MALFORMED),
    "a number": ("1", Code.MALFORMED),
    "null": ("null", Code.MALFORMED),
    "no type": ("{}", Code.MALFORMED),
    "an unknown type": ('{"t":"destroy"}', Code.UNKNOWN_FRAME),
    "a type that is no word": ('{"t":7}', Code.UNKNOWN_FRAME),
    "a frame of the server": ('{"t":"welcome","v":1}', Code.UNKNOWN_FRAME),
    "an unknown field": ('{"t":"ping","rid":1,"colour":"red"}', Code.MALFORMED),
    "a missing field": ('{"t":"ping"}', Code.MALFORMED),
    "a field twice, wrong at last": ('{"t":"ping","rid":1,"rid":"x"}', Code.MALFORMED),
    "a number of 30 digits": ('{"t":"ping","rid":' + "9" * 30 + "}", Code.MALFORMED),
    "a number of 5000 digits": ('{"t":"ping","rid":' + "9" * 5000 + "}", Code.MALFORMED),
    "a number beyond JavaScript": ('{"t":"ping","rid":9007199254740992}', Code.MALFORMED),
    "a negative number": ('{"t":"ping","rid":-1}', Code.MALFORMED),
    "a fraction": ('{"t":"ping","rid":1.5}', Code.MALFORMED),
    "infinity": ('{"t":"ping","rid":1e999}', Code.MALFORMED),
    "NaN": ('{"t":"ping","rid":NaN}', Code.MALFORMED),
    "nested deeply": ('{"t":' * 20_000 + "1" + "}" * 20_000, Code.MALFORMED),
    "lists nested deeply": ("[" * 60_000 + "]" * 60_000, Code.MALFORMED),
    "no channels": ('{"t":"subscribe","rid":1,"channels":[]}', Code.MALFORMED),
    "too many channels": (
        json.dumps({"t": "subscribe", "rid": 1, "channels": [{"ch": "conv:x"}] * (MAX_CHANNELS_PER_FRAME + 1)}),
        Code.MALFORMED,
    ),
    "a channel without a kind": ('{"t":"subscribe","rid":1,"channels":[{"ch":"c_1"}]}', Code.MALFORMED),
    "a channel with a newline": ('{"t":"history","rid":1,"ch":"conv:c_1\\n"}', Code.MALFORMED),
    "a page too long": ('{"t":"history","rid":1,"ch":"conv:c_1","limit":201}', Code.MALFORMED),
    "a short client id": ('{"t":"append","id":"a","ch":"conv:c_1","kind":"message","body":{}}', Code.MALFORMED),
    "a body nested deeply": (
        f'{{"t":"append","id":"{ID}","ch":"conv:c_1","kind":"message","body":' + "[" * 50_000 + "]" * 50_000 + "}",
        Code.MALFORMED,
    ),
    "an unknown channel": (
        f'{{"t":"append","id":"{ID}","ch":"conv:c_1","kind":"message","body":{{}}}}',
        Code.NOT_FOUND,
    ),
    "an unknown kind of channel": (
        f'{{"t":"append","id":"{ID}","ch":"moon:c_1","kind":"message","body":{{}}}}',
        Code.NOT_FOUND,
    ),
    "a position nowhere": ('{"t":"position","ch":"conv:c_1","read":1}', Code.NOT_FOUND),
    "a signal nowhere": ('{"t":"signal","ch":"conv:c_1","kind":"typing","body":{"on":true}}', Code.NOT_FOUND),
}


async def test_mistakes_have_names(crowd: Crowd) -> None:
    """Each is answered by its code and, where it can be told, by its id; the connection lives on."""
    async with others_chat_on(crowd) as ada:
        for what, (text, code) in MISTAKES.items():
            socket = await ada.socket()
            await socket.send(text)
            error = await socket.until("error")
            assert (what, error["code"]) == (what, code)
            assert error["message"]
            if ID in text and code is not Code.MALFORMED:
                assert (what, error["id"]) == (what, ID)
            await socket.fence()
            socket.close()


async def test_mistakes_in_bytes(crowd: Crowd) -> None:
    """Binary messages are read as text is, and what is no UTF-8 is malformed."""
    async with others_chat_on(crowd) as ada:
        socket = await ada.socket()
        await socket.send(b'{"t":"ping","rid":77}', binary=True)
        await socket.until("pong", rid=77)
        for data in (b"\x00", b"\xff\xfe", b'{"t":"ping","rid":"\xed\xa0\x80"}', b"\xef\xbb\xbf{}", bytes(range(256))):
            await socket.send(data, binary=True)
            assert (await socket.until("error"))["code"] == "malformed"
        await socket.fence()


async def test_an_answer_can_be_told_by_what_was_readable(crowd: Crowd) -> None:
    socket = await (await crowd.person("ada")).socket()
    await socket.send('{"t":"history","rid":4711,"ch":"nowhere"}')
    assert (await socket.until("error"))["rid"] == 4711
    await socket.send(json.dumps({"t": "append", "id": ID, "ch": "conv:c_1", "kind": "Message!", "body": {}}))
    assert (await socket.until("error"))["id"] == ID
    await socket.send('{"t":"history","rid":' + "1" * 30 + ',"ch":"nowhere"}')
    assert "rid" not in await socket.until("error")  # it could not survive a JavaScript client


async def test_who_never_learns_is_closed(crowd: Crowd) -> None:
    async with others_chat_on(crowd) as ada:
        socket = await ada.socket()
        for _ in range(21):
            await socket.send("nonsense")
        assert (await socket.until("bye"))["reason"] == "malformed"
        assert await socket.end() == Close.MALFORMED


async def test_a_frame_too_large(crowd: Crowd) -> None:
    async with others_chat_on(crowd) as ada:
        for size in (MAX_FRAME + 1, 2 * MAX_FRAME):
            socket = await ada.socket()
            await socket.send("x" * size)
            assert (await socket.until("bye"))["close"] == Close.TOO_LARGE
            assert await socket.end() == Close.TOO_LARGE
        largest = await ada.socket()
        await largest.send('{"t":"ping","rid":7}'.ljust(MAX_FRAME))
        await largest.until("pong", rid=7)


async def test_seventeen_megabytes(crowd: Crowd) -> None:
    """Refused by the header alone, with RFC 6455's own code, before anything is read or kept."""
    async with others_chat_on(crowd) as ada:
        raw = await Raw.open(ada)
        await raw.send(frame_bytes(b"x" * 1_000, size=17_000_000))
        assert await raw.close_code() == 1009
        raw.close()


BROKEN: dict[str, bytes] = {
    "text that is no UTF-8": frame_bytes(b"\xff\xfe"),
    "an unknown opcode": frame_bytes(b"", first=0x83),
    "a reserved bit": frame_bytes(b"{}", first=0xC1),
    "a ping too long": frame_bytes(b"x" * 126, first=0x89),
    "the end of nothing": frame_bytes(b"{}", first=0x80),
    "not masked": b"\x81\x02{}",
    "a close code of one byte": frame_bytes(b"\x03", first=0x88),
    "HTTP": b"GET / HTTP/1.1\r\n\r\n",
}


async def test_broken_framing_ends_the_connection(crowd: Crowd) -> None:
    """What breaks RFC 6455 itself ends the connection that it comes from, and no other."""
    async with others_chat_on(crowd) as ada:
        for data in BROKEN.values():
            raw = await Raw.open(ada)
            await raw.say("hello", v=VERSION)
            await raw.send(data)
            await raw.send(frame_bytes(b"", first=0x88))
            await raw.rest()
            raw.close()


async def test_frames_in_pieces(crowd: Crowd) -> None:
    """RFC 6455 section 5.4: a message may come in fragments, with pings in between, byte by byte."""
    ada = await crowd.person("ada")
    raw = await Raw.open(ada)
    hello = b'{"t":"hello","v":1}'
    pieces = [
        frame_bytes(hello[:7], first=0x01),
        frame_bytes(b"are you there", first=0x89),
        frame_bytes(hello[7:], first=0x80),
        frame_bytes(b"\x0f\xa0", first=0x88),
    ]
    for byte in b"".join(pieces):
        await raw.send(bytes((byte,)))
    answer = await raw.rest()
    assert b"are you there" in answer
    assert b'"t":"welcome"' in answer
    raw.close()


async def test_order(crowd: Crowd) -> None:
    """`hello` comes first and once, in a version that we speak, and says who is there."""
    ada = await crowd.person("ada")

    early = await ada.socket(hello=False)
    await early.say("ping", rid=1)
    assert await early.end() == Close.OUT_OF_ORDER

    twice = await ada.socket()
    await twice.say("hello", v=VERSION)
    assert await twice.end() == Close.OUT_OF_ORDER

    newer = await ada.socket(hello=False)
    await newer.say("hello", v=VERSION + 1)
    assert await newer.end() == Close.UNSUPPORTED_VERSION

    for headers, fields in (
        ({}, {}),
        ({"Cookie": "vouch_session=forged"}, {}),
        (None, {"token": "vouch_forged"}),  # a token counts even where the cookie is good
        ({}, {"token": ada.cookies["vouch_session"]}),
    ):
        stranger = await ada.socket(hello=False, headers=headers)
        await stranger.say("hello", v=VERSION, **fields)
        assert await stranger.end() == Close.UNAUTHENTICATED
        assert [frame["t"] for frame in stranger.frames] == ["bye"]


async def test_pages_of_other_origins_are_refused(crowd: Crowd) -> None:
    """A foreign page must not ride on the cookie (RFC 6455 section 10.2)."""
    ada = await crowd.person("ada")
    own = {"Cookie": ada.cookie, "Origin": ada.server.url}
    assert (await (await ada.socket(hello=False, headers=own)).hello())["who"] == ada.id
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1"):
        with pytest.raises(Exception, match="403"):
            await ada.socket(headers={"Cookie": ada.cookie, "Origin": origin})


async def test_too_many_frames(crowd: Crowd) -> None:
    """A burst is served, more is refused with the time to wait, a flood is closed; others notice nothing."""
    async with others_chat_on(crowd) as ada:
        socket = await ada.socket()
        rid = 1_000
        while not socket.heard("error"):
            for _ in range(100):
                rid += 1
                await socket.say("ping", rid=rid)
            assert rid < 6_000
        refused = await socket.until("error", code="too_often")
        assert refused["retry_after"] > 0
        assert refused["rid"] > 1_000  # whoever asked knows which request it was
        assert len(socket.heard("pong")) >= 380
        assert socket.is_open()
        while socket.is_open():
            rid += 1
            with contextlib.suppress(Exception):  # closed while we speak
                await socket.say("ping", rid=rid)
            assert rid < 12_000
        assert (await socket.until("bye"))["retry_after"] > 0
        assert await socket.end() == Close.FLOOD


#: frames that are well formed, to be sent in any order, and bytes that are not
_CHANNELS = st.sampled_from(["conv:c_1", "inbox:p_1", "moon:x", "conv:" + "c" * 64])
_NUMBERS = st.integers(0, 2**53 - 1)
_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
_FRAMES = st.one_of(
    st.fixed_dictionaries({"t": st.just("hello"), "v": st.integers(0, 2)}),
    st.fixed_dictionaries({"t": st.just("ping"), "rid": _NUMBERS}),
    st.fixed_dictionaries({"t": st.just("subscribe"), "rid": _NUMBERS, "channels": st.lists(
        st.fixed_dictionaries({"ch": _CHANNELS}, optional={"after": _NUMBERS}), min_size=1, max_size=4)}),
    st.fixed_dictionaries({"t": st.just("unsubscribe"), "rid": _NUMBERS, "channels": st.lists(_CHANNELS, min_size=1)}),
    st.fixed_dictionaries(
        {"t": st.just("append"), "id": st.just(ID), "ch": _CHANNELS, "kind": st.just("message"), "body": _JSON},
        optional={"ref": _NUMBERS},
    ),
    st.fixed_dictionaries({"t": st.just("signal"), "ch": _CHANNELS, "kind": st.just("typing"), "body": _JSON}),
    st.fixed_dictionaries({"t": st.just("position"), "ch": _CHANNELS}, optional={"read": _NUMBERS}),
    st.fixed_dictionaries({"t": st.just("history"), "rid": _NUMBERS, "ch": _CHANNELS}, optional={"after": _NUMBERS}),
    st.dictionaries(st.sampled_from(["t", "v", "rid", "ch", "id", "body"]), _JSON, max_size=4),
).map(lambda frame: json.dumps(frame))  # fmt: skip
_ANYTHING = st.lists(_FRAMES | st.text(max_size=40) | st.binary(max_size=40), max_size=12)


async def speak(person: Person, said: list[str | bytes], *, hello: bool) -> Socket:
    socket = await person.socket(hello=hello)
    for data in said:
        if not socket.is_open():
            break
        with contextlib.suppress(Exception):  # closed while we speak
            await socket.send(data, binary=isinstance(data, bytes))
    if socket.is_open():
        with contextlib.suppress(Exception):
            await socket.say("ping", rid=123456)
    try:
        await socket.until("pong", rid=123456)
    except AssertionError:
        assert not socket.is_open()
        assert await socket.end() in {int(code) for code in Close}
    socket.close()
    await socket.end()
    return socket


def test_any_bytes_in_any_order(crowd: Crowd, run: Run[Any]) -> None:
    """Hypothesis: either a pong comes at the end, or the connection was closed with a code of ours."""
    ada = run(crowd.person("ada"))

    @given(said=_ANYTHING, hello=st.booleans())
    @settings_of_hypothesis(
        max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
    )
    def check(said: list[str | bytes], hello: bool) -> None:
        socket = run(speak(ada, said, hello=hello))
        for frame in socket.heard("error"):
            assert frame["code"] in set(Code)
            assert frame["code"] != Code.INTERNAL
        ada.sockets.clear()

    check()
    fine = run(ada.socket())
    run(fine.fence())


async def test_one_channel_twice_in_a_frame(crowd: Crowd) -> None:
    """The second holds; presence does not count a person twice, so that leaving is leaving."""
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    from_lin, from_mei = await lin.socket(), await mei.socket()
    await from_lin.subscribe(ch)
    await from_mei.say("subscribe", rid=1, channels=[{"ch": ch}, {"ch": ch}])
    await from_lin.until("presence", where=lambda frame: mei.id in frame.get("joined", []))
    seq = await from_lin.write(ch, "once")
    await from_mei.entry(ch, seq=seq)
    await from_mei.fence()
    assert from_mei.numbers(ch) == [seq]
    await from_mei.say("unsubscribe", rid=2, channels=[ch, ch, "conv:never"])
    await from_mei.until("unsubscribed", rid=2)
    await from_lin.until("presence", left=[mei.id])


async def test_bodies_are_checked(crowd: Crowd) -> None:
    """What may stand in a conversation is typed; everything else is refused by its id and stores nothing."""
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    from_lin = await lin.socket()
    head = (await from_lin.subscribe(ch))["head"]
    said = await from_lin.write(ch, "something to refer to")
    refused: list[tuple[str, Any, int | None, str]] = [
        ("message", {}, None, "bad_request"),
        ("message", {"text": ""}, None, "bad_request"),
        ("message", {"text": " \n\t "}, None, "bad_request"),
        ("message", {"text": 7}, None, "bad_request"),
        ("message", {"text": "x" * 16_001}, None, "bad_request"),
        ("message", {"text": "a", "html": "<b>"}, None, "bad_request"),
        ("message", {"text": "a", "$where": "1"}, None, "bad_request"),
        ("message", {"text": "a", "a\u0000b": 1}, None, "bad_request"),
        ("message", [], None, "bad_request"),
        ("message", None, None, "bad_request"),
        ("message", {"text": "文" * 16_000, "x": "文" * 16_000}, None, "too_large"),
        ("reaction", {"emoji": "", "on": True}, said, "bad_request"),
        ("reaction", {"emoji": "👍"}, said, "bad_request"),
        ("reaction", {"emoji": "👍", "on": True}, None, "bad_request"),
        ("reaction", {"emoji": "👍", "on": True}, 2**53 - 1, "bad_request"),
        ("reaction", {"emoji": "👍", "on": True}, head, "bad_request"),  # `created` is no message
        ("edit", {"text": "mine now"}, None, "bad_request"),
        ("delete", {"why": "because"}, said, "bad_request"),
        ("joined", {"persons": ["p_me"], "by": lin.id}, None, "bad_request"),
        ("closed", {}, None, "bad_request"),
        ("erased", {"person": mei.id}, None, "bad_request"),
        ("session_ended", {"sessions": []}, None, "bad_request"),
        ("unheard_of", {}, None, "bad_request"),
    ]
    for kind, body, ref, code in refused:
        error = await from_lin.append(ch, kind, body, ref=ref)
        assert (kind, body, error.get("code")) == (kind, body, code)
    assert (await from_lin.page(ch))["head"] == said

    # The same client id for something else is a fault of the client's, not a second message.
    id = client_id()
    first = await from_lin.append(ch, "message", {"text": "once"}, id=id)
    assert (await from_lin.append(ch, "message", {"text": "once"}, id=id)) == first
    assert (await from_lin.append(ch, "message", {"text": "twice"}, id=id))["code"] == "idempotency_conflict"
