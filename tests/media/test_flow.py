"""The whole way: begun, sent, made ready, carried by a message, read by its members, forwarded, gone with it."""

from __future__ import annotations

import msgspec
import pytest

from server.errors import Code, VouchError
from server.media.model import Media, Variant
from server.principals import Grant, Kind, Principal, Role
from tests.conftest import RunningServer
from tests.handlers.conftest import PASSWORD
from tests.media import samples
from tests.media.conftest import Gather, direct, group, header, nothing_is_left
from tests.wire.client import client_id


async def test_a_picture_arrives(gather: Gather) -> None:
    lin, emma = await gather("lin", "emma")
    room = await direct(lin, emma)
    facts = await lin.ready(room, "picture", samples.jpeg(2000, 1500), "holiday.jpg")
    assert (facts["kind"], facts["name"], facts["type"]) == ("picture", "holiday.jpg", "image/jpeg")
    assert (facts["width"], facts["height"]) == (2000, 1500)
    assert 20 < len(facts["blur"]) <= 36
    assert (await emma.read(facts["id"])).code == "not_found"  # not before it is sent
    sent = await lin.send(room, facts)
    assert sent.status == 201, sent.data

    main = await emma.read(facts["id"])
    assert len(main.data) == facts["size"] == int(header(main, "Content-Length"))
    assert samples.opened(main.data).size == (2000, 1500)
    for variant, side in (("preview", 1280), ("thumb", 320)):
        smaller = await emma.read(facts["id"], variant)
        assert header(smaller, "Content-Type") == "image/webp"
        assert max(samples.opened(smaller.data).size) == side
    assert (await emma.read(facts["id"], "poster")).code == "not_found"
    page = (await emma.get(f"/conversations/{room}/entries")).json
    assert page["entries"][-1]["body"]["media"] == [facts]


async def test_a_voice_and_a_clip_arrive(gather: Gather) -> None:
    lin, emma = await gather("lin", "emma")
    room = await direct(lin, emma)
    voice = await lin.ready(room, "voice", samples.voice(1.5, "webm", "libopus"))
    clip = await lin.ready(room, "video", samples.film(1.0))
    assert (voice["type"], len(voice["levels"])) == ("audio/mp4", 64)
    assert (clip["type"], clip["width"], clip["height"]) == ("video/mp4", 320, 240)
    assert (await lin.send(room, voice, clip)).status == 201
    assert header(await emma.read(voice["id"]), "Content-Type") == "audio/mp4"
    assert header(await emma.read(clip["id"], "poster"), "Content-Type") == "image/webp"


async def test_only_what_one_uploaded_for_this_conversation_is_carried_once(gather: Gather) -> None:
    lin, emma = await gather("lin", "emma")
    room, other = await direct(lin, emma), await group(lin, emma)
    one, two = [await lin.ready(room, "file", content) for content in (b"one", b"two")]
    wrong = [
        (emma, room, [one], "not_found"),  # somebody else's
        (lin, other, [one], "not_found"),  # for another conversation
        (lin, room, [one | {"name": "two.exe"}], "bad_request"),  # not word for word
        (lin, room, [one | {"size": one["size"] + 1}], "bad_request"),
        (lin, room, [one, one], "not_found"),  # twice
        (lin, room, [one | {"id": "m_" + "0" * 26}], "not_found"),  # what does not exist
    ]
    for who, where, things, code in wrong:
        assert (await who.send(where, *things)).code == code
    id = client_id()
    first = await lin.send(room, one, two, id=id)
    again = await lin.send(room, one, two, id=id)  # the acknowledgement was lost
    assert (first.status, again.json) == (201, first.json)
    for things in ([one], [two, one]):
        assert (await lin.send(room, *things)).code == "conflict"
    upload = (await lin.upload(room, "file", b"three"))["id"]
    assert (await lin.call("DELETE", f"/uploads/{upload}")).status == 204
    assert (await lin.get(f"/uploads/{upload}")).code == "not_found"


async def test_a_refused_message_claims_nothing(gather: Gather, server: RunningServer) -> None:
    """All of it is bound to a message or none."""
    lin, emma = await gather("lin", "emma")
    room = await direct(lin, emma)
    one, two = [await lin.ready(room, "file", content) for content in (b"one", b"two")]
    assert (await lin.send(room, two)).status == 201
    assert (await lin.send(room, one, two)).code == "conflict"
    assert (await lin.send(room, one)).status == 201


