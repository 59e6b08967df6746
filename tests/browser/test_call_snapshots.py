"""A snapshot in a call: the right picture, marked, signed, filed, verified; a changed byte is found (R-14, R-16)."""

from __future__ import annotations

import base64
import io
import re
from datetime import UTC, datetime
from typing import Any

import av
import c2pa
import msgspec
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from server.proofs.rules import stamp_of
from server.proofs.worker import drawing
from tests.browser.caller import Caller
from tests.browser.caller_films import GREEN, GREY, HEIGHT, RED, WIDTH, Colour
from tests.browser.conftest import Callers
from tests.browser.test_judging import promise

pytestmark = pytest.mark.alone

#: Lets a file fall onto the page as from the desktop.
_DROP = """([name, data]) => {
    const bytes = Uint8Array.from(atob(data), (each) => each.charCodeAt(0))
    const dataTransfer = new DataTransfer()
    dataTransfer.items.add(new File([bytes], name, { type: 'image/jpeg' }))
    const place = document.querySelector('.verify__drop')
    for (const kind of ['dragenter', 'dragover', 'drop'])
        place.dispatchEvent(new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer }))
}"""


def test_a_snapshot_is_the_right_picture_marked_signed_and_filed(callers: Callers) -> None:
    emma, tom = callers("Emma", RED), callers("Tom", GREEN)
    pledge = promise(emma, tom)
    call = tom.ring(emma.direct(tom), pledge=pledge)
    emma.join(call)
    tom.sees(emma)
    emma.sees(tom)
    # Who is shown is told before, and then that it has happened.
    expect(emma.page.locator(".watched--live")).to_have_text("You are being watched by Tom")
    # On a busy machine Chromium begins with less of its camera; what is filed is what is sent.
    tom.page.evaluate(
        """([person, width]) => spy.until(async () => {
            const seen = await spy.seen(person)
            return { ...seen, ok: seen.width === width }
        }, 90)""",
        [emma.id, WIDTH],
    )
    tom.choose("Take a proof photo")
    with tom.page.expect_response(re.compile(r"/calls/[^/]+/snapshots$")) as answer:
        tom.page.get_by_role("dialog").get_by_role("button", name="Take it").click()
    id = answer.value.json()["proof"]
    expect(emma.page.get_by_text("Tom took a proof photo of you.")).to_be_visible()

    proof = tom.api("GET", f"/proofs/{id}")
    assert (proof["person"], proof["by"], proof["pledge"], proof["call"]) == (emma.id, tom.id, pledge, call)
    filed = [one["id"] for each in tom.api("GET", f"/pledges/{pledge}/evidence")["evidence"] for one in each["proofs"]]
    assert filed == [id]
    file = picture_of(tom, id)
    assert file == picture_of(emma, id)
    looks_right(file, proof, RED.colour)
    # She takes none of him: it is her promise.
    status, code = emma.ask("POST", f"/calls/{call}/snapshots", {"person": tom.id, "key": "k" * 22})
    assert (status, code) == (403, "forbidden")

    # A stranger without an account drops it onto the page.
    stranger = tom.context.browser.new_context(base_url=tom.url) if tom.context.browser else None
    assert stranger is not None
    page = stranger.new_page()
    page.goto("/verify")
    dropped(page, file)
    expect(page.get_by_role("heading", name="Sealed here, and unchanged")).to_be_visible()
    expect(page.get_by_text("Emma")).to_have_count(0)
    for at in (len(file) // 3, len(file) - 200):
        dropped(page, file[:at] + bytes([file[at] ^ 1]) + file[at + 1 :])
        expect(page.get_by_role("heading", name="Changed since it was sealed")).to_be_visible()
        dropped(page, file)
        expect(page.get_by_role("heading", name="Sealed here, and unchanged")).to_be_visible()
    stranger.close()


def picture_of(person: Caller, proof: str) -> bytes:
    """The file as it was signed."""
    return person.context.request.get(f"/api/v1/proofs/{proof}/picture").body()


def dropped(page: Page, file: bytes) -> None:
    page.locator(".verify__drop").wait_for()
    with page.expect_response(re.compile("/proofs/verify")):
        page.evaluate(_DROP, ["proof.jpg", base64.b64encode(file).decode()])


def pixels(file: bytes) -> Any:
    """As another program than the one that made it decodes it."""
    with av.open(io.BytesIO(file), "r") as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24").astype(int)


def looks_right(file: bytes, proof: dict[str, Any], colour: Colour) -> None:
    """The main camera's picture in that colour, the time and the code in it, and the slip with the name below it."""
    shown = pixels(file)
    assert shown.shape == (HEIGHT + drawing.slip_height(WIDTH, HEIGHT), WIDTH, 3), (
        "the large picture, not the small one"
    )
    for place, wanted in ((np.s_[60:300, 20:300], colour), (np.s_[60:300, 340:620], GREY)):
        assert np.abs(shown[place].reshape(-1, 3).mean(axis=0) - wanted).max() < 25, (proof["id"], wanted)
    when = stamp_of(datetime.fromtimestamp(proof["at"] / 1000, UTC))
    about = "Emma · Run again"
    right = likeness(shown, (when, about, proof["code"]))
    assert right < 8
    # Each line of it: with another one in its place it looks less like that.
    for wrong in (
        ("2026-01-01 00:00:00 UTC", about, proof["code"]),
        (when, "Tomo · Run again", proof["code"]),
        (when, about, "00000-00000-00000-00000"),
    ):
        assert likeness(shown, wrong) > 1.2 * right, wrong
    # What is written inside the picture is lighter than the picture around it, and stands on a shade.
    inside = shown[8:28, 10:300].mean(axis=2)
    assert inside.max() > 180
    assert inside.min() < np.mean(colour)

    with c2pa.Reader("image/jpeg", io.BytesIO(file)) as reader:
        said = msgspec.json.decode(reader.json())
    assert said["validation_state"] == "Valid", said
    active = said["manifests"][said["active_manifest"]]
    assert proof["id"] in str(active["assertions"])


def likeness(shown: Any, lines: tuple[str, str, str]) -> float:
    """Mean difference (0 … 255) of the slip from one with these lines."""
    wanted = np.asarray(drawing.marked(Image.new("RGB", (WIDTH, HEIGHT)), lines), dtype=int)
    return float(np.abs(shown[HEIGHT:] - wanted[HEIGHT:]).mean())
