"""The opening handshake (RFC 6455 section 4.2) on Tornado's WebSocket handler; nothing of the request outlives it.

Tornado checks and answers the upgrade and gives its stream away; from then on a slim `WebSocket` owns it, and the
handler, the request and their coroutines end: an idle connection is little more than its socket. The private names of
Tornado that this needs are looked for when the module is imported; tests/realtime/test_websocket.py guards what they
do.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, NamedTuple

from tornado.httputil import HTTPServerRequest
from tornado.iostream import IOStream
from tornado.websocket import WebSocketHandler, WebSocketProtocol, WebSocketProtocol13

from server.realtime.websocket import Listener, WebSocket

_NEEDED = ("_receive_frame_loop", "_accept_connection")
_MISSING = [name for name in _NEEDED if not hasattr(WebSocketProtocol13, name)]
if _MISSING:  # pragma: no cover - another Tornado
    raise ImportError(f"this Tornado's WebSocketProtocol13 has no {', '.join(_MISSING)}")


class Refusal(NamedTuple):
    """Why a handshake is refused: an HTTP status and a sentence for whoever debugs a client."""

    status: int
    reason: str


def handshake_refusal(request: HTTPServerRequest) -> Refusal | None:
    """What a client's handshake lacks of RFC 6455 section 4.2.1; None when it is whole."""
    headers = request.headers
    if request.version == "HTTP/1.0":
        return Refusal(400, "A WebSocket begins with HTTP/1.1.")
    if not headers.get("Host"):
        return Refusal(400, "The Host header is missing.")
    if "websocket" not in _tokens(headers.get("Upgrade", "")):
        return Refusal(400, "This is for WebSockets: the Upgrade header must name websocket.")
    if "upgrade" not in _tokens(headers.get("Connection", "")):
        return Refusal(400, "The Connection header must name Upgrade.")
    if headers.get("Sec-WebSocket-Version") != "13":
        return Refusal(426, "Only version 13 of the WebSocket protocol is spoken here.")
    if not _is_key(headers.get("Sec-WebSocket-Key", "")):
        return Refusal(400, "Sec-WebSocket-Key must be 16 bytes in base64.")
    return None


def _tokens(value: str) -> list[str]:
    return [token.strip().lower() for token in value.split(",")]


def _is_key(value: str) -> bool:
    try:
        return len(base64.b64decode(value, validate=True)) == 16
    except (binascii.Error, ValueError):  # ValueError: not ASCII
        return False


class StrictHandler(WebSocketHandler):
    """A WebSocketHandler that lets only whole handshakes through. No extension is ever agreed."""

    def listener(self, socket: WebSocket) -> Listener:
        """Who is told from now on what comes over the socket. The handler's last duty."""
        raise NotImplementedError

    async def get(self, *args: Any, **kwargs: Any) -> None:
        refusal = handshake_refusal(self.request)
        if refusal is not None:
            self.set_status(refusal.status)
            if refusal.status == 426:
                self.set_header("Sec-WebSocket-Version", "13")
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.finish(refusal.reason + "\n")
            return
        self.request.headers["Upgrade"] = "websocket"  # Tornado compares the whole header; a list was looked through
        await super().get(*args, **kwargs)

    def on_message(self, message: str | bytes) -> None:
        """Never called: the listener is told."""

    def open(self, *args: str, **kwargs: str) -> None:
        """Nothing yet: the socket opens when Tornado has given its stream away."""

    def get_websocket_protocol(self) -> WebSocketProtocol | None:
        protocol = super().get_websocket_protocol()
        assert isinstance(protocol, WebSocketProtocol13)
        return _Handover(self, protocol)


class _Handover(WebSocketProtocol13):
    """Tornado's protocol up to the answer to the handshake."""

    handler: StrictHandler

    def __init__(self, handler: StrictHandler, like: WebSocketProtocol13) -> None:
        super().__init__(handler, like.mask_outgoing, like.params)

    async def _receive_frame_loop(self) -> None:
        """Called by Tornado when it has answered; what it returns to ends."""
        assert isinstance(self.stream, IOStream)
        socket = WebSocket(self.stream, self.params.max_message_size)
        handler = self.handler
        socket.start(handler.listener(socket))
        # Two circles, without which the handler and its request need not wait for the garbage collector.
        handler.ws_connection = None
        handler.ui.clear()
