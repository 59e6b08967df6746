"""A poor line between one browser and the media worker: as narrow and as lossy as a test wants it, in one direction."""

from __future__ import annotations

import heapq
import random
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import BrowserContext

#: Media that are watched take the way through the line; those that are published go directly.
_THROUGH = """
{
    const Peer = window.RTCPeerConnection
    window.RTCPeerConnection = class extends Peer {
        async setRemoteDescription(description) {
            const { type, sdp } = description
            const found = /a=candidate:\\S+ 1 udp \\d+ (\\S+) (\\d+) typ host/.exec(sdp)
            if (!found || !sdp.includes('a=sendonly')) return super.setRemoteDescription(description)
            const [whole, address, port] = found
            const way = whole.replace(`${address} ${port}`, `${address} ${await window.lineTo(address, Number(port))}`)
            const others = sdp.split('\\r\\n').filter((each) => !each.startsWith('a=candidate:'))
            others.splice(others.indexOf('a=end-of-candidates'), 0, way)
            return super.setRemoteDescription({ type, sdp: others.join('\\r\\n') })
        }
    }
}
"""
_MOST = 2_048


class Line:
    """Towards the browser only. `bits` per second (None: any), `loss` 0 to 1, `queue` in seconds: what would wait for
    longer is dropped, as routers do."""

    def __init__(self) -> None:
        self.bits: float | None = None
        self.loss = 0.0
        self.queue = 0.2
        #: datagrams that were let through, and that were not
        self.passed = self.dropped = 0
        self._selector = selectors.DefaultSelector()
        self._chance = random.Random(5)
        self._waiting: list[tuple[float, int, bytes, Callable[[bytes], Any]]] = []
        self._free_at = 0.0
        self._count = 0
        self._over = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def to(self, address: str, port: int) -> int:
        """Opens a way to a worker; the port at the same address that leads there."""
        near = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        near.setblocking(False)
        near.bind((address, 0))
        far: dict[Any, socket.socket] = {}

        def up() -> None:
            data, browser = near.recvfrom(_MOST)
            if browser not in far:
                far[browser] = made = socket.socket(near.family, socket.SOCK_DGRAM)
                made.setblocking(False)
                made.connect((address, port))

                def down() -> None:
                    self._shape(made.recv(_MOST), lambda datagram: near.sendto(datagram, browser))

                self._selector.register(made, selectors.EVENT_READ, down)
            far[browser].send(data)

        self._selector.register(near, selectors.EVENT_READ, up)
        return int(near.getsockname()[1])

    def close(self) -> None:
        self._over = True
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()

    def _shape(self, data: bytes, send: Callable[[bytes], Any]) -> None:
        now = time.monotonic()
        begins = max(now, self._free_at)
        if self._chance.random() < self.loss or (self.bits is not None and begins - now > self.queue):
            self.dropped += 1
            return
        self.passed += 1
        if self.bits is None:
            send(data)
            return
        self._free_at = begins + len(data) * 8 / self.bits
        self._count += 1
        heapq.heappush(self._waiting, (self._free_at, self._count, data, send))

    def _run(self) -> None:
        while not self._over:
            until = min(0.05, max(0.0, self._waiting[0][0] - time.monotonic())) if self._waiting else 0.05
            for key, _ in self._selector.select(until):
                try:
                    key.data()
                except (BlockingIOError, ConnectionRefusedError):
                    continue  # nothing there any more, or a worker that has ended
            while self._waiting and self._waiting[0][0] <= time.monotonic():
                _, _, data, send = heapq.heappop(self._waiting)
                send(data)


@contextmanager
def lined(context: BrowserContext) -> Iterator[Line]:
    """Everything that this browser context watches from now on comes through the line."""
    line = Line()
    context.expose_function("lineTo", line.to)
    context.add_init_script(_THROUGH)
    try:
        yield line
    finally:
        line.close()
