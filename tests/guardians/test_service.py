"""Guardians on the real database: who may, races, birthdays, and that a change is heard by whoever relies on it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

import pytest

from server.errors import Code, VouchError
from server.guardians.model import ChangeCustody, CorrectBirthDate, LinkView
from server.people.accounts import ProfileChange
from server.store import Tx
from server.wallet.model import Standing
from tests.guardians.conftest import House
from tests.people.conftest import PASSWORD


async def refusal(asked: Coroutine[Any, Any, Any]) -> Code:
    with pytest.raises(VouchError) as caught:
        await asked
    return caught.value.code


async def test_from_asking_to_the_payee(house: House) -> None:
    guardians = house.guardians
    assert await guardians.standing(house.child) is Standing.MINOR
    assert await guardians.payee_of(house.child) is None
    assert await guardians.payee_of(house.mother) == house.mother
    assert await guardians.payee_of("p_" + "0" * 20) is None
    asked = await guardians.ask(house.child, ward=house.child, guardian=house.mother)
    assert [(one.person.handle, one.state) for one in asked.guardians] == [("mother", LinkView.OUTGOING)]
    (waiting,) = (await guardians.family(house.mother)).wards
    assert (waiting.state, waiting.of_age_on, waiting.guardians) == (LinkView.INCOMING, None, [])
    confirmed = await guardians.confirm(house.mother, ward=house.child, guardian=house.mother)
    assert [(one.state, one.payee and one.payee.handle) for one in confirmed.wards] == [(LinkView.ACTIVE, "mother")]
    assert confirmed.wards[0].of_age_on == house.birthday(12).replace(year=house.birthday(12).year + 18).isoformat()
    assert await guardians.payee_of(house.child) == house.mother
    assert await guardians.wards_of(house.mother) == [house.child]
    assert house.heard == [house.child]
    everything = [("requested", house.mother), ("confirmed", house.mother), ("payee", house.mother)]
    assert await house.told(house.mother) == everything
    assert await house.told(house.child) == everything


async def test_who_may_not(house: House) -> None:
    guardians, child = house.guardians, house.child
    brother = await house.person("brother", years=15)
    await house.world.befriend(brother, child)
    stranger = await house.person("stranger", years=30)
    nobody = "p_" + "0" * 20
    for ward, guardian, expected in (
        (child, child, Code.BAD_REQUEST),
        (child, brother, Code.CONFLICT),
        (house.mother, house.father, Code.CONFLICT),
        (child, stranger, Code.BLOCKED),
        (child, nobody, Code.NOT_FOUND),
        (nobody, house.mother, Code.NOT_FOUND),
    ):
        assert await refusal(guardians.ask(guardian, ward=ward, guardian=guardian)) is expected
    await house.world.people.friends.block(house.aunt, child)
    for me in (child, house.aunt):
        assert await refusal(guardians.ask(me, ward=child, guardian=house.aunt)) is Code.BLOCKED
    assert await refusal(guardians.confirm(child, ward=child, guardian=house.mother)) is Code.NOT_FOUND
    assert await guardians.wards_of(house.mother) == []


async def test_a_block_ends_what_is_between_two(house: House) -> None:
    await house.link(house.mother)
    await house.link(house.father)
    await house.guardians.ask(house.aunt, ward=house.child, guardian=house.aunt)
    await house.world.people.friends.block(house.child, house.mother)
    assert await house.guardians.payee_of(house.child) == house.father
    await house.world.people.friends.block(house.aunt, house.child)
    assert await refusal(house.guardians.confirm(house.child, house.child, house.aunt)) is Code.NOT_FOUND
    assert house.heard == [house.child] * 3


async def test_a_request_that_has_grown_old_is_not_confirmed_past_what_has_changed(house: House) -> None:
    await house.guardians.ask(house.mother, ward=house.child, guardian=house.mother)
    await house.world.people.friends.remove(house.child, house.mother)
    assert await refusal(house.guardians.confirm(house.child, house.child, house.mother)) is Code.BLOCKED


async def test_of_two_first_guardians_at_once_one_is_the_payee(house: House) -> None:
    both = (house.mother, house.father)
    await asyncio.gather(*(house.guardians.ask(one, ward=house.child, guardian=one) for one in both))
    await asyncio.gather(*(house.guardians.confirm(house.child, house.child, one) for one in both))
    family = await house.guardians.family(house.child)
    assert {one.person.id for one in family.guardians} == set(both)
    assert [one.payee for one in family.guardians] == [True, False]
    told = await house.told(house.child)
    assert [what for what, _ in told].count("payee") == 1


async def test_the_payee_hands_over(house: House) -> None:
    await house.link(house.mother)
    await house.link(house.father)
    assert await refusal(house.guardians.hand_over(house.father, house.child, house.father)) is Code.FORBIDDEN
    assert await refusal(house.guardians.hand_over(house.aunt, house.child, house.aunt)) is Code.NOT_FOUND
    await house.guardians.hand_over(house.mother, house.child, house.father)
    assert await house.guardians.payee_of(house.child) == house.father
    assert set(await house.guardians.wards_of(house.mother)) == {house.child}


async def test_what_relies_on_the_guardian_and_a_change_cannot_pass_each_other(house: House) -> None:
    """A payment asks for the payee in its transaction; custody changes before it commits. The payment is run again and
    finds the new guardian: nothing is done in the old one's name."""
    await house.link(house.mother)
    paid = house.world.store.collection("paid")
    asked, changed = asyncio.Event(), asyncio.Event()

    async def payment(tx: Tx) -> str | None:
        payee = await house.guardians.payee_of(house.child, tx)
        asked.set()
        if not changed.is_set():
            await changed.wait()
        await paid.insert_one({"payee": payee}, session=tx.session)
        return payee

    async def custody() -> None:
        await asked.wait()
        change = asyncio.create_task(
            house.guardians.appoint("p_staff", house.child, ChangeCustody("father", "A court has decided."))
        )
        # Engines differ in who waits and who is run again; either way both end, one after the other.
        await asyncio.wait([change], timeout=1.0)
        changed.set()
        await change

    payee, _ = await asyncio.gather(house.world.store.transact(payment), custody())
    rows = await paid.find({}).to_list(None)
    assert [row["payee"] for row in rows] == [payee]
    assert await house.guardians.payee_of(house.child) == house.father
    if payee == house.mother:  # the payment was first: then the change has waited for it
        told = await house.world.store.collection("wards").find_one({"_id": house.child})
        assert told is not None
        assert told["held"] == 1


