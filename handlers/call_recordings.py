"""Operations on recordings of calls: consent, lists, what was recorded, deleting it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from handlers.calls import ON_CHANGE
from handlers.operations import Call, Stream, operation
from server.calls.model import CallId, RecordingId
from server.calls.views import CallView, RecordingList, SetRecording
from server.errors import Code
from server.principals import IN_PERSON, PEOPLE

TAG = "calls"

#: It is nobody else's business, and never a page.
_HEADERS = {
    "Cache-Control": "private, no-cache",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Content-Disposition": 'attachment; filename="call.mkv"',
}

FileNumber = Annotated[int, Meta(ge=0, le=100)]


@operation("POST", "/calls/{id}/recording", allow=IN_PERSON, tag=TAG, errors=(*ON_CHANGE, Code.TOO_OFTEN))
async def record_call(call: Call, id: CallId, body: SetRecording) -> CallView:
    """Ask for a recording, agree to it, or refuse and withdraw.

    It starts when everybody in the call has agreed, and ends at once when one does not any more. Whoever joins while it
    is on has to agree as well: it stops until all have.
    """
    calls = call.services.calls
    return await calls.view(await calls.recordings.consent(call.principal, id, body.on), call.principal)


@operation("GET", "/calls/{id}/recordings", allow=PEOPLE, tag=TAG, errors=(Code.NOT_FOUND,))
async def list_recordings(call: Call, id: CallId) -> RecordingList:
    """The call's recordings that one is in."""
    return await call.services.calls.recordings.of(call.principal, id)


@operation(
    "GET",
    "/recordings/{id}/files/{n}",
    allow=PEOPLE,
    tag=TAG,
    errors=(Code.NOT_FOUND, Code.RANGE_NOT_SATISFIABLE),
    also={206: "A part, as `Range` asked for.", 304: "The client has it already (`If-None-Match`)."},
    produces="video/x-matroska",
)
async def read_recording(call: Call, id: RecordingId, n: FileNumber) -> Stream:
    """What one person said and showed: one of those recorded may read it, whole or in part."""
    content = await call.services.calls.recordings.read(call.principal, id, n)
    return Stream("video/x-matroska", content.size, content.etag, content.read, _HEADERS)


@operation("DELETE", "/recordings/{id}", allow=IN_PERSON, tag=TAG, errors=(Code.NOT_FOUND, Code.CONFLICT))
async def delete_recording(call: Call, id: RecordingId) -> None:
    """Delete a recording that has ended, for everybody: any of those recorded may."""
    await call.services.calls.recordings.delete(call.principal, id)


OPERATIONS = [record_call, list_recordings, read_recording, delete_recording]
