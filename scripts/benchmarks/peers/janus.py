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
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import ifaddr

from scripts.benchmarks.film import House, Viewer

if TYPE_CHECKING:
    from scripts.benchmarks.calls import Venue

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


@asynccontextmanager
async def janus(house: House) -> AsyncIterator[Venue]:
    from scripts.benchmarks.calls import Venue

    address = _outward()
    house.move(address)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        with (Path(folder) / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *_configured(Path(folder), port, address), stdout=log, stderr=log
            )
        try:
            base = f"http://127.0.0.1:{port}/janus"
            publisher = await _attached(base)
            feed = 0

            async def publish(offer: str) -> str:
                nonlocal feed
                joined = await publisher.ask({"request": "join", "ptype": "publisher", "room": _ROOM})
                feed = joined["plugindata"]["data"]["id"]
                event = await publisher.ask({"request": "publish"}, {"type": "offer", "sdp": offer})
                return str(event["jsep"]["sdp"])

            async def watch() -> tuple[float, Viewer]:
                handle = await Handle(base).attach()
                event = await handle.ask(
                    {"request": "join", "ptype": "subscriber", "room": _ROOM, "streams": [{"feed": feed}]}
                )
                began = time.perf_counter()  # with the handshake: it sends as soon as there is a connection

                async def start(answer: str) -> None:
                    await handle.ask({"request": "start"}, {"type": "answer", "sdp": answer})

                return began, await house.invited(event["jsep"]["sdp"], start)

            await house.publish(publish)
            yield Venue(process.pid, lambda: asyncio.ensure_future(watch()))
        finally:
            process.terminate()
            await process.wait()


def _outward() -> str:
    """An IPv4 address of this machine other than the loopback one: Janus takes no media on that."""
    for adapter in ifaddr.get_adapters():
        for ip in adapter.ips:
            if isinstance(ip.ip, str) and not ip.ip.startswith("127."):
                return ip.ip
    raise RuntimeError("Janus needs a network: this machine has no address but the loopback one")


async def _attached(base: str, seconds: float = 20.0) -> Handle:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return await Handle(base).attach()
        except OSError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)
