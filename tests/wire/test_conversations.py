"""Conversations over HTTP: made, changed, read and written by programs without a socket (R-02, docs/http.md)."""

from __future__ import annotations

from typing import Any

from tests.wire.client import Answer, Crowd, Person, client_id, conversation_of


def refused(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.code) == (status, code), answer.data
    assert answer.data["error"]["request_id"].startswith("r_")


async def test_making_one(crowd: Crowd) -> None:
    lin, mei, ada = await crowd.friends("lin", "mei", "ada")
    made = await lin.call("POST", "/conversations", {"kind": "direct", "person": mei.id})
    assert made.status == 201
    again = await mei.call("POST", "/conversations", {"kind": "direct", "person": lin.id})
    assert (again.status, again.data["id"]) == (200, made.data["id"])
    assert {card["name"] for card in made.data["people"]} == {"Lin", "Mei"}
    assert (made.data["title"], made.data["closed"], made.data["head"]) == ("", False, 1)

    group = {"kind": "group", "title": " Tea  house ", "members": [mei.id, ada.id], "key": client_id()}
    made = await lin.call("POST", "/conversations", group)
    assert (made.status, made.data["title"], made.data["version"]) == (201, "Tea house", 1)
    assert {member["person"]: member["role"] for member in made.data["members"]} == {
        lin.id: "owner",
        mei.id: "member",
        ada.id: "member",
    }
    again = await lin.call("POST", "/conversations", group)
    assert (again.status, again.data["id"]) == (200, made.data["id"])

    refused(await mei.call("POST", "/conversations", {"kind": "direct", "person": ada.id}), 403, "blocked")
    for body in (
        {},
        {"kind": "club"},
        {"kind": "direct"},
        {"kind": "direct", "person": lin.id},
        {"kind": "direct", "person": mei.id, "title": "Us"},
        group | {"title": ""},
        group | {"title": "x" * 81},
        group | {"title": " \n ", "key": client_id()},
        group | {"title": "abc\u202ecba", "key": client_id()},
        group | {"key": "short"},
        group | {"key": client_id() + "\n"},
        group | {"members": [mei.id] * 201},
    ):
        refused(await lin.call("POST", "/conversations", body), 400, "bad_request")


async def test_changing_a_group(crowd: Crowd) -> None:
    lin, mei, ada = await crowd.friends("lin", "mei", "ada")
    path = conversation_of(await crowd.group(lin, mei))

    refused(await mei.call("PATCH", path, {"title": "Coffee"}), 403, "forbidden")
    refused(await ada.call("PATCH", path, {"title": "Coffee"}), 404, "not_found")
    assert (await lin.patch(path, {"title": "Coffee"}))["title"] == "Coffee"
    assert (await lin.patch(path, {"title": "Coffee"}))["version"] == 2  # nothing has changed

    refused(await mei.call("POST", f"{path}/members", {"persons": [ada.id]}), 403, "blocked")  # no friend of hers
    assert len((await lin.post(f"{path}/members", {"persons": [ada.id, mei.id]}))["members"]) == 3
    refused(await lin.call("POST", f"{path}/members", {"persons": []}), 400, "bad_request")

    refused(await lin.call("DELETE", f"{path}/members/{lin.id}"), 409, "conflict")  # hand over first
    refused(await mei.call("PUT", f"{path}/owner", {"person": mei.id}), 403, "forbidden")
    refused(await lin.call("PUT", f"{path}/owner", {"person": lin.id}), 409, "already")
    roles = {m["person"]: m["role"] for m in (await lin.put(f"{path}/owner", {"person": ada.id}))["members"]}
    assert roles == {lin.id: "member", mei.id: "member", ada.id: "owner"}
    await lin.delete(f"{path}/members/{lin.id}")
    refused(await lin.call("GET", path), 404, "not_found")
    await ada.delete(f"{path}/members/{mei.id}")
    refused(await ada.call("DELETE", f"{path}/members/{mei.id}"), 404, "not_found")
    assert [member["person"] for member in (await ada.get(path))["members"]] == [ada.id]
    await ada.delete(f"{path}/members/{ada.id}")  # the last one turns off the light
    refused(await ada.call("GET", path), 404, "not_found")


