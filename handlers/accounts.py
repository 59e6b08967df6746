"""Operations on accounts: registering, one's own profile and picture, the password, leaving."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from handlers.operations import Binary, Call, Upload, operation
from server.errors import Code
from server.people import avatars
from server.people.accounts import DEFAULT_TIME_ZONE, NewAccount, ProfileChange
from server.people.model import Language, Me, PersonId
from server.principals import ANYBODY, IN_PERSON, PEOPLE

TAG = "accounts"

Handle = Annotated[str, Meta(max_length=64, description="3–32 of a–z, 0–9, _ and ., starting with a letter")]
Password = Annotated[str, Meta(max_length=1024, description="8–256 characters, none of the commonest")]
Name = Annotated[str, Meta(max_length=480, description="1–60 characters as a reader counts them, on one line")]
Introduction = Annotated[str, Meta(max_length=1000, description="at most 500 characters")]
TimeZone = Annotated[str, Meta(max_length=64, description="an IANA name such as Asia/Shanghai")]
BirthDate = Annotated[str, Meta(max_length=10, description="YYYY-MM-DD")]
Phone = Annotated[str, Meta(max_length=40, description="any usual form; without a country code it is Chinese (+86)")]
AvatarVersion = Annotated[str, Meta(pattern=r"^[0-9a-f]{24}$")]


class RegisterRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`language` is by default that of the browser."""

    handle: Handle
    password: Password
    name: Name
    language: Language | None = None
    time_zone: TimeZone = DEFAULT_TIME_ZONE
    birth_date: BirthDate | None = None
    phone: Phone | None = None


class ChangeMeRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is left out stays; null takes the birth date or the phone number away."""

    handle: Handle | UnsetType = UNSET
    name: Name | UnsetType = UNSET
    introduction: Introduction | UnsetType = UNSET
    language: Language | UnsetType = UNSET
    time_zone: TimeZone | UnsetType = UNSET
    birth_date: BirthDate | UnsetType | None = UNSET
    phone: Phone | UnsetType | None = UNSET


class ChangePasswordRequest(msgspec.Struct, forbid_unknown_fields=True):
    current: Password
    new: Password


class DeleteMeRequest(msgspec.Struct, forbid_unknown_fields=True):
    password: Password


def preferred_language(accept: str) -> Language:
    """Chinese when the browser asks for it before English, else English."""
    first = next((tag for part in accept.split(",") if (tag := part.strip().lower()[:2]) in ("zh", "en")), "en")
    return Language.CHINESE if first == "zh" else Language.ENGLISH


@operation(
    "POST",
    "/registrations",
    allow=ANYBODY,
    tag=TAG,
    status=201,
    errors=(Code.HANDLE_TAKEN, Code.PHONE_TAKEN, Code.TOO_OFTEN, Code.TRY_LATER),
)
async def register(call: Call, body: RegisterRequest) -> Me:
    """Make an account and sign in.

    Sets the session cookie. Handles are folded to small letters and unique. At most 20 registrations an hour come
    from one address.
    """
    account = NewAccount(
        handle=body.handle,
        password=body.password,
        name=body.name,
        language=body.language or preferred_language(call.languages),
        time_zone=body.time_zone,
        birth_date=body.birth_date,
        phone=body.phone,
    )
    me, token = await call.services.people.accounts.register(account, call.ip, call.user_agent, call.browser)
    call.start_session(token)
    return me


@operation("GET", "/me", allow=PEOPLE, tag=TAG)
async def get_me(call: Call) -> Me:
    """One's own account.

    Also when it answers 401, it sets the `_xsrf` cookie that a browser needs for its first request that changes
    something.
    """
    return await call.services.people.accounts.me(call.principal.id)


@operation(
    "PATCH",
    "/me",
    allow=PEOPLE,
    tag=TAG,
    errors=(Code.HANDLE_TAKEN, Code.PHONE_TAKEN, Code.GUARDIAN_NEEDED, Code.TOO_OFTEN, Code.STALE),
)
async def change_me(call: Call, body: ChangeMeRequest) -> Me:
    """Change one's profile.

    Friends are told of a new name, handle or picture. A minor does not change their birth date (`guardian_needed`):
    staff correct it.
    """
    change = ProfileChange(
        handle=body.handle,
        name=body.name,
        introduction=body.introduction,
        language=body.language,
        time_zone=body.time_zone,
        birth_date=body.birth_date,
        phone=body.phone,
    )
    return await call.services.people.accounts.change(call.principal.id, change, call.ip)


@operation(
    "PUT",
    "/me/avatar",
    allow=PEOPLE,
    tag=TAG,
    body_limit=avatars.LARGEST,
    accepts=avatars.CONTENT_TYPES,
    errors=(Code.TOO_OFTEN, Code.STALE),
)
async def put_avatar(call: Call, body: Upload) -> Me:
    """Set one's picture.

    The raw bytes of a PNG, JPEG or WebP of at most 2 MiB and 40 megapixels. It is cropped to a square and re-encoded
    to 256 × 256 WebP; nothing of the original file, and so no place and no camera, is kept.
    """
    return await call.services.people.accounts.put_avatar(call.principal.id, body.data)


@operation("DELETE", "/me/avatar", allow=PEOPLE, tag=TAG, errors=(Code.STALE,))
async def delete_avatar(call: Call) -> Me:
    """Take one's picture away."""
    return await call.services.people.accounts.delete_avatar(call.principal.id)


@operation(
    "GET",
    "/people/{person}/avatar/{version}",
    allow=PEOPLE,
    tag=TAG,
    produces="image/webp",
    errors=(Code.NOT_FOUND,),
)
async def get_avatar(call: Call, person: PersonId, version: AvatarVersion) -> Binary:
    """A person's picture.

    Its address comes from a card and never shows another picture, so it may be kept for good.
    """
    data = await call.services.people.directory.avatar(person, version)
    return Binary("image/webp", data, {"Cache-Control": "private, max-age=31536000, immutable"})


@operation(
    "PUT",
    "/me/password",
    allow=IN_PERSON,
    tag=TAG,
    errors=(Code.WRONG_CREDENTIALS, Code.TOO_OFTEN, Code.TRY_LATER, Code.STALE),
)
async def change_password(call: Call, body: ChangePasswordRequest) -> None:
    """Change one's password.

    Ends all other sign-ins, also those of programs.
    """
    principal = call.principal
    await call.services.people.accounts.change_password(principal.id, principal.session, body.current, body.new)


@operation(
    "DELETE",
    "/me",
    allow=IN_PERSON,
    tag=TAG,
    errors=(Code.WRONG_CREDENTIALS, Code.TOO_OFTEN, Code.TRY_LATER, Code.STALE, Code.MONEY_LEFT),
)
async def delete_me(call: Call, body: DeleteMeRequest) -> None:
    """Delete one's account for good.

    Name, handle, introduction, picture, birth date, phone and friendships are erased, every sign-in ends. The id
    stays: what was written in conversations is then by somebody deleted. Refused while there is money in the wallet or
    a payment under way: what has moved stays in the books, by the id alone.
    """
    await call.services.people.accounts.delete(call.principal.id, body.password)
    call.end_session()


OPERATIONS = [
    register,
    get_me,
    change_me,
    put_avatar,
    delete_avatar,
    get_avatar,
    change_password,
    delete_me,
]
