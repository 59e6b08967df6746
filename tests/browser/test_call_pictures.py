"""A picture in a call that no promise gives a right to: asked for, answered on whatever page, found again (R-14)."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.caller import Caller
from tests.browser.caller_films import GREEN, HEIGHT, RED, WIDTH
from tests.browser.conftest import Callers
from tests.browser.test_call_snapshots import pixels

pytestmark = pytest.mark.alone


def test_a_picture_is_taken_only_by_the_yes_of_who_is_shown(callers: Callers) -> None:
    emma, tom = callers("Emma", RED), callers("Tom", GREEN)
    emma.befriend(tom)
    call = tom.ring(emma.direct(tom))
    emma.join(call)
    tom.sees(emma)
    emma.sees(tom)

    # No.
    ask(tom)
    question(emma).get_by_role("button", name="No", exact=True).click()
    expect(tom.page.get_by_text("Emma would rather not.")).to_be_visible()
    assert tom.api("GET", f"/calls/{call}/proofs")["proofs"] == []
    # Nobody is pressed: for a while they are not asked again. Nor can the asker answer.
    status, code = tom.ask("POST", f"/calls/{call}/snapshots/asks", {"person": emma.id, "key": "k" * 22})
    assert (status, code) == (409, "conflict")
    [asked] = tom.api("GET", f"/calls/{call}")["asks"]
    status, code = tom.ask("POST", f"/calls/{call}/snapshots/answers", {"ask": asked["id"], "yes": True})
    assert (status, code) == (403, "forbidden")

    # Taken back: the question is gone.
    ask(emma, of="Tom")
    question(tom, by="Emma").wait_for()
    emma.page.get_by_role("button", name="Take it back").click()
    expect(question(tom, by="Emma")).to_have_count(0)

    # Yes, from another page than that of the call.
    tom.page.get_by_role("button", name="Back", exact=True).click()
    expect(tom.room).to_have_count(0)
    ask(emma, of="Tom")
    question(tom, by="Emma").get_by_role("button", name="Yes, take it").click()
    expect(emma.page.get_by_text("Tom said yes. The picture is taken and signed.")).to_be_visible()
    [proof] = emma.api("GET", f"/calls/{call}/proofs")["proofs"]
    assert (proof["person"], proof["by"], proof.get("pledge")) == (tom.id, emma.id, None)

    # Both find it again when the call is over; whom it shows and in which colours.
    emma.leave()
    for person, words in ((emma, "Picture of Tom"), (tom, "Picture of you, taken by Emma")):
        person.open(f"/calls/{call}")
        image = person.page.get_by_role("img", name=words)
        image.scroll_into_view_if_needed()
        person.page.wait_for_function("(image) => image.complete && image.naturalWidth > 0", arg=image.element_handle())
    file = emma.context.request.get(f"/api/v1/proofs/{proof['id']}/picture").body()
    shown = pixels(file)
    wide = shown.shape[1]
    high = wide * HEIGHT // WIDTH  # below it comes the slip; above, what is written inside
    seen = shown[high // 3 : high * 3 // 4, wide // 20 : wide * 9 // 20].reshape(-1, 3).mean(axis=0)
    assert abs(seen - GREEN.colour).max() < 25


def ask(person: Caller, of: str = "Emma") -> None:
    person.choose("Take a proof photo")
    sheet = person.page.get_by_role("dialog", name=f"Ask {of} for a picture?")
    sheet.get_by_role("button", name="Ask", exact=True).click()
    expect(person.page.get_by_text(f"Waiting for a yes from {of}")).to_be_visible()


def question(of: Caller, by: str = "Tom") -> Locator:
    return of.page.get_by_role("dialog", name=f"May {by} take a picture of you?")
