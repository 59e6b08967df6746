"""Erasing words: in the stored entries, in what this node remembers, in the ring. Numbers stay, for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from server.realtime.appender import Appender
from server.realtime.background import Background
from server.realtime.channels import ChannelKinds
from server.realtime.entries import EntryLog
from server.realtime.gate import Gate
from server.realtime.gates import Gates
from server.realtime.lane import Accepted
from server.realtime.protocol import Entry
from server.store import StoreError

_STEP = 500

#: Called with a channel and entries whose words are about to be erased; what it does it does again after a crash.
ScrubHook = Callable[[str, Sequence[Entry]], Awaitable[None]]

log = structlog.get_logger(__name__)


class Eraser:
    """Other nodes erase their rings as the entry that tells of the erasure passes their gates."""

    def __init__(
        self, log: EntryLog, gates: Gates, appender: Appender, kinds: ChannelKinds, background: Background
    ) -> None:
        self._log = log
        self._gates = gates
        self._appender = appender
        self._kinds = kinds
        self._background = background
        self._hooks: list[ScrubHook] = []

    def on_scrub(self, hook: ScrubHook) -> None:
        """What entries carry goes before their words do: afterwards nobody could tell what it was."""
        self._hooks.append(hook)

    async def entry(self, ch: str, seq: int) -> None:
        """Erases an entry's words and those of its edits. Before the deletion is appended: if we die in between the
        words are gone and the sender, without acknowledgement, deletes again.

        First the entry, then its edits: one that becomes durable too late to be found here finds the entry gone.
        """
        if (target := await self._log.point(ch, seq)) is not None:
            await self._tell(ch, [target])
        await self._erase(ch, {seq})
        modifiers = await self._log.modifiers_of(ch, seq)
        edits = [entry for entry in modifiers if self._kinds.replaces(ch, entry.kind)]
        await self._erase(ch, {edit.seq for edit in edits if not edit.gone})

    def watch_edit(self, ch: str, ref: int, edit: asyncio.Future[Accepted]) -> None:
        """An edit that was under way while its entry was deleted keeps no words either."""

        def landed(done: asyncio.Future[Accepted]) -> None:
            if not done.cancelled() and done.exception() is None:
                self._background.spawn(self._erase_if_gone(ch, ref, done.result().entry.seq), "late edit")

        edit.add_done_callback(landed)

    async def _erase_if_gone(self, ch: str, ref: int, seq: int) -> None:
        try:
            target = await self._log.point(ch, ref)
            if target is not None and target.gone:
                await self._erase(ch, {seq})
        except StoreError as fault:
            log.warning("edit not checked", ch=ch, seq=seq, fault=type(fault).__name__)

    async def person(self, ch: str, person: str) -> None:
        """Erases the words of all that a person has said in a channel; what the server has told of them stays."""
        head = await self._gates.head(ch)
        for first in range(1, head.seq + 1, _STEP):
            entries = await self._log.read(ch, first, min(first + _STEP - 1, head.seq))
            theirs = [e for e in entries if e.by == person and not e.gone and self._kinds.said(ch, e)]
            await self._tell(ch, theirs)
            await self._erase(ch, {entry.seq for entry in theirs})

    def forget(self, gate: Gate, seqs: set[int]) -> None:
        """Drops the words from what this node holds in memory."""
        self._appender.forget_body(gate.ch, seqs)
        gate.scrub(seqs)

    async def _tell(self, ch: str, entries: Sequence[Entry]) -> None:
        for hook in self._hooks if entries else ():
            await hook(ch, entries)

    async def _erase(self, ch: str, seqs: set[int]) -> None:
        await self._log.scrub(ch, seqs)
        self._appender.forget_body(ch, seqs)
        if (gate := self._gates.get(ch)) is not None:
            gate.scrub(seqs)
