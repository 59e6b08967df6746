"""Every refusal that the operations of calls declare, as a scene."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec

from server.calls.repo import CallsRepo
from server.clock import to_ms
from server.errors import Code
from server.store import Duplicate
from tests.calls.conftest import OFFER
from tests.handlers.call_stage import NOWHERE, OFF, SCENES, Exchange, scene
from tests.handlers.conftest import Answer, Client

PUBLISHING = {"direction": "publish", "offer": OFFER}
UNKNOWN = "/connections/cx_" + "0" * 20


# ── Nothing there ───────────────────────────────────────────────────────────────────────────────────────────────────

for _operation, _method, _path, _body in (
    ("list_calls", "GET", "?before=cl_" + "0" * 20, None),
    ("get_call", "GET", "", None),
    ("accept_call", "POST", "/accept", None),
    ("decline_call", "POST", "/decline", None),
    ("cancel_call", "POST", "/cancel", None),
    ("leave_call", "POST", "/leave", None),
    ("end_call", "POST", "/end", None),
    ("remove_from_call", "POST", "/remove", {"person": "p_" + "0" * 20}),
    ("change_seat", "PATCH", "/seat", {}),
    ("connect_to_call", "POST", "/connections", PUBLISHING),
    ("disconnect_from_call", "DELETE", UNKNOWN, None),
    ("set_call_view", "PUT", f"{UNKNOWN}/view", {"slots": []}),
    ("record_call", "POST", "/recording", {"on": True}),
    ("list_recordings", "GET", "/recordings", None),
):

    def _of_nothing(operation: str, method: str, path: str, body: Any) -> None:
        @scene(operation, Code.NOT_FOUND)
        async def _(stage: Exchange) -> Answer:
            """Eve asks for a call of Ann's, and Ann for one that is none: they are told the same."""
            theirs = await stage.ringing()
            at = path if operation != "list_calls" else path.partition("=")[0] + "=" + theirs.rpartition("/")[2]
            base = "/calls" if operation == "list_calls" else theirs
            sent = msgspec.UNSET if body is None else body
            eve = await stage.eve.call(method, base + at, sent)
            ann = await stage.ann.call(method, ("/calls" if operation == "list_calls" else NOWHERE) + path, sent)
            assert (eve.status, eve.code) == (ann.status, ann.code)
            return ann

    _of_nothing(_operation, _method, _path, _body)


@scene("start_call", Code.NOT_FOUND)
async def _(stage: Exchange) -> Answer:
    assert (await stage.ann.post("/calls", stage.wanted(pledge="g_" + "0" * 20))).code == Code.NOT_FOUND
    return await stage.eve.post("/calls", stage.wanted())


# ── Starting ────────────────────────────────────────────────────────────────────────────────────────────────────────


@scene("start_call", Code.CONFLICT)
async def _(stage: Exchange) -> Answer:
    await stage.clear()
    return await stage.ann.post("/calls", stage.wanted(await stage.group(stage.ids["ann"])))


@scene("start_call", Code.BUSY)
async def _(stage: Exchange) -> Answer:
    await stage.running()
    return await stage.ann.post("/calls", stage.wanted(stage.pair))


@scene("start_call", Code.CLOSED)
async def _(stage: Exchange) -> Answer:
    await stage.clear()
    rooms = stage.services.store.collection("conversations")
    await rooms.update_one({"_id": stage.pair}, {"$set": {"closed": True}})
    answer = await stage.ann.post("/calls", stage.wanted(stage.pair))
    await rooms.update_one({"_id": stage.pair}, {"$set": {"closed": False}})
    return answer


@scene("start_call", Code.SILENCED)
async def _(stage: Exchange) -> Answer:
    await stage.clear()
    until = to_ms(stage.services.clock.now() + timedelta(hours=1))
    await stage.chat.silence(stage.ids["ann"], stage.crowd, stage.ids["max"], until)
    answer = await stage.max.post("/calls", stage.wanted())
    await stage.chat.silence(stage.ids["ann"], stage.crowd, stage.ids["max"], None)
    return answer


@scene("start_call", Code.IDEMPOTENCY_CONFLICT)
async def _(stage: Exchange) -> Answer:
    await stage.clear()
    wanted = stage.wanted()
    await stage.ann.post("/calls", wanted)
    return await stage.ann.post("/calls", wanted | {"conversation": stage.pair})


@scene("start_call", Code.LIMIT_REACHED)
async def _(stage: Exchange) -> Answer:
    await stage.clear()
    members = stage.services.store.collection("members")
    known = await members.find_one({"_id": f"{stage.crowd}|{stage.ids['max']}"})
    assert known is not None
    crowd = [known | {"_id": f"{stage.crowd}|p_{n}", "person": f"p_{n}"} for n in range(50)]
    await members.insert_many(crowd)
    answer = await stage.ann.post("/calls", stage.wanted())
    await members.delete_many({"_id": {"$in": [one["_id"] for one in crowd]}})
    return answer


