"""A person's inbox: the channel that tells their own windows that something has changed. Read-only for everybody.

Its entries say what to load again; they hold ids and no words. Those that count are what the client's centre lists.
"""

from __future__ import annotations

import msgspec

from server.errors import Code, VouchError
from server.people.model import Millis
from server.principals import Kind, Principal
from server.realtime.channels import DENIED, NO_EFFECTS, Access, ChannelKind, Draft, Effects, EntryKind
from server.realtime.protocol import Entry, Seq


class FriendNews(msgspec.Struct, frozen=True):
    """`person` is the other one of the two; `by` is who acted."""

    person: str
    by: str


class ProfileNews(msgspec.Struct, frozen=True):
    """`person` has a new name, handle or picture: oneself or a friend."""

    person: str


class ConversationNews(msgspec.Struct, frozen=True, omit_defaults=True):
    """`by` is who has begun it, or added people; empty where nobody is told."""

    conversation: str
    by: str = ""


class NotifyNews(msgspec.Struct, frozen=True):
    """What one wants to hear of has changed: of a conversation, or (null) the settings of all."""

    conversation: str | None


class Notice(msgspec.Struct, frozen=True):
    """Somebody (`by`) called this person by name, answered them or reacted to their words, in message `seq`; for
    `reacted` the message is their own, and `by` the first of this hour."""

    conversation: str
    seq: Seq
    by: str


class SessionNews(msgspec.Struct, frozen=True):
    """These sign-ins have ended; their sockets are closed."""

    sessions: list[str]


class ReportNews(msgspec.Struct, frozen=True):
    """A report that somebody has made: one's own, or, for staff, one in the queue. `done`: what followed from it."""

    report: str
    done: list[str]


class ModerationNews(msgspec.Struct, frozen=True):
    """What staff did to oneself: `done` is `remove` (a message; then `conversation` and `seq` say which), `warn`,
    `suspend` (until `until`) or `lift`; `reason` is why, as in reports."""

    done: str
    reason: str
    conversation: str | None = None
    seq: int | None = None
    until: Millis | None = None


class FactorNews(msgspec.Struct, frozen=True, omit_defaults=True):
    """One's second factors have changed. `done` is `added`, `removed`, `codes` (new recovery codes), `recovery_used`,
    `copied` (a passkey seems to be a copy and is not taken any more) or `reset` (by an admin, `by` is then `system`);
    `name` is what the factor was called."""

    done: str
    by: str
    name: str = ""


class GuardianNews(msgspec.Struct, frozen=True):
    """Between `ward` and `guardian`: `done` is `requested`, `withdrawn`, `declined`, `confirmed`, `ended`, `payee`
    (that guardian now looks after the money) or `of_age`; `by` is who acted, or `system`: staff, or a birthday."""

    ward: str
    guardian: str
    done: str
    by: str


class DisputeNews(msgspec.Struct, frozen=True):
    """A dispute about a payment: one's own was decided, or, for the finance desk, somebody has opened one."""

    dispute: str
    payment: str


class AdjustmentNews(msgspec.Struct, frozen=True, omit_defaults=True):
    """The finance desk moved one's money by `transfer`; or, for the desk itself, such an `adjustment` was proposed."""

    adjustment: str
    transfer: str = ""


class PaymentNews(msgspec.Struct, frozen=True):
    """One's payment has come into another state. `kind` is `charge`, `refund` or `pay_out`; `state` as in payments."""

    order: str
    kind: str
    state: str


class MoneyNews(msgspec.Struct, frozen=True):
    """`transfer` has changed what one has in `currency`: the wallet is to be loaded again."""

    transfer: str
    currency: str


class ReceivedNews(msgspec.Struct, frozen=True):
    """`by` has paid one `amount` minor units; where it is meant for a minor whose money one keeps, `beneficiary` is
    that one, else oneself."""

    transfer: str
    by: str
    beneficiary: str
    amount: int
    currency: str


class PayoutAccountNews(msgspec.Struct, frozen=True):
    """A pay-out account was `added` or `removed`; `ending` is how it is shown."""

    account: str
    ending: str
    done: str


