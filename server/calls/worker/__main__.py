"""`python -m server.calls.worker --socket DESCRIPTOR`: one media worker, as long as the other end of the socket is."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import socket
import sys
from contextlib import suppress

import ifaddr
import msgspec
import structlog

from server import logs
from server.calls import wire
from server.calls.worker.floor import Floor
from server.calls.worker.peer import Endpoint

_log = structlog.get_logger(__name__)

#: Addresses that are told to browsers; a machine with very many networks names them by a setting.
_MOST_ADDRESSES = 16
#: Bytes of news that may wait for a hub that does not read; it is dead by then.
_MOST_WAITING_BYTES = 4 * wire.MAX_MESSAGE


def own_addresses() -> tuple[str, ...]:
    """This machine's addresses that others may reach it at; where it has none, those that only itself reaches."""
    found: list[str] = []
    for adapter in ifaddr.get_adapters():
        for ip in adapter.ips:
            address = ip.ip if isinstance(ip.ip, str) else ip.ip[0]
            if ip.is_IPv6 and address.lower().startswith("fe80"):  # of no use without the name of an interface
                continue
            found.append(address)
    outward = [address for address in found if not address.startswith("127.") and address != "::1"]
    return tuple(dict.fromkeys(outward))[:_MOST_ADDRESSES] or ("127.0.0.1",)


async def _endpoint(port: int, addresses: tuple[str, ...]) -> Endpoint:
    try:
        return await Endpoint.open("::", port, addresses)
    except OSError:  # a machine without IPv6
        return await Endpoint.open("0.0.0.0", port, addresses)  # noqa: S104 - people come from everywhere


async def serve(descriptor: int, port: int, addresses: tuple[str, ...]) -> None:
    """Until the hub closes its end of the socket. Raises OSError when the port cannot be had."""
    endpoint = await _endpoint(port, addresses)
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=descriptor))

    def tell(message: msgspec.Struct) -> None:
        if writer.transport.get_write_buffer_size() < _MOST_WAITING_BYTES:
            writer.write(wire.framed(message))

    floor = Floor(endpoint, tell)
    # what is there now stays until the end: nobody needs to look through it again, nor copy its pages
    gc.collect()
    gc.freeze()
    tell(wire.Ready(pid=os.getpid(), port=endpoint.port))
    try:
        while True:
            (length,) = wire.LENGTH.unpack(await reader.readexactly(wire.LENGTH.size))
            if length > wire.MAX_MESSAGE:
                raise ValueError(f"a message of {length} bytes")
            floor.take(wire.asks.decode(await reader.readexactly(length)))
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        with suppress(ConnectionError):
            writer.close()
        await floor.close()
        await endpoint.close()


def main() -> int:
    parser = argparse.ArgumentParser(prog="server.calls.worker")
    parser.add_argument("--socket", type=int, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--address", action="append", default=[])
    options = parser.parse_args()
    logs.configure()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        asyncio.run(serve(options.socket, options.port, tuple(options.address) or own_addresses()))
    except (OSError, ValueError, msgspec.DecodeError) as error:
        _log.error("call worker cannot serve", error=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
