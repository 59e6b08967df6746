"""Operations on the evidence of a pledge."""

from __future__ import annotations

from handlers.operations import Call, operation
from server.errors import Code
from server.principals import IN_PERSON, PEOPLE
from server.supervision.model import PledgeId
from server.supervision.views import AddEvidence, EvidenceList

TAG = "evidence"


@operation("GET", "/pledges/{id}/evidence", allow=PEOPLE, tag=TAG, errors=(Code.NOT_FOUND,))
async def list_evidence(call: Call, id: PledgeId) -> EvidenceList:
    """What was added to a pledge to be judged by, the oldest first.

    For those who read its thread. What a stamp came with is told when the vote on that task has closed. `whole` says
    that nothing was changed, removed or reordered since it was written.
    """
    return await call.services.supervision.exhibits.of(call.principal.id, id)


@operation(
    "POST",
    "/pledges/{id}/evidence",
    allow=IN_PERSON,
    tag=TAG,
    status=201,
    errors=(Code.NOT_FOUND, Code.CLOSED, Code.CONFLICT, Code.LIMIT_REACHED, Code.TOO_OFTEN, Code.TRY_LATER),
)
async def add_evidence(call: Call, id: PledgeId, body: AddEvidence) -> EvidenceList:
    """Add words, pictures or files to a pledge, for good.

    The two sides may, from the beginning until the outcome is final; in a dispute until its time for evidence is over
    (`closed`). `media` were uploaded for this pledge and sent nowhere else. Nothing can be changed or taken away.
    """
    return await call.services.supervision.exhibits.add(call.principal.id, id, body)


OPERATIONS = [list_evidence, add_evidence]