class PledgeNews(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something has happened to a pledge that one has to do with: `what` is one of supervision's words (`invited`,
    `stamp_wanted`, `settled` …), `by` who acted, `task` the number of the task that it is about (0: the whole)."""

    pledge: str
    what: str
    by: str = "system"
    task: int = 0


class PledgeChanged(msgspec.Struct, frozen=True):
    """A pledge that one has to do with is to be loaded again."""

    pledge: str


class PledgeTally(msgspec.Struct, frozen=True):
    """How a vote stands in which one has voted and which is still open, of so many who may vote."""

    pledge: str
    task: int
    done: int
    not_done: int
    abstained: int
    of: int


class RingNews(msgspec.Struct, frozen=True):
    """One's phone rings: `by` calls, in `conversation`. What is older than 45 s rings no more."""

    call: str
    conversation: str
    by: str
    video: bool


class RingOver(msgspec.Struct, frozen=True):
    """It rings no more: `why` is `joined` (here or on another device), `declined`, `missed`, `busy`, `removed`, or
    `over` (the call is)."""

    call: str
    why: str


class CallMissed(msgspec.Struct, frozen=True):
    """Somebody (`by`) has called, and one did not answer."""

    call: str
    conversation: str
    by: str


class CallNews(msgspec.Struct, frozen=True):
    """A call that one has to do with has begun, has ended, or one is in it or not any more: lists of calls are to be
    loaded again."""

    call: str


ENTRIES = (
    EntryKind("friend_requested", FriendNews, countable=True, actor="by"),
    EntryKind("friend_accepted", FriendNews, countable=True, actor="by"),
    EntryKind("friend_removed", FriendNews),
    EntryKind("request_withdrawn", FriendNews),
    EntryKind("profile_changed", ProfileNews),
    EntryKind("conversation_added", ConversationNews, countable=True, actor="by"),
    EntryKind("conversation_removed", ConversationNews),
    EntryKind("session_ended", SessionNews),
    EntryKind("notify_changed", NotifyNews),
    EntryKind("mentioned", Notice, countable=True),
    EntryKind("answered", Notice, countable=True),
    EntryKind("reacted", Notice, countable=True),
    EntryKind("report_made", ReportNews),
    EntryKind("report_decided", ReportNews, countable=True),
    EntryKind("moderated", ModerationNews, countable=True),
    EntryKind("dispute_opened", DisputeNews),
    EntryKind("dispute_decided", DisputeNews, countable=True),
    EntryKind("adjustment_proposed", AdjustmentNews),
    EntryKind("adjusted", AdjustmentNews, countable=True),
    EntryKind("payment_changed", PaymentNews),
    EntryKind("payment_ended", PaymentNews, countable=True),
    EntryKind("factors_changed", FactorNews, countable=True),
    EntryKind("guardian_changed", GuardianNews, countable=True, actor="by"),
    EntryKind("money_moved", MoneyNews),
    EntryKind("money_received", ReceivedNews, countable=True, actor="by"),
    EntryKind("pledge_news", PledgeNews, countable=True, actor="by"),
    EntryKind("pledge_changed", PledgeChanged),
    EntryKind("pledge_tally", PledgeTally),
    EntryKind("payout_account_changed", PayoutAccountNews, countable=True),
    EntryKind("ring", RingNews),
    EntryKind("ring_over", RingOver),
    EntryKind("call_missed", CallMissed, countable=True, actor="by"),
    EntryKind("call_changed", CallNews),
)


class InboxPolicy:
    """Everybody reads their own inbox; only the server writes."""

    async def access(self, principal: Principal, channel_id: str) -> Access:
        own = principal.kind in (Kind.PERSON, Kind.PROGRAM) and principal.id == channel_id
        return Access(read=True) if own else DENIED

    async def admit(self, principal: Principal, channel_id: str, draft: Draft, target: Entry | None) -> None:
        raise VouchError(Code.FORBIDDEN)

    def effects(self, entry: Entry) -> Effects:
        if entry.kind == "session_ended":
            return Effects(end_sessions=tuple(entry.body["sessions"]))
        return NO_EFFECTS


def inbox_kind() -> ChannelKind:
    return ChannelKind("inbox", InboxPolicy(), ENTRIES, positions=True, personal=True)
