"""The running hub: services, application, listening sockets, until a signal asks for the end."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Sequence
from contextlib import suppress

from tornado.httpserver import HTTPServer

from handlers import trust
from handlers.application import make_application
from server import demo, preflight, tls
from server.clock import SystemClock
from server.data_directory import DataDirectory
from server.embedded import Embedded
from server.keys import Keys
from server.services import Services
from server.settings import Settings

#: bytes of one request's body; what needs more streams
MAX_BODY_BYTES = 16 * 1024 * 1024
#: seconds that a body may take to arrive, and that an unused keep-alive connection is kept
BODY_SECONDS = 60.0
IDLE_SECONDS = 75.0


async def serve(
    settings: Settings, keys: Keys, directory: DataDirectory, embedded: Embedded, sockets: Sequence[socket.socket]
) -> None:
    """Returns after a graceful stop: no new connections, sockets closed with a code that tells clients to come back.

    The sockets listen already; connections are accepted once everything is there. Raises StartupError. A second signal
    ends the process at once.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in preflight.stop_signals():
        loop.add_signal_handler(number, _stop, stopping)
    clock = SystemClock()
    services = Services(settings, keys, clock, mongodb_uri=embedded.mongodb_uri, redis_url=embedded.redis_url)
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
            application.add_handlers(".*", trust.routes(keys.ca_cert, _for_phones(urls)))
        server = HTTPServer(
            application,
            ssl_options=context,
            max_body_size=MAX_BODY_BYTES,
            body_timeout=BODY_SECONDS,
            idle_connection_timeout=IDLE_SECONDS,
        )
        story = await demo.tell(services) if settings.demo else []
        server.add_sockets(sockets)
        _say(*story, *_greeting(settings, keys, urls))
        await stopping.wait()
        _say("Stopping.")
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


def _say(*lines: str) -> None:
    with suppress(OSError):  # nobody may be listening any more, which is no reason to stop
        print("\n".join(lines), flush=True)


def _urls(settings: Settings, port: int) -> list[str]:
    """Where to open the hub: from this machine first, then from the network."""
    everywhere = settings.host in ("0.0.0.0", "::", "")  # noqa: S104 - compared, not listened on
    hosts = ["127.0.0.1", *tls.lan_addresses()] if everywhere else [settings.host]
    return [f"{settings.scheme}://{f'[{host}]' if ':' in host else host}:{port}" for host in hosts]


def _for_phones(urls: Sequence[str]) -> str:
    return urls[1] if len(urls) > 1 else urls[0]


def _greeting(settings: Settings, keys: Keys, urls: list[str]) -> list[str]:
    lines = [f"Vouch is running: {urls[0]}"]
    if len(urls) > 1:
        lines.append(f"On this network:  {'  '.join(urls[1:])}")
    if settings.tls:
        lines.append(f"Phones trust it after a visit to {_for_phones(urls)}/trust")
        lines += trust.terminal_code(_for_phones(urls)).splitlines()
        lines.append(f"Fingerprint of its certificate: {trust.fingerprint(keys.ca_cert)}")
    obstacle = preflight.gestures_obstacle()
    if obstacle is not None:
        lines.append(f"Gestures are off: {obstacle}.")
    lines.append("Ctrl-C stops it.")
    return lines
