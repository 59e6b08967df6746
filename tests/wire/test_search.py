"""Searching over HTTP: who finds what, what is refused, and how often one may ask (docs/search.md)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from limits import parse

from server.limits import LIMITS
from server.people.service import People
from server.principals import Grant, Kind, Principal, Role
from tests.conftest import RunningServer
from tests.wire.client import Crowd, Person, conversation_of


async def texts(server: RunningServer, person: Person, **asked: Any) -> list[str]:
    """The texts of what somebody finds, once everything said is in the index."""
    await server.services.followers.settled()
    page = await person.get("/search?" + urlencode(asked))
    assert page["behind"] is False
    return [hit["entry"]["body"]["text"] for hit in page["hits"]]


async def test_a_hit_is_an_entry_with_its_places(server: RunningServer, crowd: Crowd) -> None:
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    socket = await mei.socket()
    await socket.write(ch, "😀 不见不散, at the Café")
    await socket.write(ch, "another")
    await server.services.followers.settled()
    page = await lin.get("/search?" + urlencode({"q": "cafe 不见"}))
    (hit,) = page["hits"]
    assert (page["next"], hit["conversation"]) == (None, ch.removeprefix("conv:"))
    assert hit["ranges"] == [{"begin": 3, "end": 5}, {"begin": 16, "end": 20}]
    (entry,) = [e for e in (await (await lin.socket()).page(ch))["entries"] if e["body"].get("text") != "another"][-1:]
    assert hit["entry"] == entry


async def test_only_ones_own_conversations(
    server: RunningServer, crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Strangers, former members, admins and whoever joined later do not find what they may not read."""
    lin, mei, ada = await crowd.friends("lin", "mei", "ada")
    ch = await crowd.group(lin, mei)
    socket = await mei.socket()
    await socket.write(ch, "between us: whisper one")
    assert await texts(server, lin, q="whisper") == ["between us: whisper one"]
    assert await texts(server, ada, q="whisper") == []
    id = ch.removeprefix("conv:")
    for other in (id, "c_" + "0" * 20):
        answer = await ada.call("GET", "/search?" + urlencode({"q": "whisper", "conversation": other}))
        assert (answer.status, answer.code) == (404, "not_found"), "one that is not theirs is as one that is not"

    admin = Principal(Kind.PERSON, ada.id, grants=(Grant(Role.ADMIN),))

    async def authenticate(self: People, token: str, ip: str = "") -> Principal | None:
        return admin

    with monkeypatch.context() as patch:
        patch.setattr(People, "authenticate_token", authenticate)
        assert await texts(server, ada, q="whisper") == []

    await lin.post(conversation_of(ch) + "/members", {"persons": [ada.id]})
    await socket.write(ch, "whisper two")
    assert await texts(server, ada, q="whisper") == ["whisper two"]
    await mei.delete(f"{conversation_of(ch)}/members/{mei.id}")
    assert await texts(server, mei, q="whisper") == []
    assert len(await texts(server, lin, q="whisper")) == 2


async def test_erased_words_are_not_found(server: RunningServer, crowd: Crowd) -> None:
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    socket = await mei.socket()
    seq = await socket.write(ch, "oversharing")
    await socket.append(ch, "edit", {"text": "sharing"}, ref=seq)
    assert await texts(server, lin, q="oversharing") == []
    assert await texts(server, lin, q="sharing") == ["sharing"]
    await socket.append(ch, "delete", {}, ref=seq)
    assert await texts(server, lin, q="sharing") == []
    await socket.write(ch, "my last word")
    await mei.delete("/me", {"password": "paper and seal"})
    await server.services.outbox.drained()
    assert await texts(server, lin, q="word") == []


async def test_questions_of_another_form(crowd: Crowd) -> None:
    (lin,) = await crowd.people("lin")
    questions: list[tuple[dict[str, Any], str]] = [
        ({}, "q"),
        ({"q": "  "}, "q"),
        ({"q": "x" * 201}, "q"),
        ({"q": "a", "kind": "poem"}, "kind"),
        ({"q": "a", "person": "lin"}, "person"),
        ({"q": "a", "conversation": "c_1"}, "conversation"),
        ({"q": "a", "from": "yesterday"}, "from"),
        ({"q": "a", "to": -1}, "to"),
        ({"q": "a", "limit": 51}, "limit"),
        ({"q": "a", "before": "somewhere"}, "before"),
        ({"q": "a", "sort": "old"}, "sort"),
    ]
    for asked, field in questions:
        answer = await lin.call("GET", "/search?" + urlencode(asked))
        assert (answer.status, answer.code) == (400, "bad_request"), asked
        assert answer.data["error"]["field"] == field, asked


async def test_asking_too_often(crowd: Crowd) -> None:
    lin, mei = await crowd.people("lin", "mei")
    most = parse(LIMITS["search"].rate).amount
    for _ in range(most):
        assert (await lin.call("GET", "/search?q=word")).status == 200
    refused = await lin.call("GET", "/search?q=word")
    assert (refused.status, refused.code) == (429, "too_often")
    assert refused.data["error"]["retry_after"] > 0
    assert (await mei.call("GET", "/search?q=word")).status == 200
