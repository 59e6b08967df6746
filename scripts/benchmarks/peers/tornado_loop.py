"""Tornado, as most programs use it: `write_message` to each."""

from __future__ import annotations

import asyncio

from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application
from tornado.websocket import WebSocketHandler

from scripts.benchmarks.peers import end_with_parent

_members: set[Member] = set()


class Member(WebSocketHandler):
    def open(self, *args: str, **kwargs: str) -> None:
        self.set_nodelay(True)
        _members.add(self)

    def on_message(self, message: str | bytes) -> None:
        for member in _members:
            member.write_message(message)

    def on_close(self) -> None:
        _members.discard(self)


async def main() -> None:
    end_with_parent()
    listening, port = bind_unused_port()
    HTTPServer(Application([("/", Member)])).add_socket(listening)
    print(port, flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
