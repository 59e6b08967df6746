"""Who adds evidence, how a row is hashed and sealed, and what does not hold of a pledge's chain. Pure.

Each row holds the hash of the row before, and the pledge where its chain ends: to change, remove, move or insert a row
one would have to make all later ones anew, and their seals cannot be made without a key that is not in the database.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from server.clock import to_ms
from server.errors import Code, VouchError
from server.media.model import Media
from server.supervision.model import Evidence, EvidenceEnd, EvidenceKind, Pledge, PledgeState, TaskState, Vote
from server.supervision.rules.change import Change, Line, What, concerned, tell
from server.supervision.words import EvidenceAdded

#: the fact that names the proofs of a row, by their ids
PROOFS = "proofs"
#: rows of one pledge, verdicts among them, from which on people add no more
EVIDENCE_MOST = 1_000
_OPEN = frozenset({PledgeState.ACTIVE, PledgeState.UNDER_REVIEW, PledgeState.CHALLENGE_WINDOW, PledgeState.DISPUTED})
#: what of a row is not under its hash
_OUTSIDE = frozenset({"hash", "seal"})


class FaultKind(StrEnum):
    """`changed`: the row does not say what was sealed. `missing`: it is not there. `inserted`: nobody has written it.
    `unlinked`: it does not follow the row before. `cut`: rows are gone from the end. `verdict`: what the pledge says of
    a verdict is not what was sealed of it. `unknown`: the pledge names evidence that is not there. `content`: a picture
    or another thing is not the one that was added."""

    CHANGED = "changed"
    MISSING = "missing"
    INSERTED = "inserted"
    UNLINKED = "unlinked"
    CUT = "cut"
    VERDICT = "verdict"
    UNKNOWN = "unknown"
    CONTENT = "content"


class Fault(msgspec.Struct, frozen=True):
    """`n` is the number of the row, 0 where there is none."""

    kind: FaultKind
    pledge: str
    n: int


def evidence_key(secret: bytes) -> bytes:
    """The key of the seals, from a secret that never changes while the database lives."""
    return HKDF(hashes.SHA256(), 32, salt=None, info=b"vouch evidence chain").derive(secret)


def sealed(key: bytes, row: Evidence, end: EvidenceEnd) -> Evidence:
    """The row as the next one of its chain."""
    row = msgspec.structs.replace(row, n=end.n + 1, before=end.hash)
    hash = hash_of(row)
    return msgspec.structs.replace(row, hash=hash, seal=_seal(key, hash))


def hash_of(row: Evidence) -> str:
    """SHA-256 (hex) over the row as JSON with sorted keys, times in milliseconds: anybody can recompute it."""
    said = msgspec.structs.asdict(row) | {"at": to_ms(row.at)}
    for name in _OUTSIDE:
        del said[name]
    return hashlib.sha256(msgspec.json.encode(said, order="deterministic")).hexdigest()


def _seal(key: bytes, hash: str) -> str:
    return hmac.new(key, hash.encode(), hashlib.sha256).hexdigest()


def examine(key: bytes, pledge: Pledge, rows: Sequence[Evidence]) -> list[Fault]:
    """What does not hold of a pledge's evidence; `rows` are all that name the pledge, in any order."""
    faults: list[Fault] = []

    def fault(kind: FaultKind, n: int) -> None:
        faults.append(Fault(kind, pledge.id, n))

    places: dict[int, Evidence] = {}
    for row in sorted(rows, key=lambda row: row.n):
        if row.n in places or not 1 <= row.n <= pledge.evidence.n:
            fault(FaultKind.INSERTED, row.n)
        else:
            places[row.n] = row
    before: str | None = ""  # None: the row before is not whole, so nothing can be said of the link
    for n in range(1, pledge.evidence.n + 1):
        at_place = places.get(n)
        if at_place is None:
            fault(FaultKind.MISSING, n)
            before = None
        elif not _holds(key, at_place):
            fault(FaultKind.CHANGED, n)
            before = None
        else:
            if before is not None and at_place.before != before:
                fault(FaultKind.UNLINKED, n)
            before = at_place.hash
    if before is not None and before != pledge.evidence.hash:
        fault(FaultKind.CUT, pledge.evidence.n)
    known = {row.id for row in places.values()}
    for _ in range(sum(id not in known for id in named_by(pledge))):
        fault(FaultKind.UNKNOWN, 0)
    said = [_said(row) for row in verdicts_of(pledge)]
    for row in places.values():
        if row.kind in (EvidenceKind.VERDICT, EvidenceKind.RULING):
            if _said(row) in said:
                said.remove(_said(row))
            else:
                fault(FaultKind.VERDICT, row.n)
    for _ in said:
        fault(FaultKind.VERDICT, 0)
    return faults


