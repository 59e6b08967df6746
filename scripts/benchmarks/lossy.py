"""A line that loses: UDP between a server and one viewer goes through here; some of what comes to the viewer is lost.

What the two tell each other of their addresses is changed on the way, so that each knows the other only as this.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable

_CANDIDATE = re.compile(r"^a=candidate:.*\r?\n?", re.MULTILINE)
_ADDRESS = re.compile(r"^a=candidate:\S+ 1 (?:udp|UDP) \d+ (\S+) (\d+) typ host", re.MULTILINE)
_WHOLE_LINES = re.compile(r"^a=(?:end-of-candidates)\r?\n?", re.MULTILINE)


class LossyLine:
    """`share` of the packets of media towards the viewer is lost, by chance with this `seed`; handshakes are spared."""

    def __init__(self, address: str, share: float, seed: int = 5) -> None:
        self._address = address
        self._share = share
        self._chance = random.Random(seed)
        self._server: tuple[str, int] | None = None
        self._viewer: tuple[str, int] | None = None
        #: Packets of media towards the viewer, and those of them that were lost.
        self.passed = self.lost = 0

    async def open(self) -> LossyLine:
        loop = asyncio.get_running_loop()
        self._to_viewer, _ = await loop.create_datagram_endpoint(
            lambda: _Side(self._from_viewer), local_addr=(self._address, 0)
        )
        self._to_server, _ = await loop.create_datagram_endpoint(
            lambda: _Side(self._from_server), local_addr=(self._address, 0)
        )
        return self

    def close(self) -> None:
        self._to_viewer.close()
        self._to_server.close()

    def towards_viewer(self, sdp: str) -> str:
        """What the server says, with this line instead of its addresses. Raises RuntimeError when it names none."""
        for host, port in _ADDRESS.findall(sdp):
            if ":" not in host:
                self._server = (host, int(port))
                break
        else:
            raise RuntimeError("the server names no address")
        return _with(sdp, self._address, self._to_viewer.get_extra_info("sockname")[1])

    def towards_server(self, sdp: str) -> str:
        """What the viewer says; it may come from anywhere."""
        return _with(sdp, self._address, self._to_server.get_extra_info("sockname")[1])

    def _from_viewer(self, data: bytes, where: tuple[str, int]) -> None:
        self._viewer = where
        if self._server is not None:
            self._to_server.sendto(data, self._server)

    def _from_server(self, data: bytes, where: tuple[str, int]) -> None:
        if self._viewer is None:
            return
        if 128 <= data[0] <= 191:  # media (RFC 7983)
            self.passed += 1
            if self._chance.random() < self._share:
                self.lost += 1
                return
        self._to_viewer.sendto(data, self._viewer)


class _Side(asyncio.DatagramProtocol):
    def __init__(self, received: Callable[[bytes, tuple[str, int]], None]) -> None:
        self._received = received

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._received(data, addr)


def _with(sdp: str, address: str, port: int) -> str:
    """This one candidate in each line of media that has any way to be reached."""
    bare = _WHOLE_LINES.sub("", _CANDIDATE.sub("", sdp))
    head, *lines = re.split(r"(?=^m=)", bare, flags=re.MULTILINE)
    own = f"a=candidate:1 1 udp 2130706431 {address} {port} typ host\r\n"
    return head + "".join(line + own for line in lines)
