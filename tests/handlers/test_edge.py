"""What every request meets: cookies, XSRF, origins, sizes, foreign addresses, faults."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import structlog
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine
from tornado.web import HTTPError

from handlers import edge
from handlers.edge import SecurityHeaders, as_error, client_ip, is_secure, origin_allowed
from server import logs
from server.errors import Code, VouchError
from server.people.accounts import Accounts
from server.people.sessions import Sessions
from server.store import StoreError, Unavailable
from tests.conftest import Run, RunningServer
from tests.handlers.conftest import PASSWORD, Client

Browser = Callable[[], Client]


# ── Who is asking ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_cookie_is_for_the_server_only(browser: Browser) -> None:
    client = await browser().begin()
    answer = await client.post("/registrations", {"handle": "lin", "password": PASSWORD, "name": "Lin"})
    cookie = next(c for c in answer.headers.get_list("Set-Cookie") if c.startswith("vouch_session="))
    for part in ("HttpOnly", "SameSite=Lax", "Path=/"):
        assert part in cookie
    assert "Secure" not in cookie  # plain http on this machine
    xsrf = next(iter((await browser().get("/me")).headers.get_list("Set-Cookie")))
    assert "HttpOnly" not in xsrf
    assert "SameSite=Lax" in xsrf


async def test_a_forged_cookie_is_nobody(browser: Browser) -> None:
    client = browser()
    await client.register("lin")
    honest = client.cookies["vouch_session"]
    last = "1" if honest[-2] == "0" else "0"
    for forged in (f'{honest[:-2]}{last}"', "x", '"2|1:0|10:1|13:vouch_session|4:eA==|00"', ""):
        client.cookies["vouch_session"] = forged
        assert (await client.get("/me")).code == Code.UNAUTHENTICATED
    client.cookies["vouch_session"] = honest
    assert (await client.get("/me")).status == 200


async def test_changing_needs_the_pages_own_token(browser: Browser) -> None:
    client = browser()
    await client.register("lin")
    assert (await client.call("PATCH", "/me", {"name": "Eve"}, xsrf=False)).code == Code.XSRF
    assert (await client.call("PATCH", "/me", {"name": "Eve"}, headers={"X-XSRFToken": "2|0|0|0"})).code == Code.XSRF
    assert (await client.call("PATCH", "/me", {"name": "Xiaomei"})).status == 200
    stranger = browser()
    answer = await stranger.call("POST", "/sessions", {"login": "lin", "password": PASSWORD})
    assert answer.code == Code.XSRF  # nobody can be signed in to a foreign account either


async def test_pages_of_other_origins_may_change_nothing(browser: Browser, server: RunningServer) -> None:
    client = browser()
    await client.register("lin")
    for origin in ("https://evil.example", "null", server.url.replace("http", "ftp"), server.url + "1"):
        answer = await client.call("PATCH", "/me", {"name": "Eve"}, headers={"Origin": origin})
        assert answer.code == Code.FORBIDDEN
    assert (await client.call("PATCH", "/me", {"name": "Eve"}, headers={"Origin": server.url})).status == 200
    assert (await client.call("GET", "/me", headers={"Origin": "https://evil.example"})).status == 200


async def test_a_program_needs_neither_cookie_nor_xsrf(browser: Browser, server: RunningServer) -> None:
    person = browser()
    me = await person.register("lin")
    token = (await person.post("/tokens", {"name": "Robot"})).json["token"]
    robot = Client(server.url, token)
    answer = await robot.call("PATCH", "/me", {"introduction": "by a robot"})
    assert answer.json["id"] == me["id"]
    assert "Set-Cookie" not in answer.headers
    assert (await robot.get("/sessions")).code == Code.FORBIDDEN


async def test_a_session_that_slides_sends_its_cookie_again(browser: Browser, server: RunningServer) -> None:
    client = browser()
    await client.register("lin")
    assert "Set-Cookie" not in (await client.get("/me")).headers
    sessions = server.services.store.collection("sessions")
    row = await sessions.find_one({})
    assert row is not None
    await sessions.update_one({"_id": row["_id"]}, {"$set": {"seen_at": row["created_at"].replace(year=2020)}})
    answer = await client.get("/me")
    assert answer.headers["Set-Cookie"].startswith("vouch_session=")
    assert (await client.get("/me")).status == 200


# ── What is asked ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_unknown_addresses_and_methods_have_the_same_shape(browser: Browser) -> None:
    client = browser()
    for path in ("/nothing", "/me/nothing", "/", "/people/%ff", "/me/"):
        assert (await client.get(path)).code in (Code.NOT_FOUND, Code.BAD_REQUEST)
    answer = await client.call("PUT", "/me", {})
    assert answer.code == Code.METHOD_NOT_ALLOWED
    assert answer.headers["Allow"] == "DELETE, GET, PATCH"
    for method in ("OPTIONS", "HEAD", "TRACE", "BREW"):
        assert (await client.call(method, "//api/v1/me")).status == 405


async def test_too_much_is_refused_with_and_without_a_length(browser: Browser, server: RunningServer) -> None:
    client = browser()
    await client.register("lin")
    big = b'{"name":"' + b"x" * 200_000 + b'"}'
    answer = await client.call("PATCH", "/me", data=big, headers={"Content-Type": "application/json"})
    assert answer.code == Code.TOO_LARGE
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    writer.write(
        f"PATCH /api/v1/me HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nCookie: {cookies}\r\n"
        f"X-XSRFToken: {client.cookies['_xsrf']}\r\nContent-Type: application/json\r\n"
        "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n".encode()
    )
    for start in range(0, len(big), 50_000):
        chunk = big[start : start + 50_000]
        writer.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
    writer.write(b"0\r\n\r\n")
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413")
    assert msgspec.json.decode(body)["error"]["code"] == Code.TOO_LARGE
    writer.close()


async def test_who_is_refused_before_being_read_is_told_that_the_connection_ends(server: RunningServer) -> None:
    """Tornado ends it; a proxy that keeps connections open would else lose its next request on it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(f"GET /api/v1/me HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
    head, _, _ = (await reader.read()).partition(b"\r\n\r\n")  # up to the end of the connection
    assert head.startswith(b"HTTP/1.1 401")
    assert b"\r\nConnection: close" in head
    writer.close()


async def test_a_client_that_goes_away_in_the_middle_hurts_nobody(browser: Browser, server: RunningServer) -> None:
    client = browser()
    await client.register("lin")
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(
        b"POST /api/v1/registrations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 100\r\n\r\n{"
    )
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert (await client.get("/me")).status == 200


@given(data=st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_answered_in_shape(run: Run[Any], server: RunningServer, data: bytes) -> None:
    client = Client(server.url)
    run(client.begin())
    for path in ("/registrations", "/sessions"):
        answer = run(client.call("POST", path, data=data, headers={"Content-Type": "application/json"}))
        assert answer.code == Code.BAD_REQUEST


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_registration = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("handle", "password", "name", "phone", "birth_date", "language", "time_zone", "x"), _json),
)


