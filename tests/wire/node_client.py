"""The TypeScript client package in Node, as tests see it, and a line between it and the server that can be cut."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from server.settings import ROOT

PACKAGE = ROOT / "static" / "packages" / "realtime"
#: Seconds after which a test says what it has waited for in vain.
PATIENCE = 20.0

Line = dict[str, Any]


class NodeClients:
    """One Node process with any number of clients, each known by a name."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._number = 0
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._news = asyncio.Event()
        self._reader = asyncio.create_task(self._read(), name="node output")
        #: all that has happened, in order
        self.lines: list[Line] = []
        self._unseen: list[Line] = []

    @classmethod
    async def start(cls, built: Path) -> Self:
        process = await asyncio.create_subprocess_exec(
            "node",
            str(PACKAGE / "test" / "live.mjs"),
            str(built / "node.js"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=8 * 1024 * 1024,
        )
        return cls(process)

    async def stop(self) -> None:
        """Closes the clients; fails when the process does not end by itself (a timer was left) or badly."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(PATIENCE):
                assert await self._process.wait() == 0
                await self._reader
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
            raise AssertionError("the Node process did not end: something in the client still runs") from None

    def command(self, do: str, name: str, **fields: Any) -> asyncio.Future[Any]:
        """Says it; the future ends with what the call returned, or raises what it was refused with."""
        self._number += 1
        answer = self._answers[self._number] = asyncio.get_running_loop().create_future()
        assert self._process.stdin is not None
        line = {"do": do, "as": name, "number": self._number, **fields}
        self._process.stdin.write(json.dumps(line).encode() + b"\n")
        return answer

    async def ask(self, do: str, name: str, **fields: Any) -> Any:
        async with asyncio.timeout(PATIENCE):
            return await self.command(do, name, **fields)

    async def until(
        self, name: str, event: str, where: Callable[[Any], bool] = lambda value: True, **fields: Any
    ) -> Any:
        """The first value of this event not asked for before for which `where` holds; waits for it."""

        def fits(line: Line) -> bool:
            named = line.get("as") == name and line.get("event") == event
            return named and all(line.get(key) == value for key, value in fields.items()) and where(line["values"][0])

        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    for index, line in enumerate(self._unseen):
                        if fits(line):
                            return self._unseen.pop(index)["values"][0]
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            last = "\n".join(str(line)[:200] for line in self.lines[-15:])
            raise AssertionError(f"{name} waited for {event} {fields} in vain; the last lines:\n{last}") from None

    def values(self, name: str, event: str, ch: str | None = None) -> list[Any]:
        """Everything so far of one event, in order."""
        return [
            line["values"][0]
            for line in self.lines
            if line.get("as") == name and line.get("event") == event and ch in (None, line.get("ch"))
        ]

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for raw in self._process.stdout:
            line: Line = json.loads(raw)
            if "answer" in line:
                future = self._answers.pop(line["answer"])
                if future.cancelled():
                    continue
                if "fault" in line:
                    future.set_exception(Refused(line["fault"]))
                    future.exception()  # a test need not wait for every answer
                else:
                    future.set_result(line["value"])
            else:
                self.lines.append(line)
                self._unseen.append(line)
                self._news.set()


class Refused(Exception):
    """A call of the package was rejected; the text is the code."""


class Cable:
    """A TCP line to the server. `cut` breaks it, `cut_before` breaks it when the server says something."""

    def __init__(self) -> None:
        self.target = 0
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._fatal: bytes | None = None
        self.cuts = 0

    @classmethod
    async def to(cls, port: int) -> Self:
        cable = cls()
        cable.target = port
        cable._server = await asyncio.start_server(cable._joined, "127.0.0.1", 0)
        return cable

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/api/v1/socket"

    def cut(self) -> None:
        """Every connection ends at once, without a goodbye."""
        self.cuts += 1
        for writer in list(self._open):
            writer.transport.abort()

    def cut_before(self, words: bytes) -> None:
        """The next time the server says `words`, the line breaks instead of carrying them. Once."""
        self._fatal = words

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, far_writer}
        for source, sink, watched in ((reader, far_writer, False), (far_reader, writer, True)):
            task = asyncio.create_task(self._carry(source, sink, watched))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, watched: bool) -> None:
        try:
            while data := await source.read(65_536):
                if watched and self._fatal is not None and self._fatal in data:
                    self._fatal = None
                    self.cut()
                    return
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        finally:
            self._open.discard(sink)
            sink.close()
