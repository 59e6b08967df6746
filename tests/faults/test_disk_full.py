"""The disk of the embedded database is full: what was acknowledged stays, and all goes on when there is room again."""

from __future__ import annotations

import asyncio
import secrets

from tests.faults.accounts import circle, direct, read_log
from tests.faults.conftest import Play, Serve
from tests.faults.disk import full_disk
from tests.faults.line import Line
from tests.faults.server_process import ServerProcess

_SECONDS = 30.0


async def becomes(server: ServerProcess, *, ready: bool) -> None:
    async with asyncio.timeout(_SECONDS):
        while await server.ready() is not ready:
            await asyncio.sleep(0.05)


def test_a_full_disk_loses_nothing_acknowledged_and_is_got_over_without_a_hand(serve: Serve, play: Play) -> None:
    async def scene() -> None:
        server = serve()
        await server.start()
        ann, bo = await circle(server.url, 2)
        ch = await direct(server.url, ann, bo)
        ids = [secrets.token_urlsafe(16) for _ in range(4)]

        async def say(line: Line, id: str) -> None:
            await line.say(t="append", id=id, ch=ch, kind="message", body={"text": "word"})

        async with Line(server.socket_url, ann.token, ch) as line:
            for id in ids[:3]:
                await say(line, id)
                await line.until("ack", id=id)
            async with full_disk(lambda: server.children()["secantusd"]):
                await say(line, ids[3])
                acknowledged = asyncio.create_task(line.until("ack", seconds=2 * _SECONDS, id=ids[3]))
                await becomes(server, ready=False)
                assert not acknowledged.done()
            await becomes(server, ready=True)
            await say(line, ids[3])  # as one does after a `try_later`
            await acknowledged
        assert [entry.id for entry in await read_log(server.url, bo, ch)][1:] == ids
        assert "Traceback" not in server.printed()
        assert await server.stop() == 0

    play(scene())
