"""The desk: who of staff gets what waits, who decides what, and that everything they do is written down."""

from __future__ import annotations

from typing import Any

import pytest

from server.administration.audit import AuditTrail
from server.errors import Code, VouchError
from server.principals import Grant, Role
from server.supervision.desk_views import Duty, Rule
from server.supervision.model import CaseKind, Outcome, Pledge, PledgeState, SeatState, SeatVia, TaskState
from server.supervision.rules import cases, staffing
from server.supervision.rules.change import Change, turned
from server.supervision.templates import TEMPLATES
from server.supervision.views import AddEvidence
from tests.conftest import Run
from tests.supervision.conftest import Stage
from tests.supervision.examples import STAFF as FOR_STAFF
from tests.supervision.examples import tasks
from tests.supervision.test_cases import REASONS, WORDS, judged


class Desk:
    """Staff, and pledges that they have something to do with."""

    def __init__(self, stage: Stage, run: Run[Any]) -> None:
        self.stage = stage
        self.run = run
        self.cases = stage.supervision.cases
        self.staff = stage.supervision.staff
        services = stage.services
        self.trail = AuditTrail(services.store, services.clock, services.keys.digest)
        run(self.staff.rounds.stop())  # a test says itself when it is assigned

    def member(self, handle: str, *templates: str) -> str:
        person: str = self.run(self.hire(handle, *templates))
        return person

    async def hire(self, handle: str, *templates: str) -> str:
        person = await self.stage.person(handle)
        await self.stage.services.people.grant(person, Grant(Role.STAFF), "system")
        if templates:
            await self.staff.set_duty(person, Duty(list(templates)))
        return person

    async def waiting(self, owner: str, template: str = "reading") -> Pledge:
        """Seeks staff."""
        return await self.stage.put(
            owner,
            stake=FOR_STAFF,
            state=PledgeState.AWAITING_SUPERVISOR,
            seats=(),
            words={"template": template, "least": 1, "most": 1},
        )

    async def settling(self, owner: str, supervisor: str, state: TaskState = TaskState.MISSED) -> Pledge:
        """In its challenge window."""
        made = await self.stage.put(owner, supervisor, count=1)
        over = judged(state)
        return await self.stage.supervision.changes.apply(made.id, lambda pledge, _: Change(turned(pledge, tasks=over)))

    async def acts(self, target: str) -> list[str]:
        audit = await self.trail.page({"target": target}, None, 50)
        return [act.action for act in reversed(audit.acts)]


@pytest.fixture
def desk(stage: Stage, run: Run[Any]) -> Desk:
    return Desk(stage, run)


async def refused(code: Code, call: Any) -> None:
    with pytest.raises(VouchError) as fault:
        await call
    assert fault.value.code is code


# ── Seats ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_waits_goes_to_who_is_on_duty_for_it_and_has_the_fewest(desk: Desk, run: Run[Any]) -> None:
    ray, sue = desk.member("ray", "reading"), desk.member("sue", "reading", "exercise")
    desk.member("pat", "exercise")

    async def story() -> None:
        owner = await desk.stage.person("emma")
        seated = []
        for _ in range(3):
            made = await desk.waiting(owner)
            assert await desk.staff.assign_waiting() == 1
            [seat] = (await desk.stage.load(made.id)).seats
            assert (seat.state, seat.via) == (SeatState.SEATED, SeatVia.STAFF)
            seated.append(seat.person)
            assert await desk.stage.whats(seat.person, made.id) == ["assigned", "begun"]
            assert await desk.acts(made.id) == ["pledge.assigned"]
        assert sorted(seated[:2]) == sorted([ray, sue])
        assert (await desk.staff.duty(seated[0])).open == 2
        assert await desk.staff.assign_waiting() == 0

    run(story())


def test_it_is_given_out_as_soon_as_it_waits(desk: Desk, run: Run[Any]) -> None:
    ray = desk.member("ray", "reading")

    async def story() -> None:
        desk.staff.rounds.start()
        await desk.staff.rounds.done.wait()
        made = await desk.waiting(await desk.stage.person("emma"))
        await desk.staff.rounds.done.wait()
        assert (await desk.stage.load(made.id)).seated == (ray,)

    run(story())


