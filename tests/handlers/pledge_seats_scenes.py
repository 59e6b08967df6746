"""Every refusal that the operations on seats and cohorts declare, as a scene."""

from __future__ import annotations

from typing import Any

import msgspec

from server.errors import Code
from server.supervision.model import PledgeState, SeatState
from server.supervision.rules import seats
from tests.handlers.conftest import Answer, Client
from tests.handlers.pledge_scenes import NOWHERE
from tests.handlers.pledge_stage import SCENES, Scene, Theatre, scene
from tests.supervision.examples import REWARD, seat, terms
from tests.wire.client import client_id

WAITING = PledgeState.AWAITING_SUPERVISOR


async def _looking(stage: Theatre, **states: SeatState) -> str:
    """Emma's, which looks for somebody; seats by name."""
    named = [seat(stage.ids[name], state, by=stage.ids["emma"]) for name, state in states.items()]
    return await stage.placed(state=WAITING, seats=named)


async def _drafted(stage: Theatre) -> str:
    """Tom's, for Emma."""
    founder = seats.founded(stage.ids["tom"], stage.clock.now())
    fields: dict[str, Any] = {"drafted_by": stage.ids["tom"], "side": "supervisor", "consented": False}
    return await stage.placed(state=PledgeState.AWAITING_OWNER, seats=[founder], **fields)


async def _apply(stage: Theatre, id: str, by: Client | None = None) -> Answer:
    return await (by or stage.tom).post(f"/pledges/{id}/application", {"words": "I run, too."})


async def _open(stage: Theatre) -> str:
    return await stage.published(words={"visibility": "friends"})


async def _invite(stage: Theatre, id: str) -> Answer:
    return await stage.emma.post(f"/pledges/{id}/invitations", {"people": [stage.ids["max"]]})


async def _cohort(stage: Theatre, by: Client | None = None, **more: Any) -> Answer:
    said = msgspec.to_builtins(terms(**more))
    body = {"id": client_id(), "terms": said, "owners": [stage.ids["max"], stage.ids["ann"]]}
    return await (by or stage.emma).post("/cohorts", body)


# ── Where there is nothing, and where others are faster ─────────────────────────────────────────────────────────────

#: operation → who calls it, the method, the rest of the path, what is sent; and the state in which it would be done
_PERSON = "p_" + "0" * 20
CALLS: dict[str, tuple[str, str, str, Any]] = {
    "apply_for_pledge": ("tom", "POST", "/application", {"words": ""}),
    "withdraw_application": ("tom", "DELETE", "/application", None),
    "accept_applicant": ("emma", "POST", "/applicants/{tom}/accept", None),
    "decline_applicant": ("emma", "POST", "/applicants/{tom}/decline", None),
    "invite_supervisors": ("emma", "POST", "/invitations", {"people": [_PERSON]}),
    "accept_invitation": ("tom", "POST", "/invitation/accept", None),
    "decline_invitation": ("tom", "POST", "/invitation/decline", None),
    "consent_to_pledge": ("emma", "POST", "/consent", None),
    "refuse_pledge": ("emma", "DELETE", "/consent", None),
    "leave_pledge": ("tom", "POST", "/leave", None),
}


async def _call(stage: Theatre, operation: str, at: str) -> Answer:
    who, method, rest, body = CALLS[operation]
    path = at + rest.replace("{tom}", stage.ids["tom"])
    if operation == "invite_supervisors":
        body = {"people": [stage.ids["max"]]}
    client: Client = getattr(stage, who)
    return await (client.call(method, path, body) if body is not None else client.call(method, path))


async def _ready(stage: Theatre, operation: str) -> str:
    """A pledge on which the operation would do something."""
    match operation:
        case "apply_for_pledge":
            return await _open(stage)
        case "withdraw_application" | "accept_applicant" | "decline_applicant":
            return await _looking(stage, tom=SeatState.APPLIED)
        case "accept_invitation" | "decline_invitation":
            return await _looking(stage, tom=SeatState.INVITED)
        case "consent_to_pledge" | "refuse_pledge":
            return await _drafted(stage)
        case "leave_pledge":
            return await stage.placed()
    return await _looking(stage)


def _always(operation: str) -> None:
    SCENES[operation, Code.NOT_FOUND] = lambda stage: _call(stage, operation, NOWHERE)

    @scene(operation, Code.TRY_LATER)
    async def _(stage: Theatre) -> Answer:
        id = await _ready(stage, operation)
        stage.others_faster()
        return await _call(stage, operation, f"/pledges/{id}")


for _operation in CALLS:
    _always(_operation)


