"""Every refusal that the operations of judging declare, as a scene."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from server.errors import Code
from server.supervision.model import CheckState, PledgeState, SpotCheck
from server.supervision.rules.meeting import MeetingState
from server.supervision.terms import CheckTerms
from tests.handlers.conftest import Answer, Client
from tests.handlers.pledge_stage import SCENES, Theatre, scene
from tests.supervision.examples import AT, NOTHING, task

NOWHERE = "/pledges/g_" + "0" * 20
NO_MEETING = "h_" + "0" * 20
NO_CODE = "A" * 22
REPORT = {"words": "Along the river."}
STAMP = {"verdict": "abstain"}
ADMIT = {"task": 1}
ANSWER = {"done": False}
Act = Callable[[Theatre, str], Awaitable[Answer]]
ANY_TIME = {"checks": CheckTerms(quiet_from="00:00", quiet_to="00:00")}


async def _open(stage: Theatre, *seated: str, opens: bool = True, **more: Any) -> str:
    """The path of a pledge whose only task can be done now, or not yet."""
    now = stage.clock.now()
    times: dict[str, Any] = {"opens_at": now} if opens else {}
    one = task(1, now + (task().due_at - AT), **times, **more.pop("task", {}))
    words = more.pop("words", ANY_TIME)
    return f"/pledges/{await stage.placed(*seated, stake=NOTHING, tasks=(one,), words=words, **more)}"


async def _over(stage: Theatre) -> str:
    return f"/pledges/{await stage.placed(stake=NOTHING, state=PledgeState.SETTLED)}"


@scene("stamp_task", Code.LOCATION_ALONE)
async def _(stage: Theatre) -> Answer:
    """All that Emma has shown is where she was."""
    path = await _open(stage)
    here = {"task": 1, "place": {"latitude": 51.5, "longitude": 0.1, "accuracy": 9}}
    assert (await stage.emma.post(f"{path}/locations", here)).status == 201
    return await stage.tom.post(f"{path}/tasks/1/stamps", {"verdict": "done"})


# ── Reports, stamps, admitting ──────────────────────────────────────────────────────────────────────────────────────


async def _report(stage: Theatre, path: str) -> Answer:
    return await stage.emma.post(f"{path}/tasks/1/report", REPORT)


async def _stamp(stage: Theatre, path: str) -> Answer:
    return await stage.tom.post(f"{path}/tasks/1/stamps", STAMP)


async def _ask(stage: Theatre, path: str) -> Answer:
    return await stage.tom.call("POST", f"{path}/tasks/1/checks")


async def _answer(stage: Theatre, path: str, check: str = "s1") -> Answer:
    return await stage.emma.post(f"{path}/tasks/1/checks/{check}", ANSWER)


async def _admit(stage: Theatre, path: str) -> Answer:
    return await stage.emma.post(f"{path}/admission", ADMIT)


async def _agree(stage: Theatre, path: str) -> Answer:
    return await stage.emma.call("POST", f"{path}/agreement")


for _operation, _act in (
    ("report_task", _report),
    ("stamp_task", _stamp),
    ("ask_check", _ask),
    ("answer_check", _answer),
    ("admit_failure", _admit),
    ("accept_outcome", _agree),
):

    def _of_all(operation: str, act: Act) -> None:
        SCENES[operation, Code.NOT_FOUND] = lambda stage: act(stage, NOWHERE)

    _of_all(_operation, _act)

for _operation, _act in (
    ("report_task", _report),
    ("stamp_task", _stamp),
    ("ask_check", _ask),
    ("admit_failure", _admit),
    ("accept_outcome", _agree),
):

    def _when_over(operation: str, act: Act) -> None:
        @scene(operation, Code.CLOSED)
        async def _(stage: Theatre) -> Answer:
            return await act(stage, await _over(stage))

    _when_over(_operation, _act)

for _operation, _act in (
    ("report_task", _report),
    ("stamp_task", _stamp),
    ("ask_check", _ask),
    ("admit_failure", _admit),
):

    def _when_others_are_faster(operation: str, act: Act) -> None:
        @scene(operation, Code.TRY_LATER)
        async def _(stage: Theatre) -> Answer:
            path = await _open(stage)
            stage.others_faster()
            return await act(stage, path)

    _when_others_are_faster(_operation, _act)

for _operation, _act in (("report_task", _report), ("stamp_task", _stamp)):

    def _once(operation: str, act: Act) -> None:
        @scene(operation, Code.ALREADY)
        async def _(stage: Theatre) -> Answer:
            path = await _open(stage, "tom", "max")
            await act(stage, path)
            return await act(stage, path)

        @scene(operation, Code.CONFLICT)
        async def _(stage: Theatre) -> Answer:
            return await act(stage, await _open(stage, opens=False))

    _once(_operation, _act)


@scene("accept_outcome", Code.TRY_LATER)
async def _(stage: Theatre) -> Answer:
    path = f"/pledges/{await stage.placed(state=PledgeState.CHALLENGE_WINDOW)}"
    stage.others_faster()
    return await _agree(stage, path)


# ── Spot checks ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def _asked(stage: Theatre) -> str:
    path = await _open(stage)
    assert (await _ask(stage, path)).status == 200
    return path


@scene("ask_check", Code.ALREADY)
async def _(stage: Theatre) -> Answer:
    return await _ask(stage, await _asked(stage))


@scene("ask_check", Code.CONFLICT)
async def _(stage: Theatre) -> Answer:
    """It is quiet all day but for a minute of the night."""
    quiet = {"checks": CheckTerms(quiet_from="03:01", quiet_to="03:00")}
    return await _ask(stage, await _open(stage, words=quiet))


@scene("ask_check", Code.LIMIT_REACHED)
async def _(stage: Theatre) -> Answer:
    none = {"checks": CheckTerms(on_demand=0, quiet_from="00:00", quiet_to="00:00")}
    return await _ask(stage, await _open(stage, words=none))


@scene("answer_check", Code.ALREADY)
async def _(stage: Theatre) -> Answer:
    path = await _asked(stage)
    await _answer(stage, path)
    return await _answer(stage, path)


@scene("answer_check", Code.CLOSED)
async def _(stage: Theatre) -> Answer:
    now = stage.clock.now()
    missed = SpotCheck(id="s1", by=stage.ids["tom"], at=now, until=now, state=CheckState.MISSED)
    return await _answer(stage, await _open(stage, task={"checks": (missed,)}))


@scene("answer_check", Code.TRY_LATER)
async def _(stage: Theatre) -> Answer:
    path = await _asked(stage)
    stage.others_faster()
    return await _answer(stage, path)


# ── Meetings ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _begin(stage: Theatre, path: str) -> Answer:
    return await stage.emma.call("POST", f"{path}/tasks/1/meetings")


async def _shown(stage: Theatre, *seated: str) -> tuple[str, str, str]:
    """The path of a pledge, the meeting that its owner has begun, and its code."""
    path = await _open(stage, *seated)
    begun = (await _begin(stage, path)).json
    return path, str(begun["id"]), str(begun["url"]).rpartition("/")[2]


async def _scan(code: str, by: Client) -> Answer:
    return await by.call("POST", f"/meetings/{code}")


async def _confirm(stage: Theatre, id: str, number: int = 0) -> Answer:
    return await stage.emma.post(f"/pledges/meetings/{id}/confirm", {"number": number})


async def _state(stage: Theatre, id: str, state: MeetingState) -> None:
    rows = stage.services.store.collection("pledge_meetings")
    await rows.update_one({"_id": id}, {"$set": {"state": state.value}})


SCENES["begin_meeting", Code.NOT_FOUND] = lambda stage: _begin(stage, NOWHERE)
SCENES["get_meeting", Code.NOT_FOUND] = lambda stage: stage.emma.get(f"/pledges/meetings/{NO_MEETING}")
SCENES["scan_meeting", Code.NOT_FOUND] = lambda stage: _scan(NO_CODE, stage.tom)
SCENES["confirm_meeting", Code.NOT_FOUND] = lambda stage: _confirm(stage, NO_MEETING)


@scene("begin_meeting", Code.CLOSED)
async def _(stage: Theatre) -> Answer:
    return await _begin(stage, await _over(stage))


@scene("begin_meeting", Code.CONFLICT)
async def _(stage: Theatre) -> Answer:
    return await _begin(stage, await _open(stage, opens=False))


for _operation in ("begin_meeting", "scan_meeting"):

    def _too_often(operation: str) -> None:
        @scene(operation, Code.TOO_OFTEN)
        async def _(stage: Theatre) -> Answer:
            path = await _open(stage)
            stage.exhaust("meet")
            return await (_begin(stage, path) if operation == "begin_meeting" else _scan(NO_CODE, stage.tom))

    _too_often(_operation)


@scene("scan_meeting", Code.ALREADY)
async def _(stage: Theatre) -> Answer:
    path, _, code = await _shown(stage, "tom", "max")
    await _stamp(stage, path)
    return await _scan(code, stage.tom)


@scene("scan_meeting", Code.CLOSED)
async def _(stage: Theatre) -> Answer:
    _, id, code = await _shown(stage)
    await _state(stage, id, MeetingState.OVER)
    return await _scan(code, stage.tom)


@scene("scan_meeting", Code.CONFLICT)
async def _(stage: Theatre) -> Answer:
    _, _, code = await _shown(stage, "tom", "max")
    await _scan(code, stage.max)
    return await _scan(code, stage.tom)


@scene("confirm_meeting", Code.CONFLICT)
async def _(stage: Theatre) -> Answer:
    return await _confirm(stage, (await _shown(stage))[1])


@scene("confirm_meeting", Code.CLOSED)
async def _(stage: Theatre) -> Answer:
    _, id, _ = await _shown(stage)
    await _state(stage, id, MeetingState.OVER)
    return await _confirm(stage, id)


async def _scanned(stage: Theatre) -> tuple[str, str, int]:
    path, id, code = await _shown(stage, "tom", "max")
    return path, id, int((await _scan(code, stage.tom)).json["number"])


@scene("confirm_meeting", Code.ALREADY)
async def _(stage: Theatre) -> Answer:
    """Tom has stamped it by hand meanwhile."""
    path, id, number = await _scanned(stage)
    await _stamp(stage, path)
    return await _confirm(stage, id, number)


@scene("confirm_meeting", Code.TRY_LATER)
async def _(stage: Theatre) -> Answer:
    _, id, number = await _scanned(stage)
    stage.others_faster()
    return await _confirm(stage, id, number)
