"""Uploads and what they become, over HTTP (R-32)."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import msgspec
from msgspec import Meta

from handlers.operations import Call, Stream, operation
from handlers.operations import Upload as Body
from server.chat.model import ConversationId
from server.errors import Code, VouchError
from server.media import rules
from server.media.model import LARGEST, FileName, Media, MediaId, MediaKind, Upload, UploadId, UploadLimits, Variant
from server.media.service import Content
from server.principals import PEOPLE
from server.supervision.model import PledgeId

TAG = "media"
#: Seconds for which browsers keep what they have read: not for good, for what was deleted should go from there, too.
_KEPT = 86_400


class StartUploadRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """For a `conversation`, or for a `pledge`. `size` is in bytes. The name is only shown; what the content is, is
    found from the content."""

    conversation: ConversationId | None = None
    pledge: PledgeId | None = None
    kind: MediaKind
    name: FileName
    size: Annotated[int, Meta(ge=0, le=LARGEST)]


class UploadQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    offset: Annotated[int, Meta(ge=0, le=LARGEST, description="where these bytes begin")]


class CopyMediaRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For a `conversation`, or for a `pledge`."""

    conversation: ConversationId | None = None
    pledge: PledgeId | None = None


@operation("GET", "/uploads/limits", allow=PEOPLE, tag=TAG)
async def get_upload_limits(call: Call) -> UploadLimits:
    """What one may send: how large, how long, how much in all."""
    return await call.services.media.uploads.limits(call.principal)


@operation(
    "POST",
    "/uploads",
    allow=PEOPLE,
    tag=TAG,
    status=201,
    errors=(Code.NOT_FOUND, Code.CLOSED, Code.SILENCED, Code.LIMIT_REACHED, Code.TOO_OFTEN),
)
async def start_upload(call: Call, body: StartUploadRequest) -> Upload:
    """Begin to send a picture, voice, video or file to a conversation, or to a pledge: in its thread or as evidence.

    `too_large` beyond the kind's limit, `limit_reached` when one's own room or number of open uploads is used up.
    """
    services = call.services
    await services.limits.hit("start_upload", call.principal.id)
    return await services.media.begin(call.principal, _place(body), body.kind, body.name, body.size)


@operation(
    "PATCH",
    "/uploads/{id}",
    allow=PEOPLE,
    tag=TAG,
    accepts=("application/octet-stream",),
    body_limit=rules.CHUNK,
    errors=(Code.NOT_FOUND, Code.CONFLICT),
)
async def continue_upload(call: Call, id: UploadId, body: Body, query: UploadQuery) -> Upload:
    """Send the next bytes.

    All of them are kept, durably, or none. `conflict` when they do not begin where the upload stands: look at it and go
    on from its `offset`. A part has at least 64 KiB unless it is the last. The last byte starts the processing.
    """
    return await call.services.media.uploads.append(call.principal.id, id, query.offset, body.data)


@operation("GET", "/uploads/{id}", allow=PEOPLE, tag=TAG, errors=(Code.NOT_FOUND,))
async def get_upload(call: Call, id: UploadId) -> Upload:
    """See how far an upload is.

    After 24 hours without another byte it is given up. One that is `ready` must be sent in a message within seven days.
    """
    return await call.services.media.uploads.get(call.principal.id, id)


@operation("DELETE", "/uploads/{id}", allow=PEOPLE, tag=TAG, errors=(Code.NOT_FOUND, Code.CONFLICT))
async def cancel_upload(call: Call, id: UploadId) -> None:
    """Give an upload up, in any state.

    `conflict` once a message carries it.
    """
    await call.services.media.uploads.cancel(call.principal.id, id)


@operation(
    "GET",
    "/media/{id}/{variant}",
    allow=PEOPLE,
    tag=TAG,
    produces="*/*",
    also={206: "A part, as `Range` asked for.", 304: "The client has it already (`If-None-Match`)."},
    errors=(Code.NOT_FOUND, Code.RANGE_NOT_SATISFIABLE),
)
async def read_media(call: Call, id: MediaId, variant: Variant) -> Stream:
    """Read what a message carries.

    For those who may read the message, and whoever uploaded it. HEAD is answered, too; so are `Range` (one range) and
    `If-Range`. Files come as attachments of type `application/octet-stream`, whatever they hold.
    """
    content = await call.services.media.open(call.principal, id, variant)
    return Stream(content_type(content), content.size, content.etag, content.read, headers(content))


@operation(
    "POST",
    "/media/{id}/copies",
    allow=PEOPLE,
    tag=TAG,
    status=201,
    errors=(Code.NOT_FOUND, Code.CLOSED, Code.SILENCED, Code.LIMIT_REACHED, Code.TOO_OFTEN),
)
async def copy_media(call: Call, id: MediaId, body: CopyMediaRequest) -> Media:
    """Take what one can read along to another conversation or pledge, to forward it.

    It counts towards one's own room, although the bytes are shared.
    """
    await call.services.limits.hit("start_upload", call.principal.id)
    return await call.services.media.copy(call.principal, id, _place(body))


def _place(body: StartUploadRequest | CopyMediaRequest) -> str:
    place = body.conversation or body.pledge
    if place is None or (body.conversation and body.pledge):
        raise VouchError(Code.BAD_REQUEST, "Name either a conversation or a pledge.", field="conversation")
    return place


def content_type(content: Content) -> str:
    """Types that browsers show are those of what the server has made itself."""
    return "application/octet-stream" if content.kind is MediaKind.FILE else content.type


def headers(content: Content) -> dict[str, str]:
    """Nothing that people have sent is ever a page: it has no scripts, no type of its choice, and files are saved."""
    disposition = "attachment" if content.kind is MediaKind.FILE else "inline"
    return {
        "Cache-Control": f"private, max-age={_KEPT}, immutable",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Content-Disposition": f"{disposition}; {named(content.name)}" if content.name else disposition,
    }


def named(name: str) -> str:
    """The name for saving (RFC 6266): in ASCII for old programs, and whole (RFC 5987)."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in name)
    return f"filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


OPERATIONS = [
    get_upload_limits,
    start_upload,
    continue_upload,
    get_upload,
    cancel_upload,
    read_media,
    copy_media,
]
