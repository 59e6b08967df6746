"""An echo program on the connection class of the server, for conformance suites: `python -m tests.wire.echo --port N`.

It gives back every message as it came, text as text and bytes as bytes, up to 64 MiB; nothing else of the hub is in the
way. Autobahn's suite, for example, runs against it with `wstest -m fuzzingclient`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application

from server.realtime.frames import binary_frame, text_frame
from server.realtime.handshake import StrictHandler
from server.realtime.websocket import WebSocket

#: bytes of the largest message that comes back
MAX_MESSAGE = 64 * 1024 * 1024


class Echo:
    """Gives back what it hears, as fast as it is taken."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def on_frame(self, data: str | bytes) -> None:
        self._socket.write(text_frame(data.encode()) if isinstance(data, str) else binary_frame(data))
        await self._socket.drained()

    def on_overhead(self, frames: int) -> None:
        """Pings are answered by the socket itself."""

    def closed(self) -> None:
        """Nothing is kept."""


class EchoHandler(StrictHandler):
    @property
    def max_message_size(self) -> int:
        return int(self.settings.get("max_message", MAX_MESSAGE))

    def listener(self, socket: WebSocket) -> Echo:
        return Echo(socket)


def make_server(max_message: int = MAX_MESSAGE) -> HTTPServer:
    return HTTPServer(Application([("/", EchoHandler)], max_message=max_message))


async def serve(host: str, port: int) -> None:
    server, sockets = make_server(), bind_sockets(port, host)
    server.add_sockets(sockets)
    port = sockets[0].getsockname()[1]
    print(f"Echo: ws://{host}:{port}/  Ctrl-C stops it.", flush=True)  # noqa: T201 - a program of its own
    await asyncio.Event().wait()


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.wire.echo", description="Gives back every WebSocket message."
    )
    parser.add_argument("--port", type=int, default=9001, help="0 takes a free one")
    parser.add_argument("--host", default="127.0.0.1")
    options = parser.parse_args(arguments)
    try:
        asyncio.run(serve(options.host, options.port))
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
