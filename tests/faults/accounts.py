"""People and conversations for a run, made over HTTP."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.httputil import HTTPHeaders

from tests.faults.checker import Logged

_PAGE = 200


@dataclass
class Account:
    """A person with a token for a program of theirs, which is what opens the sockets."""

    id: str
    handle: str
    token: str
    session: str
    cookies: dict[str, str]


def logged(entry: dict[str, Any]) -> Logged:
    text = str(entry["body"].get("text", ""))
    return Logged(entry["seq"], entry["n"], entry["by"], entry["id"], entry["kind"], text)


async def call(
    url: str, method: str, path: str, body: Any = None, *, token: str = "", cookies: dict[str, str] | None = None
) -> Any:
    """One request; the answer's JSON. Raises HTTPClientError from status 400 on."""
    headers = HTTPHeaders({"Content-Type": "application/json"})
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if cookies:
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        headers["X-XSRFToken"] = cookies.get("_xsrf", "")
    request = HTTPRequest(
        f"{url}/api/v1{path}",
        method=method,
        headers=headers,
        body=None if body is None and method in ("GET", "DELETE") else json.dumps(body or {}),
        request_timeout=20.0,
    )
    answer = await AsyncHTTPClient().fetch(request)
    if cookies is not None:
        _keep_cookies(answer.headers, cookies)
    return json.loads(answer.body) if answer.body else None


def _keep_cookies(headers: HTTPHeaders, cookies: dict[str, str]) -> None:
    for cookie in headers.get_list("Set-Cookie"):
        name, _, value = cookie.partition(";")[0].partition("=")
        cookies[name] = value.strip('"')


async def register(url: str, name: str) -> Account:
    cookies: dict[str, str] = {}
    greeting = await AsyncHTTPClient().fetch(f"{url}/api/v1/me", raise_error=False)  # 401, with the XSRF cookie
    _keep_cookies(greeting.headers, cookies)
    handle = f"{name}_{secrets.token_hex(4)}"
    form = {"handle": handle, "password": "correct horse battery", "name": name}
    me = await call(url, "POST", "/registrations", form, cookies=cookies)
    made = await call(url, "POST", "/tokens", {"name": "load"}, cookies=cookies)
    return Account(me["id"], handle, made["token"], made["session"]["id"], cookies)


async def befriend(url: str, a: Account, b: Account) -> None:
    await call(url, "POST", "/friends/requests", {"person": b.id}, token=a.token)
    await call(url, "POST", f"/friends/requests/{a.id}/accept", token=b.token)


async def direct(url: str, a: Account, b: Account) -> str:
    """The channel of a new direct conversation."""
    made = await call(url, "POST", "/conversations", {"kind": "direct", "person": b.id}, token=a.token)
    return str(made["ch"])


async def group(url: str, owner: Account, members: Sequence[Account], title: str) -> str:
    """The channel of a new group; the members are friends of the owner."""
    form = {"kind": "group", "title": title, "members": [m.id for m in members], "key": secrets.token_urlsafe(16)}
    made = await call(url, "POST", "/conversations", form, token=owner.token)
    return str(made["ch"])


async def circle(url: str, people: int) -> list[Account]:
    """People who are all friends of the first."""
    accounts = list(await asyncio.gather(*(register(url, f"person{number}") for number in range(people))))
    for other in accounts[1:]:
        await befriend(url, accounts[0], other)
    return accounts


async def read_log(url: str, account: Account, ch: str, after: int = 0) -> list[Logged]:
    """The channel behind a number as one of its members reads it, page by page."""
    entries: list[Logged] = []
    conversation = ch.partition(":")[2]
    while True:
        last = entries[-1].seq if entries else after
        path = f"/conversations/{conversation}/entries?after={last}&limit={_PAGE}"
        page = await call(url, "GET", path, token=account.token)
        if not page["entries"]:
            return entries
        entries += map(logged, page["entries"])
