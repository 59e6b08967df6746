"""`python -m server serve`: from an empty directory to running children, then the hub, and all the way back."""

from __future__ import annotations

import argparse
import asyncio
import signal
from contextlib import ExitStack
from types import FrameType

import structlog

from server import logs, preflight
from server.commands.options import add_settings, chosen_settings
from server.data_directory import DataDirectory
from server.embedded import Embedded
from server.keys import load_keys
from server.settings import load, unknown_variables

_log = structlog.get_logger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_settings(parser, "host", "port", "data_dir", "demo", "tls", "log_level", "log_format")


def run(arguments: argparse.Namespace) -> int:
    settings = load(chosen_settings(arguments))
    logs.configure(settings.log_level, settings.log_format)
    for name in unknown_variables():
        _log.warning("unknown_variable", name=name)
    preflight.raise_open_files()
    for number in preflight.stop_signals():
        signal.signal(number, _interrupt)
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
        from server.commands import hub  # the whole product: it loads while the databases start

        embedded.wait()
        asyncio.run(hub.serve(settings, keys, directory, embedded, sockets))
    return 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Before the loop runs, every signal ends the start the way Ctrl-C does: children stopped, locks released."""
    raise KeyboardInterrupt
