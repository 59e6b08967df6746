"""Operations on second factors, and the proofs that are made with them. None is for programs: a token proves nothing
about who holds the phone."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from handlers.accounts import Name, Password
from handlers.operations import Call, operation
from server.errors import Code
from server.people.factor_model import (
    Assertion,
    Fact,
    FactorAdded,
    FactorId,
    Factors,
    Made,
    NewPasskey,
    PasskeySetup,
    Proof,
    ProofId,
    Purpose,
    RecoveryCodes,
    SetupId,
    TotpSetup,
)
from server.people.factors import Confirmation
from server.people.model import PersonId
from server.people.proofs import Answer
from server.principals import ADMINS, IN_PERSON

TAG = "safety"
TotpCode = Annotated[str, Meta(max_length=16, description="six digits")]
RecoveryCode = Annotated[str, Meta(max_length=64)]
FactName = Annotated[str, Meta(max_length=32)]
#: what beginning to add a factor may answer
ON_BEGINNING = (Code.WRONG_CREDENTIALS, Code.FACTOR_NEEDED, Code.LIMIT_REACHED, Code.TOO_OFTEN, Code.TRY_LATER)
ON_ADDING = (
    Code.NOT_FOUND,
    Code.WRONG_FACTOR,
    Code.FACTOR_NEEDED,
    Code.ALREADY,
    Code.LIMIT_REACHED,
    Code.TOO_OFTEN,
)


class BeginFactorRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`password` for the first factor; for a further one `proof`, made for the purpose `factor` with the facts
    `action`: `add` and `what`: the kind. `name` tells factors apart."""

    name: Name
    password: Password | None = None
    proof: ProofId | None = None


class AddTotpRequest(msgspec.Struct, forbid_unknown_fields=True):
    code: TotpCode


class ProofRequest(msgspec.Struct, forbid_unknown_fields=True):
    """`proof` was made for the purpose `factor` and just this."""

    proof: ProofId


class BeginProofRequest(msgspec.Struct, forbid_unknown_fields=True):
    """`facts` are all that the proof is about, as the operation that uses it will name them."""

    purpose: Purpose
    facts: Annotated[dict[FactName, Fact], Meta(max_length=8)]


class MakeProofRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Exactly one of them."""

    code: TotpCode | None = None
    assertion: Assertion | None = None
    recovery: RecoveryCode | None = None


@operation("GET", "/me/factors", allow=IN_PERSON, tag=TAG)
async def list_factors(call: Call) -> Factors:
    """One's second factors."""
    return await call.services.people.factors.all_of(call.principal.id, call.origin)


@operation("POST", "/me/factors/totp", allow=IN_PERSON, tag=TAG, status=201, errors=ON_BEGINNING)
async def begin_totp(call: Call, body: BeginFactorRequest) -> TotpSetup:
    """Begin to add an authenticator app.

    Its secret is shown this once, as a QR code and for typing. It counts after the app has shown a right code, within
    ten minutes. The first factor asks for the password, a further one for a proof by one that is there.
    """
    me = call.principal
    confirmation = Confirmation(password=body.password, proof=body.proof)
    return await call.services.people.factors.begin_totp(me.id, me.session, body.name, confirmation)


@operation("POST", "/me/factors/totp/{setup}", allow=IN_PERSON, tag=TAG, status=201, errors=ON_ADDING)
async def add_totp(call: Call, setup: SetupId, body: AddTotpRequest) -> FactorAdded:
    """Add the authenticator app, by a code that it shows.

    The first factor comes with ten recovery codes, which are shown this once.
    """
    me = call.principal
    return await call.services.people.factors.add_totp(me.id, me.session, setup, body.code, call.origin)


@operation("POST", "/me/factors/passkeys", allow=IN_PERSON, tag=TAG, status=201, errors=(*ON_BEGINNING, Code.CONFLICT))
async def begin_passkey(call: Call, body: BeginFactorRequest) -> PasskeySetup:
    """Begin to add a passkey.

    It belongs to the host name of the page. Browsers make none at an IP address, nor without https except at localhost:
    then the answer is `conflict`.
    """
    me = call.principal
    confirmation = Confirmation(password=body.password, proof=body.proof)
    return await call.services.people.factors.begin_passkey(me.id, me.session, body.name, confirmation, call.origin)


@operation("POST", "/me/factors/passkeys/{setup}", allow=IN_PERSON, tag=TAG, status=201, errors=ON_ADDING)
async def add_passkey(call: Call, setup: SetupId, body: NewPasskey) -> FactorAdded:
    """Add the passkey that the browser has made."""
    me = call.principal
    return await call.services.people.factors.add_passkey(me.id, me.session, setup, body, call.origin)


@operation("DELETE", "/me/factors/{factor}", allow=IN_PERSON, tag=TAG, errors=(Code.NOT_FOUND, Code.FACTOR_NEEDED))
async def remove_factor(call: Call, factor: FactorId, body: ProofRequest) -> None:
    """Remove a factor.

    The proof's facts are `action`: `remove` and `what`: the factor's id. With the last factor the recovery codes go.
    """
    me = call.principal
    await call.services.people.factors.remove(me.id, me.session, factor, body.proof)


@operation("POST", "/me/recovery-codes", allow=IN_PERSON, tag=TAG, status=201, errors=(Code.FACTOR_NEEDED, Code.STALE))
async def renew_recovery_codes(call: Call, body: ProofRequest) -> RecoveryCodes:
    """Make new recovery codes; the old ones end.

    The proof's facts are `action`: `codes` and `what`: empty.
    """
    me = call.principal
    return await call.services.people.factors.renew_codes(me.id, me.session, body.proof)


@operation("POST", "/me/proofs", allow=IN_PERSON, tag=TAG, status=201, errors=(Code.FACTOR_NEEDED, Code.TOO_OFTEN))
async def begin_proof(call: Call, body: BeginProofRequest) -> Proof:
    """Begin to prove that it is oneself who wants something.

    A proof is for this sign-in, one purpose and exactly these facts; it is made within five minutes by at most five
    answers, and used once. `factor_needed`: there is no second factor that works on this page.
    """
    me = call.principal
    return await call.services.people.proofs.begin(me.id, me.session, body.purpose, body.facts, call.origin)


@operation(
    "POST",
    "/me/proofs/{proof}",
    allow=IN_PERSON,
    tag=TAG,
    errors=(Code.NOT_FOUND, Code.WRONG_FACTOR, Code.FACTOR_NEEDED, Code.TOO_OFTEN),
)
async def make_proof(call: Call, proof: ProofId, body: MakeProofRequest) -> Made:
    """Make the proof: by a code of the app, a passkey's signature, or (for changing factors only) a recovery code.

    A code works once. `factor_needed`: it took too long, or too many answers; begin again.
    """
    me = call.principal
    answer = Answer(code=body.code, assertion=body.assertion, recovery=body.recovery)
    return await call.services.people.proofs.make(me.id, me.session, proof, answer)


@operation("DELETE", "/admin/users/{person}/factors", allow=ADMINS, tag=TAG, errors=(Code.NOT_FOUND, Code.ALREADY))
async def reset_factors(call: Call, person: PersonId) -> None:
    """Take all second factors of somebody away who has lost them.

    All their sign-ins end, and their inbox tells who did it. Nobody does this for themselves.
    """
    await call.services.administration.users.reset_factors(call.principal.id, person)


OPERATIONS = [
    list_factors,
    begin_totp,
    add_totp,
    begin_passkey,
    add_passkey,
    remove_factor,
    renew_recovery_codes,
    begin_proof,
    make_proof,
    reset_factors,
]
