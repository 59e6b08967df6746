"""One server, one Chromium for the whole directory; a person costs a browser context."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from server.settings import ROOT
from tests.browser.hub import Hub, chromium
from tests.browser.person import Person

FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

People = Callable[..., Person]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if re.search(r"tests.browser.", str(item.path)):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="package")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    assert (ROOT / "static" / "dist" / "index.html").exists(), "The web client is not built: npm ci && npm run build"
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

    def make(name: str = "Ada", *, registered: bool = True, **options: str) -> Person:
        person = Person(chrome, hub.url, name, **options)  # type: ignore[arg-type]  # the literals come from the tests
        made.append(person)
        return person.register() if registered else person

    yield make
    complaints = {person.name: person.complaints for person in made if person.complaints}
    for person in made:
        person.context.close()
    assert complaints == {}
