"""The running hub: services, application, listening sockets, until a signal asks for the end."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from tornado.httpserver import HTTPServer

from handlers import trust
from handlers.application import make_application
from server import demo, doctor, preflight, tls
from server.administration import model as administration
from server.clock import SystemClock
from server.commands import addresses
from server.commands.sandbox import Sandbox
from server.data_directory import DataDirectory
from server.embedded import Embedded
from server.keys import Keys
from server.services import Services
from server.settings import Settings
from server.vitals import Vitals

#: bytes of one request's body; what needs more streams
MAX_BODY_BYTES = 16 * 1024 * 1024
#: seconds that a body may take to arrive, and that an unused keep-alive connection is kept
BODY_SECONDS = 60.0
IDLE_SECONDS = 75.0
#: the garbage collector's thresholds of its three generations
_COLLECT_AFTER = (10_000, 20, 20)


async def serve(
    settings: Settings,
    keys: Keys,
    directory: DataDirectory,
    embedded: Embedded,
    sockets: Sequence[socket.socket],
    sandbox: Sandbox | None = None,
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
    vitals = Vitals(settings)
    watching = asyncio.create_task(_watch(embedded, sandbox))
    try:
        await services.start()
    except BaseException:
        watching.cancel()
        with suppress(Exception):  # what did not start may not stop; the reason for that is the error on its way
            await asyncio.wait_for(services.stop(), 5)
        raise
    services.administration.condition.examiners.append(partial(_examined, settings))
    try:
        application = make_application(services)
        context = None
        if settings.tls:
            names = tls.server_names(settings.public_origins)
            context = tls.server_context(keys, directory.path / "tls", names, clock.now())
        port: int = sockets[0].getsockname()[1]
        urls = addresses.urls(settings, port)
        if settings.tls:
            application.add_handlers(".*", trust.routes(keys.ca_cert, _for_phones(urls)))
        server = HTTPServer(
            application,
            ssl_options=context,
            max_body_size=MAX_BODY_BYTES,
            body_timeout=BODY_SECONDS,
            idle_connection_timeout=IDLE_SECONDS,
        )
        vitals.start()
        story = await demo.tell(services) if settings.demo else []
        _spare_the_collector()
        server.add_sockets(sockets)
        played = sandbox.greeting() if sandbox is not None else []
        _say(*story, *_greeting(settings, keys, urls, played))
        await stopping.wait()
        _say("Stopping.")
        server.stop()
    finally:
        # The sockets are closed first, with a code that tells clients to come back; then nothing is left to do.
        await services.stop()
        await vitals.stop()
        watching.cancel()
    await server.close_all_connections()


async def _watch(embedded: Embedded, sandbox: Sandbox | None) -> None:
    """Starts again whatever child dies, until cancelled."""
    await asyncio.gather(embedded.watch(), *([sandbox.child.watch()] if sandbox is not None else []))


async def _examined(settings: Settings) -> list[administration.Finding]:
    """What the doctor finds, for the desk of admins."""
    found = await asyncio.to_thread(doctor.running, settings)
    return [administration.Finding(f.name, administration.Verdict(f.verdict.value), f.says, f.remedy) for f in found]


def _spare_the_collector() -> None:
    """Thousands of clients that come at once keep nearly all that is made for them: with Python's own thresholds the
    garbage collector took a fifth of the time in which they are let in. What the start has made is never looked at
    again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)


def _stop(stopping: asyncio.Event) -> None:
    if stopping.is_set():
        os._exit(1)  # asked twice: the kernel takes the children along
    stopping.set()


def _say(*lines: str) -> None:
    with suppress(OSError):  # nobody may be listening any more, which is no reason to stop
        print("\n".join(lines), flush=True)


def _for_phones(urls: Sequence[str]) -> str:
    return urls[1] if len(urls) > 1 else urls[0]


def _greeting(settings: Settings, keys: Keys, urls: list[str], played: list[str]) -> list[str]:
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
    lines += played
    lines.append("Ctrl-C stops it.")
    return lines
