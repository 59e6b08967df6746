"""The worker's UDP socket: many datagrams per system call where the platform has recvmmsg and sendmmsg (Linux).

Addresses are sockaddrs as the kernel writes them. What cannot be sent at once waits, up to a bound, for the socket to
become writable; beyond it is dropped, as networks do.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import socket
import sys
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from server.calls.worker.ice import Address, sockaddr

#: Datagrams per system call.
BATCH = 64
#: System calls per turn of the loop: others are to have their turn, too.
_ROUNDS = 8
#: Datagrams with which the end of the turn is not waited for.
_MANY = 256
#: Datagrams that wait for the socket to become writable.
MAX_QUEUE = 8_192
#: Bytes of the socket's own queues that we ask for; the kernel may give less (net.core.rmem_max).
_KERNEL_QUEUE = 8 * 1024 * 1024
_SLOT = 2_048
_NAME = 128

Received = Callable[[bytes, Address], None]


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Message(ctypes.Structure):
    """`struct msghdr` of Linux."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("iov", ctypes.c_void_p),
        ("iov_length", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Header(ctypes.Structure):
    """`struct mmsghdr` of Linux."""

    _anonymous_ = ("message",)
    _fields_ = (("message", _Message), ("length", ctypes.c_uint))


class _Slots:
    """BATCH buffers for datagrams and addresses, and the headers that point to them."""

    def __init__(self) -> None:
        self.data = bytearray(BATCH * _SLOT)
        self.names = bytearray(BATCH * _NAME)
        self._iovecs = (_Iovec * BATCH)()
        self._headers = (_Header * BATCH)()
        # Taken out once: each access to an array of ctypes makes a new object.
        self.iovecs: list[Any] = [self._iovecs[i] for i in range(BATCH)]
        self.headers: list[Any] = [self._headers[i] for i in range(BATCH)]
        self.pointer = ctypes.addressof(self._headers)
        data = ctypes.addressof(ctypes.c_char.from_buffer(self.data))
        names = ctypes.addressof(ctypes.c_char.from_buffer(self.names))
        for i in range(BATCH):
            self.iovecs[i].base, self.iovecs[i].length = data + i * _SLOT, _SLOT
            header = self.headers[i]
            header.name, header.name_length = names + i * _NAME, _NAME
            header.iov, header.iov_length = ctypes.addressof(self.iovecs[i]), 1


def _system_calls() -> tuple[Any, Any] | None:
    library = ctypes.CDLL(None, use_errno=True)
    try:
        receive, send = library.recvmmsg, library.sendmmsg
    except AttributeError:
        return None
    receive.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)
    send.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
    return receive, send


