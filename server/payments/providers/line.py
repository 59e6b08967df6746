"""The way to a third party's API: requests that end in time, and answers of bounded size.

The addresses come from the settings, so they are not judged as server/outbound.py judges those that others name.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tornado.httpclient import HTTPRequest, HTTPResponse
from tornado.httputil import HTTPHeaders
from tornado.simple_httpclient import HTTPTimeoutError, SimpleAsyncHTTPClient

#: Requests under way at once; others wait, and their wait counts.
MOST_AT_ONCE = 8
#: Seconds to connect, and for one whole request. Two of them and a pause fit into what the contract allows.
CONNECT_WITHIN = 4.0
ANSWER_WITHIN = 6.0
#: Bytes of an answer: a list of a hundred objects with all their fields.
MOST_BODY = 4 * 1024**2
_MOST_HEADERS = 64 * 1024


class Silence(Exception):
    """No answer came, and nobody knows whether the request arrived. `code` is `down` or `timeout`."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


class Answer(NamedTuple):
    status: int
    headers: HTTPHeaders
    body: bytes


class Line:
    """`authorities` is a PEM file of certificates believed besides the system's; `within` is in seconds."""

    def __init__(self, *, authorities: Path | None = None, within: float = ANSWER_WITHIN) -> None:
        self._context = ssl.create_default_context()
        if authorities is not None:
            self._context.load_verify_locations(cafile=authorities)
        self._within = within
        self._made: SimpleAsyncHTTPClient | None = None

    async def request(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        """Sends one request and returns what came back, whatever its status. Raises Silence."""
        request = HTTPRequest(
            url,
            method=method,
            headers=HTTPHeaders(dict(headers)),
            body=body,
            connect_timeout=min(CONNECT_WITHIN, self._within),
            request_timeout=self._within,
            follow_redirects=False,
            decompress_response=False,
            ssl_options=self._context,
            allow_nonstandard_methods=True,
        )
        fetching = asyncio.ensure_future(self._client.fetch(request, raise_error=False))
        fetching.add_done_callback(_heard)
        # The wait for one's turn counts too. What is given up goes on to its own end: the client knows no other.
        await asyncio.wait({fetching}, timeout=self._within)
        try:
            if not fetching.done():
                raise HTTPTimeoutError("no turn")
            answer = fetching.result()
        except HTTPTimeoutError:
            raise Silence("timeout") from None
        except Exception:  # no connection, one that broke, or bytes that are no answer
            raise Silence("down") from None
        return Answer(answer.code, answer.headers, answer.body or b"")

    def close(self) -> None:
        if self._made is not None:
            self._made.close()

    @property
    def _client(self) -> SimpleAsyncHTTPClient:
        if self._made is None:  # it belongs to the loop that it is made on
            self._made = SimpleAsyncHTTPClient(
                force_instance=True,
                max_clients=MOST_AT_ONCE,
                max_buffer_size=MOST_BODY + _MOST_HEADERS,
                max_header_size=_MOST_HEADERS,
                max_body_size=MOST_BODY,
            )
        return self._made


def _heard(fetching: asyncio.Future[HTTPResponse]) -> None:
    """Nobody may be left who asks how it ended."""
    if not fetching.cancelled():
        fetching.exception()
