"""Who does not belong to a call gets in by no way; who does not any more is out at once (R-14, R-15)."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Response, expect

from tests.browser.caller import Caller
from tests.browser.caller_films import BLUE, GREEN, RED
from tests.browser.conftest import Callers

pytestmark = pytest.mark.alone

#: A real offer of this browser's.
_OFFER = """async (direction) => {
    const peer = new RTCPeerConnection()
    for (const kind of ['audio', 'video']) peer.addTransceiver(kind, { direction })
    const { sdp } = await peer.createOffer()
    peer.close()
    return sdp
}"""
#: What a socket of this sign-in is told when it asks for a channel.
_SUBSCRIBE = """async (ch) => {
    const socket = new WebSocket(location.origin.replace('http', 'ws') + '/api/v1/socket')
    return new Promise((done) => {
        socket.onopen = () => {
            socket.send(JSON.stringify({ t: 'hello', v: 1 }))
            socket.send(JSON.stringify({ t: 'subscribe', rid: 7, channels: [{ ch }] }))
        }
        socket.onmessage = ({ data }) => {
            for (const line of String(data).split('\\n').filter(Boolean)) {
                const { t, rid, code } = JSON.parse(line)
                if (rid !== 7) continue
                socket.close()
                done([t, code ?? ''])
            }
        }
    })
}"""


def offer(person: Caller, direction: str) -> dict[str, Any]:
    sdp = person.page.evaluate(_OFFER, "sendonly" if direction == "publish" else "recvonly")
    return {"direction": direction, "offer": sdp}


def test_a_wrong_person_gets_in_by_no_way(callers: Callers) -> None:
    """Not by the address, not by requests of its own sign-in, not by a socket; nor does a member without a seat."""
    ada, ben, cho, eve = callers("Ada", RED), callers("Ben", GREEN), callers("Cho"), callers("Eve")
    for other in (ben, cho):
        ada.befriend(other)
    made: list[str] = []

    def connected(answer: Response) -> None:
        if answer.url.endswith("/connections") and answer.status == 201:
            made.append(answer.json()["id"])

    ada.page.on("response", connected)
    call = ada.ring(ada.group("Three", ben, cho))
    ben.join(call)
    ben.sees(ada)
    ada.sees(ben)
    path = f"/calls/{call}"
    assert len(made) >= 2

    eve.open(path)
    expect(eve.page.get_by_text("This call is not yours to join")).to_be_visible()
    expect(eve.page.locator(".before__join")).to_have_count(0)
    slot = {"slots": [{"index": 0, "person": ada.id, "track": "camera"}]}
    ways: list[tuple[str, str, dict[str, Any] | None]] = [
        ("GET", path, None),
        *(("POST", f"{path}/{way}", None) for way in ("accept", "decline", "cancel", "leave", "end")),
        ("POST", f"{path}/remove", {"person": ada.id}),
        ("PATCH", f"{path}/seat", {"camera": True, "watching": [ada.id]}),
        ("POST", f"{path}/connections", offer(eve, "watch")),
        ("POST", f"{path}/connections", offer(eve, "publish")),
        *(("PUT", f"{path}/connections/{one}/view", slot) for one in made),
        *(("DELETE", f"{path}/connections/{one}", None) for one in made),
        ("POST", f"{path}/snapshots", {"person": ada.id, "key": "k" * 22}),
        ("POST", f"{path}/recording", {"on": True}),
        ("GET", f"{path}/recordings", None),
    ]
    for method, way, body in ways:
        assert eve.ask(method, way, body) == (404, "not_found"), (method, way)
    assert eve.page.evaluate(_SUBSCRIBE, f"call:{call}") == ["refused", "not_found"]

    # A member may look at the call, and has no media without a seat; nobody turns the connections of another one.
    cho.open("/people")
    assert cho.page.evaluate(_SUBSCRIBE, f"call:{call}")[0] == "subscribed"
    for direction in ("watch", "publish"):
        assert cho.ask("POST", f"{path}/connections", offer(cho, direction)) == (409, "conflict")
    assert cho.ask("PATCH", f"{path}/seat", {"watching": [ada.id]}) == (409, "conflict")
    for one in made:
        assert ben.ask("PUT", f"{path}/connections/{one}/view", slot) == (404, "not_found")
        assert ben.ask("DELETE", f"{path}/connections/{one}") == (404, "not_found")
    ben.sees(ada)
    ada.sees(ben)


def test_who_loses_the_conversation_loses_the_call(callers: Callers) -> None:
    ada, ben, cho = callers("Ada", RED), callers("Ben", GREEN), callers("Cho", BLUE)
    for other in (ben, cho):
        ada.befriend(other)
    group = ada.group("Three", ben, cho)
    call = ada.ring(group)
    for one in (ben, cho):
        one.join(call)
    ben.sees(ada, cho)
    cho.sees(ada)
    before = cho.page.evaluate("window.peers.length")
    ada.api("DELETE", f"/conversations/{group}/members/{cho.id}")
    cho.lets_go()
    for one in (ada, ben):
        expect(one.tile(cho)).to_have_count(0)
    # The server has closed them: they do not stand, and no new ones do.
    cho.page.wait_for_function("() => spy.standing().length === 0")
    assert cho.page.evaluate("window.peers.length") <= before + 2
    assert cho.ask("POST", f"/calls/{call}/accept") == (404, "not_found")
    assert cho.ask("POST", f"/calls/{call}/connections", offer(cho, "watch")) == (404, "not_found")
    ben.sees(ada)
