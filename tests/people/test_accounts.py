"""Accounts on the real database (R-01): registering, profile, picture, password, leaving, grants."""

from __future__ import annotations

import asyncio
import io
from datetime import timedelta
from typing import Any

import pytest
from msgspec import UNSET
from PIL import Image

from server.errors import Code, VouchError
from server.keys import Keys
from server.people import avatars
from server.people.accounts import NewAccount, ProfileChange
from server.people.model import Language
from server.principals import Grant, Role, Scope
from server.store import Tx
from tests.people.conftest import PASSWORD, World


def picture(width: int = 640, height: int = 400, form: str = "PNG", **more: Any) -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).convert("RGB").save(out, form, **more)
    return out.getvalue()


async def test_registering_signs_in(world: World) -> None:
    account = NewAccount(
        handle="Lin",
        password=PASSWORD,
        name="林 Lin",
        language=Language.CHINESE,
        birth_date="2012-05-01",
        phone="１３８ ００１３ ８０００",
    )
    me, token = await world.people.accounts.register(account, "192.0.2.1", "curl/8.0")
    assert (me.handle, me.phone, me.minor, me.grants, me.avatar) == ("lin", "+8613800138000", True, (), None)
    principal = await world.people.authenticate_session(token)
    assert principal is not None
    assert await world.people.accounts.me(principal.id) == me
    sessions = await world.people.sessions.all_of(me.id, principal.session)
    assert [(s.name, s.current) for s in sessions] == [("curl", True)]


async def test_neither_phone_nor_password_can_be_read_in_the_database(world: World) -> None:
    await world.join("lin", phone="13800138000")
    row = await world.store.collection("people").find_one({"handle": "lin"})
    assert row is not None
    assert "13800138000" not in str(row)
    assert b"13800138000" not in bytes(row["phone"])
    assert row["password"].startswith("$argon2id$")


async def test_a_phone_moved_to_another_document_does_not_open(world: World) -> None:
    from cryptography.exceptions import InvalidTag

    await world.join("lin", phone="13800138000")
    eve = await world.join("eve", phone="13900139000")
    people = world.store.collection("people")
    row = await people.find_one({"handle": "lin"})
    assert row is not None
    await people.update_one({"_id": eve.id}, {"$set": {"phone": row["phone"]}})
    with pytest.raises(InvalidTag):
        await world.people.accounts.me(eve.id)


async def test_handle_and_phone_belong_to_one_person(world: World) -> None:
    await world.join("lin", phone="13800138000")
    for more, code, field in (
        ({"handle": "LIN"}, Code.HANDLE_TAKEN, "handle"),
        ({"handle": "ＬＩＮ"}, Code.HANDLE_TAKEN, "handle"),
        ({"handle": "eve", "phone": "+86 138 0013 8000"}, Code.PHONE_TAKEN, "phone"),
    ):
        with pytest.raises(VouchError) as caught:
            await world.join(more.pop("handle"), name="X", **more)
        assert (caught.value.code, caught.value.field) == (code, field)
    assert await world.store.collection("sessions").find({}).to_list(None) != []


async def test_the_race_for_a_handle_has_one_winner(world: World) -> None:
    results = await asyncio.gather(*(world.join("lin") for _ in range(5)), return_exceptions=True)
    assert sum(not isinstance(result, BaseException) for result in results) == 1
    assert {r.code for r in results if isinstance(r, VouchError)} == {Code.HANDLE_TAKEN}


async def test_registrations_from_one_address_are_limited(world: World) -> None:
    for number in range(20):
        await world.join(f"lin{number}")
    with pytest.raises(VouchError, match="too_often"):
        await world.join("one.more")


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"handle": "x"}, "handle"),
        ({"password": "short"}, "password"),
        ({"password": "password"}, "password"),
        ({"password": "lin.lin.lin", "handle": "lin.lin.lin"}, "password"),
        ({"name": "\u202e"}, "name"),
        ({"birth_date": "2999-01-01"}, "birth_date"),
        ({"phone": "123"}, "phone"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
    ],
)
async def test_what_is_not_proper_is_refused_with_its_field(world: World, more: dict[str, str], field: str) -> None:
    with pytest.raises(VouchError) as caught:
        await world.join(more.pop("handle", "lin"), **more)
    assert (caught.value.code, caught.value.field) == (Code.BAD_REQUEST, field)


# ── The profile ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_only_what_is_given_changes(world: World) -> None:
    me = await world.join("lin", phone="13800138000", birth_date="1990-01-01")
    changed = await world.people.accounts.change(
        me.id, ProfileChange(name="Lin Xiaomei", introduction="Reads\nat night."), "192.0.2.1"
    )
    assert (changed.name, changed.introduction) == ("Lin Xiaomei", "Reads\nat night.")
    assert (changed.handle, changed.phone, changed.birth_date) == ("lin", "+8613800138000", "1990-01-01")
    change = ProfileChange(
        handle="lin.xm", language=Language.CHINESE, time_zone="Europe/London", birth_date=None, phone=None
    )
    changed = await world.people.accounts.change(me.id, change, "192.0.2.1")
    assert (changed.handle, changed.phone, changed.birth_date) == ("lin.xm", None, None)
    assert (changed.language, changed.time_zone) == (Language.CHINESE, "Europe/London")
    await world.join("eve", phone="13800138000")  # number and handle are free again
    await world.join("lin")


