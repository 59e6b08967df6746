"""Second factors and families in the browser: real codes, Chromium's own virtual authenticator, windows that change
while one looks at them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pyotp
import pytest
from playwright.sync_api import Browser, CDPSession, Page, expect

from tests.browser.hub import Hub
from tests.browser.person import PASSWORD, Person
from tests.browser.test_desk import admin
from tests.browser.test_pages import faults

__all__ = ["admin"]

People = Callable[..., Person]
AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}
#: what the server answers to somebody without a factor
NEEDED = {"error": {"code": "factor_needed", "message": "Set up a second factor first.", "request_id": "r_1"}}


@pytest.fixture
def at_localhost(hub: Hub, chrome: Browser) -> Iterator[Callable[[str], Person]]:
    """Somebody at http://localhost: browsers make no passkeys at an IP address."""
    made: list[Person] = []

    def make(name: str) -> Person:
        made.append(Person(chrome, hub.url.replace("127.0.0.1", "localhost"), name))
        return made[-1].register()

    yield make
    complaints = [complaint for person in made for complaint in person.complaints]
    for person in made:
        person.context.close()
    assert complaints == []


def authenticator(person: Person) -> tuple[CDPSession, str]:
    """What a phone's or laptop's finger sensor is to the browser."""
    session = person.context.new_cdp_session(person.page)
    session.send("WebAuthn.enable")
    made = session.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    return session, str(made["authenticatorId"])


class App:
    """An authenticator app. A code works once, so each one is that of a step not used before."""

    def __init__(self, secret: str) -> None:
        self._totp = pyotp.TOTP(secret)
        self._last = 0

    def code(self, page: Page) -> str:
        """The earliest code that the server still takes and has not seen; waits for the next when two were used up."""
        while True:
            step = int(page.evaluate("Date.now()") / 30_000)
            for wanted in (step, step + 1):
                if wanted > self._last:
                    self._last = wanted
                    return self._totp.generate_otp(wanted)
            page.wait_for_function(f"Math.floor(Date.now() / 30000) > {step}", timeout=45_000)


def add_app(person: Person) -> tuple[App, list[str]]:
    """Adds an app on the page, from the key that it shows; answers the recovery codes too."""
    page = person.page
    person.open("/me/safety")
    page.get_by_role("button", name="Add an app").click()
    sheet = page.get_by_role("dialog")
    sheet.get_by_label("Your password").fill(PASSWORD)
    sheet.get_by_role("button", name="Next").click()
    expect(sheet.get_by_role("img", name="QR code")).to_be_visible()
    sheet.get_by_text("Or type the key into the app").click()
    app = App(sheet.locator(".secret").inner_text().replace(" ", ""))
    sheet.get_by_label("Code from the app").fill("000000")
    sheet.get_by_role("button", name="Add").click()
    expect(sheet.get_by_text("This is not the code.")).to_be_visible()
    sheet.get_by_label("Code from the app").fill(app.code(page))
    sheet.get_by_role("button", name="Add").click()
    codes = page.get_by_role("dialog", name="Recovery codes")
    expect(codes.get_by_role("listitem")).to_have_count(10)
    found = codes.get_by_role("listitem").all_inner_texts()
    codes.get_by_text("I have kept them safe").click()
    codes.get_by_role("button", name="Done").click()
    expect(page.get_by_text("10 codes are left")).to_be_visible()
    return app, found


def test_an_app_is_added_asked_and_removed(people: People) -> None:
    ada = people("Ada")
    page = ada.page
    ada.open("/me/safety")
    expect(page.get_by_text("You have none yet.")).to_be_visible()
    expect(page.get_by_role("button", name="Add a passkey")).to_be_disabled()
    expect(page.get_by_text("Passkeys need https and a name")).to_be_visible()
    app, codes = add_app(ada)
    assert faults(ada) == []

    page.get_by_role("button", name="Make new codes").click()
    proof = page.get_by_role("dialog", name="Is it you?")
    proof.get_by_label("Code from the app").fill("000000")
    proof.get_by_role("button", name="Confirm").click()
    expect(proof.get_by_text("This code is wrong, or was used already.")).to_be_visible()
    assert faults(ada) == []
    proof.get_by_label("Code from the app").fill(app.code(page))
    proof.get_by_role("button", name="Confirm").click()
    fresh = page.get_by_role("dialog", name="Recovery codes")
    expect(fresh.get_by_role("listitem")).to_have_count(10)
    renewed = fresh.get_by_role("listitem").all_inner_texts()
    assert set(renewed).isdisjoint(codes)
    fresh.get_by_text("I have kept them safe").click()
    fresh.get_by_role("button", name="Done").click()

    # The phone is lost: a recovery code removes it, an old one does not.
    page.get_by_role("button", name="Remove Authenticator app").click()
    proof.get_by_role("button", name="Use a recovery code").click()
    proof.get_by_label("Recovery code").fill(codes[0])
    proof.get_by_role("button", name="Confirm").click()
    expect(proof.get_by_text("This code is wrong, or was used already.")).to_be_visible()
    proof.get_by_label("Recovery code").fill(renewed[4].upper())
    proof.get_by_role("button", name="Confirm").click()
    expect(page.get_by_text("You have none yet.")).to_be_visible()
    ada.open("/inbox")
    expect(page.get_by_text("The second factor Authenticator app was removed.")).to_be_visible()
    expect(page.get_by_text("A recovery code was used.")).to_be_visible()


