"""The way of a hot channel's drafts: never out of order, never unanswered, whatever the owner does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from itertools import count

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from server.errors import Code, VouchError
from server.realtime import routes
from server.realtime.channels import Draft, EntryKind
from server.realtime.lane import Accepted
from server.realtime.owners import ASK_PAUSE, HOT_CONFLICTS, HOT_SECONDS, Heat
from server.realtime.protocol import Entry
from server.realtime.routes import Answer, Forward, Intake, Pending, Route, answer_of
from tests.conftest import Run

CH = "conv:c_00000000000000000000"


def draft(n: int) -> Draft:
    return Draft(CH, "p_1", f"id{n:020}", "message", {"text": f"word {n}"})


def entry(draft: Draft, seq: int) -> Entry:
    return Entry(seq, seq, 0, draft.by, draft.id, draft.kind, draft.body)


class Log:
    """A log that two appenders write: this node's and the owner's. What is in it already is found again."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    def write(self, draft: Draft) -> Accepted:
        if draft.id not in self.ids:
            self.ids.append(draft.id)
        return Accepted(CH, entry(draft, self.ids.index(draft.id) + 1))


class Ways:
    """This node's appender, which settles when it is told to, and a line to owners."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.queue: list[Pending] = []
        self.forwarded: list[tuple[str, Forward]] = []
        self.offered: list[Accepted] = []
        self._runs = count(1)

    def append(self, draft: Draft, kind: EntryKind | None) -> asyncio.Future[Accepted]:
        if draft.body.get("text") == "bad":
            raise VouchError(Code.BAD_REQUEST)
        for pending in self.queue:
            if pending.draft.id == draft.id:
                return pending.future
        self.queue.append(Pending(draft, kind, asyncio.get_running_loop().create_future()))
        return self.queue[-1].future

    def flying(self, ch: str) -> Iterable[Pending]:
        return [pending for pending in self.queue if not pending.future.done()]

    def forward(self, owner: str, forward: Forward) -> None:
        self.forwarded.append((owner, forward))

    def accepted(self, accepted: Accepted) -> None:
        self.offered.append(accepted)

    def new_run(self) -> str:
        return f"run {next(self._runs)}"

    def write(self) -> None:
        """The appender's next insert, in order."""
        while self.queue:
            pending = self.queue.pop(0)
            pending.settle(self.log.write(pending.draft))

    def answer(self, route: Route, at: int = 0) -> None:
        """The owner takes the draft that was forwarded first, and its answer arrives."""
        _, forward = self.forwarded.pop(at)
        accepted = self.log.write(forward.draft)
        route.answered(Answer(CH, forward.run, forward.no, accepted.entry))


@pytest.fixture
def ways() -> Ways:
    return Ways(Log())


async def test_without_an_owner_drafts_go_into_our_own_log(ways: Ways) -> None:
    route = Route(CH, ways)
    futures = [route.submit(draft(n), None) for n in range(3)]
    ways.write()
    assert [(await future).entry.seq for future in futures] == [1, 2, 3]
    assert route.idle
    assert not ways.forwarded


async def test_with_an_owner_they_go_there_in_order_and_come_back_as_entries(ways: Ways) -> None:
    route = Route(CH, ways)
    route.follow("n_b")
    futures = [route.submit(draft(n), None) for n in range(3)]
    assert [(owner, forward.no, forward.draft) for owner, forward in ways.forwarded] == [
        ("n_b", n + 1, draft(n)) for n in range(3)
    ]
    for _ in range(3):
        ways.answer(route)
    assert [(await future).entry.seq for future in futures] == [1, 2, 3]
    assert [accepted.entry.id for accepted in ways.offered] == [draft(n).id for n in range(3)]
    assert not route.idle
    route.follow(None)
    assert route.idle


async def test_what_our_own_appender_fights_for_goes_along_before_anything_new(ways: Ways) -> None:
    route = Route(CH, ways)
    ours = [ways.append(draft(n), None) for n in range(2)]
    route.follow("n_b")
    new = route.submit(draft(2), None)
    assert [forward.draft for _, forward in ways.forwarded] == [draft(0), draft(1), draft(2)]
    for _ in range(3):
        ways.answer(route)
    assert [(await future).entry.seq for future in [*ours, new]] == [1, 2, 3]


async def test_a_change_of_owners_waits_for_what_is_under_way(ways: Ways) -> None:
    route = Route(CH, ways)
    route.follow("n_b")
    first = route.submit(draft(0), None)
    route.follow("n_c")
    second = route.submit(draft(1), None)
    assert [owner for owner, _ in ways.forwarded] == ["n_b"]
    ways.answer(route)
    assert [(owner, forward.no) for owner, forward in ways.forwarded] == [("n_c", 1)]
    ways.answer(route)
    assert [(await future).entry.seq for future in (first, second)] == [1, 2]


