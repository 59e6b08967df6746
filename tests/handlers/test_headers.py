"""The security headers and the cookies' flags on every kind of answer. docs/security.md says why each is there."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders
from tornado.testing import bind_unused_port

from handlers.application import make_application
from server.limits import LIMITS, SEND_BURST
from server.settings import ROOT
from tests.conftest import Run, RunningServer

PAGE_CSP = (
    "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; style-src 'self'; script-src 'self'; "
    "connect-src 'self' {sockets}; worker-src 'self'; manifest-src 'self'; frame-src 'none'; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
DATA_CSP = "default-src 'none'; frame-ancestors 'none'; sandbox"
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": (
        "camera=(self), microphone=(self), display-capture=(self), geolocation=(self), payment=(), usb=(), serial=(), "
        "hid=(), midi=(), accelerometer=(), gyroscope=(), magnetometer=()"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

#: kind of answer → (method, path, status, whether it is part of a page)
ANSWERS = {
    "data": ("GET", "/api/v1/openapi.json", 200, False),
    "a refusal": ("GET", "/api/v1/me", 401, False),
    "an unknown operation": ("GET", "/api/v1/nothing", 404, False),
    "a wrong method": ("PUT", "/api/v1/me", 405, False),
    "a missing XSRF token": ("POST", "/api/v1/sessions", 403, False),
    "a page": ("GET", "/", 200, True),
    "any other page": ("GET", "/chat/c_1", 200, True),
    "a script": ("GET", "/assets/app.js", 200, True),
    "a style": ("GET", "/assets/app.css", 200, True),
    "a picture": ("GET", "/icon.svg", 200, False),
    "the service worker": ("GET", "/sw.js", 200, True),
    "a missing asset": ("GET", "/assets/none.js", 404, False),
    "the reference": ("GET", "/docs", 200, True),
    "its style": ("GET", "/docs.css", 200, True),
    "health": ("GET", "/healthz", 200, False),
    "readiness": ("GET", "/readyz", 200, False),
    "measurements": ("GET", "/metrics", 200, False),
    "a handshake that is none": ("GET", "/api/v1/socket", 400, False),
}


@pytest.fixture
def static_dir(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    for name in ("index.html", "icon.svg", "sw.js", "assets/app.js", "assets/app.css"):
        (tmp_path / name).write_text("x")
    return tmp_path


@pytest.fixture
def hub(server: RunningServer, static_dir: Path, run: Run[Any]) -> Iterator[str]:
    """A hub behind a trusted proxy, which is this machine."""
    services = server.services
    services.settings = replace(services.settings, static_dir=static_dir, trusted_proxies=("127.0.0.1",))
    http = HTTPServer(make_application(services))
    listening, port = bind_unused_port()
    http.add_socket(listening)
    yield f"127.0.0.1:{port}"
    http.stop()
    run(http.close_all_connections())


async def asked(hub: str, method: str, path: str, headers: dict[str, str]) -> tuple[int, HTTPHeaders]:
    body = "{}" if method in ("POST", "PUT") else None
    request = HTTPRequest(f"http://{hub}{path}", method, headers, body)
    answer = await AsyncHTTPClient().fetch(request, raise_error=False)
    return answer.code, answer.headers


def check(headers: HTTPHeaders, host: str, *, page: bool, secure: bool) -> None:
    sockets = f"wss://{host}" if secure else f"ws://{host} wss://{host}"
    wanted = ALWAYS | {"Content-Security-Policy": PAGE_CSP.format(sockets=sockets) if page else DATA_CSP}
    assert {name: headers.get(name) for name in wanted} == wanted
    assert headers.get("Strict-Transport-Security") == ("max-age=31536000" if secure else None)
    assert "Server" not in headers
    assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https at the proxy"])
@pytest.mark.parametrize("kind", ANSWERS)
async def test_every_kind_of_answer_has_them(hub: str, kind: str, secure: bool) -> None:
    method, path, status, page = ANSWERS[kind]
    told = {"X-Forwarded-Proto": "https"} if secure else {}
    code, headers = await asked(hub, method, path, told)
    assert code == status
    check(headers, hub, page=page, secure=secure)


@pytest.mark.parametrize("path", ["/", "/sw.js", "/icon.svg", "/assets/app.js"])
async def test_a_page_that_has_not_changed_keeps_its_policy(hub: str, path: str) -> None:
    """The headers of a 304 replace those that the browser has kept."""
    _, first = await asked(hub, "GET", path, {})
    code, headers = await asked(hub, "GET", path, {"If-None-Match": first["Etag"]})
    assert code == 304
    assert headers.get("Content-Security-Policy") in (None, first["Content-Security-Policy"])
    assert {name: headers.get(name) for name in ALWAYS} == ALWAYS


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https at the proxy"])
async def test_the_handshake_of_a_socket_has_them_too(hub: str, secure: bool) -> None:
    host, _, port = hub.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    key = base64.b64encode(bytes(16)).decode()
    lines = ["GET /api/v1/socket HTTP/1.1", f"Host: {hub}", "Upgrade: websocket", "Connection: Upgrade"]
    lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13"]
    lines += ["X-Forwarded-Proto: https"] if secure else []
    writer.write("\r\n".join([*lines, "", ""]).encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    assert head.startswith("HTTP/1.1 101 ")
    check(HTTPHeaders.parse(head.partition("\r\n")[2]), hub, page=False, secure=secure)
    writer.close()


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https at the proxy"])
async def test_cookies_are_for_https_only_when_the_client_speaks_it(hub: str, secure: bool) -> None:
    told = {"X-Forwarded-Proto": "https"} if secure else {}
    _, headers = await asked(hub, "GET", "/api/v1/me", told)
    (xsrf,) = headers.get_list("Set-Cookie")
    token = xsrf.partition(";")[0].partition("=")[2]
    told |= {"Cookie": f"_xsrf={token}", "X-XSRFToken": token, "Content-Type": "application/json"}
    request = HTTPRequest(
        f"http://{hub}/api/v1/registrations",
        "POST",
        told,
        '{"handle": "ann", "password": "paper and seal", "name": "Ann"}',
    )
    answer = await AsyncHTTPClient().fetch(request)
    session = next(c for c in answer.headers.get_list("Set-Cookie") if c.startswith("vouch_session="))
    flags = {
        cookie.partition("=")[0]: {part.strip().lower() for part in cookie.split(";")[1:]} for cookie in (xsrf, session)
    }
    common = {"path=/", "samesite=lax"} | ({"secure"} if secure else set())
    assert flags["_xsrf"] == common
    assert {flag for flag in flags["vouch_session"] if not flag.startswith("expires=")} == common | {"httponly"}


async def test_a_proxy_that_is_not_trusted_is_not_believed(server: RunningServer) -> None:
    code, headers = await asked(f"127.0.0.1:{server.port}", "GET", "/api/v1/me", {"X-Forwarded-Proto": "https"})
    assert code == 401
    check(headers, f"127.0.0.1:{server.port}", page=False, secure=False)
    assert "secure" not in headers["Set-Cookie"].lower()


def test_the_built_page_needs_nothing_that_the_policy_forbids() -> None:
    page = (ROOT / "static" / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)", page), "a script in the page itself"
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=", page), "a style or a handler in the page itself"
    assert not re.search(r'(?:src|href)="https?:', page), "something from elsewhere"


def test_the_page_on_security_names_every_header() -> None:
    text = (ROOT / "docs" / "security.md").read_text()
    for name in (*ALWAYS, "Content-Security-Policy", "Strict-Transport-Security"):
        assert f"`{name}`" in text
    for policy in (PAGE_CSP.format(sockets="SOCKETS"), DATA_CSP):
        for directive in policy.replace("'self' SOCKETS", "'self'").split("; "):
            assert directive in text, directive


def test_the_page_on_security_names_every_limit_on_people_and_addresses() -> None:
    (table,) = re.findall(r"## Limits and lockout\n(.*?)\n## ", (ROOT / "docs" / "security.md").read_text(), re.DOTALL)
    for name, limit in LIMITS.items():
        amount = limit.rate.split()[0]
        if name not in OF_NO_DANGER:
            assert re.search(rf"\b{amount}\b", table), f"{name}: {limit.rate}"
    assert re.search(rf"\b{SEND_BURST} at once", table)


#: limits that keep order among those who are signed in, and protect nobody from anybody
OF_NO_DANGER = {"change_profile", "create_conversation", "add_members"}
