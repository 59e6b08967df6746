"""A live photo from the camera to the stranger who verifies it, and where somebody is, as a circle (R-14, R-16)."""

from __future__ import annotations

import io
import json
import os
import re
from pathlib import Path

from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import People
from tests.browser.person import Person
from tests.browser.test_judging import promise, task_of

#: where screens are kept for looking at them; nowhere, unless asked for
_SCREENS = os.environ.get("VOUCH_TEST_SCREENS", "")


def keep(page: Page, name: str) -> None:
    if _SCREENS:
        page.wait_for_timeout(400)
        page.screenshot(path=f"{_SCREENS}/{name}.png")


def at(person: Person, latitude: float = 51.507351, longitude: float = -0.127758, accuracy: float = 18) -> None:
    person.context.grant_permissions(["geolocation", "camera"])
    person.context.set_geolocation({"latitude": latitude, "longitude": longitude, "accuracy": accuracy})


def shoot(page: Page, sheet: Locator) -> None:
    """Takes the picture as soon as the camera shows something."""
    button = sheet.get_by_role("button", name="Take the picture")
    expect(button).to_be_enabled()
    button.click()


def test_a_live_photo_is_sealed_shown_and_verified(people: People, tmp_path: Path) -> None:
    emma, tom = people("Emma", width="phone"), people("Tom")
    id = promise(emma, tom)
    at(emma)
    emma.open(f"/pledges/{id}")
    task_of(emma.page).get_by_role("button", name="Report").click()
    emma.page.get_by_role("button", name="Live photo").first.click()
    sheet = emma.page.get_by_role("dialog", name="A live photo")
    code = sheet.locator(".photo__code")
    expect(code).to_have_text(re.compile(r"[0-9A-Z]{5}(-[0-9A-Z]{5}){3}"))
    expect(sheet.get_by_role("timer")).to_be_visible()
    keep(emma.page, "photo-aiming-phone")
    sheet.get_by_text("Add where I am").click()
    expect(sheet.get_by_role("img", name="Within 18 m")).to_be_visible()
    shoot(emma.page, sheet)
    sheet.get_by_role("button", name="Seal it").click()
    expect(sheet.get_by_text("Sealed.", exact=True)).to_be_visible()
    keep(emma.page, "photo-sealed-phone")
    sheet.get_by_role("button", name="Use this photo").click()
    expect(emma.page.get_by_text("Live photo, sealed").first).to_be_visible()
    keep(emma.page, "photo-attached-phone")
    emma.page.get_by_role("button", name="I have done it").click()

    tom.open(f"/pledges/{id}")
    evidence = tom.page.get_by_role("region", name="Evidence")
    expect(evidence.get_by_text("Live photo, sealed")).to_be_visible()
    expect(evidence.get_by_role("img", name="Within 18 m")).to_be_visible()
    evidence.scroll_into_view_if_needed()
    keep(tom.page, "evidence-desktop")
    with tom.page.expect_download() as saved:
        evidence.get_by_role("link", name="Save the sealed file").click()
    file = tmp_path / "proof.jpg"
    saved.value.save_as(file)
    evidence.get_by_role("link", name="Verify a picture").click()

    verify(tom, file)
    expect(tom.page.get_by_role("heading", name="Sealed here, and unchanged")).to_be_visible()
    expect(tom.page.get_by_role("link", name="Run again")).to_be_visible()
    keep(tom.page, "verify-desktop")

    stranger = people("Eve", registered=False, width="phone", language="zh-CN")
    stranger.open("/verify")
    keep(stranger.page, "verify-empty-phone-zh")
    verify(stranger, file)
    expect(stranger.page.get_by_role("heading", name="在此封印，没有改动")).to_be_visible()
    expect(stranger.page.get_by_text("只告诉监督它的人")).to_be_visible()
    expect(stranger.page.get_by_text("Emma")).to_have_count(0)
    keep(stranger.page, "verify-unchanged-phone-zh")

    whole = file.read_bytes()
    file.write_bytes(whole[:-300] + bytes([whole[-300] ^ 1]) + whole[-299:])
    verify(stranger, file)
    expect(stranger.page.get_by_role("heading", name="封印之后改过")).to_be_visible()
    keep(stranger.page, "verify-changed-phone-zh")
    with Image.open(io.BytesIO(whole)) as sealed:
        sealed.convert("RGB").save(file, "JPEG", quality=60)  # as a messenger sends it on
    verify(stranger, file)
    resembles = stranger.page.get_by_role("heading", name="很像一张封印过的照片")
    expect(resembles).to_be_visible()
    expect(resembles).to_be_in_viewport()
    expect(stranger.page.get_by_text("Emma")).to_have_count(0)
    keep(stranger.page, "verify-resembles-phone-zh")
    file.write_bytes(b"\xff\xd8 nothing of ours \xff\xd9")
    verify(stranger, file)
    expect(stranger.page.get_by_role("heading", name="没有本服务器的封印")).to_be_visible()


