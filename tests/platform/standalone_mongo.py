"""A server that speaks just enough of MongoDB's protocol to say that it is no replica set."""

from __future__ import annotations

import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import bson

_OP_REPLY, _OP_QUERY, _OP_MSG = 1, 2004, 2013

HELLO: dict[str, Any] = {
    "helloOk": True,
    "isWritablePrimary": True,
    "ismaster": True,
    "maxBsonObjectSize": 16 * 1024 * 1024,
    "maxMessageSizeBytes": 48_000_000,
    "maxWriteBatchSize": 100_000,
    "minWireVersion": 0,
    "maxWireVersion": 25,
    "readOnly": False,
    "ok": 1.0,
}


class _Connection(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while (header := self._read(16)) is not None:
            length, request, _, opcode = struct.unpack("<iiii", header)
            if self._read(length - 16) is None:
                return
            document = bson.encode(HELLO)
            if opcode == _OP_QUERY:
                body = struct.pack("<iqii", 8, 0, 0, 1) + document
                answer = _OP_REPLY
            else:
                body = struct.pack("<iB", 0, 0) + document
                answer = _OP_MSG
            self.request.sendall(struct.pack("<iiii", 16 + len(body), 1, request, answer) + body)

    def _read(self, count: int) -> bytes | None:
        data = b""
        while len(data) < count:
            piece = self.request.recv(count - len(data))
            if not piece:
                return None
            data += piece
        return data


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@contextmanager
def standalone_mongo() -> Iterator[str]:
    """Its URI, while the block lasts."""
    with _Server(("127.0.0.1", 0), _Connection) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"mongodb://127.0.0.1:{server.server_address[1]}/?directConnection=true"
        server.shutdown()
