"""Reports on the real database: made once, worked on by one, decided with all that follows in one step."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from server.errors import Code, VouchError
from server.moderation.model import Claim, Decision, MakeReport, Measure, Reason, ReportState
from server.principals import Grant, Role
from tests.chat.test_service import refused
from tests.moderation.conftest import Street


async def decide(street: Street, id: str, *measures: Measure, by: str = "", hours: int | None = None) -> Any:
    actor = by or street.sam
    version = (await street.desk.one(actor, id)).version
    return await street.desk.decide(actor, id, Decision(version, list(measures), hours, "seen"))


async def test_a_report_keeps_the_message_and_five_before_it(street: Street) -> None:
    """As they stood: an edit before counts, and a deletion after destroys nothing."""
    world = street.world
    await world.append(street.ben, street.room, "edit", {"text": "you utter fool"}, ref=street.seq)
    report = await street.report(note="He says this every day.")
    await world.append(street.ben, street.room, "delete", {}, ref=street.seq)
    view = await street.desk.one(street.sam, report.id)
    assert [e.text for e in view.evidence] == [f"line {n}" for n in range(2, 7)] + ["you utter fool"]
    assert view.evidence[-1].edited
    assert (view.note, view.title, view.report.excerpt) == ("He says this every day.", "Tea", "you utter fool")
    assert (view.report.reporter, view.report.person, view.report.seq) == (street.ada, street.ben, street.seq)
    assert {card.id for card in view.people} == {street.ada, street.ben}


async def test_reporting_the_same_again_finds_the_same_report(street: Street) -> None:
    made = await asyncio.gather(*(street.report() for _ in range(5)))
    assert len({report.id for report in made}) == 1
    assert (await street.desk.queue(street.sam, ReportState.OPEN, None, 50)).open == 1
    await decide(street, made[0].id, Measure.WARN)
    again = await street.report(Reason.SPAM)
    assert (again.id, again.state, again.done) == (made[0].id, ReportState.DECIDED, [Measure.WARN])


async def test_a_person_may_be_reported_again_after_the_decision(street: Street) -> None:
    me = street.world.principal(street.ada)
    wanted = MakeReport(reason=Reason.SPAM, person=street.ben)
    first = await street.desk.report(me, wanted)
    assert not first.again
    assert await street.desk.report(me, wanted) == msgspec.structs.replace(first, again=True)
    await decide(street, first.id)
    second = await street.desk.report(me, wanted)
    assert not second.again
    view = await street.desk.one(street.sam, second.id)
    assert [line.id for line in view.earlier] == [first.id]
    assert view.report.conversation is None
    with pytest.raises(VouchError) as caught:
        await decide(street, second.id, Measure.REMOVE)
    assert caught.value.field == "measures"


async def test_nobody_reports_what_they_cannot_see(street: Street) -> None:
    world, report = street.world, street.desk.report
    ada, eve = world.principal(street.ada), world.principal(street.eve)
    message = MakeReport(reason=Reason.SPAM, conversation=street.room, seq=street.seq)
    await refused(Code.NOT_FOUND, report(eve, message))
    await refused(Code.NOT_FOUND, report(eve, MakeReport(reason=Reason.SPAM, person=street.ben)))
    await refused(Code.NOT_FOUND, report(eve, MakeReport(reason=Reason.SPAM, person="p_" + "0" * 20)))
    await refused(Code.BAD_REQUEST, report(world.principal(street.ben), message))  # one's own message
    await refused(Code.BAD_REQUEST, report(ada, MakeReport(reason=Reason.SPAM, person=street.ada)))
    await refused(Code.BAD_REQUEST, report(ada, msgspec.structs.replace(message, seq=1)))  # `created`
    await refused(Code.BAD_REQUEST, report(ada, msgspec.structs.replace(message, seq=9_999)))
    # Who joins later does not report what was said before.
    await world.befriend(street.ada, street.eve)
    await world.chat.add(street.ada, street.room, [street.eve])
    await refused(Code.NOT_FOUND, report(eve, message))
    await world.append(street.ben, street.room, "delete", {}, ref=street.seq)
    await refused(Code.CONFLICT, report(ada, message))


async def test_one_of_two_who_claim_at_once_gets_it(street: Street) -> None:
    report = await street.report()
    claims = await asyncio.gather(
        *(street.desk.claim(who, report.id, Claim(1)) for who in (street.sam, street.sue) * 3),
        return_exceptions=True,
    )
    won = {claim.report.claimed_by for claim in claims if not isinstance(claim, BaseException)}
    assert len(won) == 1
    lost = [claim for claim in claims if isinstance(claim, BaseException)]
    assert lost
    assert {fault.code for fault in lost if isinstance(fault, VouchError)} <= {Code.STALE, Code.CONFLICT}
    (winner,) = won
    loser = street.sue if winner == street.sam else street.sam
    await refused(Code.CONFLICT, decide(street, report.id, by=loser))
    assert not (await street.desk.one(loser, report.id)).may_decide
    view = await street.desk.one(winner, report.id)
    assert view.may_decide
    assert [line.id for line in (await street.desk.queue(winner, ReportState.CLAIMED, None, 50)).reports] == [report.id]
    assert (await street.desk.queue(loser, ReportState.CLAIMED, None, 50)).reports == []
    await street.desk.release(winner, report.id, Claim(view.version))
    await decide(street, report.id, by=loser)


async def test_removing_deletes_the_message_as_the_server(street: Street) -> None:
    """The words are gone from the log and from memory, and both are told; the evidence stays with the report."""
    report = await street.report()
    assert await street.inbox(street.sam, "report_made") == [{"report": report.id, "done": []}]
    view = await decide(street, report.id, Measure.REMOVE)
    assert (view.report.state, view.decided_by, view.decision_note) == (ReportState.DECIDED, street.sam, "seen")
    log = await street.world.log(street.room)
    removed = next(entry for entry in log if entry.seq == street.seq)
    assert (removed.gone, removed.body) == (True, {})
    assert [(e.kind, e.by, e.ref) for e in log[-1:]] == [("delete", "system", street.seq)]
    assert view.evidence[-1].text == "you fool"
    assert await street.inbox(street.ada, "report_decided") == [{"report": report.id, "done": ["remove"]}]
    (told,) = await street.inbox(street.ben, "moderated")
    assert told == {
        "done": "remove", "reason": "insult", "conversation": street.room, "seq": street.seq, "until": None,
    }  # fmt: skip
    await refused(Code.ALREADY, decide(street, report.id))
    shown = await street.desk.queue(street.sam, ReportState.DECIDED, None, 50)
    assert ([line.id for line in shown.reports], shown.open) == ([report.id], 0)


async def test_neither_reporter_nor_reported_decides(street: Street) -> None:
    """A member of staff who is reported does not even see it: it would name who did."""
    services = street.world.services
    await street.world.befriend(street.sam, street.sue)
    room = await street.world.direct(street.sam, street.sue)
    seq = await street.world.say(street.sue, room, "hm")
    wanted = MakeReport(reason=Reason.INSULT, conversation=room, seq=seq)
    report = await services.moderation.report(street.world.principal(street.sam), wanted)
    await refused(Code.FORBIDDEN, decide(street, report.id))
    await refused(Code.NOT_FOUND, street.desk.one(street.sue, report.id))
    await refused(Code.NOT_FOUND, street.desk.decide(street.sue, report.id, Decision(1, [])))
    assert (await street.desk.queue(street.sue, ReportState.OPEN, None, 50)).reports == []
    assert await street.inbox(street.sue, "report_made") == []
    # Only an admin suspends staff, and nobody themselves.
    third, *_ = await street.world.people("ted")
    await services.people.grant(third, Grant(Role.STAFF), "system")
    await refused(Code.FORBIDDEN, decide(street, report.id, Measure.SUSPEND, by=third, hours=24))
    view = await decide(street, report.id, Measure.SUSPEND, by=street.ann, hours=24)
    assert view.suspended_until is not None
    await refused(Code.FORBIDDEN, street.desk.lift(third, street.sue))
    await street.desk.lift(street.ann, street.sue)
    await refused(Code.ALREADY, street.desk.lift(street.ann, street.sue))


async def test_the_trail_tells_who_did_what(street: Street) -> None:
    report = await street.report()
    view = await street.desk.claim(street.sam, report.id, Claim(1))
    await street.desk.decide(street.sam, report.id, Decision(view.version, [Measure.SUSPEND], 2, "secret words"))
    await street.desk.lift(street.sam, street.ben)
    audit = await street.world.services.administration.audit({}, None, 10)
    assert [(act.action, act.by, act.target) for act in audit.acts] == [
        ("person.lifted", street.sam, street.ben),
        ("report.decided", street.sam, report.id),
        ("report.claimed", street.sam, report.id),
    ]
    facts = audit.acts[1].facts
    assert (facts["done"], facts["person"], facts["reason"]) == ("suspend", street.ben, "insult")
    assert "secret" not in str(audit)


async def test_the_words_of_a_decided_report_go_after_a_time(street: Street) -> None:
    """Evidence has an end from the decision on, and none before; without it the report still reads."""
    services = street.world.services
    report = await street.report(note="please look")
    words = services.store.collection("evidence")
    assert "expires" not in (await words.find_one({"_id": report.id}) or {})
    view = await decide(street, report.id)
    row = await words.find_one({"_id": report.id})
    assert row is not None
    left = row["expires"] - services.clock.now()
    assert timedelta(days=89) < left <= timedelta(days=90)
    await words.delete_one({"_id": report.id})  # what the database does at that time
    later = await street.desk.one(street.sam, report.id)
    assert (later.evidence, later.note, later.report.excerpt) == ([], "", "")
    assert (later.report.state, later.version) == (ReportState.DECIDED, view.version)