async def test_members_read_from_their_first_entry_on(gather: Gather) -> None:
    lin, emma, tom = await gather("lin", "emma", "tom")
    room = await group(lin, emma)
    before = await lin.ready(room, "file", b"before")
    assert (await lin.send(room, before)).status == 201
    assert (await tom.read(before["id"])).code == "not_found"
    await lin.post(f"/conversations/{room}/members", {"persons": [tom.id]})
    after = await lin.ready(room, "file", b"after")
    assert (await lin.send(room, after)).status == 201
    assert (await tom.read(after["id"])).data == b"after"
    assert (await tom.read(before["id"])).code == "not_found"
    assert (await emma.read(before["id"])).data == b"before"
    await lin.call("DELETE", f"/conversations/{room}/members/{emma.id}")
    assert (await emma.read(before["id"])).code == "not_found"


async def test_forwarding_shares_the_contents_until_the_last_one_goes(gather: Gather, server: RunningServer) -> None:
    lin, emma, tom = await gather("lin", "emma", "tom")
    room, other = await direct(lin, emma), await group(lin, emma)
    facts = await lin.ready(room, "picture", samples.png())
    seq = (await lin.send(room, facts)).json["seq"]
    assert (await tom.post(f"/media/{facts['id']}/copies", {"conversation": other})).code == "not_found"
    copied = await emma.post(f"/media/{facts['id']}/copies", {"conversation": other})
    assert copied.status == 201, copied.data
    copy = copied.json
    assert copy["id"] != facts["id"]
    assert copy == facts | {"id": copy["id"]}
    assert (await emma.send(other, copy)).status == 201

    deleted = {"id": client_id(), "kind": "delete", "body": {}, "ref": seq}
    assert (await lin.post(f"/conversations/{room}/entries", deleted)).status == 201
    assert (await emma.read(facts["id"])).code == "not_found"
    assert (await lin.read(facts["id"])).code == "not_found"
    await server.services.media.janitor.rounds.done.wait()
    assert (await lin.read(copy["id"])).status == 200
    await emma.call("DELETE", "/me", {"password": PASSWORD})
    await server.services.conversations.erasure.rounds.done.wait()
    assert (await lin.read(copy["id"])).code == "not_found"
    await nothing_is_left(server, lin)


async def test_what_a_deleted_account_never_sent_goes_too(gather: Gather, server: RunningServer) -> None:
    lin, emma = await gather("lin", "emma")
    room = await direct(lin, emma)
    await lin.ready(room, "file", b"never sent")
    begun = (await lin.begin_upload(room, "file", 200_000)).json["id"]
    await lin.patch(begun, 0, bytes(100_000))
    await lin.call("DELETE", "/me", {"password": PASSWORD})
    await nothing_is_left(server)


async def test_losing_the_race_with_the_follower_hides_nothing(gather: Gather, server: RunningServer) -> None:
    """Whoever has the message may read what it carries at once, also before anybody noted its number."""
    lin, emma = await gather("lin", "emma")
    room = await direct(lin, emma)
    facts = await lin.ready(room, "file", b"at once")
    id = client_id()
    media = server.services.media
    await media.claim(lin.id, room, id, [msgspec.convert(facts, Media)])
    assert (await emma.read(facts["id"])).code == "not_found"
    assert (await lin.send(room, facts, id=id)).status == 201
    await server.services.followers.settled()
    await server.services.store.collection("media").update_one({"_id": facts["id"]}, {"$unset": {"seq": ""}})
    assert (await emma.read(facts["id"])).data == b"at once"


async def test_nobody_uploads_where_they_may_not_write(gather: Gather) -> None:
    lin, emma, tom = await gather("lin", "emma", "tom")
    room = await direct(lin, emma)
    assert (await tom.begin_upload(room, "file", 5)).code == "not_found"
    assert (await lin.begin_upload("c_" + "0" * 20, "file", 5)).code == "not_found"
    await emma.call("PUT", f"/blocks/{lin.id}")
    assert (await lin.begin_upload(room, "file", 5)).code == "closed"


async def test_somebody_elses_upload_is_not_there(gather: Gather) -> None:
    lin, emma = await gather("lin", "emma")
    room = await direct(lin, emma)
    upload = (await lin.begin_upload(room, "file", 5)).json["id"]
    assert (await emma.get(f"/uploads/{upload}")).code == "not_found"
    assert (await emma.patch(upload, 0, b"12345")).code == "not_found"
    assert (await emma.call("DELETE", f"/uploads/{upload}")).code == "not_found"
    assert (await lin.patch(upload, 0, b"12345")).status == 200


async def test_an_admin_does_not_read_along(gather: Gather, server: RunningServer) -> None:
    lin, emma = await gather("lin", "emma")
    room = await direct(lin, emma)
    facts = await lin.ready(room, "file", b"between us")
    await lin.send(room, facts)
    admin = Principal(Kind.PERSON, "p_" + "9" * 20, grants=(Grant(Role.ADMIN),))
    with pytest.raises(VouchError) as refusal:
        await server.services.media.open(admin, facts["id"], Variant.MAIN)
    assert refusal.value.code is Code.NOT_FOUND