async def test_friends_hear_of_a_new_face_and_not_of_a_new_time_zone(world: World) -> None:
    lin, chen = await world.join("lin"), await world.join("chen")
    await world.befriend(lin.id, chen.id)
    await world.news(lin.id), await world.news(chen.id)
    await world.people.accounts.change(lin.id, ProfileChange(name="Lin Two"), "192.0.2.1")
    assert await world.news(chen.id) == [("profile_changed", {"person": lin.id})]
    assert await world.news(lin.id) == [("profile_changed", {"person": lin.id})]
    await world.people.accounts.change(lin.id, ProfileChange(time_zone="UTC"), "192.0.2.1")
    assert await world.news(chen.id) == []
    assert len(await world.news(lin.id)) == 1
    await world.people.accounts.change(lin.id, ProfileChange(time_zone="UTC"), "192.0.2.1")
    assert await world.news(lin.id) == []  # nothing has changed


async def test_a_taken_handle_or_phone_cannot_be_taken_over(world: World) -> None:
    lin = await world.join("lin")
    await world.join("chen", phone="13800138000")
    for change, code in (
        (ProfileChange(handle="chen"), Code.HANDLE_TAKEN),
        (ProfileChange(phone="13800138000"), Code.PHONE_TAKEN),
    ):
        with pytest.raises(VouchError) as caught:
            await world.people.accounts.change(lin.id, change, "192.0.2.1")
        assert caught.value.code is code
    assert UNSET is ProfileChange().phone


# ── The picture ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
async def test_a_picture_becomes_a_square_webp_without_metadata(world: World, form: str) -> None:
    lin = await world.join("lin")
    exif = Image.Exif()
    exif[0x010E] = "Where I live: 31.2304 N 121.4737 E"
    me = await world.people.accounts.put_avatar(lin.id, picture(form=form, exif=exif))
    assert me.avatar is not None
    _, _, rest = me.avatar.partition(f"/api/v1/people/{lin.id}/avatar/")
    stored = await world.people.directory.avatar(lin.id, rest)
    assert b"Where I live" not in stored
    with Image.open(io.BytesIO(stored)) as image:
        assert (image.format, image.size) == ("WEBP", (avatars.SIDE, avatars.SIDE))
        assert not image.getexif()
    again = await world.people.accounts.put_avatar(lin.id, picture(10, 10))
    assert again.avatar != me.avatar
    with pytest.raises(VouchError, match="not_found"):
        await world.people.directory.avatar(lin.id, rest)
    assert (await world.people.accounts.delete_avatar(lin.id)).avatar is None
    assert await world.store.collection("avatars").find_one({}) is None


@pytest.mark.parametrize(
    "data",
    [b"", b"not a picture", picture()[:200], picture(form="GIF"), b"<svg xmlns='http://www.w3.org/2000/svg'/>"],
    ids=["empty", "text", "cut", "gif", "svg"],
)
async def test_what_is_no_picture_is_refused(world: World, data: bytes) -> None:
    lin = await world.join("lin")
    with pytest.raises(VouchError) as caught:
        await world.people.accounts.put_avatar(lin.id, data)
    assert caught.value.code is Code.BAD_REQUEST


def test_too_large_pictures_are_refused() -> None:
    with pytest.raises(VouchError, match="too_large"):
        avatars.encode(b"x" * (avatars.LARGEST + 1))
    for side in (6_500, 14_000):  # 42 megapixels; more than Pillow itself would read
        out = io.BytesIO()
        Image.new("1", (side, side)).save(out, "PNG")
        with pytest.raises(VouchError, match="too_large"):
            avatars.encode(out.getvalue())


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_pictures_of_all_modes_are_read(mode: str) -> None:
    out = io.BytesIO()
    Image.linear_gradient("L").convert(mode).save(out, "PNG")
    assert avatars.encode(out.getvalue())[8:12] == b"WEBP"


def test_printers_pictures_are_read() -> None:
    out = io.BytesIO()
    Image.linear_gradient("L").convert("CMYK").save(out, "JPEG")
    assert avatars.encode(out.getvalue())[8:12] == b"WEBP"


def test_a_picture_stands_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to see it upright
    out = io.BytesIO()
    image = Image.new("RGB", (64, 64), "white")
    image.paste("black", (0, 0, 64, 32))  # dark above, so dark on the right when upright
    image.save(out, "JPEG", exif=exif)
    with Image.open(io.BytesIO(avatars.encode(out.getvalue()))) as turned:
        grey = turned.convert("L").tobytes()
    middle = grey[128 * avatars.SIDE :][: avatars.SIDE]
    assert middle[250] < 60
    assert middle[5] > 200


