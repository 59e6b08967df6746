"""The peers' servers as processes on the server's core, and their rooms."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import msgspec

from scripts.benchmarks import processes
from scripts.benchmarks.crowd import Crowd, Line, Listener, LoadError, Opening
from scripts.benchmarks.frames import client_frame
from server.settings import ROOT

_HERE = Path(__file__).parent


class Peer(msgspec.Struct, frozen=True):
    """`needs` must be importable, a package of Node, or a program of the `system`; `program` is a module of this
    package or a script of it."""

    needs: str
    program: str
    system: bool = False

    @property
    def on_node(self) -> bool:
        return self.program.endswith(".mjs")

    @property
    def command(self) -> list[str]:
        if self.on_node:
            return [shutil.which("node") or "node", str(_HERE / self.program)]
        return [sys.executable, "-P", "-m", f"{__package__}.{self.program}"]


PEERS = {
    "tornado": Peer("tornado", "tornado_loop"),
    "websockets": Peer("websockets", "websockets_broadcast"),
    "picows": Peer("picows", "picows_listener"),
    "socket.io": Peer("socket.io", "socketio.mjs"),
    "mediarelay": Peer("aiortc", "media_relay"),
    "janus": Peer("janus", "janus", system=True),
}


@cache
def missing(name: str) -> str | None:
    """Why this peer cannot be measured here; None when it can."""
    peer = PEERS[name]
    if peer.system:
        return None if shutil.which(peer.needs) else f"{peer.needs} is not installed"
    if not peer.on_node:
        return None if find_spec(peer.needs) else f"{peer.needs} is not installed"
    if shutil.which("node") is None:
        return "Node is not installed"
    return None if (ROOT / "node_modules" / peer.needs).is_dir() else f"{peer.needs} is not installed (npm ci)"


class PeerRoom:
    """Everybody who is connected to the peer: a Room."""

    def __init__(self, name: str, pid: int, port: int) -> None:
        self.pid = pid
        self._on_socketio = name == "socket.io"
        if self._on_socketio:
            # Engine.IO 4: we ask for the namespace (40) and are in it at `40{…}`; its heartbeat is text.
            self.begins = b'42["m",'
            self.crowd = Crowd(port, ping_text=b"2", pong_text=b"3")
            path = "/socket.io/?EIO=4&transport=websocket"
            self._opening = Opening(path, frames=client_frame(b"40"), answer=b"40{", answers=1)
        else:
            self.begins = b"0"  # every text begins with its number
            self.crowd = Crowd(port)
            self._opening = Opening()

    def join(self, count: int, listener: Listener) -> list[Line]:
        return self.crowd.open([self._opening] * count, listener)

    def message(self, number: int, text: str) -> bytes:
        return client_frame(("42" + json.dumps(["m", text]) if self._on_socketio else text).encode())


@contextmanager
def peer_room(name: str) -> Iterator[PeerRoom]:
    """A fresh server of this peer, and its room."""
    process = subprocess.Popen(
        PEERS[name].command,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "NODE_ENV": "production"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        told = process.stdout.readline()
        if not told:
            raise LoadError(f"{name} did not start")
        port = int(told)
        with processes.beside(process.pid):
            room = PeerRoom(name, process.pid, port)
            with room.crowd:
                yield room
    finally:
        process.terminate()
        process.communicate()
