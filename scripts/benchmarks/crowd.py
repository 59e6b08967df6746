"""The load: thousands of WebSockets in one thread on one epoll, which decode nothing.

It is synchronous and works on bytes, because every microsecond it takes is taken from the database on the same core.
A `Line` is one WebSocket; what is done with the bytes that it brings is its `listener`.
"""

from __future__ import annotations

import base64
import secrets
import select
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Self

from scripts.benchmarks.frames import CLOSE, NONE_OF_THEM, PING, PONG, Frame, client_frame, scan

#: Handshakes under way at once; a server's queue for new connections is usually 128 long.
OPENING_AT_ONCE = 64
#: Seconds after which a wait for something that a sound server does at once is given up.
PATIENCE = 60.0
_READ = 256 * 1024
_SEND_WAIT = 10_000  # milliseconds

Listener = Callable[["Line", bytes], None]


class LoadError(Exception):
    """The server did something that makes the measurement worthless."""


class Line:
    """One WebSocket. `listener(line, data)` gets the bytes as they arrive."""

    __slots__ = ("_crowd", "close_code", "gone", "listener", "rest", "sock")

    def __init__(self, crowd: Crowd, sock: socket.socket, listener: Listener) -> None:
        self._crowd = crowd
        self.sock = sock
        self.listener = listener
        #: the beginning of a frame whose end has not arrived
        self.rest = b""
        self.close_code: int | None = None
        self.gone = False

    def send(self, data: bytes) -> None:
        """Sends frames made by `client_frame`; waits for room when the kernel takes no more."""
        view = memoryview(data)
        while view:
            try:
                view = view[self.sock.send(view) :]
            except BlockingIOError:
                if not _writable(self.sock):
                    raise LoadError("the server reads nothing any more") from None

    def control(self, frames: Iterable[Frame]) -> None:
        """Does what the protocol demands about frames that are not deliveries: pongs, closes; raises on refusals."""
        for opcode, payload in frames:
            if opcode == PING:
                self.send(client_frame(payload, PONG))
            elif opcode == CLOSE:
                self.close_code = int.from_bytes(payload[:2]) if payload else 1005
            elif payload.startswith((b'{"t":"error"', b'{"t":"refused"')):
                raise LoadError(payload.decode())
            elif payload == self._crowd.ping_text:
                self.send(self._crowd.pong_frame)

    def drop(self) -> None:
        """Ends the connection without a word, as a phone in a tunnel does (but the server hears of it)."""
        self._crowd.forget(self)
        self.sock.close()