def test_family_friends_and_those_who_lost_the_role_get_nothing_and_it_waits(desk: Desk, run: Run[Any]) -> None:
    friend, dismissed = desk.member("friend", "reading"), desk.member("dismissed", "reading")

    async def story() -> None:
        owner = await desk.stage.person("emma")
        await desk.stage.befriend(owner, friend)
        await desk.stage.services.people.revoke(dismissed, Grant(Role.STAFF))
        made = await desk.waiting(owner)
        assert await desk.staff.assign_waiting() == 0
        assert staffing.waits(await desk.stage.load(made.id))
        await refused(Code.FORBIDDEN, desk.staff.seat(friend, made.id))
        await refused(Code.FORBIDDEN, desk.staff.seat(dismissed, made.id))
        ray = await desk.hire("ray")
        assert (await desk.staff.seat(ray, made.id)).seated == (ray,)
        await refused(Code.CONFLICT, desk.staff.seat(friend, made.id))

    run(story())


def test_a_seat_that_is_given_back_goes_to_somebody_else(desk: Desk, run: Run[Any]) -> None:
    ray = desk.member("ray", "reading")

    async def story() -> None:
        made = await desk.waiting(await desk.stage.person("emma"))
        await desk.staff.assign_waiting()
        await desk.staff.release(ray, made.id)
        assert await desk.staff.assign_waiting() == 0, "who has left it does not come back"
        await refused(Code.NOT_FOUND, desk.staff.release(ray, made.id))
        sue = await desk.hire("sue", "reading")
        await desk.staff.assign_waiting()
        assert (await desk.stage.load(made.id)).seated == (sue,)

    run(story())


def test_who_loses_the_role_is_relieved(desk: Desk, run: Run[Any]) -> None:
    ray = desk.member("ray", "reading")

    async def take(role: Role) -> None:
        people = desk.stage.services.people
        await desk.stage.services.store.transact(lambda tx: people.take(tx, ray, Grant(role)))

    async def story() -> None:
        await desk.stage.services.people.grant(ray, Grant(Role.FINANCE), "system")
        made = await desk.waiting(await desk.stage.person("emma"))
        await desk.staff.assign_waiting()
        await take(Role.FINANCE)
        assert await desk.staff.relieve() == 0, "another role"
        assert (await desk.staff.duty(ray)).templates == ["reading"]
        await take(Role.STAFF)
        sue = await desk.hire("sue", "reading")
        await desk.staff.work_off()
        assert (await desk.stage.load(made.id)).seated == (sue,)
        assert await desk.acts(made.id) == ["pledge.assigned", "pledge.released", "pledge.assigned"]
        assert await desk.staff.relieve() == 0

    run(story())


def test_duty_is_for_templates_that_there_are(desk: Desk, run: Run[Any]) -> None:
    ray = desk.member("ray")

    async def story() -> None:
        await refused(Code.BAD_REQUEST, desk.staff.set_duty(ray, Duty(["poetry"])))
        await refused(Code.FORBIDDEN, desk.staff.set_duty(await desk.stage.person("emma"), Duty(["reading"])))
        assert (await desk.staff.set_duty(ray, Duty(["reading", "reading"]))).templates == ["reading"]
        assert (await desk.staff.set_duty(ray, Duty([]))).templates == []
        assert await desk.acts(ray) == ["duty.changed", "duty.changed"]

    run(story())


def test_templates_speak_both_languages() -> None:
    assert len({template.id for template in TEMPLATES}) == 8
    for template in TEMPLATES:
        for words in (template.title, template.details, template.evidence):
            assert set(words) == {"en", "zh-CN"}
            assert all(words.values())


# ── Cases ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_dispute_ruling_appeal_and_another_reviewer(desk: Desk, run: Run[Any]) -> None:
    ray, sue = desk.member("ray"), desk.member("sue")

    async def story() -> None:
        emma, tom = await desk.stage.people("emma", "tom")
        made = await desk.settling(emma, tom)
        disputed = await desk.cases.dispute(emma, made.id, WORDS)
        assert disputed.state is PledgeState.DISPUTED
        assert await desk.stage.whats(ray, made.id) == ["case_waiting"]
        await desk.cases.take(ray, made.id, "c1")
        ruling = Rule(Outcome.KEPT, REASONS)
        await refused(Code.CONFLICT, desk.cases.rule(ray, made.id, "c1", ruling))
        await desk.stage.pass_by(hours=48)
        await refused(Code.CONFLICT, desk.cases.rule(sue, made.id, "c1", ruling))
        ruled = await desk.cases.rule(ray, made.id, "c1", ruling)
        assert (ruled.state, ruled.outcome) == (PledgeState.CHALLENGE_WINDOW, Outcome.KEPT)
        appealed = await desk.cases.appeal(tom, made.id, WORDS)
        assert [case.kind for case in appealed.cases] == [CaseKind.DISPUTE, CaseKind.APPEAL]
        await refused(Code.FORBIDDEN, desk.cases.take(ray, made.id, "c2"))
        await desk.cases.take(sue, made.id, "c2")
        await desk.stage.pass_by(hours=48)
        settled = await desk.cases.rule(sue, made.id, "c2", Rule(Outcome.FAILED, REASONS))
        assert (settled.state, settled.outcome) == (PledgeState.SETTLED, Outcome.FAILED)
        assert await desk.acts(made.id) == ["case.taken", "case.ruled", "case.taken", "case.ruled"]
        told = [entry.body for entry in await desk.stage.thread(made.id) if entry.kind == "case"]
        assert [body["done"] for body in told] == ["opened", "taken", "ruled", "opened", "taken", "ruled"]
        assert told[2]["reasons"] == REASONS

    run(story())


