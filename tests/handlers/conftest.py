"""A client that behaves like a browser, or like a program; it checks every refusal against the declared errors."""

from __future__ import annotations

import re
from collections.abc import Callable
from http.cookies import SimpleCookie
from typing import Any, NamedTuple

import msgspec
import pytest
from tornado.httpclient import AsyncHTTPClient
from tornado.httputil import HTTPHeaders

from handlers import openapi
from handlers.edge import ErrorAnswer
from handlers.operations import BASE, Operation
from server.errors import CODES, Code
from server.settings import Settings
from tests.conftest import RunningServer

PASSWORD = "paper and seal"
NOBODY = "p_" + "0" * 20
#: Nothing of a fault may ever leave the server.
_INSIDES = re.compile(rb"Traceback|File \"|\.py\b|Exception|pymongo|motor|asyncio")


class Answer(NamedTuple):
    status: int
    headers: HTTPHeaders
    data: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.data)

    @property
    def code(self) -> str:
        """The code of a refusal, empty for a success."""
        return str(self.json["error"]["code"]) if self.status >= 400 else ""

    @property
    def field(self) -> str | None:
        return self.json["error"].get("field") if self.status >= 400 else None


class Client:
    """Keeps cookies and sends the XSRF token like the web client, or a bearer token like a program."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url
        self.token = token
        self.cookies: dict[str, str] = {}

    async def call(
        self,
        method: str,
        path: str,
        json: Any = msgspec.UNSET,
        *,
        data: bytes | None = None,
        headers: dict[str, str] | None = None,
        xsrf: bool = True,
    ) -> Answer:
        """`path` is under /api/v1 unless it starts with `//`, then it is under the root."""
        sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if json is not msgspec.UNSET:
            data, sent["Content-Type"] = msgspec.json.encode(json), "application/json"
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        elif xsrf and "_xsrf" in self.cookies:
            sent["X-XSRFToken"] = self.cookies["_xsrf"]
        answer = await AsyncHTTPClient().fetch(
            self.url + (path[1:] if path.startswith("//") else BASE + path),
            method=method,
            headers={**sent, **(headers or {})},
            body=data,
            allow_nonstandard_methods=True,
            raise_error=False,
            decompress_response=False,
            follow_redirects=False,
        )
        for line in answer.headers.get_list("Set-Cookie"):
            for name, morsel in SimpleCookie(line).items():
                self.cookies[name] = morsel.coded_value
                if not morsel.value:
                    del self.cookies[name]
        result = Answer(answer.code, answer.headers, answer.body or b"")
        check(method, path, result)
        return result

    async def get(self, path: str) -> Answer:
        return await self.call("GET", path)

    async def post(self, path: str, json: Any = msgspec.UNSET) -> Answer:
        return await self.call("POST", path, json)

    async def begin(self) -> Client:
        """Fetches the XSRF cookie like a page that has just loaded."""
        await self.get("/me")
        return self

    async def register(self, handle: str, **more: Any) -> dict[str, Any]:
        await self.begin()
        answer = await self.post("/registrations", {"handle": handle, "password": PASSWORD, "name": handle, **more})
        assert answer.status == 201, answer.data
        me: dict[str, Any] = answer.json
        return me


def operation_at(method: str, path: str) -> Operation | None:
    at = BASE + path.partition("?")[0]
    fixed_first = sorted(openapi.all_operations(), key=lambda operation: operation.path.count("{"))
    return next((op for op in fixed_first if op.method == method and re.match(op.pattern, at)), None)


def check(method: str, path: str, answer: Answer) -> None:
    """What holds for every answer: a request id; for refusals the one shape and a code that was declared."""
    assert answer.headers["X-Request-Id"].startswith("r_")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    if answer.status < 400 or path.startswith("//"):
        return
    assert not _INSIDES.search(answer.data), answer.data
    error = msgspec.json.decode(answer.data, type=ErrorAnswer).error
    assert CODES[error.code][0] == answer.status
    assert error.request_id == answer.headers["X-Request-Id"]
    assert (error.retry_after is None) == ("Retry-After" not in answer.headers)
    operation = operation_at(method, path)
    if operation is not None:
        assert error.code in openapi.errors_of(operation), f"{operation.id} does not declare {error.code}"
    else:
        assert error.code in (Code.NOT_FOUND, Code.METHOD_NOT_ALLOWED)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Loose limits: a test that is about a limit sets it itself."""
    return msgspec.structs.replace(settings, limits_factor=1000.0)


@pytest.fixture
def browser(server: RunningServer) -> Callable[[], Client]:
    """Makes browsers that have never been here."""
    return lambda: Client(server.url)
