"""Requests to addresses that others have named: push services today, providers' own services later (R-63).

Whoever names an address may name one inside: this machine, the network around it, the cloud's metadata. So an address
must be https with a plain host; its name is resolved once, here; every address that the name has is judged; and the
connection goes to one of exactly these (a second resolution could answer otherwise: DNS rebinding). Nothing is
followed, answers are short and in time, and only so many requests are under way, in all and to one host.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from tornado.httpclient import HTTPRequest
from tornado.netutil import Resolver
from tornado.simple_httpclient import HTTPStreamClosedError, HTTPTimeoutError, SimpleAsyncHTTPClient

from server.errors import StartupError
from server.turns import Turns

#: Requests under way at once, in all and to one host.
MOST_AT_ONCE = 32
MOST_PER_HOST = 6
#: Seconds to connect (with the resolution), and for the whole request.
CONNECT_WITHIN = 5.0
ANSWER_WITHIN = 10.0
#: Bytes of an answer's headers and of its body.
MOST_HEADERS = 16 * 1024
MOST_BODY = 64 * 1024
URL_LONGEST = 2_048
_HTTPS = 443

#: Strict on purpose: what two parsers could read as two hosts (user names, backslashes, escapes) does not fit.
_URL = re.compile(
    r"https://(?P<host>[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<rest>[/?][!#-\[\]_a-z|~]*)?",
    re.ASCII | re.IGNORECASE,
)
_FORBIDDEN_V4 = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # behind a provider's translation (RFC 6598)
        "127.0.0.0/8",
        "168.63.129.16/32",  # a cloud's own services for its machines
        "169.254.0.0/16",  # link-local, with the metadata of most clouds
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
#: Of IPv6 only what is given out for the public (RFC 4291), without the parts that mean something else.
_PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")
_FORBIDDEN_V6 = tuple(
    ipaddress.IPv6Network(text)
    for text in (
        "2001::/23",  # protocols, with Teredo, which hides an IPv4 address
        "2001:db8::/32",
        "2002::/16",  # 6to4 hides an IPv4 address
        "3fff::/20",
    )
)
#: Where a network without IPv4 reaches it (RFC 6052): what counts is the address inside.
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")

#: Answers all addresses of a name. Raises OSError.
Lookup = Callable[[str, int], Awaitable[list[str]]]


class OutboundRefused(Exception):
    """This address is not one that the server goes to; the text says why, in words for people."""


class OutboundFault(Exception):
    """The address could not be reached, or did not answer as it must. The text is short and names no address."""


class Answer(NamedTuple):
    """`headers` by lower-case name; of several with one name the last."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Target(msgspec.Struct, frozen=True):
    """Where a URL leads: the host as it is looked up, without brackets."""

    host: str
    port: int

    @property
    def origin(self) -> str:
        """As browsers write it (RFC 6454)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}" + ("" if self.port == _HTTPS else f":{self.port}")


def target(url: str) -> Target:
    """Where this URL leads. Raises OutboundRefused unless it is https with a plain host."""
    match = _URL.fullmatch(url) if len(url) <= URL_LONGEST else None
    if match is None:
        raise OutboundRefused("It is not a plain https address.")
    host, port = match["host"].lower(), int(match["port"] or _HTTPS)
    if not 0 < port < 65536:
        raise OutboundRefused("It has no such port.")
    if host.startswith("["):
        try:
            return Target(str(ipaddress.IPv6Address(host[1:-1])), port)
        except ValueError:
            raise OutboundRefused("It is not a plain https address.") from None
    # Names do not end in a number: such a host is an IPv4 address in one of its many spellings.
    last = host.rsplit(".", 1)[-1]
    if (last.isdigit() or re.fullmatch(r"0x[0-9a-f]*", last)) and not _dotted(host):
        raise OutboundRefused("It is not a plain https address.")
    return Target(host, port)


def forbidden(address: str) -> bool:
    """Whether this IP address is one of those that are not on the public internet. Unreadable ones are."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return True
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped
        if inner is None and ip in _TRANSLATED:
            inner = ipaddress.IPv4Address(ip.packed[-4:])
        if inner is None:
            return ip.scope_id is not None or ip not in _PUBLIC_V6 or any(ip in network for network in _FORBIDDEN_V6)
        ip = inner
    return any(ip in network for network in _FORBIDDEN_V4)


