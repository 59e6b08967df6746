"""What a conversation's entries change beside its log: threads, mentions, what lies on top.

A follower: some milliseconds behind the log, at least once, in order. Each step may be done twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from server.chat.mentions import EVERYBODY, Call, MentionRepo
from server.chat.threads import Answer, ThreadRepo
from server.realtime.channels import split
from server.realtime.protocol import Entry

#: (conversation, number, who deleted it)
Fall = Callable[[str, int, str], Awaitable[None]]


class ConversationFollower:
    """`fall` takes a deleted message off the top."""

    name = "conversations"
    kinds = frozenset({"conv"})

    def __init__(self, threads: ThreadRepo, mentions: MentionRepo, fall: Fall) -> None:
        self._threads = threads
        self._mentions = mentions
        self._fall = fall

    async def follow(self, ch: str, entries: Sequence[Entry]) -> None:
        conv = split(ch)[1]
        answers: list[tuple[int, Answer]] = []
        for entry in entries:
            if (began := root(entry)) is not None:
                answers.append((began, Answer(entry.seq, entry.by, entry.at)))
            elif entry.kind in ("delete", "erased"):  # in order: what is taken out was put in before
                await self._threads.add(conv, answers)
                answers = []
            await self._one(ch, conv, entry)
        await self._threads.add(conv, answers)

    async def _one(self, ch: str, conv: str, entry: Entry) -> None:
        match entry.kind:
            case "message" if not entry.gone:
                await self._mentions.add(conv, Call(entry.seq, entry.by), called(entry))
            case "edit" if not entry.gone and entry.ref is not None:
                await self._mentions.remove(conv, entry.ref)
                await self._mentions.add(conv, Call(entry.ref, entry.by), called(entry))
            case "delete" if entry.ref is not None:
                await self._mentions.remove(conv, entry.ref)
                await self._threads.remove(conv, entry.ref)
                await self._fall(conv, entry.ref, entry.by)
            case "left" | "removed":
                await self._mentions.forget(conv, entry.body["person"])
            case "erased":
                await self._mentions.remove_person(conv, entry.body["person"])
                await self._threads.remove_person(conv, entry.body["person"])


def called(entry: Entry) -> list[str]:
    """Whom a message or an edit calls; `EVERYBODY` stands for all."""
    return [*entry.body.get("mentions", ()), *([EVERYBODY] if entry.body.get("everybody") else [])]


def root(entry: Entry) -> int | None:
    """The message with which the thread of this one began."""
    thread = entry.body.get("thread") if entry.kind == "message" else None
    return thread if isinstance(thread, int) else None
