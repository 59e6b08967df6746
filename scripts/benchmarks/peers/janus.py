"""Janus, from the system's packages: its video room, spoken to over HTTP on the loopback address."""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from scripts.benchmarks.venues import STRAIGHT, End, Line, outward

_ROOM = 1234
_HTTP = (
    'general: {{ json = "compact" base_path = "/janus" http = true port = {port} ip = "127.0.0.1" https = false }}\n'
)
_JANUS = """
general: {{ configs_folder = "{folder}" plugins_folder = "{plugins}" transports_folder = "{transports}" debug_level = 3
  log_to_stdout = true session_timeout = 0 }}
nat: {{ nice_debug = false full_trickle = false ice_lite = false ignore_mdns = true ice_enforce_list = "{address}" }}
plugins: {{ disable = "{others}" }}
transports: {{ disable = "{ways}" }}
events: {{ broadcast = false }}
loggers: {{ }}
"""
_VIDEO_ROOM = """
general: {{ }}
room-{room}: {{ description = "bench" publishers = 2 bitrate = 2000000 audiocodec = "opus" videocodec = "vp8" }}
"""


class Handle:
    """A session of Janus with one plugin handle."""

    def __init__(self, base: str) -> None:
        self._base = base

    async def attach(self) -> Handle:
        session = await self._post(self._base, {"janus": "create"})
        self._session = f"{self._base}/{session['data']['id']}"
        handle = await self._post(self._session, {"janus": "attach", "plugin": "janus.plugin.videoroom"})
        self._handle = f"{self._session}/{handle['data']['id']}"
        return self

    async def ask(self, body: dict[str, Any], jsep: dict[str, str] | None = None) -> dict[str, Any]:
        """The event that answers a message."""
        message: dict[str, Any] = {"janus": "message", "body": body}
        if jsep:
            message["jsep"] = jsep
        await self._post(self._handle, message)
        while True:
            event = await asyncio.to_thread(_fetch, f"{self._session}?maxev=1", None)
            if event.get("janus") == "event":
                if "error" in event["plugindata"]["data"]:
                    raise RuntimeError(str(event["plugindata"]["data"]))
                return event

    @staticmethod
    async def _post(url: str, message: dict[str, Any]) -> dict[str, Any]:
        return await asyncio.to_thread(_fetch, url, message | {"transaction": secrets.token_hex(6)})


def _fetch(url: str, message: dict[str, Any] | None) -> dict[str, Any]:
    data = None if message is None else json.dumps(message).encode()
    with urlopen(Request(url, data), timeout=40) as answer:
        found: dict[str, Any] = json.load(answer)
    if found.get("janus") == "error":
        raise RuntimeError(str(found["error"]))
    return found


def _configured(folder: Path, port: int, address: str) -> list[str]:
    home = next(Path("/usr/lib").glob("*/janus"))
    plugins, transports = home / "plugins", home / "transports"
    others = [path.name for path in plugins.glob("libjanus_*.so") if "videoroom" not in path.name]
    ways = [path.name for path in transports.glob("libjanus_*.so") if "http" not in path.name]
    (folder / "janus.jcfg").write_text(
        _JANUS.format(
            folder=folder,
            address=address,
            plugins=plugins,
            transports=transports,
            others=",".join(others),
            ways=",".join(ways),
        )
    )
    (folder / "janus.transport.http.jcfg").write_text(_HTTP.format(port=port))
    (folder / "janus.plugin.videoroom.jcfg").write_text(_VIDEO_ROOM.format(room=_ROOM))
    return [shutil.which("janus") or "janus", "-C", str(folder / "janus.jcfg"), "-F", str(folder)]


class JanusVenue:
    """The room. Who watches is offered to, and gets what flows as soon as there is a connection."""

    viewers_offer = False

    def __init__(self, process: asyncio.subprocess.Process, base: str) -> None:
        self.pid: int = process.pid
        self._base = base
        self._feed = 0

    async def publish(self, end: End) -> None:
        publisher = await _attached(self._base)
        joined = await publisher.ask({"request": "join", "ptype": "publisher", "room": _ROOM})
        self._feed = joined["plugindata"]["data"]["id"]
        event = await publisher.ask({"request": "publish"}, {"type": "offer", "sdp": await end.offer()})
        await end.take(event["jsep"]["sdp"])
        await end.connected()

    async def watch(self, end: End, line: Line = STRAIGHT) -> float:
        handle = await Handle(self._base).attach()
        join = {"request": "join", "ptype": "subscriber", "room": _ROOM, "streams": [{"feed": self._feed}]}
        event = await handle.ask(join)
        began = time.perf_counter()
        answer = line.towards_server(await end.answer(line.towards_viewer(event["jsep"]["sdp"])))
        await handle.ask({"request": "start"}, {"type": "answer", "sdp": answer})
        await end.connected()
        return began


@asynccontextmanager
async def janus() -> AsyncIterator[JanusVenue]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        with (Path(folder) / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *_configured(Path(folder), port, outward()), stdout=log, stderr=log
            )
        try:
            base = f"http://127.0.0.1:{port}/janus"
            await _attached(base)
            yield JanusVenue(process, base)
        finally:
            process.terminate()
            await process.wait()


async def _attached(base: str, seconds: float = 20.0) -> Handle:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return await Handle(base).attach()
        except OSError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)
