"""A call goes on without its socket, and comes back by itself when a worker dies (R-15). Times are measured."""

from __future__ import annotations

import logging
import os
import signal
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.caller import Caller
from tests.browser.caller_films import GREEN, RED
from tests.browser.conftest import Callers
from tests.browser.hub import Hub
from tests.browser.test_calls import workers

pytestmark = pytest.mark.alone

log = logging.getLogger(__name__)

#: Seconds in which somebody is back: with a socket again, and after the death of a worker.
SOCKET_BACK, MEDIA_BACK = 3.0, 5.0

#: `cutOff()` takes the server away, and says nothing to the page but that; `joinAgain()` gives it back.
_CUT = """
{
    let cut = false
    // who waits by chance waits for as long as can be
    const chance = Math.random
    Math.random = () => (cut ? 0.95 : chance())
    window.cutOff = () => {
        cut = true
        for (const socket of window.sockets) socket.close()
    }
    window.joinAgain = () => {
        cut = false
        window.joined = performance.now()
    }
    const Socket = window.WebSocket
    window.WebSocket = class extends Socket {
        constructor(...how) {
            super(...how)
            if (cut) this.close()
            else this.addEventListener('message', ({ data }) => {
                if (/"subscribed"[^\\n]*"call:/.test(String(data))) (window.subscribed ??= []).push(performance.now())
            })
        }
    }
    const ask = window.fetch.bind(window)
    window.fetch = (...what) => (cut ? Promise.reject(new TypeError('no way there')) : ask(...what))
}
"""
#: Seconds from the moment when there was a way again until this page hears of its call.
_BACK = """async (since) => {
    await spy.until(() => ({ ok: (window.subscribed ?? []).some((at) => at > window[since]) }))
    return (window.subscribed.find((at) => at > window[since]) - window[since]) / 1000
}"""


@pytest.fixture
def two(callers: Callers) -> tuple[Caller, Caller]:
    """In a call with each other, for as long as nobody cuts anything."""
    ada, lin = callers("Ada", RED), callers("小林", GREEN)
    ada.context.add_init_script(_CUT)
    ada.befriend(lin)
    call = ada.ring(ada.direct(lin))
    lin.join(call)
    for one, other in ((ada, lin), (lin, ada)):
        one.sees(other)
        one.hears(other)
    return ada, lin


def test_a_dropped_socket_drops_no_call(two: tuple[Caller, Caller]) -> None:
    ada, lin = two
    before, peers = ada.seen(lin)["frames"], ada.page.evaluate("window.peers.length")
    ada.page.evaluate("window.dropped = performance.now(); for (const one of window.sockets) one.close()")
    back = ada.page.evaluate(_BACK, "dropped")
    log.info("seconds until the socket was back: %s", back)
    assert back < SOCKET_BACK
    lin.press("Mute")
    expect(ada.tile(lin)).to_contain_text("muted")
    for one, other in ((ada, lin), (lin, ada)):
        one.sees(other)
    assert ada.page.evaluate("window.peers.length") == peers, "the media were not touched"
    assert ada.seen(lin)["frames"] > before
    expect(ada.room).to_have_attribute("data-phase", "live")


def test_without_the_server_for_a_while(two: tuple[Caller, Caller]) -> None:
    """The others see that she is away, her media go on, and she is back soon after there is a way: nobody tells her."""
    ada, lin = two
    ada.page.evaluate("cutOff()")
    expect(ada.page.get_by_text("Not connected.")).to_be_visible()
    expect(lin.tile(ada)).to_contain_text("Connection lost, waiting …", timeout=30_000)
    before = ada.seen(lin)["frames"]
    ada.sees(lin)
    ada.hears(lin)
    assert ada.seen(lin)["frames"] > before
    lin.press("Mute")

    ada.page.evaluate("joinAgain()")
    back = ada.page.evaluate(_BACK, "joined")
    log.info("seconds until the socket was back: %s", back)
    assert back < SOCKET_BACK
    lin.sees(ada)
    expect(ada.tile(lin)).to_contain_text("muted")
    expect(ada.page.get_by_text("Not connected.")).to_have_count(0)
    lin.hears(ada)


def worker_of(one: Caller, hub: Hub) -> int:
    """The worker whose port this page gets its media from."""
    [port] = one.page.evaluate(
        """async () => [...new Set((await spy.reports())
            .filter(({ type, port }) => type === 'remote-candidate' && port).map(({ port }) => port))]"""
    )
    held = {
        fields[9]
        for table in ("/proc/net/udp", "/proc/net/udp6")
        for fields in (line.split() for line in Path(table).read_text().splitlines()[1:])
        if int(fields[1].rpartition(":")[2], 16) == port
    }
    [pid] = [pid for pid in workers(hub) if held & {inode_of(each) for each in Path(f"/proc/{pid}/fd").iterdir()}]
    return pid


def inode_of(descriptor: Path) -> str:
    try:
        return os.readlink(descriptor).removeprefix("socket:[").removesuffix("]")
    except FileNotFoundError:  # closed meanwhile
        return ""


def test_a_worker_is_killed_and_everybody_is_back(two: tuple[Caller, Caller], hub: Hub) -> None:
    ada, lin = two
    for one in two:
        one.page.evaluate("window.standing = window.peers.length")
    os.kill(worker_of(ada, hub), signal.SIGKILL)
    killed = time.monotonic()
    for one in two:
        one.page.wait_for_function("() => window.peers.length > window.standing")
    took = []
    for one, other in ((ada, lin), (lin, ada)):
        one.sees(other, more=1)
        one.hears(other)
        took.append(time.monotonic() - killed)
    log.info("seconds until everybody was back: %s", max(took))
    assert max(took) < MEDIA_BACK, took
    assert set(ada.live()) == {"audio", "video"}
    for one in two:
        expect(one.room).to_have_attribute("data-phase", "live")
