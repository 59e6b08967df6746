"""Every refusal that the operations of drafting and calling off declare, as a scene."""

from __future__ import annotations

from server.errors import Code
from server.supervision.model import PledgeState
from server.supervision.repo import PledgesRepo
from tests.handlers.conftest import Answer
from tests.handlers.pledge_stage import SCENES, Theatre, scene
from tests.supervision.examples import REWARD

NOWHERE = "/pledges/g_" + "0" * 20


async def _draft(stage: Theatre) -> Answer:
    return await stage.emma.post("/pledges", stage.wanted())


async def _edit(stage: Theatre) -> Answer:
    other = stage.wanted(words={"title": "Walk again"})
    return await stage.emma.call("PUT", f"/pledges/{await stage.draft()}", other)


async def _publish(stage: Theatre) -> Answer:
    return await stage.emma.post(f"/pledges/{await stage.draft()}/publish")


async def _call_off(stage: Theatre) -> Answer:
    return await stage.emma.call("DELETE", f"/pledges/{await stage.placed()}")


@scene("draft_pledge", Code.TOO_OFTEN)
async def _(stage: Theatre) -> Answer:
    stage.exhaust("draft_pledge")
    return await _draft(stage)


@scene("draft_pledge", Code.LIMIT_REACHED)
async def _(stage: Theatre) -> Answer:
    max_ = stage.ids["max"]
    row = {"people": [max_], "drafted_by": max_, "state": "active", "created_at": stage.clock.now()}
    rows = stage.services.store.collection("pledges")
    await rows.insert_many([{"_id": f"g_many{n}", **row} for n in range(200)])
    answer = await stage.max.post("/pledges", stage.wanted())
    await rows.delete_many({"people": max_})
    return answer


for _operation, _method, _path in (
    ("draft_pledge", "POST", "/pledges"),
    ("preview_pledge", "POST", "/pledges/preview"),
):

    def _by_a_child(operation: str, method: str, path: str) -> None:
        @scene(operation, Code.GUARDIAN_NEEDED)
        async def _(stage: Theatre) -> Answer:
            wanted = stage.wanted(REWARD, side="supervisor", owner=stage.ids["emma"])
            return await stage.lin.call(method, path, wanted)

    _by_a_child(_operation, _method, _path)


@scene("edit_pledge", Code.GUARDIAN_NEEDED)
async def _(stage: Theatre) -> Answer:
    id = await stage.draft(stage.lin)
    wanted = stage.wanted(REWARD, side="supervisor", owner=stage.ids["emma"])
    return await stage.lin.call("PUT", f"/pledges/{id}", wanted)


@scene("publish_pledge", Code.GUARDIAN_NEEDED)
async def _(stage: Theatre) -> Answer:
    """Ann said how old she is when her draft was there already."""
    wanted = stage.wanted(REWARD, side="supervisor", owner=stage.ids["emma"])
    id = (await stage.ann.post("/pledges", wanted)).json["id"]
    people = stage.services.store.collection("people")
    await people.update_one({"_id": stage.ids["ann"]}, {"$set": {"birth_date": "2015-05-01"}})
    return await stage.ann.post(f"/pledges/{id}/publish")


SCENES["get_pledge", Code.NOT_FOUND] = lambda stage: stage.emma.get(NOWHERE)
SCENES["edit_pledge", Code.NOT_FOUND] = lambda stage: stage.emma.call("PUT", NOWHERE, stage.wanted())
SCENES["publish_pledge", Code.NOT_FOUND] = lambda stage: stage.emma.post(f"{NOWHERE}/publish")
SCENES["call_off_pledge", Code.NOT_FOUND] = lambda stage: stage.emma.call("DELETE", NOWHERE)


@scene("edit_pledge", Code.CONFLICT)
async def _(stage: Theatre) -> Answer:
    return await stage.emma.call("PUT", f"/pledges/{await stage.published()}", stage.wanted())


@scene("edit_pledge", Code.TRY_LATER)
async def _(stage: Theatre) -> Answer:
    stage.others_faster()
    return await _edit(stage)


@scene("publish_pledge", Code.TRY_LATER)
async def _(stage: Theatre) -> Answer:
    stage.others_faster()
    return await _publish(stage)


@scene("call_off_pledge", Code.TRY_LATER)
async def _(stage: Theatre) -> Answer:
    stage.others_faster()
    return await _call_off(stage)


@scene("call_off_pledge", Code.STALE)
async def _(stage: Theatre) -> Answer:
    stage.others_faster(PledgesRepo, "delete")
    return await stage.emma.call("DELETE", f"/pledges/{await stage.draft()}")


@scene("call_off_pledge", Code.FORBIDDEN)
async def _(stage: Theatre) -> Answer:
    """Who was asked to supervise may decline, not call it off."""
    id = await stage.published(supervisors=[stage.ids["tom"]])
    return await stage.tom.call("DELETE", f"/pledges/{id}")


@scene("call_off_pledge", Code.CONFLICT)
async def _(stage: Theatre) -> Answer:
    return await stage.emma.call("DELETE", f"/pledges/{await stage.placed(state=PledgeState.SETTLED)}")
