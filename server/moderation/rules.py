"""What may be reported, and who decides what. Pure: the time, and what people are granted, are arguments."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from server.errors import Code, VouchError
from server.media.model import Media
from server.moderation.model import (
    CONTEXT,
    NOTE_LONGEST,
    Decision,
    Evidence,
    MakeReport,
    Measure,
    Reason,
    Report,
    ReportState,
)
from server.people.rules import words
from server.principals import Grant, Role, Scope
from server.realtime.protocol import Entry

#: Whoever has claimed a report and not decided within this time may be relieved by another.
CLAIM_HOLDS = timedelta(hours=1)
#: characters of a message shown in the queue
EXCERPT = 160


def wanted(request: MakeReport) -> MakeReport:
    """The request with its note as it is kept. Raises `bad_request` unless it names exactly one target."""
    message = request.conversation is not None and request.seq is not None
    half = (request.conversation is None) != (request.seq is None)
    if half or message == (request.person is not None):
        raise VouchError(Code.BAD_REQUEST, "Report either a message or a person.", field="person")
    note = words(request.note, NOTE_LONGEST, field="note")
    if request.reason is Reason.OTHER and not note:
        raise VouchError(Code.BAD_REQUEST, "Say in a few words what is wrong.", field="note")
    return replace(request, note=note)


def evidence(reporter: str, seq: int, entries: Sequence[Entry], modifiers: Sequence[Entry]) -> tuple[Evidence, ...]:
    """The reported message and up to CONTEXT before it, each with the words of its last edit.

    `entries` end with the reported one. Raises `bad_request` for what is no message or one's own, `conflict` for one
    that was deleted.
    """
    target = entries[-1] if entries and entries[-1].seq == seq else None
    if target is None or target.kind != "message":
        raise VouchError(Code.BAD_REQUEST, "`seq` must be the number of a message.", field="seq")
    if target.by == reporter:
        raise VouchError(Code.BAD_REQUEST, "This is your own message.", field="seq")
    if target.gone:
        raise VouchError(Code.CONFLICT, "This message was deleted.", field="seq")
    edits = {e.ref: e for e in (*entries, *modifiers) if e.kind == "edit" and not e.gone}
    messages = [e for e in entries if e.kind == "message" and not e.gone][-CONTEXT - 1 :]
    return tuple(_evidence(message, edits.get(message.seq)) for message in messages)


def _evidence(message: Entry, edit: Entry | None) -> Evidence:
    text = str((edit or message).body.get("text", ""))
    media = msgspec.convert(message.body.get("media", []), list[Media])
    return Evidence(message.seq, message.at, message.by, text, media, edit is not None)


def excerpt(report: Report) -> str:
    """The beginning of the reported message, on one line."""
    text = " ".join(report.evidence[-1].text.split()) if report.evidence else ""
    return text if len(text) <= EXCERPT else text[: EXCERPT - 1] + "…"


def visible(report: Report, actor: str) -> bool:
    """Staff never see what was reported about themselves: it would name who did."""
    return report.person != actor


def may_decide(report: Report, actor: str) -> bool:
    """The person who decides is neither reporter nor reported, and nobody else works on it."""
    return (
        actor not in (report.reporter, report.person)
        and report.state is not ReportState.DECIDED
        and report.claimed_by in (None, actor)
    )


def claim(report: Report, actor: str, version: int, now: datetime) -> Report:
    """One member of staff works on a report. Raises `forbidden`, `already`, `stale`, `conflict`."""
    _open_to(report, actor, version)
    if report.claimed_by == actor:
        return report
    if report.claimed_by is not None and report.claimed_at is not None and now - report.claimed_at < CLAIM_HOLDS:
        raise VouchError(Code.CONFLICT, "Somebody else works on this.")
    return _next(report, state=ReportState.CLAIMED, claimed_by=actor, claimed_at=now)


def release(report: Report, actor: str, version: int) -> Report:
    """Puts a claimed report back into the queue. Raises `forbidden`, `already`, `stale`, `conflict`."""
    _open_to(report, actor, version)
    if report.claimed_by != actor:
        raise VouchError(Code.CONFLICT, "Only who works on this can give it back.")
    return _next(report, state=ReportState.OPEN, claimed_by=None, claimed_at=None)


def decide(report: Report, actor: str, decision: Decision, now: datetime) -> Report:
    """The report after the decision. Raises `forbidden`, `already`, `stale`, `conflict`, `bad_request`."""
    _open_to(report, actor, decision.version)
    if report.claimed_by not in (None, actor):
        raise VouchError(Code.CONFLICT, "Somebody else works on this.")
    measures = tuple(measure for measure in Measure if measure in decision.measures)
    if Measure.REMOVE in measures and report.conversation is None:
        raise VouchError(Code.BAD_REQUEST, "There is no message to remove.", field="measures")
    if (Measure.SUSPEND in measures) != (decision.hours is not None):
        raise VouchError(Code.BAD_REQUEST, "`hours` belongs to a suspension.", field="hours")
    return _next(
        report,
        state=ReportState.DECIDED,
        decided_by=actor,
        decided_at=now,
        decision_note=words(decision.note, NOTE_LONGEST, field="note"),
        done=measures,
        until=now + timedelta(hours=decision.hours) if decision.hours is not None else None,
    )


def may_suspend(actor: str, actors: Collection[Grant], person: str, persons: Collection[Grant]) -> None:
    """Nobody suspends themselves; only admins suspend those who look after the system. Raises `forbidden`."""
    if actor == person or (_trusted(persons) and not _admin(actors)):
        raise VouchError(Code.FORBIDDEN)


def _admin(grants: Collection[Grant]) -> bool:
    return Grant(Role.ADMIN) in grants


def _trusted(grants: Collection[Grant]) -> bool:
    return any(g.scope is Scope.SYSTEM and g.role in (Role.ADMIN, Role.STAFF) for g in grants)


def _open_to(report: Report, actor: str, version: int) -> None:
    if not visible(report, actor):
        raise VouchError(Code.NOT_FOUND)
    if actor == report.reporter:
        raise VouchError(Code.FORBIDDEN, "Who has reported something does not decide about it.")
    if report.state is ReportState.DECIDED:
        raise VouchError(Code.ALREADY)
    if report.version != version:
        raise VouchError(Code.STALE)


def _next(report: Report, **changes: object) -> Report:
    return replace(report, version=report.version + 1, **changes)