@given(request=_registration)
@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_json_is_answered_in_shape(run: Run[Any], server: RunningServer, request: dict[str, Any]) -> None:
    client = Client(server.url)
    run(client.begin())
    answer = run(client.post("/registrations", request))
    assert answer.status in (201, 400, 409)


# ── What goes wrong ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (RuntimeError("the password is swordfish"), Code.INTERNAL),
        (KeyError("secret"), Code.INTERNAL),
        (StoreError("E11000 secret"), Code.INTERNAL),
        (Unavailable("mongodb://vouch:secret@host"), Code.UNAVAILABLE),
        (VouchError(Code.UNAVAILABLE, retry_after=0.2), Code.UNAVAILABLE),
    ],
)
async def test_a_fault_tells_nothing(
    browser: Browser, monkeypatch: pytest.MonkeyPatch, fault: Exception, code: Code
) -> None:
    client = browser()
    await client.register("lin")

    async def fail(self: Accounts, me: str) -> None:
        raise fault

    monkeypatch.setattr(Accounts, "me", fail)
    answer = await client.get("/me")
    assert answer.code == code
    assert b"secret" not in answer.data
    assert b"swordfish" not in answer.data


@pytest.mark.parametrize("format", ["text", "json"])
async def test_the_log_tells_what_happened_and_no_secrets(
    browser: Browser, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    secret = "correct horse battery"
    written = io.StringIO()
    before = structlog.get_config()
    logs.configure(format=format, stream=written)
    monkeypatch.setattr(edge, "log", structlog.get_logger("vouch.http"))
    try:
        client = await browser().begin()
        await client.post("/registrations", {"handle": "lin", "password": secret, "name": "Lin"})
        token = client.cookies["vouch_session"]

        async def fail(self: Sessions, person: str, current: str) -> None:
            password = secret  # noqa: F841  (what a traceback must not print)
            raise RuntimeError("the list is broken")

        monkeypatch.setattr(Sessions, "all_of", fail)
        answer = await client.get("/sessions?token=swordfish")
    finally:
        structlog.configure(**before)
        logging.getLogger().handlers.clear()
    text = written.getvalue()
    assert answer.code == Code.INTERNAL
    assert "the list is broken" in text
    assert answer.headers["X-Request-Id"] in text
    assert "list_sessions" in text
    for hidden in (secret, "swordfish", token, token.split("|")[4].partition(":")[2]):
        assert hidden not in text


def test_foreign_faults_become_codes() -> None:
    for fault, status, code in (
        (HTTPError(404), 404, Code.NOT_FOUND),
        (HTTPError(405), 405, Code.METHOD_NOT_ALLOWED),
        (HTTPError(418), 418, Code.BAD_REQUEST),
        (HTTPError(500), 500, Code.INTERNAL),
        (None, 404, Code.NOT_FOUND),
        (None, 500, Code.INTERNAL),
        (ValueError("x"), 500, Code.INTERNAL),
    ):
        assert as_error(fault, status).code is code


# ── Where it comes from ─────────────────────────────────────────────────────────────────────────────────────────────


def request(ip: str, **headers: str) -> HTTPServerRequest:
    class Connection:
        class context:
            remote_ip = ip
            protocol = "http"

    sent = HTTPHeaders({"Host": "vouch.example:8443"})
    sent.update({name.replace("_", "-"): value for name, value in headers.items()})
    line = RequestStartLine("GET", "/", "HTTP/1.1")
    connection: Any = Connection()
    return HTTPServerRequest(headers=sent, connection=connection, start_line=line)


@pytest.mark.parametrize(
    ("peer", "forwarded", "proxies", "client"),
    [
        ("198.51.100.7", "", (), "198.51.100.7"),
        ("198.51.100.7", "203.0.113.9", (), "198.51.100.7"),  # anybody can write this header
        ("198.51.100.7", "203.0.113.9", ("10.0.0.1",), "198.51.100.7"),
        ("10.0.0.1", "203.0.113.9", ("10.0.0.1",), "203.0.113.9"),
        ("10.0.0.1", "1.2.3.4, 203.0.113.9", ("10.0.0.1",), "203.0.113.9"),  # the first was made up by the client
        ("10.0.0.1", "203.0.113.9, 10.0.0.2", ("10.0.0.0/8",), "203.0.113.9"),
        ("10.0.0.1", "", ("10.0.0.1",), "10.0.0.1"),
        ("10.0.0.1", "nonsense", ("10.0.0.1",), "10.0.0.1"),
        ("10.0.0.1", "2001:0db8:0000::1", ("10.0.0.1",), "2001:db8::1"),
        ("", "203.0.113.9", ("10.0.0.1",), ""),
    ],
)
def test_the_address_is_believed_from_trusted_proxies_only(
    peer: str, forwarded: str, proxies: tuple[str, ...], client: str
) -> None:
    headers = {"X_Forwarded_For": forwarded} if forwarded else {}
    assert client_ip(request(peer, **headers), proxies) == client


def test_tls_at_a_proxy_counts_when_the_proxy_is_trusted() -> None:
    forwarded = request("10.0.0.1", X_Forwarded_Proto="https")
    assert is_secure(forwarded, ("10.0.0.1",))
    assert not is_secure(forwarded, ())


def test_over_tls_browsers_are_told_to_stay_there() -> None:
    over_tls = request("127.0.0.1")
    over_tls.protocol = "https"
    _, headers, _ = SecurityHeaders(over_tls).transform_first_chunk(200, HTTPHeaders(), b"", True)
    assert headers["Strict-Transport-Security"] == "max-age=31536000"
    strange = request("127.0.0.1")
    strange.host = "x; script-src *"
    _, headers, _ = SecurityHeaders(strange).transform_first_chunk(
        200, HTTPHeaders({"Content-Type": "text/html"}), b"", True
    )
    assert "script-src *" not in headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://vouch.example:8443", True),
        ("http://vouch.example:8443", True),
        ("https://VOUCH.example:8443", True),
        ("https://app.example", True),
        ("https://vouch.example", False),
        ("https://evil.example", False),
        ("null", False),
        ("", False),
        ("https://vouch.example:8443.evil.example", False),
    ],
)
def test_origins(origin: str, allowed: bool) -> None:
    assert origin_allowed(request("127.0.0.1", Origin=origin), ("https://app.example",)) == allowed
    assert origin_allowed(request("127.0.0.1"), ())
