"""Coming together: a group of which not everybody accepts and which then cannot agree; several who promise the same."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import CodecOptions
from playwright.sync_api import expect
from pymongo import MongoClient

from server.clock import to_ms
from server.embedded import databases
from server.settings import load
from tests.browser import test_disputes, test_stakes
from tests.browser.conftest import People
from tests.browser.hub import Hub
from tests.browser.person import Person
from tests.browser.test_disputes import chip, rule, take
from tests.browser.test_stakes import DEPOSIT, REWARD, end, keep, pay, publish, terms
from tests.browser.wallet import available
from tests.payments.sandbox_process import SandboxClient

#: after each test the ledger is computed again
books = test_stakes.books
admin = test_stakes.admin
staff = test_disputes.staff


def make_late(hub: Hub, id: str) -> None:
    """Its tasks were due three hours earlier than was agreed: nobody has to wait for the evening."""
    settings = load({"data_dir": str(hub.data_dir)})
    options: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True)
    with databases(settings) as (_, uri, _), MongoClient[dict[str, Any]](uri) as client:
        rows = client.get_database(settings.database, options).get_collection("pledges")
        row = rows.find_one({"_id": id})
        assert row is not None
        for task in row["tasks"]:
            for moment in ("opens_at", "due_at", "late_until"):
                task[moment] -= timedelta(hours=3)
        done = rows.update_one(
            {"_id": id, "version": row["version"]}, {"$set": {"tasks": row["tasks"]}, "$inc": {"version": 1}}
        )
        assert done.modified_count == 1


def test_a_group_of_which_some_accept_and_which_cannot_agree(
    people: People, staff: Callable[[str], Person], hub: Hub, till: SandboxClient
) -> None:
    """Three are asked, two are enough; one stamps done and one not done, so staff judges."""
    emma, tom, max_, ann = people("Emma", width="phone"), people("Tom"), people("Max"), people("Ann")
    ray = staff("Ray")
    for friend in (tom, max_, ann):
        emma.befriend(friend)
    wanted = terms(DEPOSIT, least=2, most=3)
    id = publish(emma, {"terms": wanted, "supervisors": [friend.id for friend in (tom, max_, ann)]})
    tom.open(f"/pledges/{id}").page.get_by_role("button", name="I will watch").click()
    expect(tom.page.get_by_text("You watch now")).to_be_visible()
    emma.open(f"/pledges/{id}")
    expect(chip(emma.page, "Seeks a watcher")).to_be_visible()
    ann.open(f"/pledges/{id}").page.get_by_role("button", name="I will watch").click()
    expect(ann.page.get_by_text("You watch now")).to_be_visible()
    assert emma.api("GET", f"/pledges/{id}")["state"] == "awaiting_supervisor", "Max may still say yes"
    max_.open(f"/pledges/{id}").page.get_by_role("button", name="No, thank you").click()
    expect(max_.page.get_by_role("button", name="No, thank you")).to_be_hidden()
    pay(emma, id, "¥100.00")

    make_late(hub, id)
    in_time = to_ms(datetime.now(UTC) - timedelta(hours=2))
    stamp = {"verdict": "done", "done_at": in_time, "words": "She read to me on the telephone."}
    tom.api("POST", f"/pledges/{id}/tasks/1/stamps", stamp)
    tom.open(f"/pledges/{id}")
    ann.api("POST", f"/pledges/{id}/tasks/1/stamps", {"verdict": "not_done"})
    for person in (emma, tom):
        expect(chip(person.page, "Being reviewed")).to_be_visible()
    assert available(emma) == 0, "nothing moves by a tie"

    rule(take(ray), "Not kept", "What was read on the telephone were not twenty pages.")
    expect(chip(emma.page, "Not kept")).to_be_visible()
    end(id, "failed", emma, tom, ann)
    assert [available(person) for person in (emma, tom, ann, max_, ray)] == [0, 50_00, 50_00, 0, 0]


def test_many_promise_the_same_under_one_supervisor(people: People, till: SandboxClient) -> None:
    """One agrees and keeps it, one says no, one does not answer; each for themselves."""
    teacher = people("Teacher")
    lin, mei, max_ = people("Lin", width="phone"), people("Mei", width="phone"), people("Max")
    for pupil in (lin, mei, max_):
        teacher.befriend(pupil)
    wanted = {"id": secrets.token_urlsafe(16), "terms": terms(REWARD), "owners": [lin.id, mei.id, max_.id]}
    cohort = teacher.api("POST", "/cohorts", wanted)
    assert teacher.api("POST", "/cohorts", wanted)["id"] == cohort["id"], "asked twice, it is the same"
    of = {card["owner"]["id"]: card["id"] for card in cohort["pledges"]}
    page = teacher.open(f"/pledges/cohorts/{cohort['id']}").page
    expect(page.get_by_text("3 not agreed yet")).to_be_visible()

    lin.open(f"/pledges/{of[lin.id]}").page.get_by_role("button", name="Yes, I promise").click()
    expect(page.get_by_text("3 not agreed yet")).to_be_visible()
    pay(teacher, of[lin.id], "¥30.00")
    page.goto(f"/pledges/cohorts/{cohort['id']}")
    expect(page.get_by_text("1 running")).to_be_visible()
    mei.open(f"/pledges/{of[mei.id]}").page.get_by_role("button", name="No", exact=True).click()
    expect(page.get_by_text("1 said no")).to_be_visible()
    expect(page.get_by_text("1 not agreed yet")).to_be_visible()

    keep(of[lin.id], teacher)
    end(of[lin.id], "kept", lin, teacher)
    expect(page.get_by_text("1 ended")).to_be_visible()
    assert (available(lin), available(teacher), available(mei)) == (25_00, 5_00, 0)
