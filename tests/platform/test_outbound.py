"""Nobody makes the server talk to what is not on the public internet, and nobody keeps it waiting."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server import certificates, outbound
from server.clock import SystemClock
from server.errors import StartupError
from server.outbound import Outbound, OutboundFault, OutboundRefused, forbidden, target
from tests.conftest import Run

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

#: What the guard must not let through, however it is written.
INSIDE = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.168.1.1",
    "198.18.0.1",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.250",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a00:1",
    "100::1",
    "2001:0:7f00:1::",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:a00:1::1",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%lo",
    "fec0::1",
    "ff02::1",
    "not an address",
]
OUTSIDE = [
    "1.1.1.1",
    "9.9.9.9",
    "172.32.0.1",
    "100.128.0.1",
    "2606:4700::1111",
    "2a00:1450:4001::1",
    "64:ff9b::101:101",
]


@pytest.mark.parametrize("address", INSIDE)
def test_addresses_inside_are_forbidden(address: str) -> None:
    assert forbidden(address)


@pytest.mark.parametrize("address", OUTSIDE)
def test_addresses_outside_are_not(address: str) -> None:
    assert not forbidden(address)


@given(st.ip_addresses(v=4))
def test_what_python_calls_private_is_forbidden(address: Any) -> None:
    if not address.is_global or address.is_multicast or address.is_reserved:
        assert forbidden(str(address))
    assert forbidden(f"::ffff:{address}") == forbidden(str(address))
    assert forbidden(f"64:ff9b::{address}") == forbidden(str(address))


@given(st.ip_addresses(v=6))
def test_of_ipv6_only_what_is_given_out_is_let_through(address: Any) -> None:
    if not forbidden(str(address)) and address not in outbound._TRANSLATED and address.ipv4_mapped is None:
        assert address.is_global
        assert str(address)[0] in "23"


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("https://push.example", "push.example", 443),
        ("https://Push.Example/a?b=c~d", "push.example", 443),
        ("https://push.example:8443/x", "push.example", 8443),
        ("https://1.2.3.4/x", "1.2.3.4", 443),
        ("https://[2606:4700::1111]:443/x", "2606:4700::1111", 443),
    ],
)
def test_where_a_url_leads(url: str, host: str, port: int) -> None:
    assert (target(url).host, target(url).port) == (host, port)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://push.example/",
        "ftp://push.example/",
        "//push.example/",
        "https://",
        "https:///x",
        "https://user@push.example/",
        "https://user:word@push.example/",
        "https://push.example\\@127.0.0.1/",
        "https://push.example/a b",
        "https://push.example/\r\nHost: other",
        "https://push.example/\n",
        "https://push.example/x#y\u2028",
        "https://push.example:0/",
        "https://push.example:99999/",
        "https://push.example:443:444/",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "https://[hello]/",
        "https://-push.example/",
        "https://push.example./",
        "https://пример.example/",
        "https://push。example/",
        # IPv4 in its other spellings: decimal, octal, hexadecimal, short
        "https://2130706433/",
        "https://0177.0.0.1/",
        "https://0x7f.0.0.1/",
        "https://0x7f000001/",
        "https://127.1/",
        "https://127.0.1/",
        "https://1.2.3.4.5/",
        "https://256.1.1.1/",
        "https://push.example/" + "x" * 3_000,
    ],
)
def test_what_is_not_a_plain_https_address_is_refused(url: str) -> None:
    with pytest.raises(OutboundRefused):
        target(url)


@given(st.text(max_size=60))
def test_any_text_after_the_scheme_leads_where_tornado_goes(text: str) -> None:
    """The guard and the client that connects must not read one address as two hosts."""
    from urllib.parse import urlsplit

    from tornado.httputil import split_host_and_port

    url = f"https://{text}"
    try:
        found = target(url)
    except OutboundRefused:
        return
    host, port = split_host_and_port(urlsplit(url).netloc)
    assert host.strip("[]").lower() == found.host or ":" in found.host
    assert (port or 443) == found.port


def test_an_origin_is_written_as_browsers_do() -> None:
    assert target("https://push.example:443/x").origin == "https://push.example"
    assert target("https://push.example:444/x").origin == "https://push.example:444"
    assert target("https://[2606:4700:0::1111]/").origin == "https://[2606:4700::1111]"


# ── Names ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def names(*answers: list[str]) -> outbound.Lookup:
    """Answers in turn, then the last one again and again."""
    left = list(answers)

    async def look_up(host: str, port: int) -> list[str]:
        return left.pop(0) if len(left) > 1 else left[0]

    return look_up


@pytest.mark.parametrize("address", INSIDE[:-1])
async def test_a_name_that_leads_inside_is_refused(address: str) -> None:
    out = Outbound(lookup=names([address]))
    with pytest.raises(OutboundRefused, match="not public"):
        await out.vet("https://push.example/x")
    with pytest.raises(OutboundRefused, match="not public"):
        await out.post("https://push.example/x", headers={}, body=b"")
    out.close()


async def test_one_address_inside_among_others_is_enough() -> None:
    out = Outbound(lookup=names(["1.1.1.1", "10.0.0.1"]))
    with pytest.raises(OutboundRefused):
        await out.vet("https://push.example/x")


async def test_literal_addresses_are_judged_like_names() -> None:
    out = Outbound()
    for host in ("127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "localhost"):
        with pytest.raises(OutboundRefused):
            await out.vet(f"https://{host}/x")


async def test_only_one_port_is_for_everybody() -> None:
    out = Outbound(lookup=names(["1.1.1.1"]))
    assert (await out.vet("https://push.example/x")).port == 443
    with pytest.raises(OutboundRefused, match="443"):
        await out.vet("https://push.example:22/x")


async def test_a_name_without_an_address_is_kept_and_fails_when_it_is_used() -> None:
    async def nowhere(host: str, port: int) -> list[str]:
        return []

    out = Outbound(lookup=nowhere)
    await out.vet("https://push.example/x")
    with pytest.raises(OutboundFault, match="no address"):
        await out.post("https://push.example/x", headers={}, body=b"")
    out.close()


def test_a_file_without_certificates_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    with pytest.raises(StartupError, match="VOUCH_OUTBOUND_CA"):
        Outbound(authorities=tmp_path / "empty.pem")


# ── A host that answers as it likes ─────────────────────────────────────────────────────────────────────────────────


class Host:
    """A TLS server on loopback for `push.example`, and a way out that may go there."""

    def __init__(self, directory: Path) -> None:
        at = SystemClock().now()
        authority_key, key = certificates.private_key_pem(), certificates.private_key_pem()
        authority = certificates.authority_certificate(authority_key, at)
        leaf = certificates.server_certificate(key, authority_key, authority, ["push.example"], at)
        self.authority = directory / "authority.pem"
        self.authority.write_bytes(authority)
        (directory / "key.pem").write_bytes(key)
        (directory / "leaf.pem").write_bytes(leaf)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(directory / "leaf.pem", directory / "key.pem")
        self.requests: list[bytes] = []
        self.at_once = self.most_at_once = 0
        self._servers: list[asyncio.Server] = []
        self.port = 0

    async def serve(self, talk: Talk) -> None:
        async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            try:
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                await talk(reader, writer)
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            finally:
                self.at_once -= 1
                writer.close()

        server = await asyncio.start_server(met, "127.0.0.1", 0, ssl=self._context)
        self._servers.append(server)
        self.port = server.sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        return f"https://push.example:{self.port}/one"

    def way_out(self, lookup: outbound.Lookup | None = None) -> Outbound:
        return Outbound(
            allow=[f"push.example:{self.port}"], authorities=self.authority, lookup=lookup or names(["127.0.0.1"])
        )

    def stop(self) -> None:
        for server in self._servers:
            server.close()


@pytest.fixture
def host(tmp_path: Path, run: Run[Any]) -> Iterator[Host]:
    host = Host(tmp_path)
    yield host
    host.stop()


def saying(answer: bytes) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    return talk


async def test_a_host_that_is_allowed_is_asked_by_its_name(host: Host) -> None:
    await host.serve(saying(b"HTTP/1.1 201 Created\r\nLocation: /x\r\nContent-Length: 2\r\n\r\nok"))
    out = host.way_out()
    answer = await out.post(host.url, headers={"TTL": "60"}, body=b"hello")
    assert (answer.status, answer.body, answer.headers["location"]) == (201, b"ok", "/x")
    assert host.requests[0].startswith(b"POST /one HTTP/1.1\r\n")
    assert f"Host: push.example:{host.port}".encode() in host.requests[0]
    out.close()


async def test_the_name_is_resolved_once_for_each_request(host: Host) -> None:
    """What was judged is what is connected to: a second answer of the name server is never asked for."""
    asked: list[str] = []

    async def look_up(name: str, port: int) -> list[str]:
        asked.append(name)
        return ["127.0.0.1"] if len(asked) == 1 else ["192.0.2.1"]

    await host.serve(saying(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"))
    out = host.way_out(look_up)
    assert (await out.post(host.url, headers={}, body=b"")).status == 201
    assert asked == ["push.example"]
    out.close()


async def test_a_name_that_turns_inside_after_it_was_kept_is_refused(host: Host) -> None:
    await host.serve(saying(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"))
    out = Outbound(authorities=host.authority, lookup=names(["1.1.1.1"], ["127.0.0.1"]))
    await out.vet("https://push.example/x")
    with pytest.raises(OutboundRefused):
        await out.post("https://push.example/x", headers={}, body=b"")
    assert host.requests == []
    out.close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(host: Host, status: int) -> None:
    inside = f"https://push.example:{host.port}/inside"
    await host.serve(saying(f"HTTP/1.1 {status} Go\r\nLocation: {inside}\r\nContent-Length: 0\r\n\r\n".encode()))
    out = host.way_out()
    assert (await out.post(host.url, headers={}, body=b"")).status == status
    assert len(host.requests) == 1
    out.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n" + b"x" * 200_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"10000\r\n" + b"x" * 65_536 + b"\r\n" + b"10000\r\n" + b"x" * 65_536,
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 500_000,
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
        b"",
        b"nonsense\r\n\r\n",
    ],
    ids=["long", "chunks", "endless", "headers", "nothing", "nonsense"],
)
async def test_answers_that_are_too_long_or_no_answers_are_faults(host: Host, answer: bytes) -> None:
    await host.serve(saying(answer))
    out = host.way_out()
    with pytest.raises(OutboundFault):
        await out.post(host.url, headers={}, body=b"")
    out.close()


async def test_slow_answers_are_given_up(host: Host) -> None:
    done = asyncio.Event()

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        for _ in range(100):
            if done.is_set():
                break
            writer.write(b"X: y\r\n")
            await writer.drain()
            await asyncio.sleep(0.05)

    await host.serve(trickle)
    out = host.way_out()
    with pytest.raises(OutboundFault, match="in time"):
        await out.post(host.url, headers={}, body=b"", within=0.5)
    done.set()
    out.close()


async def test_certificates_are_checked(host: Host) -> None:
    await host.serve(saying(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"))
    stranger = Outbound(allow=[f"push.example:{host.port}"], lookup=names(["127.0.0.1"]))
    with pytest.raises(OutboundFault, match="TLS"):
        await stranger.post(host.url, headers={}, body=b"secret")
    stranger.close()
    other = Outbound(allow=[f"other.example:{host.port}"], authorities=host.authority, lookup=names(["127.0.0.1"]))
    with pytest.raises(OutboundFault, match="TLS"):
        await other.post(f"https://other.example:{host.port}/", headers={}, body=b"secret")
    other.close()
    assert host.requests == []


async def test_one_host_does_not_take_everybodys_turn(host: Host) -> None:
    go = asyncio.Event()

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go.wait()
        writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    await host.serve(wait)
    out = host.way_out()
    posts = [asyncio.create_task(out.post(host.url, headers={}, body=b"")) for _ in range(20)]
    async with asyncio.timeout(10):
        while host.at_once < outbound.MOST_PER_HOST:
            await asyncio.sleep(0.01)
    go.set()
    assert {answer.status for answer in await asyncio.gather(*posts)} == {201}
    assert host.most_at_once == outbound.MOST_PER_HOST
    assert len(out._hosts) == 0  # nothing is kept of hosts that nobody asks
    out.close()
