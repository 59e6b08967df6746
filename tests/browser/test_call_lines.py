"""Thin and lossy lines of one viewer, who disturbs nobody else; sound and picture arrive together (R-15)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import pytest

from tests.browser.caller import Caller
from tests.browser.caller_films import FLASH, SNOW
from tests.browser.caller_line import Line, lined
from tests.browser.conftest import Callers

pytestmark = pytest.mark.alone

log = logging.getLogger(__name__)

#: Bits per second: of a line that carries a small picture and a voice, and of a large picture at least.
THIN, WIDE = 260_000, 450_000
#: Notes in the page when a picture turns bright and when a voice sounds, for so many seconds; the lag of the sound
#: behind the picture, in seconds, for each flash.
_LAGS = """async ([person, seconds]) => {
    const first = (kind) => window.opened.find((each) => each.kind === kind && each.readyState === 'live')
    const own = (kind) => new MediaStream([first(kind)])
    const context = new AudioContext(), ear = context.createAnalyser()
    ear.fftSize = 256
    const sound = person ? document.querySelector('audio').srcObject : own('audio')
    context.createMediaStreamSource(sound).connect(ear)
    let video = person && spy.video(person, 'camera')
    if (!video) {
        video = Object.assign(document.createElement('video'), { muted: true, srcObject: own('video') })
        await video.play()
    }
    const end = performance.now() + seconds * 1000
    const light = [], loud = [], samples = new Float32Array(ear.fftSize)
    const look = (now) => {
        const [[red, green, blue]] = spy.colours(video, [[0.25, 0.25]])
        light.push([now, red + green + blue])
        if (now < end) video.requestVideoFrameCallback(look)
    }
    video.requestVideoFrameCallback(look)
    while (performance.now() < end) {
        ear.getFloatTimeDomainData(samples)
        loud.push([performance.now(), Math.max(...samples.map(Math.abs))])
        await new Promise((done) => setTimeout(done, 5))
    }
    const onsets = (all) => {
        // Half as loud as what is loud, which is so for a fifth of the time: the browser's gain begins with a peak.
        const levels = all.map(([, level]) => level).toSorted((one, other) => one - other)
        const border = levels[Math.floor(levels.length * 0.92)] / 2
        const found = []
        let quiet = null
        for (const [at, level] of all) {
            if (level < border) quiet ??= at
            else {
                if (quiet !== null && at - quiet > 500) found.push(at)
                quiet = null
            }
        }
        return found
    }
    const flashes = onsets(light), beeps = onsets(loud)
    return flashes.flatMap((flash) => beeps.map((beep) => beep - flash).filter((lag) => Math.abs(lag) < 1_000))
        .map((lag) => lag / 1000)
}"""


@pytest.fixture
def watched(callers: Callers) -> Iterator[tuple[Caller, Caller, Caller, Line]]:
    """Ada, whose picture is more than a thin line carries, Tom at a good line, 小林 at one that the test makes poor."""
    ada, tom, lin = callers("Ada", SNOW), callers("Tom"), callers("小林")
    with lined(lin.context) as line:
        for other in (tom, lin):
            ada.befriend(other)
        call = ada.ring(ada.group("Three", tom, lin))
        for one in (tom, lin):
            one.join(call, camera=False, voice=False)
        for one in (tom, lin):
            one.sees(ada)
            one.hears(ada)
        assert line.passed > 0
        yield ada, tom, lin, line


def over(seconds: float, of: Caller, *viewers: Caller) -> list[dict[str, Any]]:
    """What has arrived at each of them in so many seconds."""
    before = [one.seen(of) for one in viewers]
    viewers[0].page.wait_for_timeout(seconds * 1000)
    after = [one.seen(of) for one in viewers]
    counts = ("frames", "freezes", "lost", "packets", "asked", "bytes")
    grown = [{name: now[name] - then[name] for name in counts} for then, now in zip(before, after, strict=True)]
    return [{**now, **more, "rate": more["bytes"] * 8 / seconds} for now, more in zip(after, grown, strict=True)]


def test_a_thin_line_gets_the_small_picture_and_nobody_else_is_disturbed(
    watched: tuple[Caller, Caller, Caller, Line],
) -> None:
    ada, tom, lin, line = watched
    until(lambda good, _: good["rate"] > WIDE, tom, lin, of=ada)
    undisturbed = tom.seen(ada)
    line.bits = THIN
    # Whatever of the large picture came through such a line would come with holes.
    until(lambda good, thin: thin["rate"] < THIN and thin["lost"] == 0 < thin["frames"], tom, lin, of=ada)
    lin.sees(ada, more=20)
    lin.hears(ada)
    good, thin = over(2, ada, tom, lin)
    assert good["rate"] > WIDE > 2 * thin["rate"]
    line.bits = None
    until(lambda good, thin: thin["rate"] > 0.8 * good["rate"], tom, lin, of=ada)
    lin.sees(ada)
    now = tom.seen(ada)
    assert now["lost"] == undisturbed["lost"], "every packet of the large picture has arrived at the others"
    assert now["frames"] > undisturbed["frames"] + 50


def until(wanted: Callable[[dict[str, Any], dict[str, Any]], bool], good: Caller, thin: Caller, *, of: Caller) -> None:
    """Looks at what arrives at both, second by second."""
    found = over(1, of, good, thin)
    for _ in range(60):
        if wanted(*found):
            return
        found = over(1, of, good, thin)
    raise AssertionError(found)


def test_five_percent_of_loss_freezes_nothing(watched: tuple[Caller, Caller, Caller, Line]) -> None:
    """What is lost is sent again in time: as many pictures as at the line that loses nothing."""
    ada, tom, lin, line = watched
    line.loss = 0.05
    over(3, ada, lin, tom)
    lossy, good = over(8, ada, lin, tom)
    log.info("pictures per second, with and without loss: %s", (lossy["frames"] / 8, good["frames"] / 8))
    assert line.dropped > 20
    assert lossy["asked"] > 0
    assert lossy["freezes"] <= good["freezes"]
    assert lossy["frames"] >= 0.9 * good["frames"]
    # As many pictures as this machine makes of 30 at the moment.
    assert lossy["frames"] / 8 >= min(24.0, 0.9 * good["frames"] / 8)


def test_sound_and_picture_arrive_together(callers: Callers) -> None:
    """Each flash of the film comes with a tone: between camera and viewer neither overtakes the other."""
    ada, lin = callers("Ada", FLASH), callers("小林")
    ada.befriend(lin)
    call = ada.ring(ada.direct(lin))
    lin.join(call, camera=False, voice=False)
    lin.hears(ada)
    lin.page.evaluate("async (id) => spy.until(async () => ({ ok: (await spy.seen(id)).frames > 30 }))", ada.id)
    for one, of in ((ada, None), (lin, ada.id)):
        one.page.evaluate(f"([of, seconds]) => {{ window.lags = ({_LAGS})([of, seconds]) }}", [of, 12])
    at_home, arrived = (one.page.evaluate("() => window.lags") for one in (ada, lin))
    assert len(at_home) >= 4, at_home
    assert len(arrived) >= 4, arrived
    skew = median(arrived) - median(at_home)
    log.info("seconds by which the sound came later than the picture: %s", skew)
    assert abs(skew) < 0.15, (skew, at_home, arrived)
