"""websockets with its `broadcast`, without compression (which would only slow it down here)."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosedError

from scripts.benchmarks.peers import end_with_parent

_members: set[ServerConnection] = set()


async def member(connection: ServerConnection) -> None:
    _members.add(connection)
    try:
        with suppress(ConnectionClosedError):
            async for message in connection:
                broadcast(_members, message)
    finally:
        _members.discard(connection)


async def main() -> None:
    end_with_parent()
    async with serve(member, "127.0.0.1", 0, compression=None) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await server.serve_forever()


asyncio.run(main())
