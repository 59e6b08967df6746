"""Notifications in real Chromium: the inbox, muting, the settings, and pushes that a real service worker shows.

The browser's own push service is far away: its subscription is put in its place, a push service of ours takes what the
server sends, and what it has read is handed to the worker by the browser's own tools.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, CDPSession, expect

from scripts.hub_process import HubProcess
from tests.browser.hub import ENVIRON
from tests.browser.person import Person
from tests.notifications.push_service import Push, PushService

People = Callable[..., Person]

#: Stands for the browser's push service: hands out the subscription that it is given, and remembers it.
SUBSCRIPTION = """(given) => {
  const fake = {
    endpoint: given.endpoint,
    options: {},
    toJSON: () => ({ endpoint: given.endpoint, keys: { p256dh: given.p256dh, auth: given.auth } }),
    unsubscribe: async () => { localStorage.removeItem('test.push'); return true },
  }
  PushManager.prototype.subscribe = async () => { localStorage.setItem('test.push', '1'); return fake }
  PushManager.prototype.getSubscription = async () => (localStorage.getItem('test.push') ? fake : null)
  navigator.setAppBadge = async (count) => { window.badge = count }
  navigator.clearAppBadge = async () => { window.badge = 0 }
}"""


class Service:
    """The push service on a loop of its own: Playwright has this thread's."""

    def __init__(self, directory: Path) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self.inner: PushService = asyncio.run_coroutine_threadsafe(self._make(directory), self._loop).result(20)

    async def _make(self, directory: Path) -> PushService:
        return PushService(directory)

    def until(self, fits: Callable[[Push], bool]) -> Push:
        return asyncio.run_coroutine_threadsafe(self.inner.until(fits, 20), self._loop).result(25)

    def stop(self) -> None:
        async def stop() -> None:
            self.inner.stop()

        asyncio.run_coroutine_threadsafe(stop(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("push"))
    yield service
    service.stop()


@pytest.fixture(scope="module")
def pushing_hub(tmp_path_factory: pytest.TempPathFactory, service: Service) -> Iterator[HubProcess]:
    """A server that may push to a service on this machine."""
    environ = {
        **ENVIRON,
        "VOUCH_PUSH_ALLOW": service.inner.host,
        "VOUCH_OUTBOUND_CA": str(service.inner.authority),
        "VOUCH_PUSH_CONTACT": "mailto:admin@vouch.example",
    }
    with HubProcess(tmp_path_factory.mktemp("pushing") / "data", "--log-level", "error", environ=environ) as hub:
        yield hub


@pytest.fixture
def subscribers(pushing_hub: HubProcess, service: Service, chrome: Browser) -> Iterator[People]:
    """People on that server, whose browsers subscribe to that push service."""
    made: list[Person] = []

    def make(name: str, **options: Any) -> Person:
        person = Person(chrome, pushing_hub.url, name, worker=True, **options)
        given = service.inner.subscription(secrets.token_hex(6))
        person.context.add_init_script(f"({SUBSCRIPTION})({json.dumps(given)})")
        person.context.grant_permissions(["notifications"], origin=pushing_hub.url)
        made.append(person)
        return person.register()

    yield make
    complaints = {person.name: person.complaints for person in made if person.complaints}
    for person in made:
        person.context.close()
    assert complaints == {}


def test_somebody_who_is_called_finds_it_in_the_inbox_and_opens_the_message(people: People) -> None:
    ada, ben = people("Ada"), people("Ben", width="phone")
    ada.befriend(ben)
    room = ada.group("Reading club", ben)
    ben.open("/chats")
    bar = ben.page.get_by_role("navigation", name="Areas").filter(visible=True)
    body = {"text": "@Ben, is the room open?", "mentions": [ben.id]}
    ada.api(
        "POST", f"/conversations/{room}/entries", {"id": secrets.token_urlsafe(16), "kind": "message", "body": body}
    )
    expect(bar.get_by_role("link", name=re.compile("Inbox"))).to_contain_text("3 unread notices")
    bar.get_by_role("link", name=re.compile("Inbox")).click()
    line = ben.page.get_by_role("link", name=re.compile("Ada mentioned you in Reading club"))
    expect(line).to_contain_text("is the room open?")
    expect(line).to_contain_text("new")
    expect(ben.page.get_by_role("link", name=re.compile("Ada added you to Reading club"))).to_be_visible()
    expect(bar.get_by_role("link", name=re.compile("Inbox"))).not_to_contain_text("unread")
    line.click()
    expect(ben.bubble("is the room open?")).to_be_visible()
    # It was read for good, on every device.
    ben.open("/inbox")
    expect(ben.page.get_by_role("link", name=re.compile("Ada mentioned you"))).not_to_contain_text("new")


def test_an_inbox_without_notices_says_what_comes_here(people: People) -> None:
    ada = people("小雨", language="zh-CN")
    ada.open("/inbox")
    expect(ada.page.get_by_role("heading", name="暂时没有新动静")).to_be_visible()


def test_a_muted_chat_counts_nowhere_until_it_is_heard_again(people: People) -> None:
    ada, ben = people("Ada"), people("Ben")
    ada.befriend(ben)
    room = ada.direct(ben)
    ben.open_chat(room)
    ben.page.get_by_role("button", name="Notifications of this chat").click()
    ben.page.get_by_role("menuitemradio", name="Nothing at all").click()
    expect(ben.page.get_by_role("button", name="Notifications of this chat: Muted")).to_be_visible()
    ben.open("/people")
    ada.say(room, "Are you there?")
    chats = (
        ben.page.get_by_role("navigation", name="Areas")
        .filter(visible=True)
        .get_by_role("link", name=re.compile("Chats"))
    )
    ben.open("/chats")
    row = ben.page.get_by_role("link", name=re.compile("Are you there"))
    expect(row).to_contain_text("Muted")
    expect(row).to_contain_text("1 unread message")
    expect(chats).not_to_contain_text("unread")
    row.click()
    ben.page.get_by_role("button", name="Notifications of this chat").click()
    ben.page.get_by_role("menuitemradio", name="All messages").click()
    expect(ben.page.get_by_role("button", name="Notifications of this chat", exact=True)).to_be_visible()


def test_choices_hold_on_every_device(people: People) -> None:
    ada = people("Ada")
    ada.open("/me/notifications")
    ada.page.get_by_text("Keep quiet hours").click()
    ada.page.get_by_label("From").fill("21:30")
    ada.page.get_by_label("From").press("Tab")
    ada.page.get_by_role("button", name="Sun").click()
    ada.page.get_by_text("Not during quiet hours").click()
    ada.page.get_by_text("Show who writes and what").click()
    expect(ada.page.get_by_label("Time zone")).to_have_value("Asia/Shanghai")
    wanted = {
        "quiet": {"on": True, "from": "21:30", "to": "07:00", "zone": "Asia/Shanghai", "days": [0, 1, 2, 3, 4, 5]},
        "previews": False,
        "receipts": "not_when_quiet",
    }
    until(ada, lambda: ada.api("GET", "/me/notifications"), wanted)
    ada.open("/me/notifications")
    expect(ada.page.get_by_label("From")).to_have_value("21:30")
    expect(ada.page.get_by_role("radio", name=re.compile("Not during quiet hours"))).to_be_checked()


def test_a_browser_that_says_no_is_told_what_to_do(people: People) -> None:
    ada = people("Ada", worker=True)
    ada.context.add_init_script("Object.defineProperty(Notification, 'permission', { get: () => 'denied' })")
    ada.open("/me/notifications")
    expect(ada.page.get_by_text("does not let Vouch notify you")).to_be_visible()
    expect(ada.page.get_by_role("switch", name="Push notifications")).to_be_disabled()


def until(person: Person, ask: Callable[[], Any], wanted: Any) -> None:
    """Asks again and again until the answer is the wanted one."""
    deadline = time.monotonic() + 20
    while (answer := ask()) != wanted and time.monotonic() < deadline:
        person.page.wait_for_timeout(50)
    assert answer == wanted


def worker_of(person: Person) -> tuple[CDPSession, str]:
    """A way to the person's service worker, and the number of its registration."""
    session = person.context.new_cdp_session(person.page)
    found: list[dict[str, Any]] = []
    session.on("ServiceWorker.workerRegistrationUpdated", lambda event: found.extend(event["registrations"]))
    session.send("ServiceWorker.enable")
    person.page.evaluate("() => navigator.serviceWorker.ready.then(() => undefined)")
    ours = [each for each in found if each["scopeURL"].startswith(person.url) and not each["isDeleted"]]
    return session, str(ours[-1]["registrationId"])


def shown(person: Person) -> list[dict[str, Any]]:
    """The notifications that the browser shows."""
    found: list[dict[str, Any]] = person.page.evaluate(
        """async () => {
          const registration = await navigator.serviceWorker.ready
          const shown = await registration.getNotifications()
          return shown.map(({ title, body, tag, data }) => ({ title, body, tag, data }))
        }"""
    )
    return found


def test_a_message_becomes_a_notification_and_goes_when_it_is_read(subscribers: People, service: Service) -> None:
    ada, ben = subscribers("Ada"), subscribers("Ben")
    ada.befriend(ben)
    room = ada.direct(ben)

    ben.open("/me/notifications")
    switch = ben.page.get_by_role("switch", name="Push notifications")
    expect(switch).not_to_be_checked()
    ben.page.get_by_text("Push notifications", exact=True).click()
    expect(ben.page.get_by_text("Push is on for this device.")).to_be_visible()
    expect(switch).to_be_checked()

    ada.say(room, "The seal is pressed")
    push = service.until(lambda push: push.content.get("body") == "The seal is pressed")
    assert (push.content["title"], push.content["badge"]) == ("Ada", 1)

    # Nobody looks: the page is elsewhere.
    session, registration = worker_of(ben)
    ben.page.goto("about:blank")
    message = {"origin": ben.url, "registrationId": registration, "data": json.dumps(push.content)}
    session.send("ServiceWorker.deliverPushMessage", message)
    ben.open("/people")
    expect(ben.page.get_by_role("heading", name="People").first).to_be_visible()
    expected = {"title": "Ada", "body": "The seal is pressed", "tag": f"conv:{room}"}
    until(ben, lambda: shown(ben), [expected | {"data": {"url": push.content["url"]}}])
    ben.page.wait_for_function("() => window.badge === 1")

    # A click opens the message in the window that is there, and closes the notification.
    worker = ben.context.service_workers[0]
    worker.evaluate(
        """async () => {
          const [notification] = await self.registration.getNotifications()
          self.dispatchEvent(new NotificationEvent('notificationclick', { notification }))
        }"""
    )
    expect(ben.bubble("The seal is pressed")).to_be_visible()
    ben.page.wait_for_url(re.compile(f"/chats/{room}"))
    until(ben, lambda: shown(ben), [])
    ben.page.wait_for_function("() => window.badge === 0")


def test_what_is_read_elsewhere_is_taken_away_and_a_visible_page_shows_nothing(
    subscribers: People, service: Service
) -> None:
    ada, ben = subscribers("Ada"), subscribers("Ben", language="zh-CN")
    ada.befriend(ben)
    room = ada.direct(ben)
    ben.open("/people")
    session, registration = worker_of(ben)
    ada.say(room, "hello")
    content = {"url": f"/chats/{room}?at=2", "tag": f"conv:{room}", "badge": 1, "language": "zh-CN"}
    message = {"origin": ben.url, "registrationId": registration, "data": json.dumps(content)}
    session.send("ServiceWorker.deliverPushMessage", message)  # somebody looks
    ben.page.goto("about:blank")
    session.send("ServiceWorker.deliverPushMessage", message)  # nobody does
    ben.open("/people")
    until(ben, lambda: [(each["title"], each["body"]) for each in shown(ben)], [("守约", "你有新消息")])
    expect(ben.page.get_by_role("link", name="1 条未读 聊天").filter(visible=True)).to_be_visible()
    ben.api("PUT", f"/conversations/{room}/position", {"read": 2})
    until(ben, lambda: shown(ben), [])


def test_a_push_service_that_fails_is_shown_and_switching_off_forgets(subscribers: People, service: Service) -> None:
    ada, ben = subscribers("Ada"), subscribers("Ben")
    ada.befriend(ben)
    room = ada.direct(ben)
    ben.open("/me/notifications")
    ben.page.get_by_text("Push notifications", exact=True).click()
    expect(ben.page.get_by_text("Push is on for this device.")).to_be_visible()
    service.inner.answers = [403]
    ada.say(room, "hello")
    until(
        ben, lambda: [each["fault"] for each in ben.api("GET", "/push/subscriptions")["subscriptions"]], ["status 403"]
    )
    ben.open("/me/notifications")
    expect(ben.page.get_by_text("The last push did not arrive (status 403)")).to_be_visible()
    ben.page.get_by_text("Push notifications", exact=True).click()
    expect(ben.page.get_by_text("Push is off for this device.")).to_be_visible()
    assert ben.api("GET", "/push/subscriptions") == {"subscriptions": []}