@scene("start_call", Code.TOO_OFTEN)
async def _(stage: Exchange) -> Answer:
    await stage.clear()
    stage.exhaust("start_call")
    return await stage.ann.post("/calls", stage.wanted())


@scene("start_call", Code.TRY_LATER)
async def _(stage: Exchange) -> Answer:
    await stage.clear()

    async def faster(*args: object) -> None:
        raise Duplicate("somebody was")

    stage.patch.setattr(CallsRepo, "insert", faster)
    return await stage.ann.post("/calls", stage.wanted())


# ── Seats ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@scene("accept_call", Code.CONFLICT)
async def _(stage: Exchange) -> Answer:
    path = await stage.ringing()
    await stage.ann.post(f"{path}/cancel")
    return await stage.tom.post(f"{path}/accept")


@scene("accept_call", Code.BUSY)
async def _(stage: Exchange) -> Answer:
    path = await stage.running()
    other = await stage.max.post("/calls", stage.wanted(await stage.group(stage.ids["ann"], stage.ids["max"])))
    assert other.json["seats"][0]["state"] == "left"  # Ann was busy, and it was missed
    claims = stage.services.store.collection("call_claims")
    await claims.insert_one({"_id": stage.ids["max"], "call": "cl_other"})
    return await stage.max.post(f"{path}/accept")


@scene("accept_call", Code.TOO_OFTEN)
async def _(stage: Exchange) -> Answer:
    path = await stage.running()
    stage.exhaust("join_call")
    assert (await stage.tom.post(f"{path}/leave")).status == 200
    return await stage.tom.post(f"{path}/accept")


@scene("accept_call", Code.LIMIT_REACHED)
async def _(stage: Exchange) -> Answer:
    path = await stage.running()
    rows = stage.services.store.collection("calls")
    kept = await rows.find_one({"_id": path.rpartition("/")[2]})
    assert kept is not None
    seats = [seat for seat in kept["seats"] if seat["person"] != stage.ids["max"]]
    seats += [seats[0] | {"person": f"p_{n}", "state": "left", "session": ""} for n in range(50 - len(seats))]
    await rows.update_one({"_id": kept["_id"]}, {"$set": {"seats": seats}})
    return await stage.max.post(f"{path}/accept")


@scene("decline_call", Code.CONFLICT)
async def _(stage: Exchange) -> Answer:
    return await stage.tom.post(f"{await stage.running()}/decline")


@scene("cancel_call", Code.CONFLICT)
async def _(stage: Exchange) -> Answer:
    return await stage.ann.post(f"{await stage.running()}/cancel")


@scene("cancel_call", Code.FORBIDDEN)
async def _(stage: Exchange) -> Answer:
    return await stage.tom.post(f"{await stage.ringing()}/cancel")


@scene("leave_call", Code.CONFLICT)
async def _(stage: Exchange) -> Answer:
    return await stage.again.post(f"{await stage.running()}/leave")


@scene("end_call", Code.FORBIDDEN)
async def _(stage: Exchange) -> Answer:
    return await stage.tom.post(f"{await stage.running()}/end")


@scene("remove_from_call", Code.CONFLICT)
async def _(stage: Exchange) -> Answer:
    return await stage.ann.post(f"{await stage.running()}/remove", {"person": stage.ids["ann"]})


@scene("remove_from_call", Code.FORBIDDEN)
async def _(stage: Exchange) -> Answer:
    return await stage.tom.post(f"{await stage.running()}/remove", {"person": stage.ids["max"]})


@scene("change_seat", Code.CONFLICT)
async def _(stage: Exchange) -> Answer:
    return await stage.again.call("PATCH", f"{await stage.running()}/seat", {"camera": True})


@scene("change_seat", Code.TOO_OFTEN)
async def _(stage: Exchange) -> Answer:
    path = await stage.running()
    stage.exhaust("call_seat")
    return await stage.tom.call("PATCH", f"{path}/seat", {"camera": True})


for _operation, _who, _method, _path, _sent in (
    ("accept_call", "max", "POST", "/accept", None),
    ("decline_call", "max", "POST", "/decline", None),
    ("leave_call", "tom", "POST", "/leave", None),
    ("end_call", "ann", "POST", "/end", None),
    ("remove_from_call", "ann", "POST", "/remove", "tom"),
    ("change_seat", "tom", "PATCH", "/seat", {"camera": True}),
    ("record_call", "tom", "POST", "/recording", {"on": True}),
):

    def _slower(operation: str, who: str, method: str, path: str, body: Any) -> None:
        @scene(operation, Code.TRY_LATER)
        async def _(stage: Exchange) -> Answer:
            at = await stage.running()
            stage.others_faster()
            client: Client = getattr(stage, who)
            sent: Any = {"person": stage.ids[body]} if isinstance(body, str) else body
            return await client.call(method, at + path, msgspec.UNSET if sent is None else sent)

    _slower(_operation, _who, _method, _path, _sent)


