"""Two people talk: what one does the other sees at once (R-02, DESIGN section 2)."""

from __future__ import annotations

from tests.wire.client import Crowd, conversation_of


async def test_a_message_is_acknowledged_and_arrives(crowd: Crowd) -> None:
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    from_lin, from_mei = await lin.socket(), await mei.socket()
    for socket in (from_lin, from_mei):
        answer = await socket.subscribe(ch)
        assert (answer["t"], answer["write"], answer["signal"], answer["first"]) == ("subscribed", True, True, 1)

    id = "first-message-of-all"
    ack = await from_lin.append(ch, "message", {"text": "你好, Mei"}, id=id)
    assert (ack["t"], ack["id"], ack["ch"], ack["n"]) == ("ack", id, ch, 1)

    seen = await from_mei.entry(ch, "message")
    assert seen == {
        "seq": ack["seq"],
        "n": 1,
        "at": ack["at"],
        "by": lin.id,
        "id": id,
        "kind": "message",
        "body": {"text": "你好, Mei"},
    }
    assert await from_lin.entry(ch, "message") == seen  # one's other windows learn of it this way


async def test_each_entry_has_the_next_number_for_everybody(crowd: Crowd) -> None:
    """Both write at once: both see one order, without holes (DESIGN: gapless by construction)."""
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    sockets = [await lin.socket(), await mei.socket(), await (await crowd.browser(mei)).socket()]
    heads = {(await socket.subscribe(ch))["head"] for socket in sockets}
    assert heads == {1}  # `created` is in the log before the conversation is answered for
    for number in range(30):
        for socket in sockets[:2]:
            body = {"text": f"{socket.name} {number}"}
            await socket.say("append", id=f"{socket.name}-number-{number:06}", ch=ch, kind="message", body=body)
    for socket in sockets:
        await socket.entry(ch, seq=61)
    orders = [[(entry["seq"], entry["id"]) for entry in socket.entries(ch)] for socket in sockets]
    assert orders[0] == orders[1] == orders[2]
    assert [seq for seq, _ in orders[0]] == list(range(2, 62))
    for name in ("lin", "mei"):  # what one person says stays in order
        said = [id for _, id in orders[0] if id.startswith(name)]
        assert said == sorted(said)


async def test_typing_is_shown_and_not_kept(crowd: Crowd) -> None:
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    from_lin, from_mei = await lin.socket(), await mei.socket()
    head = (await from_mei.subscribe(ch))["head"]
    for number in range(21):
        await from_lin.say("signal", ch=ch, kind="typing", body={"on": number == 20})
    signal = await from_mei.until("signal", ch=ch, body={"on": True})
    assert (signal["by"], signal["kind"]) == (lin.id, "typing")
    assert len(from_mei.heard("signal")) < 21  # of several within 100 ms only the last arrives
    assert (await from_mei.page(ch))["head"] == head


async def test_presence_tells_who_comes_and_goes(crowd: Crowd) -> None:
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    from_lin = await lin.socket()
    await from_lin.subscribe(ch)
    assert (await from_lin.until("presence", ch=ch))["online"] == [lin.id]

    first, second = await mei.socket(), await mei.socket()
    await first.subscribe(ch)
    assert (await first.until("presence", ch=ch))["online"] == sorted([lin.id, mei.id])
    await from_lin.until("presence", where=lambda frame: mei.id in frame.get("joined", []))

    await second.subscribe(ch)
    await second.until("presence", ch=ch)
    first.close()
    await first.end()
    # She is still there by her second window.
    await second.write(ch, "still here")
    await from_lin.entry(ch, "message")
    again = await lin.socket()
    await again.subscribe(ch)
    assert mei.id in (await again.until("presence", ch=ch))["online"]
    assert from_lin.heard("presence", left=[mei.id]) == []

    await second.say("unsubscribe", rid=second.rid, channels=[ch])
    await from_lin.until("presence", left=[mei.id])


async def test_positions_follow_a_person_across_devices(crowd: Crowd) -> None:
    """Reading on one device is reading on all; it never goes back (R-02)."""
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    from_lin, phone, desk = await lin.socket(), await mei.socket(), await (await crowd.browser(mei)).socket()
    for socket in (from_lin, phone, desk):
        await socket.subscribe(ch)
    last = max([await from_lin.write(ch, text) for text in ("one", "two", "three")])
    await phone.entry(ch, seq=last)

    await phone.say("position", ch=ch, read=last - 1, delivered=last)
    for socket in (from_lin, desk, phone):
        moved = await socket.until("position", ch=ch, by=mei.id)
        assert (moved["read"], moved["read_n"], moved["delivered"]) == (last - 1, 2, last)

    await desk.say("position", ch=ch, read=1)  # behind: has no effect
    await desk.say("position", ch=ch, read=last)
    assert (await phone.until("position", by=mei.id))["read"] == last
    again = await (await mei.socket()).subscribe(ch)
    assert (again["n"], again["read"], again["read_n"], again["delivered"]) == (3, last, 3, last)

    await phone.say("position", ch=ch, read=last + 1)
    assert (await phone.until("error", ch=ch))["code"] == "bad_request"  # nobody has read what is not there