def test_reviewers_are_of_staff_and_impartial(desk: Desk, run: Run[Any]) -> None:
    friend, dismissed = desk.member("friend"), desk.member("dismissed")

    async def story() -> None:
        emma, tom = await desk.stage.people("emma", "tom")
        await desk.stage.befriend(tom, friend)
        made = await desk.settling(emma, tom)
        await desk.cases.dispute(emma, made.id, WORDS)
        await refused(Code.FORBIDDEN, desk.cases.take(friend, made.id, "c1"))
        await refused(Code.FORBIDDEN, desk.cases.take(tom, made.id, "c1"))
        await desk.stage.services.people.revoke(dismissed, Grant(Role.STAFF))
        await refused(Code.FORBIDDEN, desk.cases.take(dismissed, made.id, "c1"))
        await refused(Code.NOT_FOUND, desk.cases.take(friend, made.id, "c7"))

    run(story())


def test_reasons_are_more_than_blanks(desk: Desk, run: Run[Any]) -> None:
    async def story() -> None:
        emma, tom = await desk.stage.people("emma", "tom")
        made = await desk.settling(emma, tom)
        await refused(Code.BAD_REQUEST, desk.cases.dispute(emma, made.id, "no" + " " * 40))

    run(story())


def test_undecided_for_nine_days_all_is_void(desk: Desk, run: Run[Any]) -> None:
    desk.member("ray")

    async def story() -> None:
        emma, tom = await desk.stage.people("emma", "tom")
        made = await desk.settling(emma, tom)
        await desk.cases.dispute(emma, made.id, WORDS)
        await desk.stage.pass_by(days=9)
        one = await desk.stage.load(made.id)
        assert (one.state, one.outcome) == (PledgeState.CHALLENGE_WINDOW, Outcome.VOID)
        await desk.stage.pass_by(hours=24)
        assert await desk.stage.state(made.id) is PledgeState.SETTLED

    run(story())


def test_both_sides_were_heard_and_it_can_be_ruled(desk: Desk, run: Run[Any]) -> None:
    ray = desk.member("ray")

    async def story() -> None:
        emma, tom = await desk.stage.people("emma", "tom")
        made = await desk.settling(emma, tom)
        await desk.cases.dispute(emma, made.id, WORDS)
        await desk.cases.take(ray, made.id, "c1")
        said = AddEvidence(words="I was at the track and saw nobody.")
        await desk.stage.supervision.exhibits.add(tom, made.id, said)
        ruled = await desk.cases.rule(ray, made.id, "c1", Rule(Outcome.KEPT, REASONS))
        assert ruled.outcome is Outcome.KEPT

    run(story())


def test_a_tie_stands_in_the_queue_until_it_is_ruled(desk: Desk, run: Run[Any]) -> None:
    ray = desk.member("ray")

    async def story() -> None:
        emma, tom, ann = await desk.stage.people("emma", "tom", "ann")
        made = await desk.stage.put(emma, tom, ann, tasks=tasks(1))
        await desk.stage.supervision.changes.apply(
            made.id, lambda pledge, now: cases.open_review(pledge, now, cause="tie", tasks=(1,))
        )
        assert [pledge.id for pledge in await desk.staff.repo.queue()] == [made.id]
        await desk.cases.take(ray, made.id, "c1")
        await desk.cases.rule(ray, made.id, "c1", Rule(Outcome.KEPT, REASONS))
        assert await desk.staff.repo.queue() == []
        assert (await desk.stage.load(made.id)).tasks[0].decided_by == "staff"

    run(story())
