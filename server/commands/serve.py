"""`python -m server serve`: from an empty directory to running children, then the hub, and all the way back."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import threading
import time
from contextlib import ExitStack
from types import FrameType

import msgspec
import structlog

from server import logs, preflight
from server.commands import node_set
from server.commands.options import add_settings, chosen_settings
from server.commands.sandbox import Sandbox
from server.data_directory import DataDirectory
from server.embedded import Embedded
from server.keys import load_keys
from server.settings import load, unknown_variables

#: more do not make sense on one machine
MOST_NODES = 16

#: seconds that Python is given to end once everything has been stopped
_PATIENCE = 2.0

_log = structlog.get_logger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_settings(parser, "host", "port", "data_dir", "demo", "tls", "log_level", "log_format")
    text = "so many nodes on one database and one Redis, with nginx before them where it is installed (1)"
    parser.add_argument("--nodes", metavar="N", type=int, default=1, choices=range(1, MOST_NODES + 1), help=text)


def run(arguments: argparse.Namespace) -> int:
    settings = load(chosen_settings(arguments))
    logs.configure(settings.log_level, settings.log_format)
    for name in unknown_variables():
        _log.warning("unknown_variable", name=name)
    preflight.raise_open_files()
    for number in preflight.stop_signals():
        signal.signal(number, _interrupt)
    if arguments.nodes > 1:
        node_set.run(settings, arguments.nodes)
        return 0
    with ExitStack() as stack:
        sockets = preflight.listen(settings.host, settings.port)
        for listening in sockets:
            stack.enter_context(listening)
        directory = DataDirectory(settings.data_dir)
        directory.open()
        stack.callback(directory.close)
        keys = load_keys(settings.secrets_path)
        embedded = Embedded(settings, keys, directory)
        stack.callback(embedded.stop)
        embedded.spawn()
        sandbox = None
        if Sandbox.wanted(settings):
            sandbox = Sandbox(settings, keys, directory, sockets[0].getsockname()[1])
            stack.callback(sandbox.child.stop)
            sandbox.spawn()
        from server.commands import hub  # the whole product: it loads while the databases start

        embedded.wait()
        if sandbox is not None:
            sandbox.child.wait()
            settings = msgspec.structs.replace(settings, sandbox_url=sandbox.url)
        runner = asyncio.Runner()
        try:
            runner.run(hub.serve(settings, keys, directory, embedded, sockets, sandbox))
        except BaseException:
            runner.close()
            raise
    threading.Thread(target=_end_anyway, name="end", daemon=True).start()
    runner.close()
    return 0


def _end_anyway() -> None:
    """All is done, but Python waits for tasks and threads that may wait for a database that hangs."""
    time.sleep(_PATIENCE)
    os._exit(0)


class Interrupted(KeyboardInterrupt):
    """A signal during the start.

    Not KeyboardInterrupt itself: where that leaves code made by `exec` (dataclasses while they are imported), CPython
    notes it as unhandled and later ends by SIGINT instead of with our exit status, though it was caught.
    """


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Before the loop runs, every signal ends the start the way Ctrl-C does: children stopped, locks released."""
    raise Interrupted
