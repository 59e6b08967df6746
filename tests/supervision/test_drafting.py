"""Drafts on the real database: made once, edited, shown, published, called off (R-02)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from server.errors import Code, VouchError
from server.supervision import drafting
from server.supervision.model import PledgeState, SeatState, SeatVia, Side, StakeState
from server.supervision.terms import StakeKind, StakeTerms, TaskTerms, Visibility
from server.supervision.views import NewPledge
from tests.chat.conftest import World
from tests.supervision.conftest import Stage
from tests.supervision.examples import AT, DEPOSIT, POINTS, REWARD, STAFF, terms
from tests.wire.client import client_id

DAILY = TaskTerms(title="Run", due="2026-11-23T20:00", repeat="FREQ=DAILY;COUNT=120")


def wanted(stake: StakeTerms = POINTS, side: Side = Side.OWNER, **more: Any) -> NewPledge:
    """`words` are other terms."""
    words = more.pop("words", {})
    return NewPledge(**{"id": client_id(), "side": side, "terms": terms(stake, **words), **more})


async def refused(code: Code, work: Any, field: str | None = None) -> None:
    with pytest.raises(VouchError) as refusal:
        await work
    assert (refusal.value.code, refusal.value.field) == (code, field or refusal.value.field)


async def test_a_draft_is_made_once_and_nobody_else_knows_of_it(stage: Stage) -> None:
    emma, tom = await stage.friends("emma", "tom")
    new = wanted(supervisors=[tom])
    made = await asyncio.gather(*(stage.supervision.drafting.create(emma, new) for _ in range(4)))
    assert [fresh for _, fresh in made].count(True) == 1
    assert {pledge.id for pledge, _ in made} == {made[0][0].id}
    draft = made[0][0]
    assert (draft.state, draft.tasks, draft.expires_at) == (PledgeState.DRAFT, (), None)
    assert await stage.inbox(tom, "pledge_changed") == []
    await refused(Code.NOT_FOUND, stage.supervision.views.of(draft, tom))
    assert (await stage.supervision.listing.mine(tom, None, None, None, 30)).pledges == []
    await refused(Code.NOT_FOUND, stage.supervision.drafting.edit(tom, draft.id, new))
    await refused(Code.NOT_FOUND, stage.supervision.drafting.publish(tom, draft.id))
    await refused(Code.NOT_FOUND, stage.supervision.drafting.remove(tom, draft.id))
    view = await stage.supervision.views.of(draft, emma)
    assert view.can == ["delete", "edit", "publish"]


async def test_a_draft_is_written_anew_until_it_is_published(stage: Stage) -> None:
    emma, tom, ann = await stage.friends("emma", "tom", "ann")
    draft, _ = await stage.supervision.drafting.create(emma, wanted(supervisors=[tom]))
    other = wanted(DEPOSIT, supervisors=[ann], days=30, words={"title": "Walk"})
    edited = await stage.supervision.drafting.edit(emma, draft.id, other)
    assert (edited.terms.title, edited.days, edited.terms.stake) == ("Walk", 30, DEPOSIT)
    assert [seat.person for seat in edited.seats] == [ann]
    published = await stage.supervision.drafting.publish(emma, draft.id)
    assert await stage.supervision.drafting.publish(emma, draft.id) == published
    await refused(Code.CONFLICT, stage.supervision.drafting.edit(emma, draft.id, other))
    assert await stage.whats(ann, draft.id) == ["invited"]
    assert await stage.whats(tom, draft.id) == []


async def test_what_is_published_waits_for_those_who_are_named(stage: Stage) -> None:
    emma, tom = await stage.friends("emma", "tom")
    draft, _ = await stage.supervision.drafting.create(emma, wanted(DEPOSIT, supervisors=[tom]))
    published = await stage.supervision.drafting.publish(emma, draft.id)
    assert published.state is PledgeState.AWAITING_SUPERVISOR
    assert published.consented
    assert len(published.tasks) == 3
    assert published.expires_at == published.tasks[0].due_at  # the days are longer
    seat = published.seat(tom)
    assert seat is not None
    assert (seat.state, seat.expires_at) == (SeatState.INVITED, published.expires_at)
    assert [entry.kind for entry in await stage.thread(draft.id)] == ["state"]


async def test_a_supervisor_drafts_for_somebody_who_is_asked(stage: Stage) -> None:
    """R-04, R-10: the owner must consent, and the founder supervises."""
    emma, tom, ann = await stage.friends("emma", "tom", "ann")
    await stage.befriend(tom, ann)
    new = wanted(REWARD, Side.SUPERVISOR, owner=emma, supervisors=[ann], words={"most": 2})
    draft, _ = await stage.supervision.drafting.create(tom, new)
    assert await stage.inbox(emma, "pledge_changed") == []
    published = await stage.supervision.drafting.publish(tom, draft.id)
    assert published.state is PledgeState.AWAITING_OWNER
    assert not published.consented
    assert published.consent_until is not None
    assert published.seated == (tom,)
    assert [seat.via for seat in published.seats] == [SeatVia.FOUNDER, SeatVia.GROUP]
    assert await stage.whats(emma, draft.id) == ["consent_asked"]
    assert await stage.whats(ann, draft.id) == ["invited"]
    view = await stage.supervision.views.of(published, emma)
    assert view.role == "owner"
    assert {"consent", "cancel"} <= set(view.can)


async def test_only_people_and_things_of_ones_own_are_named(stage: Stage) -> None:
    emma, tom, ann = await stage.friends("emma", "tom", "ann")
    eve = await stage.person("eve")
    create = stage.supervision.drafting.create
    await refused(Code.BAD_REQUEST, create(emma, wanted(supervisors=[eve])), "supervisors")
    await refused(Code.BAD_REQUEST, create(emma, wanted(side=Side.SUPERVISOR, owner=eve)), "owner")
    await refused(Code.BAD_REQUEST, create(emma, wanted(side=Side.SUPERVISOR)), "owner")
    await refused(Code.BAD_REQUEST, create(emma, wanted(owner=tom)), "owner")
    await stage.services.people.friends.block(tom, emma)
    await refused(Code.BAD_REQUEST, create(emma, wanted(supervisors=[tom])), "supervisors")
    chore = StakeTerms(kind=StakeKind.CHORE, words="Wash the dishes", to=eve)
    await refused(Code.BAD_REQUEST, create(emma, wanted(chore)), "terms.stake.to")
    for_another = wanted(StakeTerms(kind=StakeKind.CHORE, words="Wash", to=emma), Side.SUPERVISOR, owner=emma)
    await refused(Code.BAD_REQUEST, create(ann, for_another), "terms.stake.to")
    unknown = wanted(STAFF, words={"template": "juggling"})
    await refused(Code.BAD_REQUEST, create(emma, unknown), "terms.template")
    group = await World(stage.services).group(ann, emma)
    listed = {"visibility": Visibility.GROUP, "group": group}
    await create(emma, wanted(words=listed))
    await refused(Code.BAD_REQUEST, create(eve, wanted(words=listed)), "terms.group")
    direct = await World(stage.services).direct(emma, ann)
    await refused(Code.BAD_REQUEST, create(emma, wanted(words={**listed, "group": direct})), "terms.group")


async def test_minors_promise_in_private_and_offer_no_reward(stage: Stage) -> None:
    lin = await stage.person("lin", years=9)
    emma = await stage.person("emma")
    await stage.befriend(emma, lin)
    create = stage.supervision.drafting.create
    public = {"visibility": Visibility.PUBLIC}
    await refused(Code.BAD_REQUEST, create(lin, wanted(words=public)), "terms.visibility")
    for_lin = wanted(REWARD, Side.SUPERVISOR, owner=lin, words=public)
    await refused(Code.BAD_REQUEST, create(emma, for_lin), "terms.visibility")
    await refused(Code.GUARDIAN_NEEDED, create(lin, wanted(REWARD, Side.SUPERVISOR, owner=emma)))
    await create(lin, wanted(DEPOSIT, words={"visibility": Visibility.FRIENDS}))


async def test_a_preview_shows_both_outcomes_and_keeps_nothing(stage: Stage) -> None:
    emma, tom, ann = await stage.friends("emma", "tom", "ann")
    shown = await stage.supervision.drafting.preview(
        emma, wanted(DEPOSIT, supervisors=[tom, ann], words={"most": 2, "least": 2})
    )
    assert (shown.count, len(shown.occurrences)) == (3, 3)
    assert shown.split is not None
    assert [share.amount for share in shown.split.if_failed] == [30_00, 30_00, 40_00]
    assert [share.amount for share in shown.split.if_kept] == [100_00]
    assert not shown.split.frozen
    assert await stage.services.store.collection("pledges").find({}).to_list(None) == []
    reward = await stage.supervision.drafting.preview(tom, wanted(REWARD, Side.SUPERVISOR))
    assert reward.split is not None
    assert [(share.side, share.amount) for share in reward.split.if_kept] == [("owner", 70_00), ("payer", 10_00)]
    many = wanted(words={"tasks": (DAILY,)})
    listed = await stage.supervision.drafting.preview(emma, many)
    assert (listed.count, len(listed.occurrences)) == (120, drafting.SHOWN)


async def test_what_is_due_in_the_past_is_not_published(stage: Stage) -> None:
    (emma,) = await stage.people("emma")
    draft, _ = await stage.supervision.drafting.create(emma, wanted())
    await stage.pass_by(days=2)
    await refused(Code.BAD_REQUEST, stage.supervision.drafting.publish(emma, draft.id), "terms.tasks")
    assert await stage.state(draft.id) is PledgeState.DRAFT


async def test_who_has_gone_meanwhile_is_not_asked(stage: Stage) -> None:
    emma, tom = await stage.friends("emma", "tom")
    draft, _ = await stage.supervision.drafting.create(emma, wanted(supervisors=[tom]))
    await stage.services.people.friends.block(tom, emma)
    await refused(Code.BAD_REQUEST, stage.supervision.drafting.publish(emma, draft.id), "supervisors")


async def test_a_draft_is_taken_away(stage: Stage) -> None:
    (emma,) = await stage.people("emma")
    draft, _ = await stage.supervision.drafting.create(emma, wanted())
    gone = await stage.supervision.drafting.remove(emma, draft.id)
    assert gone.state is PledgeState.CANCELLED
    await refused(Code.NOT_FOUND, stage.load(draft.id))
    assert await stage.inbox(emma, "pledge_changed") == [{"pledge": draft.id}] * 2


@pytest.mark.parametrize("by", ["owner", "drafter"])
async def test_before_it_begins_one_alone_calls_it_off(stage: Stage, by: str) -> None:
    emma, tom = await stage.friends("emma", "tom")
    await stage.fund(tom, 100_00)
    draft, _ = await stage.supervision.drafting.create(tom, wanted(REWARD, Side.SUPERVISOR, owner=emma))
    await stage.supervision.drafting.publish(tom, draft.id)
    who, told = (emma, tom) if by == "owner" else (tom, emma)
    after = await stage.supervision.drafting.remove(who, draft.id)
    assert (after.state, after.stake.state) == (PledgeState.CANCELLED, StakeState.VOIDED)
    assert "cancelled" in await stage.whats(told, draft.id)
    assert await stage.has(tom) == (100_00, 0)


async def test_afterwards_all_must_want_it(stage: Stage) -> None:
    emma, tom, ann = await stage.friends("emma", "tom", "ann")
    eve = await stage.person("eve")
    pledge = await stage.put(emma, tom, ann)
    remove = stage.supervision.drafting.remove
    await refused(Code.NOT_FOUND, remove(eve, pledge.id))
    for person in (tom, tom, emma):
        assert (await remove(person, pledge.id)).state is PledgeState.ACTIVE
    assert await stage.whats(ann, pledge.id) == ["cancel_asked", "cancel_asked"]
    view = await stage.supervision.views.of(await stage.load(pledge.id), ann)
    assert set(view.giving_up) == {tom, emma}
    assert (await remove(ann, pledge.id)).state is PledgeState.CANCELLED
    assert (await remove(ann, pledge.id)).state is PledgeState.CANCELLED


async def test_whoever_watches_nobody_calls_nothing_off(stage: Stage) -> None:
    """When all supervisors have left, staff judges: the owner cannot take the stake back alone."""
    emma, tom = await stage.friends("emma", "tom")
    pledge = await stage.put(emma, tom)
    await stage.supervision.seats.leave(tom, pledge.id)
    await refused(Code.CONFLICT, stage.supervision.drafting.remove(emma, pledge.id))


async def test_nobody_found_it_expires(stage: Stage) -> None:
    emma, tom = await stage.friends("emma", "tom")
    draft, _ = await stage.supervision.drafting.create(emma, wanted(supervisors=[tom]))
    await stage.supervision.drafting.publish(emma, draft.id)
    await stage.pass_by(days=2)
    assert await stage.state(draft.id) is PledgeState.EXPIRED
    assert "expired" in await stage.whats(tom, draft.id)
    assert stage.clock.now() == AT + timedelta(days=2)
