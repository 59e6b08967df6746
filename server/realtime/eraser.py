"""Erasing words: in the stored entries, in what this node remembers, in the ring. Numbers stay, for ever."""

from __future__ import annotations

import asyncio

import structlog

from server.realtime.appender import Accepted, Appender
from server.realtime.background import Background
from server.realtime.channels import ChannelKinds
from server.realtime.entries import EntryLog
from server.realtime.gate import Gate
from server.realtime.gates import Gates
from server.store import StoreError

_STEP = 500

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

    async def entry(self, ch: str, seq: int) -> None:
        """Erases an entry's words and those of its edits. Before the deletion is appended: if we die in between the
        words are gone and the sender, without acknowledgement, deletes again.

        First the entry, then its edits: one that becomes durable too late to be found here finds the entry gone.
        """
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
        """Erases the words of everything that a person has written to a channel."""
        head = await self._gates.head(ch)
        for first in range(1, head.seq + 1, _STEP):
            entries = await self._log.read(ch, first, min(first + _STEP - 1, head.seq))
            await self._erase(ch, {entry.seq for entry in entries if entry.by == person and not entry.gone})

    def forget(self, gate: Gate, seqs: set[int]) -> None:
        """Drops the words from what this node holds in memory."""
        self._appender.forget_body(gate.ch, seqs)
        gate.scrub(seqs)

    async def _erase(self, ch: str, seqs: set[int]) -> None:
        await self._log.scrub(ch, seqs)
        self._appender.forget_body(ch, seqs)
        if (gate := self._gates.get(ch)) is not None:
            gate.scrub(seqs)