class Udp:
    """A bound socket in the running loop. `received` is called for each datagram; `idle` after each batch."""

    def __init__(self, host: str, port: int, received: Received, *, batches: bool = True) -> None:
        """Raises OSError when the address cannot be had. `batches=False` for a system call per datagram."""
        self._loop = asyncio.get_running_loop()
        self.v6 = ":" in host
        self._socket = socket.socket(socket.AF_INET6 if self.v6 else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            if self.v6:
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if host == "::" else 1)
            for queue in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                self._socket.setsockopt(socket.SOL_SOCKET, queue, _KERNEL_QUEUE)
            self._socket.bind((host, port))
        except OSError:
            self._socket.close()
            raise
        self.port: int = self._socket.getsockname()[1]
        #: Datagrams that went nowhere: no room in the queue, or the kernel refused them.
        self.lost = 0
        self._received = received
        self._queue: deque[tuple[bytes, Address]] = deque()
        self._reading = False  # in `_readable`
        self._flushing = False  # `_flushed` is to be called soon
        self._waiting = False  # for the socket to become writable
        calls = _system_calls() if batches else None
        self._many = calls is not None
        if calls is not None:
            self._recvmmsg, self._sendmmsg = calls
            self._in, self._out = _Slots(), _Slots()
        self._fd = self._socket.fileno()
        self._loop.add_reader(self._fd, self._readable)

    def send(self, data: bytes, address: Address) -> None:
        """Queues a datagram; those of one turn of the loop go out together, at its end or when they are many."""
        queue = self._queue
        if len(queue) >= MAX_QUEUE or self._fd < 0 or len(data) > _SLOT:
            self.lost += 1
            return
        queue.append((data, address))
        if self._waiting:
            return
        if len(queue) >= _MANY:
            self._flush()
        elif not self._reading and not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flushed)

    def close(self) -> None:
        """Sends what waits, as far as it goes at once."""
        if self._fd < 0:
            return
        self._flush()
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        self._fd = -1
        self._socket.close()

    # -- in

    def _readable(self) -> None:
        # What is sent meanwhile goes out right after it: another turn of the loop would cost as much as the sending.
        self._reading = True
        try:
            self._read_many() if self._many else self._read()
        finally:
            self._reading = False
            if self._queue and not self._waiting:
                self._flush()

    def _read_many(self) -> None:
        slots, received = self._in, self._received
        headers, data, names = slots.headers, slots.data, slots.names
        for _ in range(_ROUNDS):
            count = self._recvmmsg(self._fd, slots.pointer, BATCH, socket.MSG_DONTWAIT, None)
            if count <= 0:
                return  # nothing there, or an error of some address, which concerns nobody else
            for i in range(count):
                header = headers[i]
                at, name = i * _SLOT, i * _NAME
                received(bytes(data[at : at + header.length]), bytes(names[name : name + header.name_length]))
                header.name_length = _NAME
            if count < BATCH or self._fd < 0:
                return

    def _read(self) -> None:
        for _ in range(_ROUNDS * BATCH):
            try:
                data, where = self._socket.recvfrom(_SLOT)
            except OSError:
                return
            self._received(data, sockaddr(where[0], where[1], v6=self.v6))
            if self._fd < 0:
                return

    # -- out

    def _flushed(self) -> None:
        self._flushing = False
        if not self._waiting:
            self._flush()

    def _flush(self) -> None:
        if self._fd < 0:
            return
        while queue := self._queue:
            # A call for many costs more than one for one, and what flows steadily comes one by one.
            sent = self._write_many() if self._many and len(queue) > 1 else self._write()
            if not sent:
                break
        if bool(self._queue) != self._waiting:
            self._waiting = bool(self._queue)
            if self._waiting:
                self._loop.add_writer(self._fd, self._flush)
            else:
                self._loop.remove_writer(self._fd)

    def _write_many(self) -> bool:
        """Sends up to BATCH datagrams; False when the socket is full."""
        queue, slots = self._queue, self._out
        iovecs, headers, data, names = slots.iovecs, slots.headers, slots.data, slots.names
        count = min(len(queue), BATCH)
        for i in range(count):
            packet, address = queue[i]
            at, name = i * _SLOT, i * _NAME
            size, length = len(packet), len(address)
            data[at : at + size] = packet
            names[name : name + length] = address
            iovecs[i].length = size
            headers[i].name_length = length
        sent: int = self._sendmmsg(self._fd, slots.pointer, count, socket.MSG_DONTWAIT)
        if sent < 0:
            if ctypes.get_errno() in (errno.EAGAIN, errno.EWOULDBLOCK):
                return False
            # The first one cannot be sent (an unreachable address, a full queue of the device, which tells nobody when
            # it has room again); the others perhaps can.
            self.lost += 1
            sent = 1
        for _ in range(sent):
            queue.popleft()
        return True

    def _write(self) -> bool:
        packet, address = self._queue[0]
        try:
            self._socket.sendto(packet, spelled_for(address, self.v6))
        except BlockingIOError:
            return False
        except OSError:
            self.lost += 1
        self._queue.popleft()
        return True


@lru_cache(maxsize=1_024)
def spelled_for(address: Address, v6: bool) -> tuple[str, int] | tuple[str, int, int, int]:
    """A sockaddr as Python's sockets take it."""
    port = int.from_bytes(address[2:4], "big")
    if v6:
        scope = int.from_bytes(address[24:28], sys.byteorder)  # which network a link-local address is of
        return socket.inet_ntop(socket.AF_INET6, address[8:24]), port, 0, scope
    return socket.inet_ntop(socket.AF_INET, address[4:8]), port
