"""The first talk: a study group, a family, and two people alone with each other, in two languages."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from server.chat.model import CreateConversation, CreateDirect, CreateGroup
from server.demo.cast import ids
from server.demo.telling import skipping
from server.realtime.channels import Draft
from server.services import Services


class Scene(msgspec.Struct, frozen=True):
    """One conversation. The first of `people` founds it; without a `title` it is a direct one. `read` is how many
    lines everybody has read, from the first."""

    name: str
    title: str
    people: tuple[str, ...]
    lines: tuple[tuple[str, str], ...]
    read: int


SCENES = (
    Scene(
        "study",
        "读书小组 · Reading circle",
        ("chen", "lin", "emma", "tom", "linba"),
        (
            ("chen", "欢迎大家！这个小组每天读三十分钟，用自己的语言就好。"),
            ("emma", 'Thank you for having us! We start with "The Little Prince" on Monday, right?'),
            ("chen", "对，周一开始。Yes, Monday, one chapter a day."),
            ("lin", "我已经读过一遍了，可以再读一遍英文的吗？"),
            ("tom", "Of course. Read it in English and I will read it in Chinese. Slowly."),
            ("lin", "好！那我们互相检查。"),
            ("tom", "How do we know that everybody really reads?"),
            ("chen", "读完说一句：今天最喜欢的一句话。One sentence you liked, that is all."),
            ("emma", 'Mine for today: "What is essential is invisible to the eye."'),
            ("linba", "我家这位昨晚九点半还在读，我作证。"),
            ("lin", "爸爸，那是因为你在旁边打呼噜……"),
            ("emma", "I understood 爸爸 and I can guess the rest."),
            ("chen", "周五晚上八点视频见，北京时间。8 pm in China, noon in Leeds."),
            ("tom", "It is in the calendar."),
        ),
        read=11,
    ),
    Scene(
        "family",
        "一家人",
        ("linba", "lin", "fang"),
        (
            ("linba", "小雨，今天的半小时读了吗？"),
            ("lin", "读了二十分钟，晚饭后补十分钟。"),
            ("fang", "我给你做证人，读完拍张照片给姑姑看。"),
            ("lin", "姑姑，要拍哪一页？"),
            ("fang", "就拍你读到的那一页，再竖三个手指头，表示第三天。"),
            ("linba", "五天都做到，周末去天平山。"),
            ("lin", "说话算话！"),
            ("linba", "一言为定。"),
            ("fang", "我听见了，我也作证。"),
        ),
        read=6,
    ),
    Scene(
        "lin-emma",
        "",
        ("emma", "lin"),
        (
            ("emma", "Hi Xiaoyu! Is it all right if I practise my Chinese with you?"),
            ("lin", "当然可以！你写中文，我写 English."),
            ("emma", "好的。我今天学了十个字：雨、书、读、山、火……"),
            ("lin", "Very good! My name has 雨 in it."),
            ("emma", "小雨 = little rain. 很好听！"),
            ("lin", "What does Emma mean?"),
            ("emma", 'It means "whole". I promise ten characters a day until spring. Will you check on me?'),
            ("lin", "我来监督你！Every day at eight."),
            ("emma", "一言为定！You have my word."),
        ),
        read=7,
    ),
    Scene(
        "chen-linba",
        "",
        ("linba", "chen"),
        (
            ("linba", "陈老师好，小雨最近作业交得怎么样？"),
            ("chen", "这两周都按时，比上个月好多了。"),
            ("linba", "她说是因为有人每天问她。"),
            ("chen", "被人惦记着，比被人批评有用。继续保持。"),
            ("linba", "谢谢老师，周五的视频我也来。"),
        ),
        read=5,
    ),
)


def group_key(scene: Scene) -> str:
    """What makes founding the group twice found it once."""
    return f"demo-story-group-{scene.name}"


def line_id(scene: Scene, number: int) -> str:
    """What makes saying a line twice say it once."""
    return f"demo-story-{scene.name}-line-{number:03}"


async def tell(services: Services) -> Sequence[str]:
    """Whatever was said so far. A scene that has as many entries as lines was told before."""
    people = await ids(services)
    for scene in SCENES:
        async with skipping():
            await _play(services, scene, people)
    return []


async def room_of(services: Services, scene: Scene, people: dict[str, str]) -> str:
    """The conversation of a scene; it is begun when it is not there yet."""
    founder, *others = (people[handle] for handle in scene.people)
    wanted: CreateConversation
    if scene.title:
        wanted = CreateGroup(title=scene.title, members=others, key=group_key(scene), share_history=True)
    else:
        wanted = CreateDirect(person=others[0])
    conversation, _ = await services.conversations.create(founder, wanted)
    return conversation


async def _play(services: Services, scene: Scene, people: dict[str, str]) -> None:
    conversation = await room_of(services, scene, people)
    channel = f"conv:{conversation}"
    if (await services.hub.pages.head(channel)).seq >= len(scene.lines):
        return
    read, own = 0, dict[str, int]()
    for number, (speaker, text) in enumerate(scene.lines, 1):
        draft = Draft(channel, people[speaker], line_id(scene, number), "message", {"text": text})
        accepted = await services.hub.append(draft)
        own[speaker] = accepted.entry.seq
        if number == scene.read:
            read = accepted.entry.seq
    for handle in scene.people:
        seen = max(read, own.get(handle, 0))
        services.hub.positions.move(people[handle], channel, read=seen, delivered=seen)
