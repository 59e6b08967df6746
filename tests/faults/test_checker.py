"""The checker finds each kind of fault that is planted into a faultless run, and finds nothing in that run itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.faults.checker import SYSTEM, Checker, Fault, Logged, Verdict

PEOPLE = ("p_ann", "p_bo", "p_cy")
CHANNELS = ("conv:c_1", "conv:c_2")


@dataclass(frozen=True)
class Ack:
    ch: str
    by: str
    id: str
    seq: int
    at: float


class Run:
    """A faultless run, as plain lists that a test then spoils."""

    def __init__(self, seed: int, messages: int = 60) -> None:
        random = Random(seed)
        self.logs: dict[str, list[Logged]] = {ch: [Logged(1, 0, SYSTEM, f"{ch}:1:0", "created", "")] for ch in CHANNELS}
        self.sent: list[tuple[str, str, str, str, float]] = []
        self.acks: list[Ack] = []
        for turn in range(messages):
            ch, by = random.choice(CHANNELS), random.choice(PEOPLE)
            last = self.logs[ch][-1]
            entry = Logged(last.seq + 1, last.n + 1, by, f"id{turn:020}", "message", f"word {turn}")
            self.logs[ch].append(entry)
            self.sent.append((ch, by, entry.id, entry.text, float(turn)))
            # The last few are durable without anybody having been told; a repeat is told the same once more.
            if turn < messages - 3:
                again = random.choice([1, 1, 2])
                self.acks += [Ack(ch, by, entry.id, entry.seq, turn + 0.5 + random.random() * 5)] * again
        self.seen = {(ch, who): list(entries) for ch, entries in self.logs.items() for who in PEOPLE}
        self.refused: list[tuple[str, str]] = []

    def judge(self) -> Verdict:
        checker = Checker()
        for sending in self.sent:
            checker.sends(*sending)
        for ack in self.acks:
            checker.acknowledged(ack.ch, ack.by, ack.id, ack.seq, ack.at)
        for by, id in self.refused:
            checker.refused(by, id)
        for (ch, who), entries in self.seen.items():
            checker.watches(ch, who, 0)
            for entry in entries:
                checker.saw(ch, who, entry)
        return checker.judge(self.logs)

    def everywhere(self, ch: str, change: Callable[[list[Logged]], None]) -> None:
        """Changes the log and what all have seen alike, so that only the log itself is at fault."""
        change(self.logs[ch])
        for who in PEOPLE:
            change(self.seen[ch, who])


CH, WHO = CHANNELS[0], PEOPLE[0]


def lose_an_acknowledged_one(run: Run) -> None:
    """The last acknowledged one vanishes and the rest move up: what a torn write would look like."""
    acked = {ack.id for ack in run.acks}
    victim = max(index for index, entry in enumerate(run.logs[CH]) if entry.id in acked)
    run.everywhere(CH, lambda entries: entries.__delitem__(slice(victim, None)))


def lose_the_end_for_one_member(run: Run) -> None:
    del run.seen[CH, WHO][-1]


def store_one_twice(run: Run) -> None:
    def change(entries: list[Logged]) -> None:
        entries.append(replace(entries[-1], seq=entries[-1].seq + 1, n=entries[-1].n + 1))

    run.everywhere(CH, change)


def give_one_number_twice(run: Run) -> None:
    run.logs[CH].append(run.logs[CH][3])


def acknowledge_twice_differently(run: Run) -> None:
    ack = run.acks[0]
    run.acks.append(replace(ack, seq=ack.seq + 1))


def show_one_twice(run: Run) -> None:
    run.seen[CH, WHO].insert(5, run.seen[CH, WHO][4])


def show_two_in_the_wrong_order(run: Run) -> None:
    seen = run.seen[CH, WHO]
    seen[4], seen[5] = seen[5], seen[4]


def number_against_time(run: Run) -> None:
    """The log gives the last message of all the lowest number."""

    def change(entries: list[Logged]) -> None:
        order = [entries[0], entries[-1], *entries[1:-1]]
        entries[:] = [replace(entry, seq=index + 1, n=index) for index, entry in enumerate(order)]

    run.everywhere(CH, change)
    places = {entry.id: entry.seq for entry in run.logs[CH]}
    run.acks = [replace(ack, seq=places[ack.id]) if ack.ch == CH else ack for ack in run.acks]


def swap_two_of_one_sender(run: Run) -> None:
    """Written one after the other before either was acknowledged."""
    mine = [index for index, entry in enumerate(run.logs[CH]) if entry.by == WHO]
    first, second = mine[-2:]

    def change(entries: list[Logged]) -> None:
        a, b = entries[first], entries[second]
        entries[first], entries[second] = replace(b, seq=a.seq, n=a.n), replace(a, seq=b.seq, n=b.n)

    run.everywhere(CH, change)
    run.acks = [ack for ack in run.acks if ack.ch != CH]


def invent_one(run: Run) -> None:
    def change(entries: list[Logged]) -> None:
        last = entries[-1]
        entries.append(Logged(last.seq + 1, last.n + 1, PEOPLE[1], "nobody-sent-this-one-", "message", "boo"))

    run.everywhere(CH, change)


def alter_a_word(run: Run) -> None:
    run.everywhere(CH, lambda entries: entries.__setitem__(6, replace(entries[6], text="another word")))


def say_something_as_the_system(run: Run) -> None:
    def change(entries: list[Logged]) -> None:
        last = entries[-1]
        entries.append(Logged(last.seq + 1, last.n + 1, SYSTEM, "x", "message", "boo"))

    run.everywhere(CH, change)


def show_what_the_log_does_not_hold(run: Run) -> None:
    seen = run.seen[CH, WHO]
    seen[6] = replace(seen[6], id="something-else-entirely")


def acknowledge_what_nobody_sent(run: Run) -> None:
    run.acks.append(Ack(CH, WHO, "never-sent-at-all-----", 7, 1.0))


def acknowledge_another_number(run: Run) -> None:
    index, ack = next((i, a) for i, a in enumerate(run.acks) if [b.id for b in run.acks].count(a.id) == 1)
    run.acks[index] = replace(ack, seq=ack.seq + 1_000)


def leave_a_number_out(run: Run) -> None:
    def change(entries: list[Logged]) -> None:
        entries[-1] = replace(entries[-1], seq=entries[-1].seq + 1)

    run.acks = [ack for ack in run.acks if ack.id != run.logs[CH][-1].id]
    run.everywhere(CH, change)


def hide_one_from_a_member(run: Run) -> None:
    del run.seen[CH, WHO][7]


def count_wrongly(run: Run) -> None:
    run.everywhere(CH, lambda entries: entries.__setitem__(-1, replace(entries[-1], n=entries[-1].n + 1)))


PLANTED: dict[Callable[[Run], None], Fault] = {
    lose_an_acknowledged_one: Fault.LOST,
    lose_the_end_for_one_member: Fault.LOST,
    store_one_twice: Fault.DUPLICATED,
    give_one_number_twice: Fault.DUPLICATED,
    acknowledge_twice_differently: Fault.DUPLICATED,
    show_one_twice: Fault.DUPLICATED,
    show_two_in_the_wrong_order: Fault.REORDERED,
    number_against_time: Fault.REORDERED,
    swap_two_of_one_sender: Fault.REORDERED,
    invent_one: Fault.INVENTED,
    alter_a_word: Fault.INVENTED,
    say_something_as_the_system: Fault.INVENTED,
    show_what_the_log_does_not_hold: Fault.INVENTED,
    acknowledge_what_nobody_sent: Fault.INVENTED,
    acknowledge_another_number: Fault.INVENTED,
    leave_a_number_out: Fault.HOLES,
    hide_one_from_a_member: Fault.HOLES,
    count_wrongly: Fault.MISCOUNTED,
}


@settings(deadline=None)  # a busy machine is no fault
@given(st.integers())
def test_a_faultless_run_has_no_faults(seed: int) -> None:
    verdict = Run(seed).judge()
    assert not verdict.counts, verdict
    assert (verdict.sent, verdict.acknowledged) == (60, 57)


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
@settings(deadline=None)
@given(seed=st.integers())
def test_a_planted_fault_is_counted_as_what_it_is(plant: Callable[[Run], None], seed: int) -> None:
    run = Run(seed)
    plant(run)
    verdict = run.judge()
    assert verdict.total(PLANTED[plant]) >= 1, verdict
    assert PLANTED[plant] in str(verdict)


def test_every_kind_of_fault_is_planted() -> None:
    assert set(PLANTED.values()) == set(Fault)


def test_whoever_was_refused_has_given_up_their_place() -> None:
    """A sender that was told `try_later` repeats the message behind those that were accepted meanwhile."""
    run = Run(1)
    swap_two_of_one_sender(run)
    first = [entry for entry in run.logs[CH] if entry.by == WHO][-1]
    run.refused.append((WHO, first.id))
    assert not run.judge().counts


def test_faults_are_counted_by_channel_and_person() -> None:
    run = Run(2)
    hide_one_from_a_member(run)
    assert dict(run.judge().counts) == {(Fault.HOLES, CH, WHO): 1}


def test_the_totals_are_one_line_and_the_faults_stand_below_it() -> None:
    run = Run(3)
    assert str(run.judge()) == run.judge().line
    assert run.judge().line == (
        f"60 messages sent, 57 acknowledged, {sum(map(len, run.seen.values()))} delivered to 3 members of 2 channels: "
        "0 lost, 0 duplicated, 0 reordered, 0 invented, 0 holes, 0 miscounted"
    )
    show_one_twice(run)
    line, counted, example = str(run.judge()).splitlines()
    assert "1 duplicated" in line
    assert counted == f"1 duplicated: {CH} {WHO}"
    assert "saw" in example


def test_the_highest_number_that_anybody_was_told_is_known_while_it_runs() -> None:
    checker = Checker()
    for n, ch in enumerate((CHANNELS[0], CHANNELS[0], CHANNELS[1])):
        checker.sends(ch, WHO, f"id{n}", "word", float(n))
    checker.acknowledged(CHANNELS[0], WHO, "id0", 7, 5.0)
    checker.acknowledged(CHANNELS[0], WHO, "id1", 6, 5.0)
    assert checker.heads() == {CHANNELS[0]: 7, CHANNELS[1]: 0}
