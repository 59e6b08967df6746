"""Live proofs over HTTP (R-14, R-16)."""

from __future__ import annotations

from handlers.media import content_type, headers
from handlers.operations import LARGEST_BODY, Call, Stream, Upload, operation
from server.calls.model import CallId
from server.errors import Code
from server.principals import ANYBODY, IN_PERSON, PEOPLE
from server.proofs.model import (
    AskNonce,
    CallProofs,
    NonceView,
    ProofId,
    ProofView,
    ShareLocation,
    TakePhoto,
    Verified,
)
from server.supervision.model import PledgeId

TAG = "proofs"
#: bytes of a file that is verified
VERIFIED_MOST = LARGEST_BODY
_ON_ADDING = (Code.NOT_FOUND, Code.CLOSED, Code.LIMIT_REACHED, Code.TOO_OFTEN)


@operation("POST", "/pledges/{id}/photos/nonces", allow=IN_PERSON, tag=TAG, status=201, errors=_ON_ADDING)
async def ask_photo_nonce(call: Call, id: PledgeId, body: AskNonce) -> NonceView:
    """Begin a live photo: a code for one picture, to be taken within a minute.

    For whoever may add evidence to the pledge now.
    """
    return await call.services.proofs.ask(call.principal.id, call.principal.session, id, body)


@operation(
    "POST",
    "/pledges/{id}/photos",
    allow=IN_PERSON,
    tag=TAG,
    status=201,
    body_limit=LARGEST_BODY,
    errors=(
        *_ON_ADDING,
        Code.NOT_LIVE,
        Code.NONCE_USED,
        Code.NONCE_STALE,
        Code.PICTURE_REUSED,
        Code.BAD_PICTURE,
    ),
)
async def take_photo(call: Call, id: PledgeId, body: TakePhoto) -> ProofView:
    """Hand a live photo in. It gets the server's time, the code and a signature.

    Only what a camera shows now, from inside the app: pictures of another camera's or a program's making (`not_live`),
    late (`nonce_stale`) or shown before (`picture_reused`) are refused. Nothing of the file but its pixels is kept:
    where it was taken only where `place` says so. `media` is then sent with a report, an answer or as evidence.
    """
    return await call.services.proofs.photograph(call.principal.id, call.principal.session, id, body)


@operation(
    "POST", "/pledges/{id}/locations", allow=IN_PERSON, tag=TAG, status=201, errors=(*_ON_ADDING, Code.TRY_LATER)
)
async def share_location(call: Call, id: PledgeId, body: ShareLocation) -> ProofView:
    """Add where one is now, with how exact that is, to a pledge's evidence.

    Browsers can be told any place: it is a signal for those who judge, and no verdict rests on it alone.
    """
    return await call.services.proofs.locate(call.principal.id, id, body)


@operation("GET", "/proofs/{id}", allow=PEOPLE, tag=TAG, errors=(Code.NOT_FOUND,))
async def get_proof(call: Call, id: ProofId) -> ProofView:
    """Look at a live proof.

    For who took it, whom it shows, and those who read its pledge.
    """
    return await call.services.proofs.get(call.principal.id, id)


@operation("GET", "/calls/{id}/proofs", allow=PEOPLE, tag=TAG, errors=(Code.NOT_FOUND,))
async def list_call_proofs(call: Call, id: CallId) -> CallProofs:
    """List the pictures that were taken in a call.

    Those that one has taken, that show oneself, or that belong to a promise that one reads: nothing to anybody else.
    """
    return CallProofs(await call.services.proofs.of_call(call.principal.id, id))


@operation(
    "GET",
    "/proofs/{id}/picture",
    allow=PEOPLE,
    tag=TAG,
    produces="image/jpeg",
    also={206: "A part, as `Range` asked for.", 304: "The client has it already (`If-None-Match`)."},
    errors=(Code.NOT_FOUND, Code.RANGE_NOT_SATISFIABLE),
)
async def read_proof(call: Call, id: ProofId) -> Stream:
    """Save the signed file, byte for byte as it was sealed, to pass on and to have verified.

    For the same people.
    """
    content = await call.services.proofs.picture(call.principal.id, id)
    return Stream(content_type(content), content.size, content.etag, content.read, headers(content))


@operation(
    "POST",
    "/proofs/verify",
    allow=ANYBODY,
    tag=TAG,
    accepts=("image/jpeg", "application/octet-stream"),
    body_limit=VERIFIED_MOST,
    errors=(Code.TOO_OFTEN,),
)
async def verify_proof(call: Call, body: Upload) -> Verified:
    """Ask whether a file was sealed by this server, and is unchanged since.

    Anybody may ask. Who is shown and of which promise is told only to those who may read that. The file is not kept.
    """
    return await call.services.proofs.verify(call.principal.id, call.ip, body.data)


OPERATIONS = [ask_photo_nonce, take_photo, share_location, get_proof, list_call_proofs, read_proof, verify_proof]
