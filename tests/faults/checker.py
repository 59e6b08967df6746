"""Judges a run from outside: what was sent, what was acknowledged, what everybody saw, what the log holds afterwards.

It knows the promises of docs/protocol.md and nothing of the server: no module of `server` is imported here. A promise
that was broken is counted by channel and person:

- lost: acknowledged, but not in the log; or in the log, but never seen by a member who was there to the end
- duplicated: one message under two numbers, one number twice, an entry seen twice
- reordered: numbers that contradict what happened before what, entries seen in another order than their numbers
- invented: in the log or seen, but never sent so; acknowledged with another number than the log's
- holes: a number that the log lacks, a number that a member was never shown
- miscounted: `n` is not the number of messages so far
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

#: who appends what no person sent
SYSTEM = "system"
_EXAMPLES = 20


class Fault(StrEnum):
    LOST = "lost"
    DUPLICATED = "duplicated"
    REORDERED = "reordered"
    INVENTED = "invented"
    HOLES = "holes"
    MISCOUNTED = "miscounted"


@dataclass(frozen=True)
class Logged:
    """An entry as anybody is shown it; `text` is empty for what is no message."""

    seq: int
    n: int
    by: str
    id: str
    kind: str
    text: str


@dataclass
class Sent:
    """A message as its sender knows it. Times are seconds on one monotonic clock of all clients.

    `turn` counts the messages of one sender in the order of writing them; `refused` tells that an answer other than an
    acknowledgement came at least once, so that the sender itself has given up its place in the order.
    """

    ch: str
    by: str
    id: str
    text: str
    turn: int
    at: float
    refused: bool = False
    acked: dict[int, float] = field(default_factory=dict)


@dataclass
class Verdict:
    """`counts[fault, channel, person]`; `examples` are the first faults in words."""

    sent: int = 0
    acknowledged: int = 0
    seen: int = 0
    #: devices that followed at least one channel to the end
    members: int = 0
    channels: int = 0
    counts: Counter[tuple[Fault, str, str]] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def add(self, fault: Fault, ch: str, who: str, what: str) -> None:
        self.counts[fault, ch, who] += 1
        if len(self.examples) < _EXAMPLES:
            self.examples.append(f"{fault}: {ch} {who}: {what}")

    def total(self, fault: Fault) -> int:
        return sum(count for (kind, _, _), count in self.counts.items() if kind is fault)

    def totals(self) -> dict[str, int]:
        return {fault.value: self.total(fault) for fault in Fault}

    @property
    def line(self) -> str:
        """The totals of all channels and members."""
        counts = ", ".join(f"{count} {fault}" for fault, count in self.totals().items())
        return (
            f"{self.sent} messages sent, {self.acknowledged} acknowledged, {self.seen} delivered "
            f"to {self.members} members of {self.channels} channels: {counts}"
        )

    def __str__(self) -> str:
        """The totals, then what is wrong by channel and member, then the first examples."""
        counts = [f"{count} {fault}: {ch} {who}" for (fault, ch, who), count in sorted(self.counts.items())]
        return "\n".join([self.line, *counts, *self.examples])


class Checker:
    """Collects one run; `judge` compares it with the logs that were read after it.

    `countable` are the kinds that `n` counts, `expected` the kinds that the server itself may have appended.
    """

    def __init__(
        self, countable: Iterable[str] = ("message",), expected: Iterable[str] = ("created", "joined", "left")
    ) -> None:
        self._countable = frozenset(countable)
        self._expected = frozenset(expected)
        self._sent: dict[tuple[str, str], Sent] = {}
        self._turns: Counter[str] = Counter()
        self._strange: list[tuple[str, str, str]] = []
        self._seen: dict[tuple[str, str], list[Logged]] = defaultdict(list)
        self._from: dict[tuple[str, str], int] = {}
        self._last: dict[tuple[str, str], int] = {}
        #: one object for all that were shown the same: a long run is a hundred thousand entries times their readers
        self._shared: dict[tuple[str, int], Logged] = {}

    # ── While it runs ───────────────────────────────────────────────────────────────────────────────────────────────

    def sends(self, ch: str, by: str, id: str, text: str, at: float) -> None:
        """A message is written for the first time; repeats are not told."""
        self._turns[by] += 1
        self._sent[by, id] = Sent(ch, by, id, text, self._turns[by], at)

    def acknowledged(self, ch: str, by: str, id: str, seq: int, at: float) -> None:
        sent = self._sent.get((by, id))
        if sent is None or sent.ch != ch:
            self._strange.append((ch, by, f"acknowledgement {seq} of {id}, which was not sent there"))
        else:
            sent.acked.setdefault(seq, at)

    def refused(self, by: str, id: str) -> None:
        self._sent[by, id].refused = True

    def watches(self, ch: str, who: str, after: int) -> None:
        """A member follows the channel from here to the end of the run, across all its connections."""
        self._from[ch, who] = self._last[ch, who] = after
        self._seen[ch, who] = []

    def saw(self, ch: str, who: str, entry: Logged) -> None:
        shared = self._shared.setdefault((ch, entry.seq), entry)
        self._seen[ch, who].append(shared if shared == entry else entry)
        self._last[ch, who] = max(self._last[ch, who], entry.seq)

    def last_seen(self, ch: str, who: str) -> int:
        """The highest number that the member was shown."""
        return self._last[ch, who]

    def heads(self) -> dict[str, int]:
        """The highest number of each channel that anybody was told."""
        heads: Counter[str] = Counter()
        for sent in self._sent.values():
            heads[sent.ch] = max(heads[sent.ch], *sent.acked, 0)
        return heads

    # ── Afterwards ──────────────────────────────────────────────────────────────────────────────────────────────────

    def judge(self, logs: dict[str, list[Logged]]) -> Verdict:
        """`logs` are the channels as read when everything had come to rest."""
        verdict = Verdict(
            sent=len(self._sent),
            acknowledged=sum(bool(sent.acked) for sent in self._sent.values()),
            seen=sum(map(len, self._seen.values())),
            members=len({who for _, who in self._seen}),
            channels=len(logs),
        )
        for ch, by, what in self._strange:
            verdict.add(Fault.INVENTED, ch, by, what)
        for ch, entries in logs.items():
            self._judge_log(verdict, ch, entries)
        self._judge_acknowledgements(verdict, logs)
        for (ch, who), entries in self._seen.items():
            self._judge_member(verdict, ch, who, entries, logs.get(ch, []))
        return verdict

    def _judge_log(self, verdict: Verdict, ch: str, entries: list[Logged]) -> None:
        seqs: set[int] = set()
        ids: set[tuple[str, str]] = set()
        n = 0
        for entry in sorted(entries, key=lambda entry: entry.seq):
            if entry.seq in seqs:
                verdict.add(Fault.DUPLICATED, ch, entry.by, f"number {entry.seq} stands twice in the log")
                continue
            if (entry.by, entry.id) in ids:
                verdict.add(Fault.DUPLICATED, ch, entry.by, f"{entry.id} stands twice in the log, again as {entry.seq}")
            seqs.add(entry.seq)
            ids.add((entry.by, entry.id))
            n += entry.kind in self._countable
            if entry.n != n:
                verdict.add(Fault.MISCOUNTED, ch, entry.by, f"n of {entry.seq} is {entry.n}, should be {n}")
            if (strange := self._unlike_sent(ch, entry)) is not None:
                verdict.add(Fault.INVENTED, ch, entry.by, strange)
        for seq in sorted(set(range(1, max(seqs, default=0) + 1)) - seqs):
            verdict.add(Fault.HOLES, ch, "log", f"number {seq} is missing")
        self._judge_order(verdict, ch, entries)

    def _unlike_sent(self, ch: str, entry: Logged) -> str | None:
        if entry.by == SYSTEM:
            return None if entry.kind in self._expected else f"{entry.kind} {entry.seq} by the system"
        sent = self._sent.get((entry.by, entry.id))
        if sent is None or sent.ch != ch:
            return f"{entry.id} at {entry.seq} was not sent there"
        return None if sent.text == entry.text else f"{entry.id} at {entry.seq} has another text than was sent"

    def _judge_order(self, verdict: Verdict, ch: str, entries: list[Logged]) -> None:
        """What was acknowledged before another was written has the lower number; so have, of one sender, the earlier
        of two that were never refused, acknowledged or not (one connection is one queue)."""
        earliest_later_ack = float("inf")
        lowest_later_turn: dict[str, int] = {}
        for entry in sorted(entries, key=lambda entry: -entry.seq):
            sent = self._sent.get((entry.by, entry.id))
            if sent is None:
                continue
            if earliest_later_ack < sent.at:
                verdict.add(
                    Fault.REORDERED, ch, entry.by, f"{entry.seq} was written after a higher one was acknowledged"
                )
            elif not sent.refused and lowest_later_turn.get(entry.by, sent.turn) < sent.turn:
                verdict.add(
                    Fault.REORDERED, ch, entry.by, f"{entry.seq} was written after one that has a higher number"
                )
            earliest_later_ack = min(earliest_later_ack, *sent.acked.values(), float("inf"))
            if not sent.refused:
                lowest_later_turn[entry.by] = min(lowest_later_turn.get(entry.by, sent.turn), sent.turn)

    def _judge_acknowledgements(self, verdict: Verdict, logs: dict[str, list[Logged]]) -> None:
        where = {(ch, entry.by, entry.id): entry.seq for ch, entries in logs.items() for entry in entries}
        for sent in self._sent.values():
            if not sent.acked:
                continue
            if len(sent.acked) > 1:
                verdict.add(Fault.DUPLICATED, sent.ch, sent.by, f"{sent.id} was acknowledged as {sorted(sent.acked)}")
            seq = where.get((sent.ch, sent.by, sent.id))
            if seq is None:
                verdict.add(Fault.LOST, sent.ch, sent.by, f"{sent.id}, acknowledged as {min(sent.acked)}")
            elif seq not in sent.acked:
                verdict.add(
                    Fault.INVENTED, sent.ch, sent.by, f"{sent.id} is {seq}, was acknowledged as {min(sent.acked)}"
                )

    def _judge_member(self, verdict: Verdict, ch: str, who: str, seen: list[Logged], entries: list[Logged]) -> None:
        log = {entry.seq: entry for entry in entries}
        shown: set[int] = set()
        last = after = self._from[ch, who]
        for entry in seen:
            if entry.seq in shown:
                verdict.add(Fault.DUPLICATED, ch, who, f"saw {entry.seq} twice")
                continue
            if entry.seq < last:
                verdict.add(Fault.REORDERED, ch, who, f"saw {entry.seq} after {last}")
            if log.get(entry.seq) != entry:
                verdict.add(Fault.INVENTED, ch, who, f"saw as {entry.seq} what the log does not hold there: {entry.id}")
            shown.add(entry.seq)
            last = max(last, entry.seq)
        for seq in sorted(seq for seq in log if seq > after and seq not in shown):
            if seq < last:
                verdict.add(Fault.HOLES, ch, who, f"never saw {seq}, though {last}")
            else:
                verdict.add(Fault.LOST, ch, who, f"never saw {seq}, the end of the log")
