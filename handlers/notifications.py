"""Operations on what one is told of: quiet hours, what to hear of each conversation, pushes to browsers."""

from __future__ import annotations

from handlers.operations import Call, operation
from server.chat.model import ConversationId
from server.errors import Code
from server.notifications.model import (
    AddSubscription,
    NotificationSettings,
    Notify,
    PushKey,
    SubscriptionId,
    SubscriptionList,
    SubscriptionView,
)
from server.principals import IN_PERSON, PEOPLE

TAG = "notifications"


@operation("GET", "/me/notifications", allow=PEOPLE, tag=TAG)
async def get_notification_settings(call: Call) -> NotificationSettings:
    """Look at one's quiet hours, previews and read receipts."""
    return await call.services.notifications.settings(call.principal.id)


@operation("PUT", "/me/notifications", allow=PEOPLE, tag=TAG)
async def put_notification_settings(call: Call, body: NotificationSettings) -> NotificationSettings:
    """Choose quiet hours, previews and read receipts, for all of one's devices.

    During quiet hours nothing is pushed, also not afterwards. Where read receipts are hidden others go on seeing what
    was read before; the first reading after that shows everything that was read up to it.
    """
    return await call.services.notifications.change(call.principal.id, body)


@operation("PUT", "/conversations/{id}/notify", allow=PEOPLE, tag=TAG, errors=(Code.NOT_FOUND,))
async def put_notify(call: Call, id: ConversationId, body: Notify) -> Notify:
    """Choose what one wants to hear of a conversation.

    `mentions`: only messages that call one by name, or everybody; `none`: nothing. Muted conversations do not count on
    the icon's badge. From `until` on it is everything again.
    """
    return await call.services.notifications.mute(call.principal.id, id, body)


@operation("GET", "/push/key", allow=PEOPLE, tag=TAG)
async def get_push_key(call: Call) -> PushKey:
    """Get the key that browsers subscribe with."""
    return call.services.notifications.key()


@operation("POST", "/push/subscriptions", allow=IN_PERSON, tag=TAG, status=201, errors=(Code.TOO_OFTEN,))
async def add_subscription(call: Call, body: AddSubscription) -> SubscriptionView:
    """Have this browser told by Web Push.

    The subscription belongs to the sign-in that makes it and ends with it; a new one takes its place. The address must
    be https on the public internet, at port 443, unless `VOUCH_PUSH_ALLOW` names its host. At most 20 per person: the
    oldest makes room.
    """
    return await call.services.notifications.subscribe(call.principal.id, call.principal.session, call.user_agent, body)


@operation("GET", "/push/subscriptions", allow=IN_PERSON, tag=TAG)
async def list_subscriptions(call: Call) -> SubscriptionList:
    """List the browsers that are told by Web Push, and how it goes."""
    subscriptions = call.services.notifications.subscriptions
    return SubscriptionList(await subscriptions.all_of(call.principal.id, call.principal.session))


@operation("DELETE", "/push/subscriptions/{id}", allow=IN_PERSON, tag=TAG, errors=(Code.NOT_FOUND,))
async def remove_subscription(call: Call, id: SubscriptionId) -> None:
    """Tell this browser nothing any more."""
    await call.services.notifications.subscriptions.remove(call.principal.id, id)


OPERATIONS = [
    get_notification_settings,
    put_notification_settings,
    put_notify,
    get_push_key,
    add_subscription,
    list_subscriptions,
    remove_subscription,
]
