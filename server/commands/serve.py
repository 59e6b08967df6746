"""`python -m server serve`: everything from the empty directory to the printed address, and all the way back."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
from contextlib import ExitStack, suppress
from types import FrameType

import structlog
from tornado.httpserver import HTTPServer

from handlers import trust
from handlers.application import make_application
from server import demo, logs, preflight, tls
from server.clock import SystemClock
from server.commands.options import add_settings, chosen_settings
from server.data_directory import DataDirectory
from server.embedded import Embedded
from server.keys import Keys, load_keys
from server.services import Services
from server.settings import Settings, load, unknown_variables

SUMMARY = "run the hub until Ctrl-C or SIGTERM"

_log = structlog.get_logger(__name__)

#: bytes of one request's body; what needs more streams
MAX_BODY_BYTES = 16 * 1024 * 1024
#: seconds that a body may take to arrive, and that an unused keep-alive connection is kept
BODY_SECONDS = 60.0
IDLE_SECONDS = 75.0

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_settings(parser, "host", "port", "data_dir", "demo", "tls", "log_level", "log_format")


def run(arguments: argparse.Namespace) -> int:
    settings = load(chosen_settings(arguments))
    logs.configure(settings.log_level, settings.log_format)
    for name in unknown_variables():
        _log.warning("unknown_variable", name=name)
    preflight.raise_open_files()
    for number in _STOP_SIGNALS:
        signal.signal(number, _interrupt)
    with ExitStack() as stack:
        sockets = preflight.listen(settings.host, settings.port)
        for listening in sockets:
            stack.enter_context(listening)
        directory = DataDirectory(settings.data_dir)
        directory.open()
        stack.callback(directory.close)
        keys = load_keys(settings.secrets_path)
        embedded = stack.enter_context(Embedded(settings, keys, directory))
        asyncio.run(_serve(settings, keys, directory, embedded, sockets))
    return 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Before the loop runs, every signal ends the start the way Ctrl-C does: children stopped, locks released."""
    raise KeyboardInterrupt


async def _serve(
    settings: Settings, keys: Keys, directory: DataDirectory, embedded: Embedded, sockets: list[socket.socket]
) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _STOP_SIGNALS:
        loop.add_signal_handler(number, _stop, stopping)
    clock = SystemClock()
    services = Services(
        settings, keys, clock, mongodb_uri=embedded.mongodb_uri, redis_url=embedded.redis_url
    )
    watching = asyncio.create_task(embedded.watch())
    try:
        await services.start()
    except BaseException:
        watching.cancel()
        with suppress(Exception):  # what did not start may not stop; the reason for that is the error on its way
            await asyncio.wait_for(services.stop(), 5)
        raise
    try:
        application = make_application(services)
        context = None
        if settings.tls:
            names = tls.server_names(settings.public_origins)
            context = tls.server_context(keys, directory.path / "tls", names, clock.now())
        port: int = sockets[0].getsockname()[1]
        urls = _urls(settings, port)
        if settings.tls:
            application.add_handlers(".*", trust.routes(keys.ca_cert, urls[-1]))
        server = HTTPServer(
            application,
            ssl_options=context,
            max_body_size=MAX_BODY_BYTES,
            body_timeout=BODY_SECONDS,
            idle_connection_timeout=IDLE_SECONDS,
        )
        story = await demo.tell(services) if settings.demo else []
        server.add_sockets(sockets)
        print("\n".join([*_greeting(settings, keys, urls), *story]), flush=True)
        await stopping.wait()
        print("Stopping.", flush=True)
        server.stop()
    finally:
        # The sockets are closed first, with a code that tells clients to come back; then nothing is left to do.
        await services.stop()
        watching.cancel()
    await server.close_all_connections()


def _stop(stopping: asyncio.Event) -> None:
    if stopping.is_set():
        os._exit(1)  # asked twice: the kernel takes the children along
    stopping.set()


def _urls(settings: Settings, port: int) -> list[str]:
    """Where to open the hub: from this machine first, from the network last."""
    hosts = ["127.0.0.1", *tls.lan_addresses()] if settings.host in ("0.0.0.0", "::", "") else [settings.host]  # noqa: S104
    return [f"{settings.scheme}://{f'[{host}]' if ':' in host else host}:{port}" for host in hosts]


def _greeting(settings: Settings, keys: Keys, urls: list[str]) -> list[str]:
    lines = [f"Vouch is running: {urls[0]}"]
    if len(urls) > 1:
        lines.append(f"On this network:  {'  '.join(urls[1:])}")
    if settings.tls:
        lines.append(f"Phones trust it after a visit to {urls[-1]}/trust")
        lines += trust.terminal_code(urls[-1]).splitlines()
        lines.append(f"Fingerprint of its certificate: {trust.fingerprint(keys.ca_cert)}")
    obstacle = preflight.gestures_obstacle()
    if obstacle is not None:
        lines.append(f"Gestures are off: {obstacle}.")
    lines.append("Ctrl-C stops it.")
    return lines