async def test_history_comes_in_pages_with_its_modifiers(crowd: Crowd) -> None:
    """A page holds `[a, b)` and what later entries did to them (DESIGN section 2, Reading)."""
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    from_lin, from_mei = await lin.socket(), await mei.socket()
    numbers = [await from_lin.write(ch, f"message {number}") for number in range(10)]
    assert (await from_mei.append(ch, "reaction", {"emoji": "👍", "on": True}, ref=numbers[0]))["t"] == "ack"
    assert (await from_lin.append(ch, "edit", {"text": "message zero"}, ref=numbers[0]))["t"] == "ack"

    newest = await from_mei.page(ch, limit=4)
    assert [entry["seq"] for entry in newest["entries"]] == list(range(newest["head"] - 3, newest["head"] + 1))
    assert newest.get("modifiers", []) == []
    older = await from_mei.page(ch, before=newest["entries"][0]["seq"], limit=200)
    assert [entry["seq"] for entry in older["entries"]] == list(range(1, newest["entries"][0]["seq"]))
    assert [(entry["kind"], entry["ref"]) for entry in older["modifiers"]] == [
        ("reaction", numbers[0]),
        ("edit", numbers[0]),
    ]
    onwards = await from_mei.page(ch, after=numbers[3], limit=2)
    assert [entry["seq"] for entry in onwards["entries"]] == numbers[4:6]
    assert (await from_mei.page(ch, before=1))["entries"] == []
    assert (await from_mei.page(ch, after=newest["head"]))["entries"] == []
    assert (await from_mei.page(ch, before=3, after=1))["code"] == "bad_request"


async def test_a_program_chats_with_a_token(crowd: Crowd) -> None:
    """Programs act for whoever made their token, and need no cookie (R-01)."""
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    token = (await lin.post("/tokens", {"name": "a script"}))["token"]
    script = await lin.socket(hello=False, headers={})
    assert (await script.hello(token=token))["who"] == lin.id
    from_mei = await mei.socket()
    await from_mei.subscribe(ch)
    await script.write(ch, "said by a program")
    assert (await from_mei.entry(ch, "message"))["by"] == lin.id


async def test_a_deletion_takes_the_words_from_everywhere(crowd: Crowd) -> None:
    """Log, ring and pages: the number stays, the words go (DESIGN section 2)."""
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    from_lin, from_mei = await lin.socket(), await mei.socket()
    head = (await from_mei.subscribe(ch))["head"]
    seq = await from_lin.write(ch, "a word too many")
    # Said in one breath: the edit is not durable yet when the deletion is asked for.
    await from_lin.say("append", id="an-edit-in-a-hurry", ch=ch, kind="edit", body={"text": "three words"}, ref=seq)
    await from_lin.say("append", id="a-deletion-behind-it", ch=ch, kind="delete", body={}, ref=seq)
    await from_lin.until("ack", id="a-deletion-behind-it")
    assert (await from_mei.entry(ch, "delete"))["ref"] == seq

    late = await mei.socket()
    await late.subscribe(ch, after=head)  # from the ring
    await late.entry(ch, "delete")
    page = await late.page(ch)
    for entries in (late.entries(ch), page["entries"]):
        erased = [entry for entry in entries if entry["kind"] in ("message", "edit")]
        assert [(entry["body"], entry.get("gone")) for entry in erased] == [({}, True), ({}, True)]
    conversation = await mei.get(conversation_of(ch))
    assert conversation["last"]["body"] == {}


async def test_a_block_ends_presence_and_positions_too(crowd: Crowd) -> None:
    """R-01: who is blocked no longer sees when the other is there, or how far they have read."""
    lin, mei = await crowd.friends("lin", "mei")
    ch = await crowd.direct(lin, mei)
    from_lin, from_mei = await lin.socket(), await mei.socket()
    for socket in (from_lin, from_mei):
        await socket.subscribe(ch)
    await from_lin.until("presence", where=lambda frame: mei.id in frame.get("online", []) + frame.get("joined", []))
    await lin.put(f"/blocks/{mei.id}")
    for socket in (from_lin, from_mei):
        await socket.until("presence", online=[])
    head = (await from_lin.entry(ch, "closed"))["seq"]
    await from_lin.say("position", ch=ch, read=head)
    await from_lin.until("position", ch=ch, by=lin.id)  # one's own devices are told
    again = await lin.socket()
    await again.subscribe(ch)
    await again.fence()
    await from_mei.fence()
    assert from_mei.heard("position", by=lin.id) == []
    assert again.heard("presence") == []
