"""What the types cannot say about the protocol: who a frame is for, what answers it, what an entry means.

A frame, entry kind, gap or channel kind without words here stops the generation, so that none goes undescribed.
"""

from __future__ import annotations

from server.realtime import protocol as p

#: client frame → what the server answers
ANSWERS: dict[str, str] = {
    "hello": "`welcome`, or the socket closes (4006, 4501, 4503, 4505)",
    "subscribe": "for each channel `subscribed` or `refused`, with this `rid`",
    "unsubscribe": "`unsubscribed`",
    "append": "`ack`, or `error` with this `id`",
    "signal": "nothing when all is well, else `error` with this `ch`",
    "position": "nothing when all is well, else `error` with this `ch`; all devices hear `position`",
    "history": "`page`, or `error` with this `rid`",
    "ping": "`pong`",
}

#: what frames do whose types have nothing to say
ABOUT: dict[str, str] = {
    "unsubscribe": "Ends subscriptions; channels that are not subscribed do no harm.",
    "unsubscribed": "The subscriptions have ended; no entry of them follows.",
    "page": "The answer to `history`.",
}

GAPS: dict[p.Gap, str] = {
    p.Gap.EPOCH: "the database was restored since the `epoch` of your hello: numbers mean something else now",
    p.Gap.AHEAD: "you claim more than the log holds",
    p.Gap.BEHIND: f"more than {p.MAX_REPLAY:,} entries were missed",
    p.Gap.RIGHTS: "you ask for entries from before your membership",
    p.Gap.SNAPSHOT: "channels of this kind never replay",
}

#: channel kind → who sees it and what it is for
CHANNELS: dict[str, str] = {
    "inbox": (
        "`inbox:<person id>`: everybody has one and reads only their own; only the server writes, as `system`. Its "
        "entries hold no words: they say what has changed and must be loaded again over HTTP. Subscribe to it first."
    ),
    "conv": (
        "`conv:<conversation id>`: a direct conversation or a group. Members read from their `first` on; they "
        "write and signal unless it is closed. Who joins, leaves, renames goes through HTTP (docs/http.md) and comes "
        "back as entries by `system`."
    ),
}

#: (channel kind, entry or signal kind) → what it means
MEANINGS: dict[tuple[str, str], str] = {
    ("inbox", "friend_requested"): "`by` asks to be friends",
    ("inbox", "friend_accepted"): "the two are friends now",
    ("inbox", "friend_removed"): "they are friends no more",
    ("inbox", "request_withdrawn"): "the request is no longer open",
    ("inbox", "profile_changed"): "a friend's card, or one's own profile, has changed",
    ("inbox", "conversation_added"): "one is a member now: load the conversation and subscribe to it",
    ("inbox", "conversation_removed"): "one is no member any more",
    ("inbox", "session_ended"): "these sign-ins have ended; their sockets close with 4502",
    ("conv", "message"): "a message, plain text",
    ("conv", "edit"): "the message `ref` has this text now; its sender only",
    ("conv", "delete"): "the message `ref` is gone, words and edits erased; its sender, in a group also the owner",
    ("conv", "reaction"): "the sender puts an emoji on the message `ref`, or takes it away",
    ("conv", "created"): "the first entry",
    ("conv", "joined"): "`by` has added these people",
    ("conv", "left"): "left by themselves; their subscription ends with `dropped`",
    ("conv", "removed"): "removed by the owner; their subscription ends with `dropped`",
    ("conv", "renamed"): "the group has this title now",
    ("conv", "handed_over"): "`person` is the owner now",
    ("conv", "closed"): "nothing can be written any more, as if `write` were false",
    ("conv", "reopened"): "it can be written to again",
    ("conv", "erased"): "this person has deleted their account: drop the words of all their messages",
    ("conv", "typing"): "the sender is writing (or has stopped): send every 3 s while it lasts, show for 5 s",
}