def verify(person: Person, file: Path) -> None:
    person.page.locator(".verify__drop input[type=file]").set_input_files(file)


def test_a_place_is_shown_before_it_is_sent_and_decides_nothing(people: People) -> None:
    emma, tom = people("Emma"), people("Tom", width="phone", language="zh-CN")
    id = promise(emma, tom)
    at(emma, accuracy=240)
    emma.open(f"/pledges/{id}")
    task_of(emma.page).get_by_role("button", name="Report").click()
    emma.page.get_by_role("button", name="Where I am").first.click()
    sheet = emma.page.get_by_role("dialog", name="Say where you are")
    expect(sheet.get_by_role("img", name="Within 240 m")).to_be_visible()
    keep(emma.page, "place-desktop")
    assert emma.api("GET", f"/pledges/{id}/evidence")["evidence"] == [], "nothing is sent before the button"
    sheet.get_by_role("button", name="Add to the evidence").click()
    expect(emma.page.get_by_text("Your place is in the evidence")).to_be_visible()

    emma.api("POST", f"/pledges/{id}/tasks/1/report", {})
    tom.open(f"/pledges/{id}")
    task_of(tom.page).get_by_role("button", name="盖章", exact=True).click()
    stamping = tom.page.get_by_role("dialog")
    expect(stamping.get_by_role("img", name="误差 240")).to_be_visible()
    keep(tom.page, "stamp-phone-zh")
    stamping.get_by_role("button", name="盖章").last.click()
    expect(stamping.get_by_text("只有位置不能作数")).to_be_visible()
    assert tom.api("GET", f"/pledges/{id}")["state"] == "active"


def test_what_goes_wrong_is_said_and_nothing_is_sent(people: People) -> None:
    """The minute runs out, then the picture was shown before: each says what to do next."""
    emma, tom = people("Emma", width="phone", language="zh-CN", theme="dark"), people("Tom")
    id = promise(emma, tom)
    at(emma)
    emma.open(f"/pledges/{id}")
    task_of(emma.page).get_by_role("button", name="报一声").click()
    emma.page.get_by_role("button", name="现场拍照").first.click()
    sheet = emma.page.get_by_role("dialog").last
    expect(sheet.locator(".photo__code")).to_be_visible()
    emma.page.evaluate(
        "Object.defineProperty(document, 'hidden', {value: true, configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    expect(sheet.get_by_role("button", name="换一个编码")).to_be_visible()
    keep(emma.page, "photo-over-phone-zh-dark")
    emma.page.evaluate("delete document.hidden")
    fault = {"error": {"code": "picture_reused", "message": "Shown before."}}
    emma.page.route(
        re.compile(r"/photos$"),
        lambda route: route.fulfill(status=409, content_type="application/json", body=json.dumps(fault)),
    )
    sheet.get_by_role("button", name="换一个编码").click()
    button = sheet.locator(".photo__shutter")
    expect(button).to_be_enabled()
    keep(emma.page, "photo-aiming-phone-zh-dark")
    button.click()
    sheet.get_by_role("button", name="盖印", exact=True).click()
    expect(sheet.get_by_role("alert")).to_be_visible()
    expect(sheet.get_by_role("button", name="盖印", exact=True)).to_have_count(0)
    keep(emma.page, "photo-refused-phone-zh-dark")
    assert emma.api("GET", f"/pledges/{id}/evidence")["evidence"] == []


def test_without_a_camera_it_says_what_to_do(people: People) -> None:
    emma, tom = people("Emma", language="zh-CN"), people("Tom")
    id = promise(emma, tom)
    emma.page.add_init_script(
        "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotFoundError'))"
    )
    emma.open(f"/pledges/{id}")
    task_of(emma.page).get_by_role("button", name="报一声").click()
    emma.page.get_by_role("button", name="现场拍照").first.click()
    expect(emma.page.get_by_text("没有找到相机")).to_be_visible()
    keep(emma.page, "no-camera-desktop-zh")
    assert emma.api("GET", f"/pledges/{id}/evidence")["evidence"] == []
