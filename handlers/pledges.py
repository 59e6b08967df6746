"""Operations on pledges: drafting, publishing, calling off, lists, one pledge (R-02)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from handlers.operations import Call, operation
from server.errors import Code
from server.principals import IN_PERSON, PEOPLE
from server.supervision.listing import Wanted
from server.supervision.model import PledgeId, PledgeState
from server.supervision.views import NewPledge, PledgeList, PledgeView, Preview

TAG = "pledges"
ON_DRAFTING = (Code.GUARDIAN_NEEDED, Code.LIMIT_REACHED, Code.TOO_OFTEN)

Before = Annotated[str, Meta(max_length=64, description="`next` of the page before")]
Limit = Annotated[int, Meta(ge=1, le=100)]


class MineQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    role: Annotated[str, Meta(max_length=20)] | None = None
    state: PledgeState | None = None
    before: Before | None = None
    limit: Limit = 30


class OpenQuery(Wanted, frozen=True, forbid_unknown_fields=True, kw_only=True):
    before: Before | None = None
    limit: Limit = 30


class LinkQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    link: Annotated[str, Meta(max_length=64)] = ""


@operation("GET", "/pledges", allow=PEOPLE, tag=TAG)
async def list_pledges(call: Call, query: MineQuery) -> PledgeList:
    """What one has to do with, in every role.

    The first page has everything that has not ended, what waits for oneself first, and then the past, the newest first.
    """
    listing = call.services.supervision.listing
    return await listing.mine(call.principal.id, query.role, query.state, query.before, query.limit)


@operation("GET", "/pledges/open", allow=PEOPLE, tag=TAG)
async def list_open_pledges(call: Call, query: OpenQuery) -> PledgeList:
    """Pledges that look for supervisors: public ones, those of friends, and of one's groups; the newest first.

    A page may be short though more follow: there is one as long as `next` is not null.
    """
    return await call.services.supervision.listing.open(call.principal.id, query, query.before, query.limit)


@operation("POST", "/pledges", allow=IN_PERSON, tag=TAG, status=201, errors=ON_DRAFTING, also={200: "It was there."})
async def draft_pledge(call: Call, body: NewPledge) -> PledgeView:
    """Draft a pledge.

    As its owner, or as a supervisor for somebody else. Nobody else knows of a draft. Drafted again under the same `id`
    it is the same one. At most 60 an hour, and 200 drafted by oneself that have not ended.
    """
    supervision = call.services.supervision
    pledge, new = await supervision.drafting.create(call.principal.id, body)
    call.status = 201 if new else 200
    return await supervision.views.of(pledge, call.principal.id)


@operation("POST", "/pledges/preview", allow=IN_PERSON, tag=TAG, errors=(Code.GUARDIAN_NEEDED,))
async def preview_pledge(call: Call, body: NewPledge) -> Preview:
    """What a draft amounts to: when its tasks are due, and both outcomes in money.

    Nothing is kept.
    """
    return await call.services.supervision.drafting.preview(call.principal.id, body)


@operation("GET", "/pledges/{id}", allow=PEOPLE, tag=TAG, errors=(Code.NOT_FOUND,))
async def get_pledge(call: Call, id: PledgeId, query: LinkQuery) -> PledgeView:
    """One pledge, with what oneself may do now.

    Whoever takes no part sees what is promised, by whom, who watches and how far it is; and that only where its
    visibility or its `link` says so.
    """
    supervision = call.services.supervision
    return await supervision.views.of(await supervision.changes.get(id), call.principal.id, query.link)


@operation(
    "PUT",
    "/pledges/{id}",
    allow=IN_PERSON,
    tag=TAG,
    errors=(Code.NOT_FOUND, Code.CONFLICT, Code.GUARDIAN_NEEDED, Code.TRY_LATER),
)
async def edit_pledge(call: Call, id: PledgeId, body: NewPledge) -> PledgeView:
    """Write a draft anew.

    What is published does not change any more.
    """
    supervision = call.services.supervision
    pledge = await supervision.drafting.edit(call.principal.id, id, body)
    return await supervision.views.of(pledge, call.principal.id)


@operation(
    "POST",
    "/pledges/{id}/publish",
    allow=IN_PERSON,
    tag=TAG,
    errors=(Code.NOT_FOUND, Code.GUARDIAN_NEEDED, Code.TRY_LATER),
)
async def publish_pledge(call: Call, id: PledgeId) -> PledgeView:
    """Publish a draft: its terms are frozen, those who are named are asked, and it stands in the lists.

    Without a beginning it expires after its `days`, and never later than its first task is due.
    """
    supervision = call.services.supervision
    pledge = await supervision.drafting.publish(call.principal.id, id)
    return await supervision.views.of(pledge, call.principal.id)


@operation(
    "DELETE",
    "/pledges/{id}",
    allow=IN_PERSON,
    tag=TAG,
    errors=(Code.NOT_FOUND, Code.FORBIDDEN, Code.CONFLICT, Code.STALE, Code.TRY_LATER),
)
async def call_off_pledge(call: Call, id: PledgeId) -> PledgeView:
    """Take a draft away, or call a pledge off.

    Before it has begun its owner, or who drafted it, does that alone. Afterwards it ends when the owner and everybody
    who supervises want it; until then this says that oneself does. All goes back to who paid. A draft is gone then.
    """
    supervision = call.services.supervision
    pledge = await supervision.drafting.remove(call.principal.id, id)
    return await supervision.views.of(pledge, call.principal.id)


OPERATIONS = [
    list_pledges,
    list_open_pledges,
    draft_pledge,
    preview_pledge,
    get_pledge,
    edit_pledge,
    publish_pledge,
    call_off_pledge,
]