@scene("cancel_call", Code.TRY_LATER)
async def _(stage: Exchange) -> Answer:
    path = await stage.ringing()
    stage.others_faster()
    return await stage.ann.post(f"{path}/cancel")


# ── Connections ─────────────────────────────────────────────────────────────────────────────────────────────────────


@scene("connect_to_call", Code.CONFLICT)
async def _(stage: Exchange) -> Answer:
    path = await stage.running()
    assert (await stage.max.post(f"{path}/connections", PUBLISHING)).code == Code.CONFLICT
    return await stage.again.post(f"{path}/connections", PUBLISHING)


@scene("connect_to_call", Code.STALE)
async def _(stage: Exchange) -> Answer:
    return await stage.tom.post(f"{await stage.running()}/connections", PUBLISHING | {"epoch": 2})


@scene("connect_to_call", Code.BAD_OFFER)
async def _(stage: Exchange) -> Answer:
    path = await stage.running()
    huge = await stage.tom.post(f"{path}/connections", PUBLISHING | {"offer": "x" * 65_537})
    assert huge.code == Code.TOO_LARGE
    return await stage.tom.post(f"{path}/connections", PUBLISHING | {"offer": "nonsense"})


@scene("connect_to_call", Code.TOO_OFTEN)
async def _(stage: Exchange) -> Answer:
    path = await stage.running()
    stage.exhaust("call_connection")
    return await stage.tom.post(f"{path}/connections", PUBLISHING)


@scene("connect_to_call", Code.TRY_LATER)
async def _(stage: Exchange) -> Answer:
    path = await stage.running()
    rows = stage.services.store.collection("calls")
    await rows.update_one({"_id": path.rpartition("/")[2]}, {"$set": {"place": "n_gone"}})
    stage.others_faster()
    return await stage.tom.post(f"{path}/connections", PUBLISHING)


@scene("set_call_view", Code.CONFLICT)
async def _(stage: Exchange) -> Answer:
    _, connection = await stage.connected("publish")
    return await stage.tom.call("PUT", f"{connection}/view", {"slots": []})


@scene("set_call_view", Code.TOO_OFTEN)
async def _(stage: Exchange) -> Answer:
    _, connection = await stage.connected()
    assert (await stage.tom.call("PUT", f"{connection}/view", {"slots": []})).status == 204
    stage.exhaust("call_view")
    return await stage.tom.call("PUT", f"{connection}/view", {"slots": []})


# ── Recordings ──────────────────────────────────────────────────────────────────────────────────────────────────────


@scene("record_call", Code.CONFLICT)
async def _(stage: Exchange) -> Answer:
    return await stage.max.post(f"{await stage.running()}/recording", {"on": True})


@scene("record_call", Code.TOO_OFTEN)
async def _(stage: Exchange) -> Answer:
    path = await stage.running()
    stage.exhaust("record_call")
    assert (await stage.tom.post(f"{path}/recording", {"on": False})).status == 200
    return await stage.tom.post(f"{path}/recording", {"on": True})


@scene("delete_recording", Code.CONFLICT)
async def _(stage: Exchange) -> Answer:
    return await stage.tom.call("DELETE", await stage.recorded(over=False))


@scene("delete_recording", Code.NOT_FOUND)
async def _(stage: Exchange) -> Answer:
    recording = await stage.recorded()
    assert (await stage.max.call("DELETE", recording)).code == Code.NOT_FOUND
    assert (await stage.tom.call("DELETE", recording)).status == 204
    return await stage.tom.call("DELETE", recording)


@scene("read_recording", Code.NOT_FOUND)
async def _(stage: Exchange) -> Answer:
    recording = await stage.recorded()
    whole = await stage.tom.get(f"{recording}/files/0")
    assert (whole.status, whole.data.decode()) in [(200, stage.ids["ann"]), (200, stage.ids["tom"])]
    assert (await stage.max.get(f"{recording}/files/0")).code == Code.NOT_FOUND
    assert (await stage.tom.get(f"{recording}/files/2")).code == Code.NOT_FOUND
    return await stage.tom.get(f"{OFF}/files/0")


@scene("read_recording", Code.RANGE_NOT_SATISFIABLE)
async def _(stage: Exchange) -> Answer:
    recording = await stage.recorded()
    part = await stage.tom.call("GET", f"{recording}/files/0", headers={"Range": "bytes=0-1"})
    assert (part.status, part.data) == (206, b"p_")
    return await stage.tom.call("GET", f"{recording}/files/0", headers={"Range": "bytes=999-"})


__all__ = ["SCENES"]