# ── Too late ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _late(operation: str, state: SeatState | None) -> Scene:
    async def play(stage: Theatre) -> Answer:
        """It has begun with somebody else; a row of an earlier time still waits."""
        mine = [seat(stage.ids["tom"], state, by=stage.ids["tom"])] if state else []
        id = await stage.placed("max", seats=[seat(stage.ids["max"]), *mine])
        return await _call(stage, operation, f"/pledges/{id}")

    return play


for _operation, _state in (
    ("apply_for_pledge", SeatState.DECLINED),
    ("withdraw_application", SeatState.APPLIED),
    ("accept_applicant", SeatState.APPLIED),
    ("decline_applicant", SeatState.APPLIED),
    ("invite_supervisors", None),
    ("accept_invitation", SeatState.EXPIRED),
    ("decline_invitation", SeatState.EXPIRED),
    ("refuse_pledge", None),
):
    SCENES[_operation, Code.CONFLICT] = _late(_operation, _state)


@scene("consent_to_pledge", Code.CONFLICT)
async def _(stage: Theatre) -> Answer:
    id = await _drafted(stage)
    await stage.emma.call("DELETE", f"/pledges/{id}/consent")
    return await stage.emma.post(f"/pledges/{id}/consent")


@scene("leave_pledge", Code.CONFLICT)
async def _(stage: Theatre) -> Answer:
    return await stage.tom.post(f"/pledges/{await stage.placed(state=PledgeState.SETTLED)}/leave")


# ── Applications and invitations ────────────────────────────────────────────────────────────────────────────────────


@scene("apply_for_pledge", Code.ALREADY)
async def _(stage: Theatre) -> Answer:
    id = await _open(stage)
    await _apply(stage, id)
    return await _apply(stage, id)


@scene("apply_for_pledge", Code.LIMIT_REACHED)
async def _(stage: Theatre) -> Answer:
    """So many wait for Emma's word already."""
    waiting = [seat(f"p_{n:020}", SeatState.APPLIED) for n in range(seats.OPEN_MOST)]
    id = await stage.placed(state=WAITING, seats=waiting, words={"visibility": "friends"})
    return await _apply(stage, id)


@scene("apply_for_pledge", Code.TOO_OFTEN)
async def _(stage: Theatre) -> Answer:
    stage.exhaust("pledge_application")
    return await _apply(stage, await _open(stage))


@scene("accept_applicant", Code.LIMIT_REACHED)
async def _(stage: Theatre) -> Answer:
    """Emma has accepted Max a moment ago, on another phone."""
    id = await _looking(stage, max=SeatState.APPLIED, tom=SeatState.APPLIED)
    await stage.emma.post(f"/pledges/{id}/applicants/{stage.ids['max']}/accept")
    return await _call(stage, "accept_applicant", f"/pledges/{id}")


@scene("invite_supervisors", Code.LIMIT_REACHED)
async def _(stage: Theatre) -> Answer:
    asked = [seat(f"p_{n:020}", SeatState.INVITED) for n in range(20)]
    return await _invite(stage, await stage.placed(state=WAITING, seats=asked))


@scene("invite_supervisors", Code.TOO_OFTEN)
async def _(stage: Theatre) -> Answer:
    id = await _looking(stage)
    stage.exhaust("pledge_invitation")
    return await _invite(stage, id)


# ── Cohorts ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@scene("begin_cohort", Code.GUARDIAN_NEEDED)
async def _(stage: Theatre) -> Answer:
    said = msgspec.to_builtins(terms(REWARD))
    body = {"id": client_id(), "terms": said, "owners": [stage.ids["emma"]]}
    return await stage.lin.post("/cohorts", body)


@scene("begin_cohort", Code.TOO_OFTEN)
async def _(stage: Theatre) -> Answer:
    stage.exhaust("draft_pledge")
    return await _cohort(stage)


@scene("begin_cohort", Code.LIMIT_REACHED)
async def _(stage: Theatre) -> Answer:
    """One more would do, two are too many."""
    emma = stage.ids["emma"]
    row = {"people": [emma], "drafted_by": emma, "state": "active", "created_at": stage.clock.now()}
    rows = stage.services.store.collection("pledges")
    await rows.insert_many([{"_id": f"g_class{n}", **row} for n in range(199)])
    answer = await _cohort(stage)
    await rows.delete_many({"_id": {"$in": [f"g_class{n}" for n in range(199)]}})
    return answer


SCENES["get_cohort", Code.NOT_FOUND] = lambda stage: stage.emma.get("/cohorts/k_" + "0" * 20)
