"""What may be promised: whether the words of a draft fit together. Pure.

What is wrong in itself is refused at once, with the field; what depends on the day it is published (the first task must
still be to come) is asked then. Whether the people who are named exist and may be named is drafting's to find out.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import NoReturn

from server.errors import Code, VouchError
from server.supervision.model import Side, Task
from server.supervision.rules import schedule
from server.supervision.terms import MONEY, RuleKind, StakeKind, StakeTerms, Terms, Visibility

#: stakes that are words to somebody, or work for somebody
FOR_SOMEBODY = frozenset({StakeKind.MESSAGE, StakeKind.CHORE})


def check(terms: Terms, side: Side, *, minor: bool = False) -> tuple[Task, ...]:
    """The tasks that it amounts to (R-02). `side` is who drafts, `minor` whether the owner is one. Raises `bad_request`
    with the field that does not fit."""
    _check_words(terms)
    tasks = schedule.occurrences(terms)
    if terms.needed > len(tasks):
        _refuse("needed", f"It is done {len(tasks)} times at most.")
    _check_rule(terms)
    _check_visibility(terms, minor)
    _check_stake(terms, side)
    return tasks


def check_people(owner: str, supervisors: Collection[str], terms: Terms) -> None:
    """Those who are named must have different parts in it. Raises `bad_request`."""
    if owner in supervisors:
        _refuse("supervisors", "Nobody supervises themselves.", top=True)
    if len(set(supervisors)) != len(supervisors):
        _refuse("supervisors", "Name each person once.", top=True)
    if len(supervisors) > terms.most:
        _refuse("most", "More people are named than there are seats.")
    if terms.stake.kind is StakeKind.STAFF and supervisors:
        _refuse("supervisors", "Staff supervises this one.", top=True)
    if terms.stake.to == owner:
        _refuse("stake.to", "Choose somebody else than the one who promises.")


def expiry(tasks: Collection[Task], now: datetime, days: int) -> datetime:
    """When one that is published now has to have begun: `days` from now, and never after the first task is due. Raises
    `bad_request` when that is over already."""
    first = min(task.due_at for task in tasks)
    if first <= now:
        _refuse("tasks", "The first task is due in the past.")
    return min(first, now + timedelta(days=days))


def _check_words(terms: Terms) -> None:
    if not terms.title.strip():
        _refuse("title", "Give it a title.")
    for number, task in enumerate(terms.tasks):
        if not task.title.strip():
            _refuse(f"tasks.{number}.title", "Give each task a title.")


def _check_rule(terms: Terms) -> None:
    if terms.least > terms.most:
        _refuse("least", "It cannot need more supervisors than it takes.")
    if terms.rule.kind is not RuleKind.K_OF_N:
        if terms.rule.k:
            _refuse("rule.k", "Only the rule k of n has a number.")
    elif not 1 <= terms.rule.k <= terms.least:
        _refuse("rule.k", f"From 1 to {terms.least}: with so many supervisors it begins.")


def _check_visibility(terms: Terms, minor: bool) -> None:
    if minor and terms.visibility is Visibility.PUBLIC:
        _refuse("visibility", "What a minor promises is never public.")
    if (terms.visibility is Visibility.GROUP) != (terms.group is not None):
        _refuse("group", "Name the group exactly where a group may see it.")


def _check_stake(terms: Terms, side: Side) -> None:
    stake = terms.stake
    if (stake.kind in MONEY) != bool(stake.amount) or (stake.kind in MONEY) != (stake.currency is not None):
        _refuse("stake.amount", "An amount and a currency belong to money, and to nothing else.")
    for field, moves in (("moves_if_kept", stake.moves_if_kept), ("moves_if_failed", stake.moves_if_failed)):
        if moves > stake.amount:
            _refuse(f"stake.{field}", "Not more can move than is at stake.")
    if (stake.kind in FOR_SOMEBODY) != bool(stake.words.strip()):
        _refuse("stake.words", "Words belong to a message or a chore.")
    if (stake.kind in FOR_SOMEBODY) != (stake.to is not None):
        _refuse("stake.to", "A message and a chore are for somebody.")
    if (stake.kind is StakeKind.POINTS) != bool(stake.points):
        _refuse("stake.points", "Points belong to a stake of points.")
    if (stake.kind is StakeKind.STAFF) != (terms.template is not None):
        _refuse("template", "A template belongs to what staff supervises.")
    _check_sides(stake, side, terms)


def _check_sides(stake: StakeTerms, side: Side, terms: Terms) -> None:
    match stake.kind:
        case StakeKind.STAFF if side is not Side.OWNER:
            _refuse("stake.kind", "Who promises asks staff themselves.")
        case StakeKind.STAFF if terms.most != 1:
            _refuse("most", "One of the staff supervises.")
        case StakeKind.STAFF if stake.moves_if_kept:
            _refuse("stake.moves_if_kept", "Who keeps it has everything back.")
        case StakeKind.REWARD if side is not Side.SUPERVISOR:
            _refuse("stake.kind", "A reward is offered by a supervisor.")
        case StakeKind.REWARD if stake.moves_if_failed:
            _refuse("stake.moves_if_failed", "What is not earned goes back whole.")


def _refuse(field: str, sentence: str, *, top: bool = False) -> NoReturn:
    raise VouchError(Code.BAD_REQUEST, sentence, field=field if top else f"terms.{field}")