def test_a_passkey_is_made_used_and_found_out_when_copied(at_localhost: Callable[[str], Person]) -> None:
    ada = at_localhost("Ada")
    page = ada.page
    ada.open("/me/safety")
    device, id = authenticator(ada)
    page.get_by_role("button", name="Add a passkey").click()
    sheet = page.get_by_role("dialog")
    sheet.get_by_label("Name").fill("This laptop")
    sheet.get_by_label("Your password").fill(PASSWORD)
    sheet.get_by_role("button", name="Next").click()
    codes = page.get_by_role("dialog", name="Recovery codes")
    codes.get_by_text("I have kept them safe").click()
    codes.get_by_role("button", name="Done").click()
    expect(page.get_by_text("not used yet")).to_be_visible()

    page.get_by_role("button", name="Make new codes").click()
    proof = page.get_by_role("dialog", name="Is it you?")
    proof.get_by_role("button", name="Use the passkey").click()
    expect(codes.get_by_role("listitem")).to_have_count(10)
    codes.get_by_text("I have kept them safe").click()
    codes.get_by_role("button", name="Done").click()
    expect(page.get_by_text(re.compile("used just now"))).to_be_visible()

    # Nobody shows a finger: nothing is done, and one can try again.
    device.send("WebAuthn.setUserVerified", {"authenticatorId": id, "isUserVerified": False})
    page.get_by_role("button", name="Make new codes").click()
    proof.get_by_role("button", name="Use the passkey").click()
    expect(proof.get_by_text("The window of the browser was closed")).to_be_visible()

    # A copy of the key counts from where it was copied.
    device.send("WebAuthn.setUserVerified", {"authenticatorId": id, "isUserVerified": True})
    (credential,) = device.send("WebAuthn.getCredentials", {"authenticatorId": id})["credentials"]
    device.send("WebAuthn.clearCredentials", {"authenticatorId": id})
    device.send("WebAuthn.addCredential", {"authenticatorId": id, "credential": {**credential, "signCount": 0}})
    proof.get_by_role("button", name="Use the passkey").click()
    expect(proof.get_by_text("This code or passkey is not the right one.")).to_be_visible()
    proof.get_by_role("button", name="Close").click()
    expect(page.get_by_text("It seems to have been copied")).to_be_visible()


def test_a_sheet_without_a_factor_says_where_to_set_one_up(people: People) -> None:
    """The last factor has gone in another window, while this page still shows it."""
    ada = people("Ada", width="phone", language="zh-CN", theme="dark")
    page = ada.page
    setup = ada.api("POST", "/me/factors/totp", {"name": "手机", "password": PASSWORD})
    app = App(setup["secret"])
    added = ada.api("POST", f"/me/factors/totp/{setup['setup']}", {"code": app.code(page)})
    ada.open("/me/safety")
    page.get_by_role("button", name="移除手机").wait_for()
    page.route("**/api/v1/me/proofs", lambda route: route.fulfill(status=403, json=NEEDED))
    page.get_by_role("button", name="移除手机").click()
    sheet = page.get_by_role("dialog")
    expect(sheet.get_by_text("这一步要先设置二次验证")).to_be_visible()
    expect(sheet.get_by_role("link", name="去设置")).to_have_attribute("href", "/me/safety")
    assert faults(ada) == []
    assert len(added["recovery_codes"]) == 10


# ── Families ────────────────────────────────────────────────────────────────────────────────────────────────────────


def born(years: int) -> str:
    """Somebody so old for some months by now."""
    today = date.today()
    return date(today.year - years - 1, 12, 31).isoformat() if years else today.isoformat()


def child_of(people: People, *adults: Person, **options: Any) -> Person:
    child = people("Cleo", **options)
    child.api("PATCH", "/me", {"birth_date": born(10)})
    for adult in adults:
        adult.befriend(child)
    return child


