"""What the demo's family sends each other."""

from __future__ import annotations

from server import demo
from server.demo import cast
from server.demo.talk import SCENES, room_of
from server.media.model import Variant
from server.principals import Kind, Principal
from server.services import Services


async def test_a_page_and_a_tune_are_in_the_story_once(services: Services) -> None:
    for _ in range(2):
        await demo.tell(services)
    people = await cast.ids(services)
    room = await room_of(services, next(scene for scene in SCENES if scene.name == "family"), people)
    entries = (await services.hub.pages.page(f"conv:{room}", 1, None, None, 100)).entries
    things = [thing for entry in entries for thing in entry.body.get("media", ())]
    assert [thing["kind"] for thing in things] == ["picture", "voice"]
    reader = Principal(Kind.PERSON, people["linba"])
    page = await services.media.open(reader, things[0]["id"], Variant.MAIN)
    assert (page.type, things[0]["width"], things[0]["height"]) == ("image/webp", 1200, 900)
    assert 3 < things[1]["seconds"] < 6
    assert max(things[1]["levels"]) == 99
