"""Who looks after the story: Chen is admin and staff, Tom is staff, and somebody has reported something."""

from __future__ import annotations

from collections.abc import Sequence

from server.demo.cast import ids
from server.demo.talk import SCENES, line_id
from server.demo.telling import skipping
from server.moderation.model import MakeReport, Reason
from server.principals import Grant, Kind, Principal, Role
from server.services import Services


async def tell(services: Services) -> Sequence[str]:
    """Roles, and one report about a joke that went too far."""
    people = await ids(services)
    for handle, role in (("chen", Role.ADMIN), ("chen", Role.STAFF), ("tom", Role.STAFF)):
        async with skipping():
            await services.people.grant(people[handle], Grant(role), "system")
    async with skipping():
        await _report(services, people)
    return ["chen looks after everything (Desk); tom looks after reports. One waits."]


async def _report(services: Services, people: dict[str, str]) -> None:
    """Emma finds one line of the study group unkind to Lin's father."""
    scene = next(scene for scene in SCENES if scene.name == "study")
    number = next(n for n, (_, text) in enumerate(scene.lines, 1) if "打呼噜" in text)
    for room in await services.conversations.repo.rooms_of(people["emma"]):
        page = await services.hub.pages.page(f"conv:{room}", 1, None, None, 100)
        for entry in page.entries:
            if entry.id == line_id(scene, number):
                note = "I think it is a joke, but her father may not like it. Please have a look."
                wanted = MakeReport(reason=Reason.PRIVACY, note=note, conversation=room, seq=entry.seq)
                await services.moderation.report(Principal(Kind.PERSON, id=people["emma"]), wanted)
                return
