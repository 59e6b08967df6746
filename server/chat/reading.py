"""What members read of a conversation beside its pages: pins, threads, versions of a message, who has read how far.

Threads are kept by a follower, some milliseconds behind the log. What it has not come to yet is still in the ring of
the conversation's gate, wherever somebody is looking at it: answers from there are added.
"""

from __future__ import annotations

from collections.abc import Iterable

from server.chat.follower import root as root_of
from server.chat.model import (
    THREAD_PEOPLE,
    THREADS_SPAN,
    MemberPosition,
    MemberPositions,
    Membership,
    Thread,
    ThreadPage,
    Threads,
    Versions,
)
from server.chat.repo import ConversationRepo
from server.chat.threads import Answer, ThreadRepo
from server.errors import Code, VouchError
from server.realtime.hub import Hub
from server.realtime.protocol import Page


class ConversationReader:
    """Every method takes the person who reads first, and raises `not_found` for anybody but a member."""

    def __init__(self, repo: ConversationRepo, threads: ThreadRepo, hub: Hub) -> None:
        self._repo = repo
        self._threads = threads
        self._hub = hub

    async def pins(self, person: str, id: str) -> Page:
        """The messages on top that the person may see, with all that was done to them."""
        membership = await self._membership(person, id)
        room = await self._repo.room(id)
        pins = room.pins if room is not None else ()
        return await self._hub.pages.chosen(f"conv:{id}", membership.first, [pin.seq for pin in pins])

    async def thread(self, person: str, id: str, root: int, before: int | None, limit: int) -> ThreadPage:
        """The last `limit` answers (before number `before`)."""
        membership = await self._membership(person, id)
        ch, first = f"conv:{id}", membership.first
        answers = [a.seq for a in await self._answers(id, root) if a.seq >= first]
        earlier = [seq for seq in answers if before is None or seq < before]
        chosen = earlier[-limit:]
        page = await self._hub.pages.chosen(ch, first, [root, *chosen])
        message = next((e for e in page.entries if e.seq == root and e.kind == "message"), None)
        replies = [e for e in page.entries if e.seq != root]
        if message is None and not (root < first and answers):
            raise VouchError(Code.NOT_FOUND)
        return ThreadPage(
            ch=ch,
            head=page.head,
            root=message,
            replies=replies,
            modifiers=page.modifiers,
            count=len(answers),
            more=len(chosen) < len(earlier),
        )

    async def threads(self, person: str, id: str, first: int, last: int) -> Threads:
        """What is to be told of the threads that began with the messages `first … last`."""
        membership = await self._membership(person, id)
        if not 0 <= last - first < THREADS_SPAN:
            raise VouchError(Code.BAD_REQUEST, f"From `first` to `last` there are 1 to {THREADS_SPAN}.", field="last")
        low = max(first, membership.first)
        found = await self._threads.between(id, low, last) if low <= last else {}
        for root, answers in self._fresh(f"conv:{id}").items():
            if low <= root <= last:
                found[root] = _joined(found.get(root, ()), answers)
        return Threads([_summary(root, answers) for root, answers in sorted(found.items()) if answers])

    async def versions(self, person: str, id: str, seq: int) -> Versions:
        """A message and its edits."""
        membership = await self._membership(person, id)
        ch = f"conv:{id}"
        message = await self._hub.pages.entry(ch, seq) if seq >= membership.first else None
        if message is None or message.kind != "message":
            raise VouchError(Code.NOT_FOUND)
        return Versions([message, *(e for e in await self._hub.pages.replacing(ch, seq) if not e.gone)])

    async def positions(self, person: str, id: str) -> MemberPositions:
        """How far the others have read."""
        await self._membership(person, id)
        room = await self._repo.room(id)
        others = [other for other in room.members if other != person] if room is not None else []
        marks = await self._hub.positions.among(f"conv:{id}", others)
        return MemberPositions([MemberPosition(other, mark.shown, mark.delivered) for other, mark in marks.items()])

    async def _membership(self, person: str, id: str) -> Membership:
        membership = await self._repo.membership(id, person)
        if membership is None:
            raise VouchError(Code.NOT_FOUND)
        return membership

    async def _answers(self, id: str, root: int) -> list[Answer]:
        return _joined(await self._threads.of(id, root), self._fresh(f"conv:{id}").get(root, ()))

    def _fresh(self, ch: str) -> dict[int, list[Answer]]:
        """The answers among the newest entries, where these are at hand: root → answers."""
        found: dict[int, list[Answer]] = {}
        gate = self._hub.gates.live(ch)
        for entry in gate.recent() if gate is not None else ():
            if (root := root_of(entry)) is not None:
                found.setdefault(root, []).append(Answer(entry.seq, entry.by, entry.at))
        return found


def _joined(one: Iterable[Answer], other: Iterable[Answer]) -> list[Answer]:
    return sorted({*one, *other})


def _summary(root: int, answers: list[Answer]) -> Thread:
    people = list(dict.fromkeys(answer.by for answer in reversed(answers)))
    return Thread(root, len(answers), answers[-1].at, people[:THREAD_PEOPLE])
