"""What a connection needs of its socket."""

from __future__ import annotations

from typing import Protocol


class Transport(Protocol):
    """Implemented by `websocket.WebSocket`; tests have others."""

    def write(self, data: bytes) -> bool:
        """Sends framed bytes, or buffers what the kernel does not take; never blocks, never raises. True when nothing
        is left in the buffer."""

    @property
    def backlog(self) -> int:
        """Bytes buffered because the kernel did not take them."""

    async def drained(self) -> None:
        """Waits until the kernel has taken what is buffered, or the connection is gone."""

    def close(self, code: int, reason: str) -> None:
        """Starts the closing handshake behind what is buffered; a client that does not answer is dropped."""

    def abort(self) -> None:
        """Drops the connection at once."""
