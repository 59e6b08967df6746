"""The way of a hot channel's drafts: into this node's appender, or to the node that owns the channel for a while.

Two rules keep the order of drafts. A draft never overtakes another of its channel: a route changes its way only when
everything before is settled or sent along. And an owner takes the drafts of a run in the order of their numbers or not
at all. Everything may happen twice, for `_id` makes appending idempotent. No I/O here: `Ways` does what is to be done.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import Any, Protocol

import msgspec

from server.errors import Code, VouchError
from server.realtime.channels import Draft, EntryKind
from server.realtime.lane import Accepted
from server.realtime.protocol import Entry

#: Seconds in which an owner must answer; then this node appends by itself.
ANSWER_WITHIN = 1.5
#: Drafts of one channel that are under way to its owner.
_WINDOW = 500


class Claim(msgspec.Struct, array_like=True, tag="claim"):
    """The sender owns these channels for so many seconds; 0: not any more."""

    channels: list[str]
    seconds: float


class Forward(msgspec.Struct, array_like=True, tag="forward"):
    """A draft for the owner of its channel: number `no` (from 1) of the sender's run `run`."""

    run: str
    no: int
    draft: Draft


class Answer(msgspec.Struct, array_like=True, tag="answer"):
    """What became of a forwarded draft: its entry, or the code with which it was refused."""

    ch: str
    run: str
    no: int
    entry: Entry | None = None
    code: Code | None = None
    message: str | None = None
    field: str | None = None
    retry_after: float | None = None


class Refusal(msgspec.Struct, array_like=True, tag="refusal"):
    """The receiver of a run is not the owner, or has missed a draft: whoever sent it appends by itself."""

    ch: str
    run: str


Message = Claim | Forward | Answer | Refusal


