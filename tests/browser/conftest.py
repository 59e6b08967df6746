"""One server, one Chromium for the whole directory; a person costs a browser context."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.caller import Caller
from tests.browser.caller_films import Look, flags
from tests.browser.hub import CLIENT, Hub, chromium
from tests.browser.person import Person
from tests.payments.sandbox_process import SandboxClient

FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A microphone that hums, and nobody has to allow it.
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
]

People = Callable[..., Person]
Callers = Callable[..., Caller]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if re.search(r"tests.browser.", str(item.path)):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="package")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    assert (CLIENT / "index.html").exists(), "The web client is not built: npm ci && npm run build"
    hub = Hub(tmp_path_factory.mktemp("browser") / "data")
    hub.start()
    yield hub
    hub.stop()


# Per package, not per session: Playwright's loop would stand in the way of the tests that run loops of their own.
@pytest.fixture(scope="package")
def chrome() -> Iterator[Browser]:
    expect.set_options(timeout=15_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def people(hub: Hub, chrome: Browser) -> Iterator[People]:
    """`people("Ada", width="phone")` registers somebody with a browser. At the end no page may have complained."""
    made: list[Person] = []

    def make(name: str = "Ada", *, registered: bool = True, **options: Any) -> Person:
        person = Person(chrome, hub.url, name, **options)
        made.append(person)
        return person.register() if registered else person

    yield make
    complaints = {person.name: person.complaints for person in made if person.complaints}
    for person in made:
        person.context.close()
    assert complaints == {}


@pytest.fixture(scope="module")
def faces(chrome: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Look], Browser]]:
    """A Chromium for each look: contexts of one share its camera."""
    films = tmp_path_factory.mktemp("films")
    browsers: dict[Look, Browser] = {}

    def of(look: Look) -> Browser:
        if look not in browsers:
            args = FLAGS + flags(look, films)
            browsers[look] = chrome.browser_type.launch(executable_path=chromium(), args=args)
        return browsers[look]

    yield of
    for browser in browsers.values():
        browser.close()


@pytest.fixture
def callers(hub: Hub, chrome: Browser, faces: Callable[[Look], Browser]) -> Iterator[Callers]:
    """`callers("Ada", RED)` registers somebody who looks and sounds like that. As `people`, no page may complain."""
    made: list[Caller] = []

    def make(name: str, look: Look | None = None, *, server: Hub = hub, **options: Any) -> Caller:
        caller = Caller(faces(look) if look else chrome, server.url, name, look, **options)
        made.append(caller)
        caller.register()
        return caller

    yield make
    complaints = {caller.name: caller.complaints for caller in made if caller.complaints}
    for caller in made:
        caller.context.close()
    assert complaints == {}


@pytest.fixture
def till(hub: Hub) -> Iterator[SandboxClient]:
    """The platform that the hub has started, without trouble before and after."""
    client = SandboxClient.of_hub(hub.data_dir)
    client.calm()
    yield client
    client.calm()
