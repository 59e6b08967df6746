"""Lists on the real database: one's own by role, and what looks for supervisors (R-02, R-03)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from server.errors import Code, VouchError
from server.money.model import Currency
from server.supervision import listing
from server.supervision.listing import Wanted
from server.supervision.model import PledgeState, SeatState
from server.supervision.terms import StakeKind, StakeTerms, Visibility
from server.supervision.views import PledgeList
from tests.chat.conftest import World
from tests.supervision.conftest import Stage
from tests.supervision.examples import AT, DEPOSIT, POINTS, seat

PUBLIC = {"visibility": Visibility.PUBLIC}


async def mine(stage: Stage, me: str, role: str | None = None, **more: Any) -> PledgeList:
    state, before, limit = more.get("state"), more.get("before"), more.get("limit", 30)
    return await stage.supervision.listing.mine(me, role, state, before, limit)


async def listed(stage: Stage, me: str, **more: Any) -> list[str]:
    """The titles of all pages."""
    limit, before, titles = more.pop("limit", 30), None, list[str]()
    for _ in range(60):
        page = await stage.supervision.listing.open(me, Wanted(**more), before, limit)
        titles += [card.title for card in page.pledges]
        before = page.next
        if before is None:
            return titles
    raise AssertionError("the list never ends")


async def look(
    stage: Stage, owner: str, title: str, *, ago: float = 0, stake: StakeTerms = POINTS, **words: Any
) -> str:
    """Published so many days ago, and looking for supervisors."""
    made = await stage.put(
        owner,
        stake=stake,
        unpaid=True,
        seats=[],
        state=PledgeState.AWAITING_SUPERVISOR,
        words={**PUBLIC, "title": title, **words},
        published_at=AT - timedelta(days=ago),
        expires_at=AT + timedelta(days=1),
    )
    return made.id


async def test_ones_own_by_role_with_what_waits_first(stage: Stage) -> None:
    emma, tom, max = await stage.friends("emma", "tom", "max")
    running = await stage.put(emma, tom)
    over = await stage.put(emma, tom, state=PledgeState.SETTLED)
    asked = await stage.put(
        tom, max, seats=[seat(emma, SeatState.INVITED)], state=PledgeState.AWAITING_SUPERVISOR, unpaid=True
    )
    found = (await mine(stage, emma)).pledges
    assert [(card.id, card.role, card.waits_for_me) for card in found] == [
        (asked.id, "invited", "answer"),
        (running.id, "owner", ""),
        (over.id, "owner", ""),
    ]
    assert [card.id for card in (await mine(stage, tom, "supervisor")).pledges] == [running.id, over.id]
    assert [card.id for card in (await mine(stage, tom, "owner")).pledges] == [asked.id]
    assert [card.id for card in (await mine(stage, emma, state=PledgeState.SETTLED)).pledges] == [over.id]
    assert (await mine(stage, max)).pledges == []
    stage.clock.at = AT + timedelta(hours=20)
    (card,) = (await mine(stage, emma, state=PledgeState.ACTIVE)).pledges
    assert (card.waits_for_me, card.count, card.done) == ("report", 3, 0)


async def test_the_past_comes_in_pages_and_nothing_twice(stage: Stage) -> None:
    emma, tom, max = await stage.friends("emma", "tom", "max")
    made = [
        await stage.put(emma, tom if n % 3 else max, state=PledgeState.SETTLED, created_at=AT - timedelta(days=n // 2))
        for n in range(9)
    ]
    newest = [one.id for one in sorted(made, key=lambda one: (one.created_at, one.id), reverse=True)]
    for limit in (2, 9):
        seen, before = list[str](), None
        while True:
            page = await mine(stage, emma, before=before, limit=limit)
            assert len(page.pledges) <= limit
            seen += [card.id for card in page.pledges]
            before = page.next
            if before is None:
                break
        assert seen == newest
    watched: list[str] = []
    before = None
    while True:
        page = await mine(stage, max, "supervisor", before=before, limit=2)
        watched += [card.id for card in page.pledges]
        before = page.next
        if before is None:
            break
    assert len(watched) == len(set(watched)) == 3
    for wrong in ("", "x", "1", "1.", "x.g_1", "9" * 30 + ".g_1"):
        with pytest.raises(VouchError) as refusal:
            await mine(stage, emma, before=wrong)
        assert refusal.value.code is Code.BAD_REQUEST


async def test_a_guardian_finds_what_is_to_be_paid_for_a_ward(stage: Stage) -> None:
    mother = await stage.person("mother")
    lin = await stage.person("lin", years=9)
    await stage.befriend(lin, mother)
    await stage.guard(lin, mother)
    made = await stage.put(
        lin, mother, stake=DEPOSIT, unpaid=True, seats=[], state=PledgeState.AWAITING_SUPERVISOR, expires_at=AT
    )
    (card,) = (await mine(stage, mother)).pledges
    assert (card.id, card.role, card.waits_for_me) == (made.id, "payer", "fund")
    assert [one.waits_for_me for one in (await mine(stage, lin)).pledges] == [""]


async def test_what_looks_for_supervisors_by_visibility(stage: Stage) -> None:
    emma, tom = await stage.friends("emma", "tom")
    eve, ann = await stage.people("eve", "ann")
    await stage.befriend(emma, ann)
    group = await World(stage.services).group(emma, ann)
    await look(stage, emma, "Public", ago=3)
    await look(stage, emma, "Friends", ago=2, visibility=Visibility.FRIENDS)
    await look(stage, emma, "Group", ago=1, visibility=Visibility.GROUP, group=group)
    await look(stage, emma, "Named", visibility=Visibility.NAMED)
    assert await listed(stage, eve) == ["Public"]
    assert await listed(stage, tom) == ["Friends", "Public"]
    assert await listed(stage, ann) == ["Group", "Friends", "Public"]
    assert await listed(stage, emma) == []  # one's own is elsewhere
    await stage.services.people.friends.block(eve, emma)
    assert await listed(stage, eve) == []


async def test_it_is_listed_only_while_it_looks_for_somebody(stage: Stage) -> None:
    emma, tom, eve = await stage.people("emma", "tom", "eve")
    id = await look(stage, emma, "Run")
    await stage.supervision.seats.apply(tom, id, "")
    assert await listed(stage, eve) == ["Run"]
    await stage.supervision.seats.decide(emma, id, tom, True)
    assert await listed(stage, eve) == []


async def test_filters(stage: Stage) -> None:
    emma, eve = await stage.people("emma", "eve")
    yuan = StakeTerms(kind=StakeKind.DEPOSIT, amount=100_00, currency=Currency.CNY)
    euro = StakeTerms(kind=StakeKind.DEPOSIT, amount=20_00, currency=Currency.EUR)
    await look(stage, emma, "Learn Greek", ago=3, stake=euro, why="For the Straße in Athens")
    await look(stage, emma, "跑步五公里", ago=2, stake=yuan)
    await look(stage, emma, "Read", ago=1)
    assert await listed(stage, eve) == ["Read", "跑步五公里", "Learn Greek"]
    assert await listed(stage, eve, kind=StakeKind.POINTS) == ["Read"]
    assert await listed(stage, eve, currency=Currency.EUR) == ["Learn Greek"]
    assert await listed(stage, eve, least=20_01) == ["跑步五公里"]
    assert await listed(stage, eve, kind=StakeKind.DEPOSIT, most=50_00) == ["Learn Greek"]
    assert await listed(stage, eve, q="跑步") == ["跑步五公里"]
    assert await listed(stage, eve, q=" STRASSE ") == ["Learn Greek"]
    assert await listed(stage, eve, q="swim") == []


async def test_pages_go_through_everything_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where several were published at the same moment, and where a page is looked through in parts."""
    emma, eve = await stage.people("emma", "eve")
    days = (0, 0, 0, 0.5, 1, 1.9, 2, 7, 7, 30, 88)
    for number, ago in enumerate(days):
        await look(stage, emma, f"{number:02}", ago=ago, stake=POINTS if number % 2 else DEPOSIT)
    names = [f"{number:02}" for number in range(len(days))]
    for examined in (1, listing.EXAMINED):
        monkeypatch.setattr(listing, "EXAMINED", examined)
        for limit in (2, 5):
            found = await listed(stage, eve, limit=limit)
            assert sorted(found) == names, (examined, limit)
            assert found[3:7] == names[3:7]
        assert sorted(await listed(stage, eve, limit=2, kind=StakeKind.POINTS)) == names[1::2]
