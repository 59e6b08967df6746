"""What may be said in a conversation: messages, edits, deletions, reactions. Pure; rules raise VouchError.

Most messages can be judged by themselves. What calls people, or takes away the words of others, is judged by the roles
of those concerned: `concerned` names them, so that whoever loads does so only then.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

import msgspec

from server.chat.model import ConversationKind, EverybodyBy, MemberRole
from server.errors import Code, VouchError
from server.realtime.channels import Draft
from server.realtime.protocol import Entry

#: Milliseconds that the clock of somebody who forwards may be ahead of ours.
_SKEW = 5 * 60 * 1000
#: Categories of characters that show nothing, and letters that show nothing.
_UNSEEN = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf"})
_BLANK_LETTERS = "\u115f\u1160\u3164\uffa0\u2800"
#: The one emoji that Unicode counts among the letters.
_INFORMATION = "\u2139"
_KEYCAP = "\u20e3"


class Circle(msgspec.Struct, frozen=True):
    """What is known of a conversation: `roles` of those who were asked for (`concerned`) and are members."""

    kind: ConversationKind = ConversationKind.DIRECT
    everybody_by: EverybodyBy = EverybodyBy.MEMBERS
    roles: Mapping[str, MemberRole] = {}


def concerned(actor: str, draft: Draft, target: Entry | None) -> set[str]:
    """Whose roles must be known to judge this draft; mostly nobody's."""
    if draft.kind == "delete":
        return {actor, target.by} if target is not None and target.by != actor else set()
    called = set(draft.body.get("mentions", ()))
    return called | {actor} if called or draft.body.get("everybody") else set()


def admit(circle: Circle, actor: str, draft: Draft, target: Entry | None, now: int) -> None:
    """Raises unless this entry may be appended by this member, who may write. `target` is the entry that `draft.ref`
    names, one that the member may see; `now` is in milliseconds."""
    if draft.kind == "message":
        _message(circle, actor, draft, target, now)
        return
    if target is None or target.kind != "message":
        raise VouchError(Code.BAD_REQUEST, "`ref` must be the number of a message.", field="ref")
    if draft.kind == "delete":
        _delete(circle, actor, target)
        return
    if target.gone:
        raise VouchError(Code.CONFLICT, "This message was deleted.", field="ref")
    if draft.kind == "edit":
        _edit(circle, actor, draft, target)
    elif draft.kind == "reaction":
        _reaction(draft)


def blank(text: str) -> bool:
    """Whether a reader would see nothing of this."""
    return not any(c not in _BLANK_LETTERS and unicodedata.category(c) not in _UNSEEN for c in text)


def _message(circle: Circle, actor: str, draft: Draft, target: Entry | None, now: int) -> None:
    body = draft.body
    if not body.get("media") and blank(body.get("text", "")):
        raise VouchError(Code.BAD_REQUEST, "There is nothing to read in this.", field="body.text")
    _answers(body.get("thread"), target)
    _calls(circle, actor, body, {})
    if body.get("pledge") is not None:
        raise VouchError(Code.BAD_REQUEST, "Only the server sends what was at stake.", field="body.pledge")
    if (origin := body.get("forwarded")) is not None:
        if not 0 < origin["at"] <= now + _SKEW:
            raise VouchError(Code.BAD_REQUEST, "Words of the future cannot be forwarded.", field="body.forwarded.at")
        if body.get("mentions") or body.get("everybody"):
            raise VouchError(Code.BAD_REQUEST, "Words of somebody else call nobody.", field="body.forwarded")


def _answers(thread: int | None, target: Entry | None) -> None:
    """An answer stands in the thread of what it answers, or begins one there."""
    if target is None:
        if thread is not None:
            raise VouchError(Code.BAD_REQUEST, "Only an answer (`ref`) stands in a thread.", field="body.thread")
        return
    if target.kind != "message":
        raise VouchError(Code.BAD_REQUEST, "`ref` must be the number of a message.", field="ref")
    if target.gone:  # with its words went its thread: any earlier one may have been it
        fits = thread is not None and 0 < thread <= target.seq
    else:
        fits = thread == (target.body.get("thread") or target.seq)
    if not fits:
        raise VouchError(
            Code.BAD_REQUEST, "`thread` is that of the message answered, or else its number.", field="body.thread"
        )


def _calls(circle: Circle, actor: str, body: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """Who is called must hear it. Whom the message called `before` an edit stays called, whoever has left since."""
    mentions = body.get("mentions", ())
    if (mentions or body.get("everybody")) and blank(body.get("text", "")):
        raise VouchError(Code.BAD_REQUEST, "Only words call somebody.", field="body.mentions")
    if len(set(mentions)) != len(mentions) or actor in mentions:
        raise VouchError(Code.BAD_REQUEST, "Others are mentioned, and each once.", field="body.mentions")
    if not set(mentions) <= circle.roles.keys() | set(before.get("mentions", ())):
        raise VouchError(Code.BAD_REQUEST, "Only members can be mentioned.", field="body.mentions")
    if body.get("everybody") and not before.get("everybody"):
        if circle.kind is not ConversationKind.GROUP:
            raise VouchError(Code.BAD_REQUEST, "Only in a group everybody can be called.", field="body.everybody")
        if circle.everybody_by is EverybodyBy.ADMINS and circle.roles.get(actor) in (None, MemberRole.MEMBER):
            raise VouchError(Code.FORBIDDEN, "Here only administrators call everybody.", field="body.everybody")


def _edit(circle: Circle, actor: str, draft: Draft, target: Entry) -> None:
    if target.by != actor:
        raise VouchError(Code.FORBIDDEN)
    # Nobody puts words into the mouth of others, nor others into a promise.
    if target.body.get("forwarded") is not None or target.body.get("pledge") is not None:
        raise VouchError(Code.CONFLICT, "These words stay as they were.", field="ref")
    if not target.body.get("media") and blank(draft.body["text"]):
        raise VouchError(Code.BAD_REQUEST, "There is nothing to read in this.", field="body.text")
    _calls(circle, actor, draft.body, target.body)


def _delete(circle: Circle, actor: str, target: Entry) -> None:
    """One's own; and what members of a lower rank wrote, or whoever is no member any more."""
    if target.by == actor:
        return
    mine, theirs = circle.roles.get(actor), circle.roles.get(target.by)
    if circle.kind is not ConversationKind.GROUP or mine is None:
        raise VouchError(Code.FORBIDDEN)
    if mine.rank <= (theirs.rank if theirs is not None else MemberRole.MEMBER.rank):
        raise VouchError(Code.FORBIDDEN)


def _reaction(draft: Draft) -> None:
    """An emoji and not a word; what earlier versions let through can still be taken away."""
    if draft.body["on"] and not _is_emoji(draft.body["emoji"]):
        raise VouchError(Code.BAD_REQUEST, "A reaction is an emoji.", field="body.emoji")


def _is_emoji(text: str) -> bool:
    if text.endswith(_KEYCAP):
        return len(text) <= 3 and text[0] in "0123456789#*"
    return not blank(text) and not any(c.isspace() or (c.isalnum() and c != _INFORMATION) for c in text)
