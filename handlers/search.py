"""Searching one's own conversations over HTTP."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from handlers.operations import Call, operation
from server.chat.model import ConversationId
from server.errors import Code
from server.people.model import PersonId
from server.principals import PEOPLE
from server.realtime.protocol import Millis
from server.search.model import QUERY_LONGEST, Filters, Hits, SearchKind


class SearchQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"since": "from", "until": "to"}):
    q: Annotated[str, Meta(max_length=QUERY_LONGEST)] = ""
    conversation: ConversationId | None = None
    person: PersonId | None = None
    kind: SearchKind | None = None
    since: Millis | None = None
    until: Millis | None = None
    before: Annotated[str, Meta(max_length=80)] | None = None
    limit: Annotated[int, Meta(ge=1, le=50)] = 20


@operation("GET", "/search", allow=PEOPLE, tag="search", errors=(Code.NOT_FOUND, Code.TOO_OFTEN))
async def search(call: Call, query: SearchQuery) -> Hits:
    """Find messages in one's conversations.

    All words of `q` must be in the text, or in the names of its media; between quotation marks they follow each other.
    Case, width and accents do not count; Chinese, Japanese, Korean and Thai match anywhere in the text, the last word
    of `q` by its beginning. `person` is the sender, `from` and `to` (excluded) are milliseconds. The newest come first;
    `before` is the `next` of the page before. Only what one may read now is found, as it reads now.
    """
    await call.services.limits.hit("search", call.principal.id)
    filters = Filters(query.conversation, query.person, query.kind, query.since, query.until)
    return await call.services.search.find(call.principal.id, query.q, filters, query.before, query.limit)


OPERATIONS = [search]