async def test_who_is_silent_is_given_up_and_nothing_is_lost_or_turned_round(
    ways: Ways, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner has died, or the bus loses its answers: it may have written the first of them."""
    monkeypatch.setattr(routes, "ANSWER_WITHIN", 0.02)
    route = Route(CH, ways)
    route.follow("n_b")
    futures = [route.submit(draft(n), None) for n in range(3)]
    ways.log.write(draft(0))
    async with asyncio.timeout(5):
        while not ways.queue:
            await asyncio.sleep(0.005)
    futures.append(route.submit(draft(3), None))
    assert len(ways.forwarded) == 3
    late = ways.forwarded[0][1]
    ways.write()
    assert [(await future).entry.seq for future in futures] == [1, 2, 3, 4]
    route.answered(Answer(CH, late.run, late.no, entry(late.draft, 1)))  # comes late, and changes nothing
    assert route.idle


async def test_who_answers_some_is_given_up_for_the_others(ways: Ways, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "ANSWER_WITHIN", 0.02)
    route = Route(CH, ways)
    route.follow("n_b")
    futures = [route.submit(draft(n), None) for n in range(3)]
    ways.answer(route)
    async with asyncio.timeout(5):
        while not ways.queue:
            await asyncio.sleep(0.005)
    ways.write()
    assert [(await future).entry.seq for future in futures] == [1, 2, 3]


async def test_a_refused_run_is_appended_here(ways: Ways) -> None:
    route = Route(CH, ways)
    route.follow("n_b")
    future = route.submit(draft(0), None)
    route.refused("another run")
    assert not ways.queue
    route.refused(ways.forwarded[0][1].run)
    assert route.owner is None
    ways.write()
    assert (await future).entry.seq == 1


async def test_refusals_are_the_senders(ways: Ways) -> None:
    route = Route(CH, ways)
    here = route.submit(Draft(CH, "p_1", "x" * 22, "message", {"text": "bad"}), None)
    route.follow("n_b")
    there = route.submit(draft(0), None)
    forward = ways.forwarded[0][1]
    fault = VouchError(Code.IDEMPOTENCY_CONFLICT, "No.", field="id", retry_after=2.0)
    failed: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()
    failed.set_exception(fault)
    route.answered(answer_of(forward, failed))
    with pytest.raises(VouchError) as bad:
        await here
    assert bad.value.code is Code.BAD_REQUEST
    with pytest.raises(VouchError) as refused:
        await there
    assert refused.value.code is Code.IDEMPOTENCY_CONFLICT
    assert (refused.value.message, refused.value.field, refused.value.retry_after) == ("No.", "id", 2.0)


async def test_an_owner_that_stumbles_says_so(ways: Ways) -> None:
    forward = Forward("run", 1, draft(0))
    loop = asyncio.get_running_loop()
    broken: asyncio.Future[Accepted] = loop.create_future()
    broken.set_exception(ZeroDivisionError())
    assert answer_of(forward, broken).code is Code.INTERNAL
    stopped: asyncio.Future[Accepted] = loop.create_future()
    stopped.cancel()
    assert answer_of(forward, stopped).code is Code.TRY_LATER


class TestIntake:
    def test_a_run_is_taken_in_order_once(self) -> None:
        intake = Intake()
        assert intake.take("n_a", Forward("r", 1, draft(1))) is True
        assert intake.take("n_a", Forward("r", 1, draft(1))) is None  # doubled by the bus
        assert intake.take("n_a", Forward("r", 3, draft(3))) is False  # the second was lost
        assert intake.take("n_a", Forward("r", 2, draft(2))) is True
        assert intake.take("n_b", Forward("r", 2, draft(2))) is False  # somebody else's
        assert intake.take("n_a", Forward("s", 2, draft(2))) is False
        assert intake.take("n_a", Forward("s", 1, draft(4))) is True

    def test_a_channel_that_was_given_up_begins_anew(self) -> None:
        intake = Intake()
        intake.take("n_a", Forward("r", 1, draft(1)))
        intake.forget(CH)
        assert intake.take("n_a", Forward("r", 2, draft(2))) is False


class TestHeat:
    def test_it_takes_several_losses_within_a_while(self) -> None:
        heat = Heat()
        assert [heat.lost(CH, n * HOT_SECONDS) for n in range(6)] == [False] * 6
        now = 100.0
        assert [heat.lost(CH, now + n / 100) for n in range(HOT_CONFLICTS)] == [False] * (HOT_CONFLICTS - 1) + [True]

    def test_it_does_not_ask_all_the_time(self) -> None:
        heat = Heat()
        asked = [heat.lost(CH, n * ASK_PAUSE / 10) for n in range(33)]
        assert sum(asked) == 4

    def test_it_forgets(self) -> None:
        heat = Heat()
        heat.lost(CH, 0.0)
        heat.cool(HOT_SECONDS + 1)
        assert not heat._lost


STEPS = st.lists(
    st.sampled_from(["say", "say", "own", "other", "nobody", "write", "answer", "answer", "lose", "refuse"]),
    max_size=60,
)


@given(STEPS)
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
def test_whatever_happens_each_draft_is_in_the_log_once_and_in_order(run: Run[None], steps: list[str]) -> None:
    """The owner takes a run in order or not at all (its Intake); answers and drafts may be lost."""

    async def scene() -> None:
        log = Log()
        ways, intake = Ways(log), Intake()
        route = Route(CH, ways)
        futures: list[asyncio.Future[Accepted]] = []
        for step in steps:
            match step:
                case "say":
                    futures.append(route.submit(draft(len(futures)), None))
                case "own" | "other":
                    route.follow("n_b" if step == "own" else "n_c")
                case "nobody":
                    route.follow(None)
                case "write":
                    ways.write()
                case "answer" if ways.forwarded:
                    owner, forward = ways.forwarded[0]
                    if intake.take(owner, forward):
                        ways.answer(route)
                    else:
                        ways.forwarded.pop(0)
                        route.refused(forward.run)
                case "lose" if ways.forwarded:
                    ways.forwarded.pop(0)
                case "refuse" if ways.forwarded:
                    route.refused(ways.forwarded.pop(0)[1].run)
        route.fall_back()  # nobody answers any more
        ways.write()
        assert [(await future).entry.id for future in futures] == [draft(n).id for n in range(len(futures))]
        assert log.ids == [draft(n).id for n in range(len(futures))]

    run(scene())
