"""How a call changes: load, ask a rule, and keep what comes of it together with what tells of it.

Every change goes this way, of people and of time. In one transaction are written the call (compare-and-set), whose
calls these are, the entry of its channel, of its conversation, and of its people's inboxes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec

from server.calls import metrics
from server.calls.model import Call, RecordingState
from server.calls.neighbours import Outbox
from server.calls.repo import CallsRepo
from server.calls.rules import telling
from server.clock import Clock
from server.errors import Code, VouchError
from server.ids import new_id
from server.people.news import Newsroom
from server.store import Duplicate, Store, Tx

#: what somebody or the time does to a call. Raises VouchError when it may not be
Rule = Callable[[Call, datetime], Call]
#: hears of every change after its commit: the call before (None: it is new) and after
Hook = Callable[[Call | None, Call], None]

_TRIES = 10


class Changes:
    def __init__(self, store: Store, repo: CallsRepo, outbox: Outbox, clock: Clock) -> None:
        self._store = store
        self._repo = repo
        self._outbox = outbox
        self._news = Newsroom(outbox)
        self._clock = clock
        self._hooks: list[Hook] = []

    def on_change(self, hook: Hook) -> None:
        self._hooks.append(hook)

    async def get(self, id: str) -> Call:
        """Raises `not_found`. Who may see it is asked elsewhere."""
        call = await self._repo.get(id)
        if call is None:
            raise VouchError(Code.NOT_FOUND)
        return call

    async def begin(self, call: Call) -> Call:
        """Keeps a new call. Raises Duplicate: its key was used, or a call goes on there, or who starts it is in one."""
        call = msgspec.structs.replace(call, version=1)

        async def body(tx: Tx) -> Call:
            await self._repo.insert(tx, call)
            await self._tell(tx, None, call)
            tx.on_commit(lambda: self._happened(None, call))
            return call

        kept = await self._store.transact(body)
        await self._outbox.settled(call.ch)
        return kept

    async def apply(self, id: str, rule: Rule) -> Call:
        """Changes a call by a rule; a rule that changes nothing writes nothing. Raises `not_found`, what the rule
        raises, `busy` when somebody who takes a seat is in another call, and `try_later` when others were faster too
        many times."""
        for _ in range(_TRIES):
            before = await self.get(id)
            after = rule(before, self._clock.now())
            if after == before:
                return before
            after = msgspec.structs.replace(after, version=before.version + 1)
            if after.recording.state is RecordingState.ON and before.recording.state is not RecordingState.ON:
                named = msgspec.structs.replace(after.recording, id=new_id("cr"))
                after = msgspec.structs.replace(after, recording=named)

            async def body(tx: Tx, before: Call = before, after: Call = after) -> bool:
                if not await self._repo.replace(tx, before, after):
                    return False
                await self._tell(tx, before, after)
                tx.on_commit(lambda: self._happened(before, after))
                return True

            try:
                if await self._store.transact(body):
                    await self._outbox.settled(after.ch)
                    return after
            except Duplicate:
                raise VouchError(Code.BUSY) from None
        raise VouchError(Code.TRY_LATER)

    def _happened(self, before: Call | None, after: Call) -> None:
        if before is None:
            metrics.STARTED.inc()
        if after.over and after.ending and (before is None or not before.over):
            metrics.ENDED.labels(after.ending.value).inc()
        for hook in self._hooks:
            hook(before, after)

    async def _tell(self, tx: Tx, before: Call | None, after: Call) -> None:
        event = f"{after.ch}:{after.version}"
        await self._outbox.put(
            tx,
            id=event,
            ch=after.ch,
            order=after.version,
            kind="call",
            body=msgspec.to_builtins(telling.changed(after)),
        )
        for number, line in enumerate(telling.called(before, after)):
            await self._outbox.put(
                tx,
                id=f"{event}:{line.state}",
                ch=f"conv:{after.conversation}",
                order=after.version * 10 + number,
                kind="call",
                body=msgspec.to_builtins(line),
            )
        for number, news in enumerate(telling.news(before, after)):
            await self._news.tell(tx, news.person, f"{event}:{number}", after.version, news.kind, news.body)