async def test_staff_change_custody_at_once(house: House) -> None:
    await house.link(house.mother)
    await house.link(house.aunt)
    house.heard.clear()
    for person in (house.mother, house.father, house.aunt, house.child):
        await house.told(person)
    wanted = ChangeCustody("@Father", "  A court has decided.  ")
    after = await house.guardians.appoint("p_staff", house.child, wanted)
    assert [(one.person.handle, one.payee) for one in after.guardians] == [("father", True), ("aunt", False)]
    assert await house.guardians.payee_of(house.child) == house.father
    assert await house.guardians.wards_of(house.mother) == []
    assert house.heard == [house.child]
    for person in (house.mother, house.father, house.aunt, house.child):
        assert await house.told(person) == [("ended", house.mother), ("payee", house.father)]
    rows = await house.world.store.collection("audit").find({"action": "custody.changed"}).to_list(None)
    facts = {"guardian": house.father, "before": house.mother, "reason": "A court has decided."}
    assert [(row["by"], row["target"], row["facts"]) for row in rows] == [("p_staff", house.child, facts)]
    assert await refusal(house.guardians.appoint("p_staff", house.child, wanted)) is Code.ALREADY


async def test_staff_do_not_decide_about_their_own_family(house: House) -> None:
    await house.link(house.mother)
    for actor in (house.mother, house.father, house.child):
        change = house.guardians.appoint(actor, house.child, ChangeCustody("father", "I say so"))
        assert await refusal(change) is Code.FORBIDDEN
        end = house.guardians.end_by_staff(actor, house.child, house.mother, "I say so")
        if actor != house.father:
            assert await refusal(end) is Code.FORBIDDEN
        else:
            end.close()
        wanted = CorrectBirthDate("2000-01-01", "I say so")
        if actor != house.father:
            assert await refusal(house.guardians.correct_birth_date(actor, house.child, wanted)) is Code.FORBIDDEN
    assert await house.guardians.payee_of(house.child) == house.mother


async def test_staff_need_a_reason_and_somebody_of_age(house: House) -> None:
    teen = await house.person("teen", years=17)
    for handle, reason, expected in (
        ("father", " \n ", Code.BAD_REQUEST),
        ("teen", "because", Code.CONFLICT),
        ("nobody_here", "because", Code.NOT_FOUND),
    ):
        change = house.guardians.appoint("p_staff", house.child, ChangeCustody(handle, reason))
        assert await refusal(change) is expected
    adult = house.guardians.appoint("p_staff", house.mother, ChangeCustody("father", "because"))
    assert await refusal(adult) is Code.CONFLICT
    assert await refusal(house.guardians.end_by_staff("p_staff", house.child, teen, "because")) is Code.NOT_FOUND
    assert await house.world.store.collection("audit").find({}).to_list(None) == []


