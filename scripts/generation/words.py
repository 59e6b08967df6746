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
    "call": (
        "`call:<call id>`: a call that goes on, for the members of its conversation. Everything goes through HTTP "
        "(docs/calls.md) and comes back as entries; whoever is in a call stays subscribed: so the server knows that "
        "they are still there."
    ),
    "pledge": (
        "`pledge:<pledge id>`: the timeline of a pledge, from its publication on. Its owner, its supervisors and whose "
        "money it is read and write, until 30 days after its end; who has left reads on, and so does, unseen, a "
        "reviewer until the end. Everything but words goes through HTTP (docs/pledges.md) and comes back as entries."
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
    ("inbox", "notify_changed"): "what one wants to hear of has changed: load the conversation, or one's settings",
    ("inbox", "mentioned"): "`by` calls one by name, or everybody, in the message `seq`",
    ("inbox", "answered"): "`by` answers one's words in the message `seq`",
    ("inbox", "reacted"): "`by` is the first in this hour to react to one's message `seq`",
    ("inbox", "report_made"): "somebody has reported something: for staff only",
    ("inbox", "report_decided"): "staff have decided one's own report; `done` is empty where nothing had to be done",
    ("inbox", "moderated"): "staff have removed one's message, warned or suspended one, or lifted that",
    ("inbox", "payment_changed"): "one's payment has come into another state: load it",
    ("inbox", "payment_ended"): "one's payment has ended in a way that is worth a word: load it",
    ("inbox", "dispute_opened"): "a payment is disputed: for the finance desk only",
    ("inbox", "dispute_decided"): "the finance desk has decided the dispute of one's payment: load it",
    ("inbox", "adjustment_proposed"): "an adjustment waits for a second person: for the finance desk only",
    ("inbox", "adjusted"): "the finance desk has moved one's money by `transfer`: load the wallet",
    ("inbox", "factors_changed"): "one's second factors have changed: load them; whoever did not do it acts at once",
    ("inbox", "guardian_changed"): "something is other between `ward` and `guardian`: load one's family and wallet",
    ("inbox", "money_moved"): "what one has in this currency has changed: load the wallet again",
    ("inbox", "money_received"): "`by` has paid one; the amount in minor units. Load the wallet again",
    ("inbox", "payout_account_changed"): "a pay-out account was added or removed: if it was not oneself, act now",
    ("inbox", "ring"): "one's phone rings for 45 s, on every device: show who calls, and let it be answered",
    ("inbox", "ring_over"): "it rings no more on any device, and why",
    ("inbox", "call_missed"): "somebody has called, and one did not answer",
    ("inbox", "call_changed"): "a call in one of one's conversations has begun, ended, or one's own seat has changed",
    ("inbox", "pledge_news"): "something has happened to a pledge, or one is to do something (`what`): load it",
    ("inbox", "pledge_changed"): "a pledge that one has to do with is to be loaded again",
    ("inbox", "pledge_tally"): "how an open vote stands in which one has voted: for nobody else",
    ("conv", "message"): "words, media or both; an answer has `ref`, the message answered (docs/messages.md)",
    ("conv", "edit"): "the message `ref` has this text now and calls these; its sender only. Without words (`gone`) "
    "for whoever does not see `ref`",
    ("conv", "delete"): "the message `ref` is gone, words and edits erased; its sender, in a group also who ranks "
    "above, or staff (as `system`)",
    ("conv", "reaction"): "the sender puts an emoji on the message `ref`, or takes it away",
    ("conv", "created"): "the first entry",
    ("conv", "joined"): "`by` has added these people",
    ("conv", "left"): "left by themselves; their subscription ends with `dropped`",
    ("conv", "removed"): "removed by somebody who ranks above; their subscription ends with `dropped`",
    ("conv", "renamed"): "the group has this title now",
    ("conv", "handed_over"): "`person` is the owner now and not silenced; whoever was it is a member",
    ("conv", "role_changed"): "`person` is an administrator now, or a plain member again",
    ("conv", "silenced"): "`person` writes nothing before `until`; null: they may write again",
    ("conv", "pinned"): "the message `seq` was put on top, or taken off",
    ("conv", "rules_changed"): "who may call everybody is different now",
    ("conv", "call"): "a call has begun (`started`), or is over: the last one of a `call` counts",
    ("conv", "closed"): "nothing can be written any more, as if `write` were false",
    ("conv", "reopened"): "it can be written to again",
    ("conv", "erased"): "this person has deleted their account: drop the words of all their messages",
    ("conv", "typing"): "the sender is writing (or has stopped): send every 3 s while it lasts, show for 5 s",
    ("call", "call"): "the call has changed and is to be loaded again; with another `epoch` all media are set up anew",
    ("call", "snapshot"): "somebody has taken a picture of a person, which is a proof now; a signal of the server",
    ("call", "line"): "how good a person's line is, every 2 s while they watch; a signal of the server",
    ("pledge", "message"): "words, media or both, as in conversations; nobody is called by name",
    ("pledge", "edit"): "the message `ref` has this text now; its sender only",
    ("pledge", "delete"): "the message `ref` is gone, words and edits erased; its sender only",
    ("pledge", "reaction"): "the sender puts an emoji on the message `ref`, or takes it away",
    ("pledge", "state"): "the pledge has come into this state; what time or the server did is by `system`",
    ("pledge", "seat"): "`person` supervises or does not any more; with `owner`: whether the owner has consented",
    ("pledge", "reported"): "the owner says that a task is done",
    ("pledge", "stamped"): "a supervisor's stamp, told when the vote on the task has closed",
    ("pledge", "judged"): "what became of a task, and by whom that was decided",
    ("pledge", "checked"): "a spot check was asked, answered, missed, or could not be answered",
    ("pledge", "money"): "the stake was paid, settled or given back: `parts` say where it went",
    ("pledge", "case"): "a review, dispute or appeal was opened, taken, ruled upon with reasons, or has lapsed",
    ("pledge", "evidence"): "somebody has added evidence, for good",
    ("pledge", "erased"): "this person has deleted their account: drop the words of all their messages",
    ("pledge", "typing"): "the sender is writing (or has stopped): send every 3 s while it lasts, show for 5 s",
}
