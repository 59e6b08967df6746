"""Stakes of each kind, paid at the real check-out page of the platform for practice; whatever becomes of them, the
ledger verifies to 0."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import expect

from scripts.hub_process import run_command
from tests.browser import test_finance
from tests.browser.conftest import People
from tests.browser.hub import Hub
from tests.browser.person import Person
from tests.browser.wallet import at_check_out, available
from tests.payments.sandbox_process import SandboxClient

ZONE = "Asia/Shanghai"
DEPOSIT = {"kind": "deposit", "amount": 100_00, "currency": "CNY", "moves_if_failed": 100_00}
STAFF = {"kind": "staff", "amount": 20_00, "currency": "CNY", "moves_if_failed": 20_00}
REWARD = {"kind": "reward", "amount": 30_00, "currency": "CNY", "moves_if_kept": 25_00}

admin = test_finance.admin


@pytest.fixture(autouse=True)
def books(hub: Hub) -> Iterator[None]:
    """After each test everything is computed again from the journal."""
    yield
    said = run_command("ledger", "verify", "--data-dir", str(hub.data_dir)).stdout
    assert "Difference: 0. Whole." in said, said


def terms(stake: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Due in two hours, and it can be done already."""
    due = datetime.now(ZoneInfo(ZONE)) + timedelta(hours=2)
    task = {"title": "Read 20 pages", "due": f"{due:%Y-%m-%dT%H:%M}"}
    return {"title": "Read every evening", "zone": ZONE, "tasks": [task], "stake": stake, **more}


def publish(drafter: Person, wanted: dict[str, Any]) -> str:
    id: str = drafter.api("POST", "/pledges", {"id": secrets.token_urlsafe(16), "side": "owner", **wanted})["id"]
    drafter.api("POST", f"/pledges/{id}/publish")
    return id


def promise(owner: Person, *supervisors: Person, stake: dict[str, Any] = DEPOSIT) -> str:
    """All of them watch it; it waits for the money."""
    for person in supervisors:
        owner.befriend(person)
    many = len(supervisors)
    id = publish(
        owner,
        {"terms": terms(stake, least=many, most=many), "supervisors": [person.id for person in supervisors]},
    )
    for person in supervisors:
        person.api("POST", f"/pledges/{id}/invitation/accept")
    return id


def pay(payer: Person, id: str, amount: str) -> None:
    """From the pledge's page through the check-out, and back."""
    page = payer.open(f"/pledges/{id}").page
    page.get_by_role("button", name=f"Put in {amount}").first.click()
    page.get_by_role("dialog").get_by_role("button", name=f"Pay {amount} with Practice Pay").click()
    at_check_out(page, amount)
    page.get_by_role("button", name=f"Pay {amount}").click()
    expect(page).to_have_url(re.compile(f"/pledges/{id}"))
    expect(page.locator(".slip__head").get_by_text("Running", exact=True)).to_be_visible()


def end(id: str, outcome: str, owner: Person, *others: Person) -> None:
    """Everybody accepts what became of it, and does not wait for the window to pass."""
    for person in (owner, *others):
        person.api("POST", f"/pledges/{id}/agreement")
    view = owner.api("GET", f"/pledges/{id}")
    assert (view["state"], view["outcome"]) == ("settled", outcome)


def keep(id: str, supervisor: Person) -> None:
    view = supervisor.api("POST", f"/pledges/{id}/tasks/1/stamps", {"verdict": "done"})
    assert view["tasks"][0]["early"]


def fail(id: str, owner: Person) -> None:
    owner.api("POST", f"/pledges/{id}/admission", {"words": "I have not even begun."})


def lines(person: Person) -> list[str]:
    """The statement, the newest first."""
    person.open("/wallet/statement")
    rows = person.page.get_by_role("main").locator(".line__title")
    expect(rows.first).to_be_visible()
    return rows.all_inner_texts()


def test_a_deposit_that_is_kept_comes_back(people: People, till: SandboxClient) -> None:
    emma, tom = people("Emma", width="phone"), people("Tom")
    id = promise(emma, tom)
    pay(emma, id, "¥100.00")
    assert available(emma) == 0
    keep(id, tom)
    end(id, "kept", emma, tom)
    expect(emma.page.get_by_text("It is settled. Nothing more happens.")).to_be_visible()
    assert (available(emma), available(tom)) == (100_00, 0)
    assert lines(emma) == ["Back from a pledge", "Set aside for a pledge", "Top-up"]
    emma.page.get_by_role("link", name="Back from a pledge").click()
    expect(emma.page).to_have_url(re.compile(f"/pledges/{id}$"))


def test_a_deposit_that_is_lost_is_split_three_ways(people: People, till: SandboxClient) -> None:
    """What cannot be divided goes to the first."""
    emma, *watchers = people("Emma"), people("Tom"), people("Max"), people("Ann")
    id = promise(emma, *watchers)
    pay(emma, id, "¥100.00")
    fail(id, emma)
    end(id, "failed", emma, *watchers)
    expect(emma.page.get_by_text("It is settled. Nothing more happens.")).to_be_visible()
    assert [available(person) for person in (emma, *watchers)] == [0, 33_34, 33_33, 33_33]
    assert lines(watchers[0]) == ["From a pledge"]
    assert lines(emma)[0] == "Gone to the other side of a pledge"


def test_what_staff_judges_comes_back_whole_or_goes_to_the_department(
    people: People, admin: Person, till: SandboxClient
) -> None:
    sue, emma = people("Sue"), people("Emma")
    admin.api("PUT", f"/admin/users/{sue.id}/grants/staff")
    sue.api("PUT", "/staff/duty", {"templates": ["reading"]})
    kept, failed = (publish(emma, {"terms": terms(STAFF, template="reading")}) for _ in range(2))
    pay(emma, kept, "¥20.00")
    keep(kept, sue)
    end(kept, "kept", emma, sue)
    assert available(emma) == 20_00, "all of it, though it was early"
    fund = {"id": secrets.token_urlsafe(16)}
    assert emma.api("POST", f"/pledges/{failed}/funding", fund)["pledge"]["state"] == "active"
    fail(failed, emma)
    end(failed, "failed", emma, sue)
    assert (available(emma), available(sue)) == (0, 0), "who judges never gains"
    (part,) = emma.api("GET", f"/pledges/{failed}")["stake"]["parts"]
    assert (part["side"], part["amount"]) == ("department", 20_00)


def test_a_reward_is_earned_or_comes_back(people: People, till: SandboxClient) -> None:
    ben, lin = people("Ben"), people("Lin")
    ben.befriend(lin)
    for outcome, left in (("kept", 5_00), ("failed", 35_00)):
        id = publish(ben, {"side": "supervisor", "owner": lin.id, "terms": terms(REWARD)})
        lin.api("POST", f"/pledges/{id}/consent")
        pay(ben, id, "¥30.00")
        if outcome == "kept":
            keep(id, ben)
        else:
            fail(id, lin)
        end(id, outcome, lin, ben)
        assert (available(lin), available(ben)) == (25_00, left)
