"""Who the story is about: a pupil, her family, her study group and their teacher, in Suzhou and Leeds."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from server.demo.telling import skipping
from server.people.accounts import NewAccount, ProfileChange
from server.people.model import Language, Relation
from server.services import Services

#: one for everybody: the story is not worth a secret
PASSWORD = "paper-and-seal"  # noqa: S105
_ADDRESS = "127.0.0.1"


class Role(msgspec.Struct, frozen=True):
    """One person of the story."""

    handle: str
    name: str
    introduction: str
    language: Language = Language.CHINESE
    time_zone: str = "Asia/Shanghai"
    birth_date: str | None = None


CAST = (
    Role("lin", "林小雨", "六年级。想每天读半小时书。", birth_date="2014-05-12"),
    Role("linba", "林建国", "小雨的爸爸。早起跑步，晚上陪读。"),
    Role("fang", "陈芳", "小雨的姑姑，住在隔壁小区。"),
    Role("chen", "陈静", "数学老师，六年级二班。"),
    Role("emma", "Emma Clarke", "Learning Chinese, ten characters a day.", Language.ENGLISH, "Europe/London"),
    Role("tom", "Tom Walker", "Emma's neighbour. Keeps the study group's calendar.", Language.ENGLISH, "Europe/London"),
)

#: who is friends with whom; the first one asked
FRIENDS = (
    ("linba", "lin"),
    ("fang", "lin"),
    ("linba", "fang"),
    ("lin", "chen"),
    ("linba", "chen"),
    ("emma", "lin"),
    ("emma", "chen"),
    ("emma", "tom"),
    ("tom", "chen"),
)
#: who has asked and waits
ASKING = (("tom", "lin", "Hello from Emma's study group."),)


async def ids(services: Services) -> dict[str, str]:
    """handle → id of the whole cast; people who were deleted or renamed meanwhile are left out."""
    found = {role.handle: await services.people.id_of(role.handle) for role in CAST}
    return {handle: person for handle, person in found.items() if person is not None}


async def tell(services: Services) -> Sequence[str]:
    """Everybody registers and makes friends."""
    accounts = services.people.accounts
    for role in CAST:
        if await services.people.id_of(role.handle) is None:
            account = NewAccount(
                handle=role.handle,
                password=PASSWORD,
                name=role.name,
                language=role.language,
                time_zone=role.time_zone,
                birth_date=role.birth_date,
            )
            person = await accounts.create(account)
            await accounts.change(person, ProfileChange(introduction=role.introduction), _ADDRESS)
    people = await ids(services)
    for asking, asked, note in (*((one, other, "") for one, other in FRIENDS), *ASKING):
        async with skipping():
            relation = await services.people.directory.relation(people[asking], people[asked])
            if relation is Relation.NONE:
                await services.people.friends.request(people[asking], people[asked], note)
            if relation in (Relation.NONE, Relation.OUTGOING) and (asking, asked) in FRIENDS:
                await services.people.friends.accept(people[asked], people[asking])
    names = ", ".join(f"{role.handle} ({role.name})" for role in CAST)
    return [f"The story's people: {names}.", f"Sign in as lin or emma with the password {PASSWORD}"]
