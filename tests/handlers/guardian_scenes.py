"""Every refusal that the operations of guardians and their wards declare, as a scene."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from server.errors import Code
from server.guardians.repo import WardsRepo
from server.people.repo import PeopleRepo
from tests.handlers.conftest import NOBODY, Answer, Client
from tests.handlers.safety_stage import SCENES, Scene, Stage, born, scene


async def _ask_guardian(stage: Stage, person: str = "") -> Answer:
    return await stage.child.post("/me/guardians", {"person": person or stage.m})


async def _ask_ward(stage: Stage, person: str = "") -> Answer:
    return await stage.mother.post("/me/wards", {"person": person or stage.c})


for _operation, _ask in (("ask_guardian", _ask_guardian), ("ask_ward", _ask_ward)):

    def _asking(operation: str, ask: Callable[..., Awaitable[Answer]]) -> None:
        SCENES[operation, Code.NOT_FOUND] = lambda stage: ask(stage, NOBODY)

        @scene(operation, Code.BLOCKED)
        async def _(stage: Stage) -> Answer:
            await stage.mother.call("PUT", f"/blocks/{stage.c}")
            return await ask(stage)

        @scene(operation, Code.ALREADY)
        async def _(stage: Stage) -> Answer:
            await stage.link()
            return await ask(stage)

        @scene(operation, Code.STALE)
        async def _(stage: Stage) -> Answer:
            stage.somebody_faster(WardsRepo, "put")
            return await ask(stage)

        @scene(operation, Code.LIMIT_REACHED)
        async def _(stage: Stage) -> Answer:
            at = stage.server.services.clock.now()
            link = {"state": "active", "asker": stage.c, "at": at}
            links = [{"guardian": f"p_{n}", **link} for n in range(6)]
            row = {"_id": stage.c, "links": links, "people": [], "payee": "p_0", "version": 1}
            await stage.server.services.store.collection("wards").insert_one(row)
            return await ask(stage)

        @scene(operation, Code.TOO_OFTEN)
        async def _(stage: Stage) -> Answer:
            stage.exhaust("request_guardian")
            return await ask(stage)

    _asking(_operation, _ask)


@scene("ask_guardian", Code.CONFLICT)
async def _(stage: Stage) -> Answer:
    """The mother is no minor."""
    return await stage.mother.post("/me/guardians", {"person": stage.f})


@scene("ask_ward", Code.CONFLICT)
async def _(stage: Stage) -> Answer:
    """The child is not of age."""
    other = Client(stage.server.url)
    friend = (await other.register(stage.handle("friend"), birth_date=born(10)))["id"]
    await stage.befriend(stage.child, other, friend, stage.c)
    return await stage.child.post("/me/wards", {"person": friend})


async def _confirm_guardian(stage: Stage) -> Answer:
    return await stage.child.call("POST", f"/me/guardians/{stage.m}/confirm")


async def _confirm_ward(stage: Stage) -> Answer:
    return await stage.mother.call("POST", f"/me/wards/{stage.c}/confirm")


for _operation, _requested, _confirm in (
    ("confirm_guardian", _ask_ward, _confirm_guardian),
    ("confirm_ward", _ask_guardian, _confirm_ward),
):

    def _confirming(operation: str, requested: Scene, confirm: Scene) -> None:
        SCENES[operation, Code.NOT_FOUND] = confirm

        @scene(operation, Code.BLOCKED)
        async def _(stage: Stage) -> Answer:
            await requested(stage)
            await stage.mother.call("DELETE", f"/friends/{stage.c}")
            return await confirm(stage)

        @scene(operation, Code.CONFLICT)
        async def _(stage: Stage) -> Answer:
            """The child has turned out to be of age, and nobody has looked at the request since."""
            await requested(stage)
            people = stage.server.services.store.collection("people")
            await people.update_one({"_id": stage.c}, {"$set": {"birth_date": born(30)}})
            return await confirm(stage)

        @scene(operation, Code.STALE)
        async def _(stage: Stage) -> Answer:
            await requested(stage)
            stage.somebody_faster(WardsRepo, "put")
            return await confirm(stage)

    _confirming(_operation, _requested, _confirm)


async def _end_guardian(stage: Stage) -> Answer:
    return await stage.child.call("DELETE", f"/me/guardians/{stage.m}")


async def _end_ward(stage: Stage) -> Answer:
    return await stage.mother.call("DELETE", f"/me/wards/{stage.c}")


async def _hand_over(stage: Stage) -> Answer:
    return await stage.mother.call("PUT", f"/me/wards/{stage.c}/payee", {"guardian": stage.f})


async def _end_custody(stage: Stage) -> Answer:
    path = f"/staff/custody/{stage.c}/guardians/{stage.m}"
    return await stage.staff.call("DELETE", path, {"reason": "A court has decided."})


async def _correct(stage: Stage, person: str = "") -> Answer:
    body = {"birth_date": born(11), "reason": "It was mistyped."}
    return await stage.staff.call("PUT", f"/staff/custody/{person or stage.c}/birth-date", body)


for _operation, _act in (
    ("end_guardian", _end_guardian),
    ("end_ward", _end_ward),
    ("end_custody", _end_custody),
):

    def _ending(operation: str, act: Scene) -> None:
        SCENES[operation, Code.NOT_FOUND] = act

        @scene(operation, Code.STALE)
        async def _(stage: Stage) -> Answer:
            await stage.link()
            stage.somebody_faster(WardsRepo, "put")
            return await act(stage)

    _ending(_operation, _act)


SCENES["hand_over_ward", Code.NOT_FOUND] = _hand_over
SCENES["find_custody", Code.NOT_FOUND] = lambda stage: stage.staff.get("/staff/custody?handle=nobody")
SCENES["change_custody", Code.NOT_FOUND] = lambda stage: stage.appoint("nobody")
SCENES["change_custody", Code.CONFLICT] = lambda stage: stage.appoint(ward=stage.m)
SCENES["correct_birth_date", Code.NOT_FOUND] = lambda stage: _correct(stage, NOBODY)


@scene("hand_over_ward", Code.STALE)
async def _(stage: Stage) -> Answer:
    await stage.link()
    await stage.befriend(stage.father, stage.child, stage.c, stage.f)
    await stage.father.post("/me/wards", {"person": stage.c})
    await stage.child.call("POST", f"/me/guardians/{stage.f}/confirm")
    stage.somebody_faster(WardsRepo, "put")
    return await _hand_over(stage)


@scene("change_custody", Code.ALREADY)
async def _(stage: Stage) -> Answer:
    await stage.appoint()
    return await stage.appoint()


@scene("change_custody", Code.STALE)
async def _(stage: Stage) -> Answer:
    stage.somebody_faster(WardsRepo, "put")
    return await stage.appoint()


@scene("correct_birth_date", Code.STALE)
async def _(stage: Stage) -> Answer:
    stage.somebody_faster(PeopleRepo, "replace")
    return await _correct(stage)