class Pending:
    """A draft whose sender waits for `future`."""

    __slots__ = ("draft", "future", "kind")

    def __init__(self, draft: Draft, kind: EntryKind | None, future: asyncio.Future[Accepted]) -> None:
        self.draft = draft
        self.kind = kind
        self.future = future

    def settle(self, accepted: Accepted) -> None:
        if not self.future.done():
            self.future.set_result(accepted)

    def refuse(self, fault: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(fault)


class Ways(Protocol):
    """What a route may ask for."""

    def append(self, draft: Draft, kind: EntryKind | None) -> asyncio.Future[Accepted]: ...

    def flying(self, ch: str) -> Iterable[Pending]:
        """What this node's appender has not settled yet, in order."""

    def forward(self, owner: str, forward: Forward) -> None: ...

    def accepted(self, accepted: Accepted) -> None:
        """Another node has made an entry durable for us."""

    def new_run(self) -> str: ...


class Route:
    """One channel's way from this node."""

    def __init__(self, ch: str, ways: Ways) -> None:
        self.ch = ch
        self._ways = ways
        #: where drafts should go, and where they go now; None is this node's appender
        self.owner: str | None = None
        self._to: str | None = None
        self._run = ""
        self._no = 0
        self._sent: OrderedDict[int, Pending] = OrderedDict()
        self._held: deque[Pending] = deque()
        self._timer: asyncio.TimerHandle | None = None
        #: seconds of the loop's clock until which the owner's claim holds
        self.until = 0.0

    @property
    def idle(self) -> bool:
        """Whether it could as well be forgotten."""
        return self.owner is None and self._to is None and not self._sent and not self._held

    def submit(self, draft: Draft, kind: EntryKind | None) -> asyncio.Future[Accepted]:
        """As `Appender.submit`, but every refusal is in the future."""
        future: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()
        future.add_done_callback(lambda done: done.cancelled() or done.exception())  # somebody's socket may have gone
        self._held.append(Pending(draft, kind, future))
        self._pump()
        return asyncio.shield(future)

    def follow(self, owner: str | None) -> None:
        """From now on the drafts go to this node; None: into our own log."""
        self.owner = owner
        self._pump()

    def answered(self, answer: Answer) -> None:
        """The owner has settled a draft."""
        if answer.run != self._run or (pending := self._sent.pop(answer.no, None)) is None:
            return
        if answer.entry is not None:
            accepted = Accepted(self.ch, answer.entry)
            self._ways.accepted(accepted)
            pending.settle(accepted)
        else:
            code = answer.code or Code.TRY_LATER
            pending.refuse(VouchError(code, answer.message, field=answer.field, retry_after=answer.retry_after))
        self._pump()

    def refused(self, run: str) -> None:
        """The owner does not take this run."""
        if run == self._run and self._to is not None:
            self.fall_back()

    def fall_back(self) -> None:
        """Appends by ourselves what the owner has not answered, in order, and what comes from now on."""
        sent, self._sent = self._sent, OrderedDict()
        self._stop_timer()
        self._to = self.owner = None
        self._run = ""
        self._held.extendleft(reversed(sent.values()))
        self._pump()

    # ── How ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _pump(self) -> None:
        if self._to != self.owner:
            if self._sent:
                return  # their answers come first, or the lack of answers
            if self._to is None:
                # What our own appender fights for goes along: whoever is first, `_id` lets in once.
                self._held.extendleft(reversed(list(self._ways.flying(self.ch))))
            self._to, self._run, self._no = self.owner, self._ways.new_run(), 0
        while self._held and len(self._sent) < _WINDOW:
            pending = self._held.popleft()
            if self._to is None:
                self._append(pending)
            else:
                self._no += 1
                self._sent[self._no] = pending
                self._ways.forward(self._to, Forward(self._run, self._no, pending.draft))
        self._watch()

    def _append(self, pending: Pending) -> None:
        try:
            done = self._ways.append(pending.draft, pending.kind)
        except VouchError as fault:
            pending.refuse(fault)
            return
        done.add_done_callback(lambda done: _pass_on(done, pending))

    def _watch(self) -> None:
        """One timer for the oldest draft that is under way."""
        if self._timer is None and self._sent:
            oldest = next(iter(self._sent))
            run = self._run
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(ANSWER_WITHIN, self._late, run, oldest)

    def _late(self, run: str, no: int) -> None:
        self._timer = None
        if run == self._run and no in self._sent:
            self.fall_back()
        else:
            self._watch()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Intake:
    """The owner's side: which draft of which run is next."""

    def __init__(self) -> None:
        self._next: dict[tuple[str, str], tuple[str, int]] = {}

    def take(self, node: str, forward: Forward) -> bool | None:
        """True: it is the next one. None: it was here already. False: one before it is missing."""
        key = (node, forward.draft.ch)
        run, wanted = self._next.get(key, ("", 1))
        if forward.run != run:
            run, wanted = forward.run, 1
        if forward.no < wanted:
            return None
        if forward.no > wanted:
            return False
        self._next[key] = (run, wanted + 1)
        return True

    def forget(self, ch: str) -> None:
        """The channel is not ours any more."""
        for key in [key for key in self._next if key[1] == ch]:
            del self._next[key]


def _pass_on(done: asyncio.Future[Accepted], pending: Pending) -> None:
    if done.cancelled():
        pending.refuse(VouchError(Code.TRY_LATER, retry_after=1.0))
    elif (fault := done.exception()) is not None:
        pending.refuse(fault)
    else:
        pending.settle(done.result())


def answer_of(forward: Forward, done: asyncio.Future[Any]) -> Answer:
    """What the sender of a draft is told of its end."""
    told = Answer(forward.draft.ch, forward.run, forward.no)
    fault = VouchError(Code.TRY_LATER, retry_after=1.0) if done.cancelled() else done.exception()
    if fault is None:
        told.entry = done.result().entry
    elif isinstance(fault, VouchError):
        told.code, told.message = fault.code, fault.message
        told.field, told.retry_after = fault.field, fault.retry_after
    else:
        told.code = Code.INTERNAL
    return told
