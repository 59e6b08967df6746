"""Two real browsers in one call: what one's camera sees and its microphone hears arrives at the other (R-14, R-15)."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.caller_spy import SPY
from tests.browser.conftest import People
from tests.browser.hub import Hub
from tests.browser.person import Person

pytestmark = pytest.mark.alone

#: Frames that were decoded and the energy of what was heard, over all connections that still stand.
RECEIVED = """async () => {
    let frames = 0, energy = 0
    for (const peer of window.peers.filter(({ connectionState }) => connectionState === 'connected')) {
        for (const one of (await peer.getStats()).values()) {
            if (one.type !== 'inbound-rtp') continue
            frames += one.framesDecoded ?? 0
            energy += one.totalAudioEnergy ?? 0
        }
    }
    return { frames, energy }
}"""

#: The mean colour of what a tile shows.
COLOUR = """(tile) => {
    const video = tile.querySelector('video')
    if (!video || video.readyState < 2) return null
    const canvas = Object.assign(document.createElement('canvas'), { width: 32, height: 32 })
    const context = canvas.getContext('2d')
    context.drawImage(video, 0, 0, 32, 32)
    const { data } = context.getImageData(0, 0, 32, 32)
    const sums = [0, 0, 0]
    for (let at = 0; at < data.length; at += 4) for (const part of [0, 1, 2]) sums[part] += data[at + part]
    return sums.map((sum) => sum / 1024)
}"""


@pytest.fixture
def callers(people: People) -> tuple[Person, Person, str]:
    """Two friends with a chat, on pages that note what is opened."""
    ada, lin = people("Ada"), people("小林")
    for person in (ada, lin):
        person.context.add_init_script(SPY)
    ada.befriend(lin)
    return ada, lin, ada.direct(lin)


def live(person: Person) -> int:
    """Cameras and microphones that are on."""
    count: int = person.page.evaluate("() => (window.opened ?? []).filter((t) => t.readyState === 'live').length")
    return count


def wait_until(person: Person, tries: int, what: Any) -> None:
    """Asks again each quarter of a second; a promise as a predicate would always be true for the browser's own wait."""
    for _ in range(tries * 4):
        if what():
            return
        person.page.wait_for_timeout(250)
    raise AssertionError(f"{person.name}: {person.page.evaluate(RECEIVED)}")


def hears_and_sees(person: Person) -> None:
    """More frames and more sound than now arrive."""
    before = person.page.evaluate(RECEIVED)

    def more() -> bool:
        now = person.page.evaluate(RECEIVED)
        return bool(now["frames"] > before["frames"] + 5 and now["energy"] > before["energy"])

    wait_until(person, 45, more)


def tile(person: Person, of: Person) -> Any:
    return person.page.locator(f'.tile[data-person="{of.id}"]')


def in_a_call(ada: Person, lin: Person, conversation: str) -> None:
    """Ada calls, 小林's telephone rings on whatever page she is, she answers."""
    lin.open("/people")
    ada.open(f"/calls/new?conversation={conversation}&video=1")
    join = ada.page.locator(".before__join")
    expect(join).to_be_enabled()
    assert live(ada) == 0, "nothing is open before she says so"
    join.click()
    expect(ada.page).to_have_url(re.compile("/calls/cl_"))
    ring = lin.page.locator(".ring")
    expect(ring).to_contain_text("Ada")
    assert live(lin) == 0
    ring.get_by_role("button", name="Answer").click()
    join = lin.page.locator(".before__join")
    expect(join).to_be_enabled()
    assert live(lin) == 0, "answering shows what will be open"
    join.click()
    expect(tile(ada, lin)).to_be_visible()
    expect(tile(lin, ada)).to_be_visible()


def test_two_hear_and_see_each_other(callers: tuple[Person, Person, str]) -> None:
    ada, lin, conversation = callers
    in_a_call(ada, lin, conversation)
    for person in (ada, lin):
        hears_and_sees(person)
    wait_until(lin, 30, lambda: tile(lin, ada).evaluate(COLOUR) is not None)
    # Chromium's pretended camera is a green field with a clock: the same at both ends, whoever shows it.
    sent, shown = tile(ada, ada).evaluate(COLOUR), tile(lin, ada).evaluate(COLOUR)
    assert max(abs(one - other) for one, other in zip(sent, shown, strict=True)) < 40, (sent, shown)
    assert shown[1] > shown[0] + 30, shown
    assert shown[1] > shown[2] + 30, shown

    # Camera off means off: the light goes out, and the other one sees no frozen picture.
    ada.page.get_by_role("button", name="Turn off the camera").click()
    wait_until(ada, 15, lambda: live(ada) == 1)
    expect(tile(lin, ada).locator("video")).to_have_count(0)
    ada.page.get_by_role("button", name="Turn on the camera").click()
    expect(tile(lin, ada).locator("video")).to_be_visible()
    hears_and_sees(lin)

    # Who hangs up is out with everything; of two, the other one's call ends too. The thread tells of it.
    ada.page.get_by_role("button", name=re.compile("^(Hang up|Leave)$")).click()
    for person in (ada, lin):
        wait_until(person, 15, lambda who=person: live(who) == 0)
    ada.open_chat(conversation)
    expect(ada.page.locator(".scroller")).to_contain_text(re.compile("call", re.IGNORECASE))


def test_a_call_outlives_its_media_worker(callers: tuple[Person, Person, str], hub: Hub) -> None:
    """The worker is killed; both come back by themselves, and nobody has to press anything."""
    ada, lin, conversation = callers
    in_a_call(ada, lin, conversation)
    for person in (ada, lin):
        hears_and_sees(person)
    for pid in workers(hub):
        os.kill(pid, signal.SIGKILL)
    for person in (ada, lin):
        hears_and_sees(person)
    assert live(ada) > 0
    lin.page.get_by_role("button", name=re.compile("^(Hang up|Leave)$")).click()
    wait_until(ada, 15, lambda: live(ada) == 0)


def workers(hub: Hub) -> list[int]:
    """The media workers of this hub, and of no other on this machine."""
    assert hub._process is not None
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    found = [
        int(pid)
        for pid, parent, args in (line.split(None, 2) for line in listed.splitlines())
        if "server.calls.worker" in args and int(parent) == hub._process.process.pid
    ]
    assert found
    return found
