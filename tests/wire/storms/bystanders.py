"""Two people who chat through a storm, in a process of their own: `python -m tests.wire.storms.bystanders …`.

They share neither people nor channels with the storm. When standard input ends they print, as one line of JSON, how
long each message took from one to the other; one that is lost, doubled or out of order ends them with a status of 1.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec

from server.settings import ROOT
from tests.faults.accounts import Account
from tests.wire.storms.line import arrived, greeting, open_line

#: Seconds between an arrival and the next message: below what one person may send.
_PAUSE = 0.3
#: So many messages at least, however short the storm.
_FEWEST = 5


class Notice(msgspec.Struct):
    """What they have noticed, in seconds."""

    messages: int = 0
    median: float = 0.0
    p99: float = 0.0
    longest: float = 0.0

    def __str__(self) -> str:
        return (
            f"bystanders: {self.messages} messages, median {self.median * 1e3:.1f} ms, "
            f"p99 {self.p99 * 1e3:.0f} ms, longest {self.longest * 1e3:.0f} ms"
        )


async def chat(url: str, ch: str, tokens: Sequence[str]) -> Notice:
    over = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(over)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    from_lin, from_mei = [await arrived(await open_line(url, greeting(token, ch))) for token in tokens]
    first = int(from_mei.last["subscribed"]["head"]) + 1
    print("ready", flush=True)  # noqa: T201 - for who has started it
    news = asyncio.Event()
    from_mei.listener = lambda t, payload: news.set() if t == "entry" else None
    took: list[float] = []
    while not over.at_eof() or len(took) < _FEWEST:
        news.clear()
        began = time.monotonic()
        from_lin.say("append", id=secrets.token_urlsafe(16), ch=ch, kind="message", body={"text": "calm as ever"})
        async with asyncio.timeout(30):
            await news.wait()
        took.append(time.monotonic() - began)
        await asyncio.sleep(_PAUSE)
    assert not from_lin.heard["error"], from_lin.last["error"]
    assert from_mei.in_order_from(first), from_mei.numbers
    assert len(from_mei.numbers) == len(took)
    for line in (from_lin, from_mei):
        line.close()
    took.sort()
    return Notice(len(took), took[len(took) // 2], took[int(len(took) * 0.99)], took[-1])


@asynccontextmanager
async def bystanders(url: str, ch: str, people: Sequence[Account]) -> AsyncIterator[Notice]:
    """They chat while the block lasts; what is yielded is filled in at its end."""
    words = [sys.executable, "-m", __name__, url, ch, *(account.token for account in people)]
    pipe = asyncio.subprocess.PIPE
    program = await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe, cwd=ROOT)
    assert program.stdin is not None
    assert program.stdout is not None
    notice = Notice()
    try:
        async with asyncio.timeout(60):
            assert await program.stdout.readline() == b"ready\n", "the bystanders do not come about"
        yield notice
        program.stdin.close()
        async with asyncio.timeout(60):
            line = await program.stdout.readline()
            assert await program.wait() == 0, "the bystanders have noticed more than a delay"
        noticed = msgspec.json.decode(line, type=Notice)
        for field in noticed.__struct_fields__:
            setattr(notice, field, getattr(noticed, field))
    finally:
        if program.returncode is None:
            program.kill()
            await program.wait()


if __name__ == "__main__":
    print(json.dumps(msgspec.to_builtins(asyncio.run(chat(sys.argv[1], sys.argv[2], sys.argv[3:])))))  # noqa: T201
