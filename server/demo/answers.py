"""What happens to the words of the first talk: answers in a thread, reactions, an edit, a pin, somebody called by name,
and one more who keeps order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from server.chat.model import CreateGroup, MemberRole
from server.demo.cast import ids
from server.demo.talk import SCENES, Scene, group_key, line_id
from server.demo.telling import skipping
from server.realtime.channels import Draft
from server.services import Services


class Deed(msgspec.Struct, frozen=True):
    """Somebody adds an entry about line `about`. `mentions` are handles that the text shows."""

    by: str
    about: int
    kind: str
    body: dict[str, Any]
    mentions: tuple[str, ...] = ()


def _reaction(by: str, about: int, emoji: str) -> Deed:
    return Deed(by, about, "reaction", {"emoji": emoji, "on": True})


#: Line 7: how does one know that everybody really reads? Line 13: the call on Friday.
STUDY: tuple[Deed, ...] = (
    _reaction("tom", 6, "👍"),
    _reaction("emma", 6, "👍"),
    _reaction("lin", 9, "❤️"),
    _reaction("chen", 11, "😂"),
    _reaction("emma", 11, "😂"),
    _reaction("linba", 11, "🙈"),
    Deed("emma", 7, "message", {"text": "We could each post a photo of the page."}),
    Deed("linba", 7, "message", {"text": "拍照不如讲一遍：**一分钟**，说说读到了什么。"}),
    Deed("tom", 7, "message", {"text": "One minute of telling, then. @chen, is that all right?"}, ("chen",)),
    Deed("chen", 7, "message", {"text": "好主意！@lin 周一你第一个讲，@emma second. 每人一分钟。"}, ("lin", "emma")),
    Deed("tom", 14, "edit", {"text": "It is in the calendar, in both time zones."}),
)
PINNED = 13
ADMIN = "emma"
#: Entries beside the words and what is done to them: founded, joined; pinned, an administrator named.
_AROUND = 4


async def tell(services: Services) -> Sequence[str]:
    scene = next(scene for scene in SCENES if scene.name == "study")
    people = await ids(services)
    async with skipping():
        await _play(services, scene, people)
    return []


async def _play(services: Services, scene: Scene, people: dict[str, str]) -> None:
    founder, *others = (people[handle] for handle in scene.people)
    wanted = CreateGroup(title=scene.title, members=others, key=group_key(scene), share_history=True)
    room, _ = await services.conversations.create(founder, wanted)
    if (await services.hub.pages.head(f"conv:{room}")).seq >= _AROUND + len(scene.lines) + len(STUDY):
        return  # told before
    seqs = [await _line(services, scene, people, f"conv:{room}", number) for number in range(1, len(scene.lines) + 1)]
    for number, deed in enumerate(STUDY, 1):
        seq = seqs[deed.about - 1]
        body = deed.body | ({"mentions": [people[handle] for handle in deed.mentions]} if deed.mentions else {})
        if deed.kind == "message":
            body |= {"thread": seq}
        key = line_id(scene, 500 + number)
        await services.hub.append(Draft(f"conv:{room}", people[deed.by], key, deed.kind, body, seq))
    await services.conversations.pin(founder, room, seqs[PINNED - 1])
    await services.conversations.change_role(founder, room, people[ADMIN], MemberRole.ADMIN)


async def _line(services: Services, scene: Scene, people: dict[str, str], ch: str, number: int) -> int:
    """The number of a line in its conversation: said again, it is acknowledged as the first time."""
    speaker, text = scene.lines[number - 1]
    draft = Draft(ch, people[speaker], line_id(scene, number), "message", {"text": text})
    return (await services.hub.append(draft)).entry.seq
