"""A call of people who reach nothing but a TURN server (coturn), by credentials that the hub makes for each (R-15)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.caller_spy import SPY
from tests.browser.hub import Hub
from tests.browser.person import Person
from tests.browser.test_calls import hears_and_sees, in_a_call
from tests.browser.turn_server import coturn

pytestmark = pytest.mark.alone

#: As a browser behind a closed firewall: no way but the relay's.
CLOSED = """
const Open = window.RTCPeerConnection
window.RTCPeerConnection = class extends Open {
    constructor(how, ...more) {
        super({ ...how, iceTransportPolicy: 'relay' }, ...more)
    }
}
"""
#: Which way each connection has taken.
WAYS = """async () => {
    const ways = []
    for (const peer of window.peers) {
        const stats = [...(await peer.getStats()).values()]
        const chosen = stats.find(({ type }) => type === 'transport')?.selectedCandidatePairId
        const pair = stats.find(({ id }) => id === chosen)
        ways.push(stats.find(({ id }) => id === pair?.localCandidateId)?.candidateType)
    }
    return ways
}"""


@pytest.fixture
def relayed(tmp_path: Path) -> Iterator[Hub]:
    with coturn(tmp_path) as turn:
        hub = Hub(tmp_path / "data", VOUCH_CALLS_TURN=turn.url, VOUCH_CALLS_TURN_SECRET=turn.secret)
        hub.start()
        yield hub
        hub.stop()


def test_a_call_through_a_relay(relayed: Hub, chrome: Browser) -> None:
    made = [Person(chrome, relayed.url, name).register() for name in ("Ada", "小林")]
    try:
        ada, lin = made
        for person in made:
            person.context.add_init_script(CLOSED)
            person.context.add_init_script(SPY)
        ada.befriend(lin)
        in_a_call(ada, lin, ada.direct(lin))
        for person in made:
            hears_and_sees(person)
            ways: list[Any] = person.page.evaluate(WAYS)
            assert ways
            assert set(ways) == {"relay"}
        assert [person.complaints for person in made] == [[], []]
    finally:
        for person in made:
            person.context.close()