def _holds(key: bytes, row: Evidence) -> bool:
    return hash_of(row) == row.hash and hmac.compare_digest(_seal(key, row.hash), row.seal)


def named_by(pledge: Pledge) -> Iterable[str]:
    """The evidence that votes, reports and checks refer to."""
    for task in pledge.tasks:
        yield from task.reported_evidence
        for vote in task.votes:
            yield from vote.evidence
        for check in task.checks:
            yield from check.evidence


def may_add(pledge: Pledge, person: str, now: datetime) -> bool:
    """The two sides, and whose money it is, from the beginning until it is known for good what became of it; in a case
    for so long as the case says."""
    if pledge.state not in _OPEN or person not in concerned(pledge):
        return False
    return pledge.state is not PledgeState.DISPUTED or pledge.case is None or now <= pledge.case.evidence_until


def added(
    pledge: Pledge,
    person: str,
    task: int,
    now: datetime,
    words: str,
    media: Sequence[Media],
    id: str,
    kind: EvidenceKind | None = None,
) -> Change:
    """Somebody adds evidence to a task (0: to the whole). Raises `not_found` for who is no part of it, `closed` when
    its time is over or has not come, `bad_request` (`task`), `limit_reached`."""
    if person not in concerned(pledge):
        raise VouchError(Code.NOT_FOUND)
    if not may_add(pledge, person, now):
        raise VouchError(Code.CLOSED, "Evidence cannot be added now.")
    if task and pledge.task(task) is None:
        raise VouchError(Code.BAD_REQUEST, "There is no such task.", field="task")
    if pledge.evidence.n >= EVIDENCE_MOST:
        raise VouchError(Code.LIMIT_REACHED)
    kind = kind or (EvidenceKind.MEDIA if media else EvidenceKind.WORDS)
    body = msgspec.to_builtins(EvidenceAdded(id, kind, task, words, list(media)))
    reviewer = pledge.case.reviewer if pledge.case else None
    people = [*concerned(pledge), *([reviewer] if reviewer else [])]
    return Change(pledge, (Line("evidence", body, person),), tell(people, What.EVIDENCE, person, task))


def withheld(pledge: Pledge, person: str) -> set[str]:
    """The evidence that somebody else's stamp came with, while the vote is open: it would tell how they voted."""
    return {
        id
        for task in pledge.tasks
        if task.state is TaskState.OPEN
        for vote in task.votes
        if vote.person != person
        for id in vote.evidence
    }


# ── Verdicts ────────────────────────────────────────────────────────────────────────────────────────────────────────


def verdicts_of(pledge: Pledge) -> list[Evidence]:
    """The rows that repeat what was decided: votes, tasks that the owner has admitted, rulings. Without a number."""
    rows = [_vote(pledge, task.n, vote) for task in pledge.tasks for vote in task.votes]
    rows += [
        _row(pledge, EvidenceKind.VERDICT, pledge.owner, task.n, {"verdict": "admitted"})
        for task in pledge.tasks
        if task.decided_by == "admitted"
    ]
    for case in pledge.cases:
        if case.ruling is not None:
            facts = {"case": case.id, "kind": case.kind.value, "ruling": case.ruling.value}
            rows.append(_row(pledge, EvidenceKind.RULING, case.reviewer or "system", 0, facts, case.reasons))
    return rows


def new_verdicts(before: Pledge | None, after: Pledge) -> list[Evidence]:
    """Those that a change has brought."""
    known = [_said(row) for row in verdicts_of(before)] if before else []
    return [row for row in verdicts_of(after) if _said(row) not in known]


def _vote(pledge: Pledge, task: int, vote: Vote) -> Evidence:
    facts = {"verdict": vote.verdict.value, "at": str(to_ms(vote.at))}
    if vote.done_at is not None:
        facts["done_at"] = str(to_ms(vote.done_at))
    if vote.counts is not None:
        facts["counts"] = "yes" if vote.counts else "no"
    if vote.in_person:
        facts["in_person"] = "yes"
    if vote.evidence:
        facts["evidence"] = " ".join(vote.evidence)
    return _row(pledge, EvidenceKind.VERDICT, vote.person, task, facts, vote.words)


def _row(pledge: Pledge, kind: EvidenceKind, by: str, task: int, facts: dict[str, str], words: str = "") -> Evidence:
    return Evidence(
        id="", pledge=pledge.id, n=0, by=by, at=pledge.created_at, kind=kind, task=task, words=words, facts=facts
    )


def _said(row: Evidence) -> tuple[str, str, int, str, tuple[tuple[str, str], ...]]:
    return row.kind.value, row.by, row.task, row.words, tuple(sorted(row.facts.items()))