class Outbound:
    """The way out. `allow` names hosts (`host` or `host:port`) that may be anywhere, at that port; everybody else must
    be on the public internet, at port 443. `authorities` is a PEM file of certificates believed besides the system's.
    """

    def __init__(
        self, *, allow: Collection[str] = (), authorities: Path | None = None, lookup: Lookup | None = None
    ) -> None:
        self._guard = _Guard(frozenset(target(f"https://{host}") for host in allow), lookup or _lookup)
        self._context = _context(authorities)
        self._turn = asyncio.Semaphore(MOST_AT_ONCE)
        #: taken before one's turn in all, so that a slow host keeps nobody else waiting
        self._hosts = Turns(MOST_PER_HOST)
        self._made: SimpleAsyncHTTPClient | None = None

    async def vet(self, url: str) -> Target:
        """Judges an address before it is kept. Raises OutboundRefused; a name that has no address now is let pass,
        for it is looked up again before each request."""
        found = target(url)
        try:
            async with asyncio.timeout(CONNECT_WITHIN):
                await self._guard.addresses(found.host, found.port)
        except (OSError, TimeoutError):
            pass
        return found

    async def post(self, url: str, *, headers: Mapping[str, str], body: bytes, within: float = ANSWER_WITHIN) -> Answer:
        """Sends one request and returns what came back, whatever its status. Raises OutboundRefused, OutboundFault.

        `within` is in seconds, from the moment when it is its turn.
        """
        to = target(url)
        request = HTTPRequest(
            url,
            method="POST",
            headers=dict(headers),
            body=body,
            connect_timeout=min(CONNECT_WITHIN, within),
            request_timeout=within,
            follow_redirects=False,
            decompress_response=False,
            ssl_options=self._context,
            user_agent="Vouch",
        )
        async with self._hosts.of(f"{to.host}:{to.port}"), self._turn:
            try:
                answer = await self._client.fetch(request, raise_error=False)
            except HTTPTimeoutError:
                raise OutboundFault("no answer in time") from None
            except HTTPStreamClosedError:
                raise OutboundFault("the connection was closed, or the answer was too long") from None
            except ssl.SSLError as fault:
                raise OutboundFault(f"TLS: {fault.reason or type(fault).__name__}") from None
            except socket.gaierror:
                raise OutboundFault("the name has no address") from None
            except OSError as fault:
                raise OutboundFault(f"no connection: {type(fault).__name__}") from None
            except OutboundRefused:
                raise
            except Exception as fault:  # whatever an answer can bring the reader of answers to
                raise OutboundFault(f"no answer that can be read: {type(fault).__name__}") from None
        return Answer(answer.code, {name.lower(): value for name, value in answer.headers.items()}, answer.body or b"")

    def close(self) -> None:
        if self._made is not None:
            self._made.close()

    @property
    def _client(self) -> SimpleAsyncHTTPClient:
        if self._made is None:  # it belongs to the loop that it is made on
            self._made = SimpleAsyncHTTPClient(
                force_instance=True,
                max_clients=MOST_AT_ONCE,
                max_buffer_size=MOST_BODY + MOST_HEADERS,
                max_header_size=MOST_HEADERS,
                max_body_size=MOST_BODY,
                resolver=self._guard,
            )
        return self._made


class _Guard(Resolver):
    """The only resolver of the client: a connection to what it refuses cannot even be tried."""

    def initialize(self, allow: frozenset[Target], lookup: Lookup) -> None:
        self._allow = allow
        self._look_up = lookup

    async def resolve(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[tuple[int, Any]]:
        found = [(ipaddress.ip_address(address), address) for address in await self.addresses(host, port)]
        return [(socket.AF_INET if ip.version == 4 else socket.AF_INET6, (address, port)) for ip, address in found]

    async def addresses(self, host: str, port: int) -> list[str]:
        """All addresses of the host. Raises OutboundRefused when one of them is forbidden."""
        allowed = Target(host, port) in self._allow
        if not allowed and port != _HTTPS:
            raise OutboundRefused("It is not at port 443.")
        found = await self._look_up(host, port)
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        if not allowed and any(forbidden(address) for address in found):
            raise OutboundRefused("It leads into a network that is not public.")
        return found


async def _lookup(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _dotted(host: str) -> bool:
    try:
        return str(ipaddress.IPv4Address(host)) == host
    except ValueError:
        return False


def _context(authorities: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if authorities is not None:
        try:
            context.load_verify_locations(cafile=authorities)
        except (OSError, ssl.SSLError):
            raise StartupError("bad_setting", f"VOUCH_OUTBOUND_CA: {authorities} holds no certificates.") from None
    return context