# ── The password ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_new_password_ends_all_other_sign_ins(world: World) -> None:
    me = await world.join("lin")
    _, mine, token = await world.people.sessions.sign_in("lin", PASSWORD, "192.0.2.1", "")
    robot, _ = await world.people.sessions.create_token(me.id, "Robot", "192.0.2.1")
    with pytest.raises(VouchError, match="wrong_credentials"):
        await world.people.accounts.change_password(me.id, mine.id, "not this", "another good one")
    with pytest.raises(VouchError) as caught:
        await world.people.accounts.change_password(me.id, mine.id, PASSWORD, "password")
    assert caught.value.field == "new"
    await world.people.accounts.change_password(me.id, mine.id, PASSWORD, "another good one")
    assert await world.people.authenticate_session(token) is not None
    assert await world.people.authenticate_token(robot) is None
    ended = [body for kind, body in await world.news(me.id) if kind == "session_ended"]
    assert len(ended) == 1
    assert len(ended[0]["sessions"]) == 2
    await world.people.sessions.sign_in("lin", "another good one", "192.0.2.1", "")
    with pytest.raises(VouchError, match="wrong_credentials"):
        await world.people.sessions.sign_in("lin", PASSWORD, "192.0.2.1", "")


async def test_the_password_cannot_be_tried_by_who_sits_at_the_screen(world: World) -> None:
    me = await world.join("lin")
    for _ in range(10):
        with pytest.raises(VouchError, match="wrong_credentials"):
            await world.people.accounts.delete(me.id, "guess")
    with pytest.raises(VouchError, match="too_often"):
        await world.people.accounts.delete(me.id, PASSWORD)


# ── Leaving ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_deleting_scrubs_the_words_and_keeps_the_number(world: World) -> None:
    me = await world.join("lin", phone="13800138000", birth_date="1990-01-01")
    chen, eve = await world.join("chen"), await world.join("eve")
    await world.befriend(me.id, chen.id)
    await world.people.friends.block(eve.id, me.id)
    await world.people.accounts.put_avatar(me.id, picture())
    await world.people.grant(me.id, Grant(Role.STAFF), "system")
    _, _, token = await world.people.sessions.sign_in("lin", PASSWORD, "192.0.2.1", "")
    deleted: list[str] = []

    async def hook(tx: Tx, person: str) -> None:
        deleted.append(person)

    world.people.on_delete(hook)
    await world.news(chen.id)
    with pytest.raises(VouchError, match="wrong_credentials"):
        await world.people.accounts.delete(me.id, "wrong password")
    await world.people.accounts.delete(me.id, PASSWORD)

    assert deleted == [me.id]
    row = await world.store.collection("people").find_one({"_id": me.id})
    assert row is not None
    assert {name for name, value in row.items() if value} == {
        "_id",
        "language",
        "time_zone",
        "created_at",
        "deleted_at",
        "version",
        "held",  # how often a transaction has held it
    }
    card = (await world.people.cards([me.id]))[me.id]
    assert (card.name, card.handle, card.avatar, card.introduction) == ("", "", None, "")
    assert await world.people.authenticate_session(token) is None
    assert await world.store.collection("avatars").find_one({}) is None
    assert await world.store.collection("grants").find_one({}) is None
    assert await world.news(chen.id) == [("friend_removed", {"person": me.id, "by": me.id})]
    assert (await world.people.friends.all_of(chen.id)).friends == []
    assert (await world.people.friends.all_of(eve.id)).blocked == []
    assert "session_ended" in {kind for kind, _ in await world.news(me.id)}
    for again in (world.people.accounts.me(me.id), world.people.accounts.delete(me.id, PASSWORD)):
        with pytest.raises(VouchError, match="unauthenticated"):
            await again
    with pytest.raises(VouchError, match="unauthenticated"):
        await world.people.accounts._update(me.id, lambda person: person)
    await world.join("lin", phone="13800138000")


# ── Grants ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_first_admin_is_made_on_the_command_line(world: World) -> None:
    admin = await world.people.create_admin("root.user", "a long enough one")
    _, _, token = await world.people.sessions.sign_in("root.user", "a long enough one", "192.0.2.1", "")
    principal = await world.people.authenticate_session(token)
    assert principal is not None
    assert principal.id == admin
    assert principal.has(Role.STAFF, Scope.SCHOOL, "any")
    with pytest.raises(VouchError, match="handle_taken"):
        await world.people.create_admin("root.user", "a long enough one")


async def test_roles_are_given_and_taken(world: World) -> None:
    me = await world.join("lin")
    manager = Grant(Role.MANAGER, Scope.SCHOOL, "s1")
    await world.people.grant(me.id, manager, "system")
    await world.people.grant(me.id, manager, "system")
    assert (await world.people.accounts.me(me.id)).grants == (manager,)
    assert await world.people.revoke(me.id, manager)
    assert not await world.people.revoke(me.id, manager)
    with pytest.raises(VouchError, match="not_found"):
        await world.people.grant("p_nobody", manager, "system")


async def test_a_minor_grows_up(world: World, keys: Keys) -> None:
    born = (world.clock.now() - timedelta(days=18 * 365)).date().isoformat()
    me = await world.join("lin", birth_date=born)
    assert me.minor
    world.clock.ahead = timedelta(days=10)
    assert not (await world.people.accounts.me(me.id)).minor