async def test_reading_and_writing(crowd: Crowd) -> None:
    lin, mei = await crowd.friends("lin", "mei")
    path = conversation_of(await crowd.direct(lin, mei))
    message = {"id": client_id(), "kind": "message", "body": {"text": "tea?"}}
    first = await lin.call("POST", f"{path}/entries", message)
    assert (first.status, first.data["seq"], first.data["n"], first.data["id"]) == (201, 2, 1, message["id"])
    assert await lin.call("POST", f"{path}/entries", message) == first
    refused(
        await lin.call("POST", f"{path}/entries", message | {"body": {"text": "coffee?"}}), 409, "idempotency_conflict"
    )
    refused(await lin.call("POST", f"{path}/entries", message | {"kind": "created"}), 400, "bad_request")
    refused(await lin.call("POST", f"{path}/entries", message | {"by": mei.id}), 400, "bad_request")
    edit = {"id": client_id(), "kind": "edit", "body": {"text": "tea at five?"}, "ref": 2}
    assert (await lin.post(f"{path}/entries", edit))["seq"] == 3
    refused(await mei.call("POST", f"{path}/entries", edit), 403, "forbidden")

    page = await mei.get(f"{path}/entries")
    assert [entry["seq"] for entry in page["entries"]] == [1, 2, 3]
    page = await mei.get(f"{path}/entries?before=3&limit=1")
    assert ([e["seq"] for e in page["entries"]], [e["seq"] for e in page["modifiers"]]) == ([2], [3])
    page = await mei.get(f"{path}/entries?after=1&limit=1")
    assert [entry["seq"] for entry in page["entries"]] == [2]
    for query in ("before=1&after=1", "limit=0", "limit=201", "before=-1", "before=x", "colour=red"):
        refused(await mei.call("GET", f"{path}/entries?{query}"), 400, "bad_request")

    assert await mei.put(f"{path}/position", {"read": 2}) == {"read": 2, "read_n": 1, "delivered": 2}
    assert await mei.put(f"{path}/position", {"delivered": 3}) == {"read": 2, "read_n": 1, "delivered": 3}
    assert await mei.put(f"{path}/position", {"read": 1}) == {"read": 2, "read_n": 1, "delivered": 3}
    refused(await mei.call("PUT", f"{path}/position", {"read": 4}), 400, "bad_request")
    seen = (await lin.get(path))["positions"]
    assert seen == [{"person": mei.id, "read": 2, "delivered": 3}]


async def test_the_list_by_pages(crowd: Crowd) -> None:
    lin, mei = await crowd.friends("lin", "mei")
    for number in range(5):
        await crowd.group(lin, mei, title=f"Group {number}")
    assert (await mei.get("/conversations"))["next"] is None
    found: list[str] = []
    before = ""
    while True:
        page: dict[str, Any] = await mei.get(f"/conversations?limit=2{before}")
        found += [conversation["title"] for conversation in page["conversations"]]
        if page["next"] is None:
            break
        before = f"&before={page['next']}"
    assert sorted(found) == [f"Group {number}" for number in range(5)]
    for query in ("limit=0", "limit=101", "before=nonsense", "page=2"):
        refused(await mei.call("GET", f"/conversations?{query}"), 400, "bad_request")


async def test_addresses_of_no_conversation(crowd: Crowd) -> None:
    """Unknown, malformed and forbidden ones look alike."""
    lin, mei, ada = await crowd.friends("lin", "mei", "ada")
    secret = conversation_of(await crowd.direct(lin, mei))
    bodies: dict[str, tuple[str, Any]] = {
        "": ("GET", None),
        "/entries": ("GET", None),
        "/position": ("PUT", {"read": 1}),
        "/owner": ("PUT", {"person": ada.id}),
        "/members": ("POST", {"persons": [ada.id]}),
        f"/members/{ada.id}": ("DELETE", None),
    }
    for path in (
        secret,
        "/conversations/c_" + "0" * 20,
        "/conversations/c_1",
        "/conversations/%00",
        "/conversations/x",
    ):
        for rest, (method, body) in bodies.items():
            refused(await ada.call(method, path + rest, body), 404, "not_found")


async def test_too_large_a_message(crowd: Crowd) -> None:
    lin, mei = await crowd.friends("lin", "mei")
    path = conversation_of(await crowd.direct(lin, mei))
    body = {"id": client_id(), "kind": "message", "body": {"text": "x" * 70_000}}
    refused(await lin.call("POST", f"{path}/entries", body), 413, "too_large")
    refused(await lin.call("POST", f"{path}/entries", body | {"body": {"text": "x" * 200_000}}), 413, "too_large")


async def test_nobody_without_signing_in(crowd: Crowd) -> None:
    lin, mei = await crowd.friends("lin", "mei")
    path = conversation_of(await crowd.direct(lin, mei))
    stranger = Person(crowd.server, "nobody")
    for address in ("/conversations", path, f"{path}/entries"):
        refused(await stranger.call("GET", address), 401, "unauthenticated")
