"""People who take part in a measurement: registered over HTTP, friends of the first of them, in groups."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from typing import Any, TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")
U = TypeVar("U")

#: Requests under way at once; passwords are hashed in two threads.
_AT_ONCE = 4
_PASSWORD = secrets.token_urlsafe(16)


class Person:
    """Somebody new, with a session cookie. `call` raises RuntimeError when the server refuses."""

    def __init__(self, url: str) -> None:
        self._host = urlsplit(url).netloc
        self._cookies: dict[str, str] = {}
        self._request("GET", "/me", None)  # 401, and the cookie against forged requests
        self.handle = "b" + secrets.token_hex(8)
        body = {"handle": self.handle, "password": _PASSWORD, "name": self.handle}
        self.id = str(self.call("POST", "/registrations", body)["id"])

    @property
    def cookie(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self._cookies.items())

    def call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        status, answer = self._request(method, path, body)
        if status >= 300:
            raise RuntimeError(f"{method} {path}: {status} {answer}")
        return answer

    def group(self, members: list[Person]) -> str:
        """A new group of this person and these friends: its channel."""
        key = secrets.token_urlsafe(16)
        ids = [person.id for person in members]
        body = {"kind": "group", "title": "Bench", "members": ids, "key": key, "share_history": False}
        return str(self.call("POST", "/conversations", body)["ch"])

    def ask(self, other: Person) -> None:
        """Asks to be a friend."""
        self.call("POST", "/friends/requests", {"person": other.id})

    def accept(self, other: Person) -> None:
        self.call("POST", f"/friends/requests/{other.id}/accept")

    def _request(self, method: str, path: str, body: object) -> tuple[int, dict[str, Any]]:
        headers = {"Cookie": self.cookie, "X-XSRFToken": self._cookies.get("_xsrf", "")}
        if body is not None:
            headers["Content-Type"] = "application/json"
        with closing(HTTPConnection(self._host, timeout=60)) as http:
            http.request(method, "/api/v1" + path, None if body is None else json.dumps(body), headers)
            answer = http.getresponse()
            data = answer.read()
        for line in answer.msg.get_all("Set-Cookie") or ():
            name, _, value = line.split(";")[0].partition("=")
            self._cookies[name] = value.strip('"')
        return answer.status, dict(json.loads(data)) if data else {}


def each(things: Iterable[T], work: Callable[[T], U]) -> list[U]:
    """`work` on all things, a few at a time, as its results in their order."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(work, things))


def strangers(url: str, count: int) -> list[Person]:
    """`count` new people who do not know each other."""
    return each(range(count), lambda _: Person(url))


def friends(url: str, count: int) -> list[Person]:
    """`count` new people, all of them friends of the first."""
    first, *others = people = strangers(url, count)
    each(others, lambda other: other.ask(first))
    for other in others:
        first.accept(other)
    return people
