"""How much one person may send, and how many sockets they may hold; repeats and others are not hindered."""

from __future__ import annotations

from limits import parse

from server.limits import LIMITS
from server.realtime.protocol import Close
from server.realtime.roster import MAX_CONNECTIONS_EACH
from tests.wire.client import Crowd


async def test_sending_too_often(crowd: Crowd) -> None:
    """The limit is a person's, not a socket's; the refusal says when to come back; nothing is half done."""
    most = parse(LIMITS["send"].rate).amount
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    phone, desk, from_mei = await lin.socket(), await (await crowd.browser(lin)).socket(), await mei.socket()
    await from_mei.subscribe(ch)
    sent = {f"a-number-of-many-{number:04}": (phone, desk)[number % 2] for number in range(most + 20)}
    for id, socket in sent.items():
        await socket.say("append", id=id, ch=ch, kind="message", body={"text": id})
    answers = [await socket.until("ack", "error", id=id) for id, socket in sent.items()]
    accepted = {answer["id"] for answer in answers if answer["t"] == "ack"}
    assert len(accepted) == most
    for answer in answers:
        if answer["t"] == "error":
            assert answer["code"] == "too_often"
            assert answer["retry_after"] > 0
    await from_mei.write(ch, "I may")  # others have a limit of their own

    first = answers[0]
    again = await phone.append(ch, "message", {"text": first["id"]}, id=first["id"])
    assert again == first  # a repeat is no message
    kept = {entry["id"] for entry in (await from_mei.page(ch, limit=200))["entries"] if entry["by"] == lin.id}
    assert kept <= accepted


async def test_too_many_sockets_of_one_person(crowd: Crowd) -> None:
    lin, mei = await crowd.people("lin", "mei")
    sockets = [await lin.socket() for _ in range(MAX_CONNECTIONS_EACH)]
    surplus = await lin.socket(hello=False)
    await surplus.say("hello", v=1)
    assert (await surplus.until("bye"))["retry_after"] > 0
    assert await surplus.end() == Close.TOO_MANY_CONNECTIONS
    await (await mei.socket()).fence()

    sockets[0].close()
    await sockets[0].end()
    await (await lin.socket()).fence()  # one has made room
