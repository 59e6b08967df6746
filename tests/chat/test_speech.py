"""What may be said: every rule for messages, edits, deletions and reactions, by everybody (R-32)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.chat import speech
from server.chat.model import ConversationKind, EverybodyBy, MemberRole
from server.chat.speech import Circle
from server.errors import Code, VouchError
from server.realtime.channels import Draft
from server.realtime.protocol import Entry

CH = "conv:c_tea"
NOW = 1_795_340_000_000
OWNER, ADMIN, MEMBER = MemberRole.OWNER, MemberRole.ADMIN, MemberRole.MEMBER
GROUP = Circle(
    ConversationKind.GROUP,
    EverybodyBy.MEMBERS,
    {"p_lin": OWNER, "p_ada": ADMIN, "p_ben": ADMIN, "p_mei": MEMBER, "p_yu": MEMBER},
)
QUIET = msgspec.structs.replace(GROUP, everybody_by=EverybodyBy.ADMINS)
DIRECT = Circle(roles={"p_lin": MEMBER, "p_mei": MEMBER})
PICTURE = {"id": "m_" + "0" * 26, "kind": "picture", "name": "", "type": "image/webp", "size": 5}


def said(by: str = "p_lin", *, seq: int = 7, kind: str = "message", gone: bool = False, **body: Any) -> Entry:
    words = {} if gone else {"text": "tea?", **body}
    return Entry(seq, seq, 0, by, "some-client-id-here", kind, words, None, gone)


def known_of(circle: Circle, actor: str, draft: Draft, target: Entry | None) -> Circle:
    """What is loaded for a draft, and nothing more."""
    asked = speech.concerned(actor, draft, target)
    if not asked:
        return Circle()
    return msgspec.structs.replace(circle, roles={p: role for p, role in circle.roles.items() if p in asked})


def admit(actor: str, kind: str, target: Entry | None, body: Mapping[str, Any], circle: Circle = GROUP) -> None:
    draft = Draft(CH, actor, "an-id-of-the-client", kind, dict(body), target.seq if target else None)
    speech.admit(known_of(circle, actor, draft, target), actor, draft, target, NOW)


def refusal(
    actor: str, kind: str, target: Entry | None, body: Mapping[str, Any], circle: Circle = GROUP
) -> tuple[Code, str | None]:
    with pytest.raises(VouchError) as refused:
        admit(actor, kind, target, body, circle)
    return refused.value.code, refused.value.field


# ── Messages ────────────────────────────────────────────────────────────────────────────────────────────────────────

MESSAGES: list[tuple[Entry | None, dict[str, Any]]] = [
    (None, {"text": "tea?"}),
    (None, {"media": [PICTURE]}),
    (None, {"text": "", "media": [PICTURE]}),
    (None, {"text": "look", "media": [PICTURE]}),
    (None, {"text": "@Mei", "mentions": ["p_mei", "p_ada"]}),
    (None, {"text": "@all", "everybody": True}),
    (None, {"text": "as she said", "forwarded": {"by": "p_else", "at": NOW - 5}}),
    (None, {"text": "a clock ahead", "forwarded": {"by": "p_lin", "at": NOW + 60_000}}),
    (said("p_mei"), {"text": "yes", "thread": 7}),  # an answer begins a thread
    (said("p_mei", seq=9, thread=7), {"text": "yes", "thread": 7}),  # an answer to an answer stays in it
    (said("p_mei", seq=9, gone=True), {"text": "yes", "thread": 9}),  # deleted while the answer was written
    (said("p_mei", seq=9, gone=True), {"text": "yes", "thread": 7}),
]


@pytest.mark.parametrize(("target", "body"), MESSAGES)
def test_messages_that_may_be_said(target: Entry | None, body: dict[str, Any]) -> None:
    admit("p_yu", "message", target, body)


REFUSED_MESSAGES: list[tuple[Entry | None, dict[str, Any], str]] = [
    (None, {"media": []}, "body.text"),
    (None, {}, "body.text"),
    (None, {"text": "@me", "mentions": ["p_yu"]}, "body.mentions"),
    (None, {"text": "@Mei @Mei", "mentions": ["p_mei", "p_mei"]}, "body.mentions"),
    (None, {"text": "@Tom", "mentions": ["p_mei", "p_tom"]}, "body.mentions"),
    (None, {"media": [PICTURE], "mentions": ["p_mei"]}, "body.mentions"),  # nobody would see whom it calls
    (None, {"text": "\u200b", "media": [PICTURE], "everybody": True}, "body.mentions"),
    (None, {"text": "x", "forwarded": {"by": "p_else", "at": NOW + 3_600_000}}, "body.forwarded.at"),
    (None, {"text": "x", "forwarded": {"by": "p_else", "at": 0}}, "body.forwarded.at"),
    (None, {"text": "@Mei", "mentions": ["p_mei"], "forwarded": {"by": "p_else", "at": 1}}, "body.forwarded"),
    (None, {"text": "I have failed", "pledge": "g_1"}, "body.pledge"),
    (None, {"text": "@all", "everybody": True, "forwarded": {"by": "p_else", "at": 1}}, "body.forwarded"),
    (None, {"text": "yes", "thread": 7}, "body.thread"),  # a thread without an answer
    (said("p_mei"), {"text": "yes"}, "body.thread"),
    (said("p_mei"), {"text": "yes", "thread": 6}, "body.thread"),
    (said("p_mei", seq=9, thread=7), {"text": "yes", "thread": 9}, "body.thread"),
    (said("p_mei", seq=9, gone=True), {"text": "yes", "thread": 10}, "body.thread"),
    (said("p_mei", seq=9, gone=True), {"text": "yes"}, "body.thread"),
    (said("system", kind="joined"), {"text": "yes", "thread": 7}, "ref"),
    (said("p_mei", kind="edit"), {"text": "yes", "thread": 7}, "ref"),
]


@pytest.mark.parametrize(("target", "body", "field"), REFUSED_MESSAGES)
def test_messages_that_may_not(target: Entry | None, body: dict[str, Any], field: str) -> None:
    assert refusal("p_yu", "message", target, body) == (Code.BAD_REQUEST, field)


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\u3000", "\u2003", "\u200b\u200d", "\u3164", "\ufeff \u2060"])
def test_blanks_are_no_message(text: str) -> None:
    """However they are made."""
    assert refusal("p_yu", "message", None, {"text": text}) == (Code.BAD_REQUEST, "body.text")
    assert refusal("p_yu", "edit", said("p_yu"), {"text": text}) == (Code.BAD_REQUEST, "body.text")
    admit("p_yu", "edit", said("p_yu", media=[PICTURE]), {"text": text})  # there is still something to look at


@given(st.text(max_size=40))
def test_what_python_calls_blank_is_blank(text: str) -> None:
    if not text.strip():
        assert speech.blank(text)
    if any(c.isalnum() for c in text) and not set(text) & set("\u115f\u1160\u3164\uffa0"):
        assert not speech.blank(text)


@pytest.mark.parametrize(
    ("actor", "circle", "expected"),
    [
        ("p_yu", GROUP, None),
        ("p_lin", QUIET, None),
        ("p_ada", QUIET, None),
        ("p_yu", QUIET, (Code.FORBIDDEN, "body.everybody")),
        ("p_lin", DIRECT, (Code.BAD_REQUEST, "body.everybody")),  # there is only one other
    ],
)
def test_who_calls_everybody(actor: str, circle: Circle, expected: tuple[Code, str] | None) -> None:
    """By a message, and by editing one that did not."""
    call = {"text": "@all", "everybody": True}
    if expected is None:
        admit(actor, "message", None, call, circle)
        admit(actor, "edit", said(actor), call, circle)
    else:
        assert refusal(actor, "message", None, call, circle) == expected
        assert refusal(actor, "edit", said(actor), call, circle) == expected
        admit(actor, "edit", said(actor, everybody=True), call, circle)  # it did before, when it was allowed


# ── Edits ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_edits_are_checked_as_messages_are() -> None:
    mine = said("p_yu")
    admit("p_yu", "edit", mine, {"text": "tea, @Mei?", "mentions": ["p_mei"]})
    for mentions in (["p_tom"], ["p_yu"], ["p_mei", "p_mei"]):
        assert refusal("p_yu", "edit", mine, {"text": "x", "mentions": mentions}) == (Code.BAD_REQUEST, "body.mentions")
    # Tom has left since: the words may be put right all the same.
    admit("p_yu", "edit", said("p_yu", mentions=["p_tom"]), {"text": "thanks, @Tom", "mentions": ["p_tom"]})


def test_words_that_were_at_stake_stay() -> None:
    """Like forwarded ones they are shown as what they are, and can only be taken away."""
    sent = said("p_yu", pledge="g_1")
    assert refusal("p_yu", "edit", sent, {"text": "not what was promised"}) == (Code.CONFLICT, "ref")
    admit("p_yu", "delete", sent, {})


def test_forwarded_words_stay() -> None:
    forwarded = said("p_yu", forwarded={"by": "p_else", "at": 1})
    assert refusal("p_yu", "edit", forwarded, {"text": "not what was said"}) == (Code.CONFLICT, "ref")
    admit("p_yu", "delete", forwarded, {})


@pytest.mark.parametrize("actor", ["p_mei", "p_ada", "p_lin"])
def test_nobody_puts_words_into_the_mouth_of_others(actor: str) -> None:
    assert refusal(actor, "edit", said("p_yu"), {"text": "x"})[0] is Code.FORBIDDEN


# ── Deletions ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_deletions_go_downwards() -> None:
    """Everybody deletes their own words; owner and administrators those of whoever ranks below, or is gone."""
    people = [*GROUP.roles, "p_gone"]
    allowed = {
        (actor, author)
        for actor in people
        for author in people
        if actor == author
        or (actor == "p_lin" and author != "p_lin")
        or (actor in ("p_ada", "p_ben") and author in ("p_mei", "p_yu", "p_gone"))
    }
    for actor in people:
        for author in people:
            if (actor, author) in allowed:
                admit(actor, "delete", said(author), {})
                admit(actor, "delete", said(author, gone=True), {})  # a repeat of one that was not acknowledged
            else:
                assert refusal(actor, "delete", said(author), {})[0] is Code.FORBIDDEN


def test_in_direct_conversations_everybody_deletes_their_own() -> None:
    admit("p_lin", "delete", said("p_lin"), {}, DIRECT)
    assert refusal("p_mei", "delete", said("p_lin"), {}, DIRECT)[0] is Code.FORBIDDEN


# ── Reactions, and what they all have in common ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "emoji", ["👍", "🍵", "❤️", "👩‍👩‍👧‍👦", "🇨🇳", "1️⃣", "#️⃣", "ℹ️", "✅", "👋🏽", "🏴\U000e0067\U000e0062\U000e007f", "㊗️"]
)
def test_reactions_are_emoji(emoji: str) -> None:
    admit("p_mei", "reaction", said(), {"emoji": emoji, "on": True})


@pytest.mark.parametrize("emoji", ["ok", "a", "好", "1", "👍 👍", "👍no", "\u200d", " ", "no\u20e3", "12345\u20e3"])
def test_words_are_no_reactions(emoji: str) -> None:
    assert refusal("p_mei", "reaction", said(), {"emoji": emoji, "on": True}) == (Code.BAD_REQUEST, "body.emoji")
    admit("p_mei", "reaction", said(), {"emoji": emoji, "on": False})  # earlier versions let them through


@pytest.mark.parametrize("kind", ["edit", "reaction", "delete"])
def test_what_is_about_a_message_needs_one(kind: str) -> None:
    bodies: dict[str, dict[str, Any]] = {"edit": {"text": "x"}, "reaction": {"emoji": "🍵", "on": True}, "delete": {}}
    body = bodies[kind]
    for target in (None, said("p_yu", kind="edit"), said("system", kind="joined"), said("p_yu", kind="reaction")):
        assert refusal("p_yu", kind, target, body) == (Code.BAD_REQUEST, "ref")
    if kind != "delete":
        assert refusal("p_yu", kind, said("p_yu", gone=True), body) == (Code.CONFLICT, "ref")


def test_most_drafts_need_nothing_loaded() -> None:
    """The words of a busy group are judged by themselves."""
    plain: list[tuple[str, Entry | None, dict[str, Any]]] = [
        ("message", None, {"text": "x"}),
        ("message", said("p_mei"), {"text": "x", "thread": 7}),
        ("edit", said("p_yu"), {"text": "x"}),
        ("reaction", said("p_mei"), {"emoji": "🍵", "on": True}),
        ("delete", said("p_yu"), {}),
    ]
    for kind, target, body in plain:
        assert not speech.concerned("p_yu", Draft(CH, "p_yu", "an-id-of-the-client", kind, body, 7), target)
