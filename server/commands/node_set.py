"""`--nodes N`: several nodes on this machine, as children, on one database and one Redis, behind nginx.

For trying what several machines do (docs/nodes.md says how those are run). The parent holds the data directory, starts
the databases once and everything again that dies; whatever way it ends, nothing is left behind.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import Mapping
from contextlib import ExitStack, suppress

import msgspec

from server import preflight
from server.children import Child
from server.commands import nginx
from server.commands.addresses import urls
from server.commands.sandbox import Sandbox
from server.data_directory import DataDirectory
from server.embedded import Embedded
from server.errors import StartupError
from server.keys import load_keys
from server.settings import PREFIX, ROOT, Settings

_RUNNING = re.compile(r"^Vouch is running: \S+:(\d+)$", re.MULTILINE)
#: how a line of the log begins, as text or as JSON; the others are for the person at the terminal
_LOGGED = re.compile(r"\d{4}-\d\d-\d\dT|\{")


def run(settings: Settings, count: int) -> None:
    """Runs the set until a signal asks for its end. Raises StartupError."""
    if settings.tls:
        raise StartupError(
            "bad_setting", "--tls and --nodes do not go together.", hint="docs/nodes.md has nginx with certificates."
        )
    with ExitStack() as stack:
        port = _free_port(settings)
        directory = DataDirectory(settings.data_dir)
        directory.open()
        stack.callback(directory.close)
        keys = load_keys(settings.secrets_path)
        embedded = Embedded(settings, keys, directory)
        stack.callback(embedded.stop)
        embedded.start()
        sandbox = None
        if Sandbox.wanted(settings):
            sandbox = Sandbox(settings, keys, directory, port)
            stack.callback(sandbox.child.stop)
            sandbox.spawn()
            sandbox.child.wait()
            settings = msgspec.structs.replace(settings, sandbox_url=sandbox.url)
        program = nginx.program()
        if program is None:
            ports = [port, *(settings.port and port + number for number in range(1, count))]  # 0: free ones
            nodes = [_Node(settings, directory, embedded, number, ports[number]) for number in range(count)]
        else:
            behind = msgspec.structs.replace(
                settings, host="127.0.0.1", trusted_proxies=(*settings.trusted_proxies, "127.0.0.1")
            )
            nodes = [_Node(behind, directory, embedded, number, 0) for number in range(count)]
        balancer = nginx.Balancer(directory)
        stack.callback(balancer.stop)
        for node in nodes:
            stack.callback(node.child.stop)
        nodes[0].child.start()  # alone: it tells the story of --demo, and makes the indexes
        for node in nodes[1:]:
            node.child.spawn()
        for node in nodes[1:]:
            node.child.wait()
        children = [node.child for node in nodes]
        greeting = [*nodes[0].story]
        own = [f"http://{'127.0.0.1' if program else settings.host}:{node.port}" for node in nodes]
        if program is None:
            greeting += [
                "nginx is not installed: the nodes are reached one by one.",
                *map("Vouch is running: {}".format, own),
            ]
        else:
            children.append(balancer.start(program, settings.host, port, [node.port for node in nodes]))
            greeting += [
                f"Vouch is running: {urls(settings, port)[0]}",
                f"{count} nodes behind nginx: {'  '.join(own)}",
            ]
        if sandbox is not None:
            children.append(sandbox.child)
            greeting += sandbox.greeting()
        greeting += ["Ctrl-C stops it."]
        asyncio.run(_watch(embedded, children, greeting))


class _Node:
    """One node as a child: a data directory of its own for its log and lock, everything else shared."""

    def __init__(
        self, settings: Settings, directory: DataDirectory, embedded: Embedded, number: int, port: int
    ) -> None:
        #: where it listens; known once it has started
        self.port = port
        #: what --demo tells
        self.story: list[str] = []
        name = f"node-{number + 1}"
        self.child = Child(
            name,
            command=lambda: [sys.executable, "-P", "-m", "server", "serve", "--port", str(self.port)],
            ready=self._ready,
            log_path=directory.logs / f"{name}.log",
            pid_path=directory.run / f"{name}.pid",
            environ=_environ(settings, directory, embedded, number),
        )

    def _ready(self, printed: str) -> bool:
        running = _RUNNING.search(printed)
        if running is None:
            return False
        self.port = int(running[1])
        self.story = [line for line in printed[: running.start()].splitlines() if not _LOGGED.match(line)]
        return True


def _environ(settings: Settings, directory: DataDirectory, embedded: Embedded, number: int) -> Mapping[str, str]:
    """Our own variables, and what this node must know besides. Only by variable, because the URI holds a password."""
    own = {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}
    return own | {
        "PYTHONPATH": str(ROOT),
        "VOUCH_HOST": settings.host,
        "VOUCH_DATA_DIR": str(directory.path / "nodes" / str(number + 1)),
        "VOUCH_SECRETS_DIR": str(settings.secrets_path),
        "VOUCH_MONGODB_URI": embedded.mongodb_uri,
        "VOUCH_REDIS_URL": embedded.redis_url,
        "VOUCH_PAYMENTS": ",".join(settings.providers),
        "VOUCH_SANDBOX_URL": settings.sandbox_url,
        "VOUCH_TRUSTED_PROXIES": ",".join(settings.trusted_proxies),
        "VOUCH_DEMO": "1" if settings.demo and number == 0 else "0",
        "VOUCH_LOG_LEVEL": settings.log_level,
        "VOUCH_LOG_FORMAT": settings.log_format,
    }


async def _watch(embedded: Embedded, children: list[Child], greeting: list[str]) -> None:
    """Starts again whatever dies, until a signal comes. A second signal ends everything at once."""
    stopping = asyncio.Event()

    def stop() -> None:
        if stopping.is_set():
            os._exit(1)  # the kernel takes the children along
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in preflight.stop_signals():
        loop.add_signal_handler(number, stop)
    watching = [asyncio.create_task(child.watch()) for child in children]
    watching.append(asyncio.create_task(embedded.watch()))
    _say(*greeting)
    await stopping.wait()
    _say("Stopping.")
    for task in watching:
        task.cancel()
    await asyncio.gather(*watching, return_exceptions=True)
    for number in preflight.stop_signals():
        loop.remove_signal_handler(number)
        signal.signal(number, lambda *_: os._exit(1))


def _free_port(settings: Settings) -> int:
    """The port that is asked for. It is taken for a moment only, because nginx or the nodes take it themselves."""
    sockets = preflight.listen(settings.host, settings.port)
    port: int = sockets[0].getsockname()[1]
    for listening in sockets:
        listening.close()
    return port


def _say(*lines: str) -> None:
    with suppress(OSError):
        print("\n".join(lines), flush=True)
