"""One person on both sides, by a second account or in one family: it is noticed, and staff look first."""

from __future__ import annotations

from server.services import Services
from server.supervision.model import Flag, PledgeState, SeatState, Suspicion, Verdict
from server.supervision.suspicions import Suspicions
from server.supervision.views import Stamp
from tests.chat.conftest import PASSWORD
from tests.people.conftest import CHEAP
from tests.supervision.conftest import Stage
from tests.supervision.examples import DEPOSIT, POINTS, seat


async def sign_in(services: Services, handle: str, browser: str) -> None:
    services.people._passwords._hasher = CHEAP
    await services.people.sessions.sign_in(handle, PASSWORD, "192.0.2.1", "Firefox", browser)


def suspicions(stage: Stage) -> Suspicions:
    return Suspicions(stage.services.people, stage.services.guardians)


async def test_two_accounts_in_one_browser(stage: Stage) -> None:
    emma, second, tom = await stage.people("emma", "second", "tom")
    for handle, browser in (("emma", "one"), ("second", "one"), ("second", "two"), ("tom", "three"), ("tom", "")):
        await sign_in(stage.services, handle, browser)
    found = await suspicions(stage).between(emma, [second, tom])
    assert found == (Suspicion(second, Flag.SAME_BROWSER),)


async def test_a_family(stage: Stage) -> None:
    mother, tom = await stage.friends("mother", "tom")
    children = [await stage.person(name, years=12) for name in ("lin", "mei")]
    await stage.befriend(mother, *children)
    for child in children:
        await stage.guard(child, mother)
    of = suspicions(stage).between
    assert await of(mother, [children[0], tom]) == (Suspicion(children[0], Flag.FAMILY),)
    assert await of(children[0], [mother, tom]) == (Suspicion(mother, Flag.FAMILY),)
    assert await of(children[0], [children[1], tom]) == (Suspicion(children[1], Flag.FAMILY),)
    assert await of(tom, [mother, *children]) == ()


async def test_the_second_account_of_who_pays_for_the_owner(stage: Stage) -> None:
    mother, aunt = await stage.friends("mother", "aunt")
    child = await stage.person("lin", years=12)
    await stage.befriend(mother, child)
    await stage.guard(child, mother)
    for handle in ("mother", "aunt"):
        await sign_in(stage.services, handle, "one")
    assert await suspicions(stage).between(child, [aunt]) == (Suspicion(aunt, Flag.SAME_BROWSER),)


async def test_who_is_deleted_is_forgotten(stage: Stage) -> None:
    await stage.people("emma", "second")
    second = await stage.services.people.id_of("second") or ""
    for handle in ("emma", "second"):
        await sign_in(stage.services, handle, "one")
    await stage.services.people.accounts.delete(second, PASSWORD)
    assert not await stage.services.store.collection("browsers").find({"person": second}).to_list(None)


async def test_it_is_noticed_when_somebody_takes_the_seat_and_only_where_money_moves(stage: Stage) -> None:
    emma, second = await stage.friends("emma", "second")
    for handle in ("emma", "second"):
        await sign_in(stage.services, handle, "one")
    for stake, noticed in ((DEPOSIT, True), (POINTS, False)):
        asked = [seat(second, SeatState.INVITED, by=emma, expires_at=None)]
        made = await stage.put(emma, stake=stake, state=PledgeState.AWAITING_SUPERVISOR, seats=asked)
        after = await stage.supervision.seats.answer(second, made.id, True)
        assert after.seated == (second,)
        assert bool(after.suspicions) is noticed


async def test_it_is_noticed_when_somebody_stamps_and_staff_look_before_money_moves(stage: Stage) -> None:
    """They sat in different browsers when the seat was taken."""
    emma, second = await stage.friends("emma", "second")
    made = await stage.put(emma, second, stake=DEPOSIT, count=1)
    for handle in ("emma", "second"):
        await sign_in(stage.services, handle, "one")
    await stage.pass_by(hours=20)
    after = await stage.supervision.judging.stamp(second, made.id, 1, Stamp(verdict=Verdict.DONE))
    assert after.suspicions == (Suspicion(second, Flag.SAME_BROWSER),)
    assert after.state is PledgeState.UNDER_REVIEW
    assert after.case is not None
    assert after.case.cause == "flagged"
    assert after.outcome is None