def test_a_child_asks_and_the_mother_confirms(people: People) -> None:
    ann = people("Ann")
    cleo = child_of(people, ann, width="phone")
    cleo.open("/me/family")
    expect(cleo.page.get_by_text("Until you are 18, a guardian looks after money for you")).to_be_visible()
    expect(cleo.page.get_by_text(re.compile("¥|amount|pay out|deposit"))).to_have_count(0)
    ann.open("/me/family")
    expect(ann.page.get_by_text("You are guardian of nobody.")).to_be_visible()
    cleo.page.get_by_role("button", name="Ask somebody").click()
    cleo.page.get_by_role("dialog").get_by_role("button", name="Ann").click()
    expect(cleo.page.get_by_text("has not answered yet")).to_be_visible()
    assert faults(cleo) == []
    expect(ann.page.get_by_text("asks you to be guardian")).to_be_visible()  # without reloading
    assert faults(ann) == []
    ann.page.get_by_role("button", name="Confirm").click()
    sheet = ann.page.get_by_role("dialog")
    expect(sheet.get_by_text("What Cleo is to be paid comes to you")).to_be_visible()
    sheet.get_by_role("button", name="Confirm").click()
    expect(ann.page.get_by_text(re.compile("you look after the money · until"))).to_be_visible()
    expect(cleo.page.get_by_text("looks after the money", exact=True)).to_be_visible()
    assert faults(cleo) == []
    # A child is asked for no second factor, and does not make itself older.
    cleo.open("/me")
    expect(cleo.page.get_by_role("link", name="Family")).to_be_visible()
    expect(cleo.page.get_by_role("link", name="Second factor")).to_have_count(0)
    expect(cleo.page.get_by_label("Birth date")).not_to_be_editable()


def test_only_the_grown_up_can_be_guardian(people: People) -> None:
    ann, ben = people("Ann"), people("Ben")
    ann.befriend(ben)
    ann.open("/me/family")
    ann.page.get_by_role("button", name="Look after somebody").click()
    ann.page.get_by_role("dialog").get_by_role("button", name="Ben").click()
    expect(ann.page.get_by_text("Only somebody under 18 has guardians")).to_be_visible()


def test_staff_change_custody_and_the_other_window_sees_it_at_once(people: People, admin: Person) -> None:
    ann, ben = people("Anna"), people("Ben")
    cleo = child_of(people, ann, ben)
    for guardian in (ann, ben):
        guardian.api("POST", "/me/wards", {"person": cleo.id})
        cleo.api("POST", f"/me/guardians/{guardian.id}/confirm")
    ann.open("/me/family")
    ben.open("/me/family")
    expect(ann.page.get_by_text(re.compile("you look after the money"))).to_be_visible()
    expect(ben.page.get_by_text(re.compile("Anna looks after the money"))).to_be_visible()

    page = admin.page
    admin.open("/desk/custody")
    page.get_by_label("Handle").fill(cleo.handle)
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_text(re.compile("Born 31 Dec"))).to_be_visible()
    assert faults(admin) == []
    page.get_by_role("button", name="Change custody").click()
    sheet = page.get_by_role("dialog")
    sheet.get_by_label("Handle of the new guardian").fill(ben.handle)
    expect(sheet.get_by_role("button", name="Change custody")).to_be_disabled()
    sheet.get_by_label("Reason").fill("Court order 7 F 12/26")
    expect(sheet.get_by_role("button", name="Change custody")).to_be_enabled()
    assert faults(admin) == []
    sheet.get_by_role("button", name="Change custody").click()
    expect(page.get_by_text("Done. It holds from now on.")).to_be_visible()
    expect(page.get_by_role("list", name="Guardians").get_by_role("listitem")).to_have_count(1)

    expect(ann.page.get_by_text("You are guardian of nobody.")).to_be_visible()
    expect(ben.page.get_by_text(re.compile("you look after the money"))).to_be_visible()
    admin.open("/desk/audit")
    expect(page.get_by_text("You changed who looks after the money of Cleo")).to_be_visible()


def test_the_payee_hands_over_in_chinese_on_a_phone(people: People) -> None:
    ann = people("小安", width="phone", language="zh-CN", theme="dark")
    ben = people("小本")
    cleo = child_of(people, ann, ben)
    for guardian in (ann, ben):
        guardian.api("POST", "/me/wards", {"person": cleo.id})
        cleo.api("POST", f"/me/guardians/{guardian.id}/confirm")
    ann.open("/me/family")
    ann.page.get_by_role("button", name="交给别人管").click()
    assert faults(ann) == []
    ann.page.get_by_role("dialog").get_by_role("button", name="交给小本").click()
    expect(ann.page.get_by_text(re.compile("由小本管钱"))).to_be_visible()
    assert faults(ann) == []


def test_an_admin_resets_what_was_lost(people: People, admin: Person) -> None:
    ada = people("Ada")
    add_app(ada)
    admin.open(f"/desk/people/{ada.id}")
    admin.page.get_by_role("button", name="Reset second factors").click()
    sheet = admin.page.get_by_role("dialog")
    expect(sheet.get_by_text("only when you know for sure")).to_be_visible()
    sheet.get_by_role("button", name="Reset second factors").click()
    expect(admin.page.get_by_text("You reset the second factors of Ada")).to_be_visible()
    expect(ada.page.get_by_role("button", name="Sign in")).to_be_visible()
    ada.api("POST", "/sessions", {"login": ada.handle, "password": PASSWORD})
    ada.open("/inbox")
    expect(ada.page.get_by_text("Those who run this place took all your second factors away")).to_be_visible()