async def test_the_eighteenth_birthday_ends_it_by_itself(house: House) -> None:
    await house.link(house.mother)
    await house.link(house.father)
    await house.told(house.mother)
    teen = house.birthday(12)
    row = await house.world.store.collection("wards").find_one({"_id": house.child})
    assert row is not None
    left = row["due"] - house.world.clock.now()
    assert timedelta(days=365 * 5) < left < timedelta(days=366 * 6)
    house.world.clock.ahead = left - timedelta(seconds=10)
    assert await house.guardians.end_of_minority() == 0
    assert await house.guardians.payee_of(house.child) == house.mother
    house.world.clock.ahead = left + timedelta(seconds=10)
    assert await house.guardians.payee_of(house.child) == house.child, "the moment counts, not when somebody looks"
    assert await house.guardians.standing(house.child) is Standing.OPEN
    assert await house.guardians.wards_of(house.mother) == []
    assert (await house.guardians.family(house.mother)).wards == []
    house.heard.clear()
    assert await house.guardians.end_of_minority() == 1
    assert await house.guardians.end_of_minority() == 0
    assert house.heard == [house.child]
    assert await house.told(house.mother) == [("of_age", house.mother), ("of_age", house.father)]
    assert teen.year + 18 == (house.world.clock.now() + timedelta(hours=8)).year


async def test_minors_do_not_make_themselves_older(house: House) -> None:
    change = house.world.people.accounts.change
    for born in ("1990-01-01", None, house.birthday(13).isoformat()):
        asked = change(house.child, ProfileChange(birth_date=born), "192.0.2.1")
        assert await refusal(asked) is Code.GUARDIAN_NEEDED
    same = house.birthday(12).isoformat()
    assert (await change(house.child, ProfileChange(birth_date=same, name="Child"), "192.0.2.1")).birth_date == same
    await house.link(house.mother)
    wanted = CorrectBirthDate(house.birthday(30).isoformat(), "It was mistyped.")
    shown = await house.guardians.correct_birth_date("p_staff", house.child, wanted)
    assert (shown.minor, shown.guardians) == (False, [])
    assert await house.guardians.payee_of(house.child) == house.child
    assert house.heard == [house.child] * 2


async def test_a_corrected_birth_date_moves_the_end(house: House) -> None:
    await house.link(house.mother)
    rows = house.world.store.collection("wards")
    before = await rows.find_one({"_id": house.child})
    wanted = CorrectBirthDate(house.birthday(11).isoformat(), "A year too many.")
    await house.guardians.correct_birth_date("p_staff", house.child, wanted)
    after = await rows.find_one({"_id": house.child})
    assert before is not None
    assert after is not None
    assert timedelta(days=364) < after["due"] - before["due"] < timedelta(days=367)
    assert after["payee"] == house.mother


async def test_a_guardian_who_turns_out_to_be_a_minor_is_none(house: House) -> None:
    await house.link(house.father)
    await house.link(house.mother)
    teen = house.birthday(16).isoformat()
    await house.world.people.accounts.change(house.father, ProfileChange(birth_date=teen), "192.0.2.1")
    assert await house.guardians.payee_of(house.child) == house.mother


async def test_accounts_that_go_take_their_links_along(house: House) -> None:
    await house.link(house.mother)
    await house.link(house.father)
    await house.world.people.accounts.delete(house.mother, PASSWORD)
    assert await house.guardians.payee_of(house.child) == house.father
    await house.told(house.father)
    await house.world.people.accounts.delete(house.child, PASSWORD)
    assert await house.guardians.payee_of(house.child) is None
    assert await house.guardians.wards_of(house.father) == []
    assert await house.told(house.father) == [("ended", house.father)]
    assert await house.world.store.collection("wards").find({}).to_list(None) == []


async def test_families_see_each_other_and_nobody_else(house: House) -> None:
    stranger = await house.person("stranger")
    await house.link(house.mother)
    await house.link(house.father)
    everybody = {house.mother, house.father, house.aunt, house.child, stranger}
    met = house.guardians.met
    assert await met(house.mother, everybody) == {house.mother, house.father, house.child}
    assert await met(house.child, everybody) == {house.mother, house.father}
    assert await met(house.aunt, everybody) == set()
