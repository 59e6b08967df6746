"""Checks of ICE, right and wrong: the pure part."""

from __future__ import annotations

import secrets
import socket
from typing import Any

import pytest
from aioice import stun
from hypothesis import given
from hypothesis import strategies as st

from server.calls.worker import ice
from server.calls.worker.ice import Ice, sockaddr

HERE, THERE = sockaddr("192.0.2.1", 4000, v6=False), sockaddr("192.0.2.2", 5000, v6=False)
REMOTE, SECRET = "theirs", "their password, long"


def agent() -> Ice:
    return Ice(REMOTE, SECRET, 0.0)


def check(to: Ice, *, nominate: bool = False, **other: Any) -> bytes:
    """As aioice writes it."""
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, secrets.token_bytes(12))
    message.attributes["USERNAME"] = other.get("username", f"{to.ufrag}:{REMOTE}")
    message.attributes["PRIORITY"] = 1
    message.attributes[other.get("role", "ICE-CONTROLLING")] = 7
    if nominate:
        message.attributes["USE-CANDIDATE"] = None
    message.add_message_integrity(other.get("password", to.password).encode())
    return bytes(message)


def reply(request: bytes, password: str = SECRET) -> bytes:
    message = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, request[8:20])
    message.add_message_integrity(password.encode())
    return bytes(message)


def proved(data: bytes, password: bytes) -> stun.Message:
    message = stun.parse_message(data)
    assert message.check_message_integrity(password)
    return message


def asked(out: list[bytes]) -> list[bytes]:
    """Those of our own checks."""
    return [message for message in out if message[:2] == b"\0\x01"]


@pytest.mark.parametrize(
    ("address", "spelled"),
    [
        (HERE, ("192.0.2.1", 4000)),
        (sockaddr("192.0.2.1", 4000, v6=True), ("192.0.2.1", 4000)),
        (sockaddr("2001:db8::7", 65535, v6=True), ("2001:db8::7", 65535)),
    ],
    ids=["ipv4", "mapped", "ipv6"],
)
def test_a_check_is_answered_as_another_implementation_reads_it(address: bytes, spelled: tuple[str, int]) -> None:
    mine = agent()
    request = check(mine)
    verdict, out = mine.receive(request, address, 1.0)
    assert verdict == "ok"
    answer = proved(out[0], mine.password.encode())
    assert (answer.message_class, answer.transaction_id) == (stun.Class.RESPONSE, request[8:20])
    assert answer.attributes["XOR-MAPPED-ADDRESS"] == spelled
    own = proved(out[1], SECRET.encode())
    assert own.message_class is stun.Class.REQUEST
    assert own.attributes["USERNAME"] == f"{REMOTE}:{mine.ufrag}"
    assert "ICE-CONTROLLED" in own.attributes
    assert ice.spelled(address) == spelled


def test_our_name_is_found_without_reading_the_rest() -> None:
    mine = agent()
    assert ice.username(check(mine)) == mine.ufrag.encode()
    assert ice.username(reply(b"\0" * 20)) is None


def test_media_flow_only_where_our_check_was_answered() -> None:
    mine = agent()
    _, out = mine.receive(check(mine), HERE, 1.0)
    assert mine.selected == HERE
    assert not mine.may_send(1.0)
    (request,) = asked(out)
    assert mine.receive(reply(request, "another password"), HERE, 1.1)[0] == "forged"
    assert mine.receive(reply(request), THERE, 1.1)[0] == "forged"
    assert not mine.may_send(1.1)
    assert mine.receive(reply(request), HERE, 1.1)[0] == "ok"
    assert mine.may_send(1.1)
    assert mine.round_trip == pytest.approx(0.1)
    assert mine.receive(reply(request), HERE, 1.2)[0] == "forged", "an answer counts once"


def test_consent_and_silence_end() -> None:
    mine = agent()
    _, out = mine.receive(check(mine), HERE, 0.0)
    mine.receive(reply(asked(out)[0]), HERE, 0.0)
    for now in range(31):
        mine.receive(check(mine), HERE, float(now))  # it goes on asking, but never answers
    assert mine.may_send(30.0)
    assert not mine.may_send(30.1)
    assert not mine.silent(45.0)
    assert mine.silent(45.1)


def test_consent_is_renewed() -> None:
    mine = agent()
    for now in range(100):
        for request in asked(mine.receive(check(mine), HERE, float(now))[1]):
            mine.receive(reply(request), HERE, float(now))
        assert mine.may_send(float(now))


def test_an_address_that_comes_back_is_asked_again() -> None:
    mine = agent()
    for step in range(1_000):
        mine.receive(check(mine), HERE, step * 0.1)
    verdict, out = mine.receive(check(mine), HERE, 1_000.0)
    assert (verdict, len(asked(out))) == ("ok", 1)
    mine.receive(reply(asked(out)[0]), HERE, 1_000.0)
    assert mine.may_send(1_000.0)