class Crowd:
    """All lines of one bench. `ping_text` and `pong_text` are the heartbeat of protocols that have one of their own."""

    def __init__(self, port: int, ping_text: bytes | None = None, pong_text: bytes = b"") -> None:
        self.port = port
        self.ping_text = ping_text
        self.pong_frame = client_frame(pong_text)
        self.lines: list[Line] = []
        self._by_fd: dict[int, Line] = {}
        self._lost = False
        self._epoll = select.epoll()
        self._buffer = bytearray(_READ)
        self._view = memoryview(self._buffer)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for line in list(self.lines):
            line.drop()
        self._epoll.close()

    def open(
        self,
        requests: Iterable[Opening],
        listener: Listener,
        at_once: int = OPENING_AT_ONCE,
        *,
        receive_buffer: int = 0,
        segment: int = 0,
    ) -> list[Line]:
        """Opens a line for each of `requests`, some at a time, and hands them to `listener` when all are ready.

        `receive_buffer` and `segment` are bytes that the kernel keeps for a line, and sends in one packet; 0: its own
        choice.
        """
        opened: list[Line] = []
        waiting: set[Line] = set()
        for request in requests:
            line = self._connect(request, waiting.discard, receive_buffer, segment)
            waiting.add(line)
            opened.append(line)
            if len(waiting) >= at_once:
                self.until(lambda: len(waiting) < at_once, "a handshake")
        self.until(lambda: not waiting, "the last handshakes")
        for line in opened:
            line.listener = listener
        return opened

    def _connect(self, request: Opening, ready: Callable[[Line], object], receive_buffer: int, segment: int) -> Line:
        """Begins one line; `ready` is called when the server has answered all that `request` waits for."""
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if segment:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, segment)
        sock.connect(("127.0.0.1", self.port))
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line = Line(self, sock, _Handshake(request, ready))
        self.lines.append(line)
        self._by_fd[sock.fileno()] = line
        self._epoll.register(sock.fileno(), select.EPOLLIN)
        line.send(request.upgrade(self.port))
        return line

    def stall(self, line: Line) -> None:
        """Reads nothing from this line any more."""
        self._epoll.unregister(line.sock.fileno())

    def forget(self, line: Line) -> None:
        with suppress(ValueError):
            self.lines.remove(line)
        if self._by_fd.pop(line.sock.fileno(), None) is not None:
            with suppress(OSError):  # a stalled line is not there any more
                self._epoll.unregister(line.sock.fileno())

    def pump(self, seconds: float) -> None:
        """Waits up to `seconds` for something to arrive and hands all that is there to the listeners."""
        lines, buffer, view = self._by_fd, self._buffer, self._view
        for fd, _ in self._epoll.poll(seconds):
            line = lines.get(fd)
            if line is None:
                continue
            try:
                size = line.sock.recv_into(buffer)
            except BlockingIOError:
                continue
            except OSError:
                size = 0
            if size:
                line.listener(line, bytes(view[:size]))
            else:
                line.gone = self._lost = True
                self._epoll.unregister(fd)
                del lines[fd]

    def until(self, true: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
        """Pumps until it is true. Raises LoadError when it takes longer, or a line was lost."""
        deadline = time.monotonic() + seconds
        while not true():
            self.pump(0.5)
            if self._lost:
                self.check()
            if time.monotonic() > deadline:
                raise LoadError(f"waited {seconds:g} s in vain for {what}")

    def check(self) -> None:
        """Raises LoadError when the server has ended a line, or is about to."""
        lost = [line for line in self.lines if line.gone or line.close_code is not None]
        if lost:
            codes = sorted({str(line.close_code) for line in lost})
            raise LoadError(f"the server ended {len(lost)} connections (close codes {', '.join(codes)})")


class Opening:
    """What a client says to begin, and for how many answers it waits before it is there."""

    def __init__(
        self,
        path: str = "/",
        *,
        headers: str = "",
        frames: bytes = b"",
        answer: bytes | tuple[bytes, ...] = NONE_OF_THEM,
        answers: int = 0,
    ) -> None:
        self._path = path
        self._headers = headers
        #: sent as soon as the upgrade is accepted
        self.frames = frames
        #: it is there when `answers` text frames have begun like this
        self.answer = answer
        self.answers = answers

    def upgrade(self, port: int) -> bytes:
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        return (
            f"GET {self._path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{self._headers}\r\n"
        ).encode()


class _Handshake:
    """The listener of a line until it is ready."""

    def __init__(self, request: Opening, ready: Callable[[Line], object]) -> None:
        self._request = request
        self._ready = ready
        self._upgraded = False
        self._answers = 0

    def __call__(self, line: Line, data: bytes) -> None:
        data = line.rest + data
        if not self._upgraded:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                line.rest = head
                return
            if b" 101 " not in head[:16]:
                raise LoadError(f"the upgrade was refused: {head.splitlines()[0].decode()}")
            self._upgraded = True
            if self._request.frames:
                line.send(self._request.frames)
        found = scan(data, self._request.answer)
        line.rest = data[found.end :]
        line.control(found.others)
        self._answers += found.wanted
        if self._answers >= self._request.answers:
            self._ready(line)


class Tally:
    """A listener for members: counts deliveries, text frames that begin with `begins`."""

    def __init__(self, begins: bytes) -> None:
        self.count = 0
        self._begins = begins
        self._known = b""
        self._known_count = 0

    def __call__(self, line: Line, data: bytes) -> None:
        # Nearly always the same bytes as the member before has received, so they are looked at once.
        if data == self._known and not line.rest:
            self.count += self._known_count
            return
        data = line.rest + data
        found = scan(data, self._begins)
        self.count += found.wanted
        line.rest = data[found.end :]
        if found.others:
            line.control(found.others)
        elif not line.rest:
            self._known, self._known_count = data, found.wanted


def _writable(sock: socket.socket) -> bool:
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    return bool(poll.poll(_SEND_WAIT))
