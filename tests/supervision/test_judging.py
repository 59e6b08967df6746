"""Everything that people and time do to the tasks of a pledge, in any order: what always holds of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from server.errors import VouchError
from server.supervision.model import FINAL, CheckState, Pledge, TaskState, Verdict
from server.supervision.rules import checks, lifecycle, seats, tally, tasks, timing
from server.supervision.rules.change import Change
from server.supervision.terms import CheckTerms, RuleKind, VerdictRule
from tests.supervision.examples import ANN, AT, DEPOSIT, MAX, OWNER, TOM, pledge, task

SUPERVISORS = (TOM, MAX, ANN)
NUMBERS = st.integers(1, 3)
STEPS = st.sampled_from([timedelta(minutes=20), timedelta(hours=2), timedelta(hours=9), timedelta(days=2)])


class Judging(RuleBasedStateMachine):
    """A deposit, so that nothing is settled before its challenge window."""

    @initialize(
        kind=st.sampled_from(RuleKind),
        k=st.integers(1, 3),
        needed=st.integers(0, 3),
        chance=st.randoms(),
        grace=NUMBERS,
    )
    def begin(self, kind: RuleKind, k: int, needed: int, chance: Random, grace: int) -> None:
        words = {"rule": VerdictRule(kind, k), "needed": needed, "checks": CheckTerms(random=1)}
        made = tuple(task(n, AT + timedelta(days=n), late=grace * 30, judge=12) for n in (1, 2, 3))
        self.draw: Callable[[int], int] = chance.randrange
        self.now = AT
        self.pledge = pledge(DEPOSIT, *SUPERVISORS, words=words, tasks=made)

    def act(self, change: Callable[[Pledge, datetime], Change]) -> None:
        before = self.pledge
        try:
            self.pledge = lifecycle.progress(change(before, self.now), self.now).pledge
        except VouchError:
            return
        for old, new in zip(before.tasks, self.pledge.tasks, strict=True):
            assert new.votes[: len(old.votes)] == old.votes, "a vote was changed"
            if old.state not in (TaskState.OPEN, TaskState.REVIEW):
                assert new.state is old.state, "what was decided is decided"

    def current(self) -> int:
        """The first task that somebody may still do something with."""
        return next((one.n for one in self.pledge.tasks if one.state is TaskState.OPEN), 1)

    @rule(ahead=st.sampled_from([timedelta(hours=-3), timedelta(minutes=-20), timedelta(minutes=20)]))
    def come_to_the_task(self, ahead: timedelta) -> None:
        self.pass_by(max(timedelta(), self.pledge.tasks[self.current() - 1].due_at + ahead - self.now))

    @rule(person=st.sampled_from(SUPERVISORS), verdict=st.sampled_from(Verdict))
    def stamp(self, person: str, verdict: Verdict) -> None:
        self.act(lambda pledge, now: tasks.stamp(pledge, person, self.current(), verdict, now))

    @rule(verdict=st.sampled_from(Verdict))
    def all_stamp(self, verdict: Verdict) -> None:
        for person in SUPERVISORS:
            self.stamp(person, verdict)

    @rule()
    def report(self) -> None:
        self.act(lambda pledge, now: tasks.report(pledge, OWNER, self.current(), now))

    @rule(person=st.sampled_from(SUPERVISORS))
    def ask(self, person: str) -> None:
        self.act(lambda pledge, now: checks.ask(pledge, person, self.current(), now))

    @rule(id=st.sampled_from(["s1", "s2"]), done=st.booleans())
    def answer(self, id: str, done: bool) -> None:
        self.act(lambda pledge, now: checks.answer(pledge, OWNER, self.current(), id, done, now))

    @rule(n=NUMBERS, earnest=st.integers(0, 3))
    def admit(self, n: int, earnest: int) -> None:
        if earnest == 3:
            self.act(lambda pledge, now: tasks.admit(pledge, OWNER, n, now))

    @rule(person=st.sampled_from(SUPERVISORS))
    def leave(self, person: str) -> None:
        self.act(lambda pledge, now: seats.leave(pledge, person, now))

    @rule(step=STEPS)
    def pass_by(self, step: timedelta) -> None:
        """The server is there all the time, and does what is due when it is due."""
        end = self.now + step
        while (due := timing.next_due(self.pledge)) is not None and due <= end:
            self.now = max(self.now, due)
            self.act(lambda pledge, now: timing.tick(pledge, now, self.draw))
            after = timing.next_due(self.pledge)
            assert after is None or after > self.now, "time has changed nothing"
        self.now = end

    @rule(step=STEPS)
    def be_away(self, step: timedelta) -> None:
        """The server is away for so long; what was due meanwhile is done at once."""
        self.now += step
        self.act(lambda pledge, now: timing.tick(pledge, now, self.draw))

    @invariant()
    def nobody_forfeits_by_silence(self) -> None:
        for one in self.pledge.tasks:
            against = any(vote.counts is False for vote in one.votes)
            if one.state is TaskState.MISSED:
                assert one.decided_by == "admitted" or against
            if one.state is TaskState.KEPT:
                done = sum(vote.counts is True for vote in one.votes)
                assert done >= 1
                assert one.decided_by == "vote"

    @invariant()
    def a_vote_that_is_decided_is_closed(self) -> None:
        for one in self.pledge.tasks:
            if one.state is TaskState.OPEN and self.pledge.outcome is None and self.pledge.state not in FINAL:
                assert tally.decided(tally.count(one, self.pledge.seated), self.pledge.terms.rule) is None

    @invariant()
    def a_check_waits_only_where_it_can_be_answered(self) -> None:
        for one in self.pledge.tasks:
            waiting = [check for check in one.checks if check.state is CheckState.ASKED]
            assert len(waiting) <= 1
            assert not waiting or one.state is TaskState.OPEN


TestJudging = Judging.TestCase
TestJudging.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