def test_the_browser_nominates() -> None:
    mine = agent()
    mine.receive(check(mine), HERE, 1.0)
    mine.receive(check(mine), THERE, 1.0)
    assert mine.selected == HERE
    mine.receive(check(mine, nominate=True), THERE, 1.0)
    assert mine.selected == THERE
    assert not mine.may_send(1.0), "a nominated address must answer for itself"


@pytest.mark.parametrize(
    "wrong",
    [
        {"password": "guessed"},
        {"password": ""},
        {"username": "somebody:theirs"},
        {"username": "theirs"},
        {"username": ""},
    ],
)
def test_nobody_without_the_password_gets_an_answer(wrong: dict[str, str]) -> None:
    mine = agent()
    if "username" in wrong and not wrong["username"].startswith("somebody"):
        wrong = {"username": wrong["username"]}
    assert mine.receive(check(mine, nominate=True, **wrong), HERE, 1.0) == ("forged", [])
    assert mine.selected is None


def test_a_check_without_integrity_gets_no_answer() -> None:
    mine = agent()
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    message.attributes["USERNAME"] = f"{mine.ufrag}:{REMOTE}"
    assert mine.receive(bytes(message), HERE, 1.0) == ("forged", [])


def test_what_stands_behind_the_integrity_is_not_believed() -> None:
    mine = agent()
    signed = check(mine)[:-8]  # without its fingerprint
    forged = signed[:2] + (len(signed) - 20 + 4).to_bytes(2, "big") + signed[4:] + b"\0\x25\0\0"
    mine.receive(check(mine), HERE, 1.0)
    assert mine.receive(forged, THERE, 1.0)[0] == "ok"
    assert mine.selected == HERE


def test_a_recorded_check_from_elsewhere_counts_for_nothing() -> None:
    mine = agent()
    recorded = check(mine, nominate=True)
    mine.receive(recorded, HERE, 1.0)
    assert mine.receive(recorded, THERE, 1.1) == ("forged", [])
    assert mine.selected == HERE
    assert mine.receive(recorded, HERE, 1.2)[0] == "ok", "the browser itself may send it again"


def test_we_are_always_the_controlled_one() -> None:
    mine = agent()
    verdict, (out,) = mine.receive(check(mine, role="ICE-CONTROLLED"), HERE, 1.0)
    answer = proved(out, mine.password.encode())
    assert verdict == "ok"
    assert answer.message_class is stun.Class.ERROR
    assert answer.attributes["ERROR-CODE"][0] == 487
    assert mine.selected is None


def test_addresses_are_bounded_and_the_selected_one_stays() -> None:
    mine = agent()
    mine.receive(check(mine, nominate=True), HERE, 0.0)
    for port in range(1, 1_000):
        mine.receive(check(mine), sockaddr("192.0.2.9", port, v6=False), port / 1_000)
    assert len(mine.addresses) == 16
    assert mine.selected == HERE
    assert HERE in mine.addresses
    assert len(set(mine.evicted)) == 984


def test_never_more_bytes_out_than_in() -> None:
    mine = agent()
    came = went = 0
    for step in range(2_000):
        request = check(mine, nominate=True)
        out = mine.receive(request, THERE, step * 0.02)[1]
        came += len(request)
        went += sum(map(len, out))
    assert went < came


@given(st.binary(max_size=200))
def test_any_bytes_are_harmless(data: bytes) -> None:
    mine = agent()
    for message in (data, b"\0\x01" + data, b"\0\x01\0\x10\x21\x12\xa4\x42" + data):
        ice.username(message)
        assert mine.receive(message, HERE, 1.0)[1] == []


@given(st.integers(0, 1_000), st.integers(0, 255), st.booleans())
def test_a_damaged_check_is_never_believed(at: int, value: int, cut: bool) -> None:
    mine = agent()
    good = check(mine, nominate=True)
    at %= len(good) - 8  # what follows the integrity is the fingerprint, which proves nothing
    bad = good[:at] if cut else good[:at] + bytes([value]) + good[at + 1 :]
    ice.username(bad)
    assert mine.receive(bad, HERE, 1.0)[0] == "ok" if bad == good else mine.receive(bad, HERE, 1.0)[1] == []


@given(st.ip_addresses(), st.integers(0, 65_535))
def test_addresses_are_spelled_as_they_were(address: Any, port: int) -> None:
    raw = sockaddr(str(address), port, v6=True)
    expected = address.ipv4_mapped if address.version == 6 and address.ipv4_mapped else address
    assert ice.spelled(raw) == (str(expected), port)
    assert len(raw) == 28
    if address.version == 4:
        assert ice.spelled(sockaddr(str(address), port, v6=False)) == (str(address), port)
    else:
        with pytest.raises(ValueError, match="IPv6"):
            sockaddr(str(address), port, v6=False)


def test_other_families_have_no_spelling() -> None:
    with pytest.raises(ValueError, match="family"):
        ice.spelled(socket.AF_UNIX.to_bytes(2, "little") + b"/tmp/socket")
