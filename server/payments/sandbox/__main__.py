"""`python -m server.payments.sandbox --data DIRECTORY …`: runs the platform until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import errno
import signal
import socket
import ssl
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application

from server.payments.sandbox import api, pages
from server.payments.sandbox.api import Platform
from server.payments.sandbox.book import Book
from server.payments.sandbox.messenger import Messenger
from server.payments.sandbox.till import Till

_MOST_BODY = 64 * 1024
_FAREWELL_SECONDS = 2.0


def _now() -> int:
    return time.time_ns() // 1_000_000


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m server.payments.sandbox", description="A platform for play money.")
    parser.add_argument("--data", type=Path, required=True, help="a directory of its own")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes that of the last time, or a free one")
    parser.add_argument("--api-key", type=Path, required=True, help="the file with the merchant's key")
    parser.add_argument(
        "--webhook-secret", type=Path, required=True, help="the file with the secret that signs notices"
    )
    parser.add_argument(
        "--console-word", type=Path, required=True, help="the file with what opens the tester's console"
    )
    parser.add_argument("--notify", default="", help="where notices go")
    parser.add_argument("--authority", type=Path, help="the certificate that is believed when notices are brought")
    parser.add_argument("--certificate", type=Path, help="key and certificate in one file: serves https")
    parser.add_argument(
        "--public-url", default="", help="where browsers reach the pages, if not at the merchant's host"
    )
    parser.add_argument("--bank-seconds", type=float, default=3.0, help="how long banks take (3)")
    parser.add_argument("--retry-seconds", type=float, default=1.0, help="until a notice is tried the second time (1)")
    return parser.parse_args()


def _listen(host: str, port: int, remembered: Path) -> Sequence[socket.socket]:
    """On the port that is asked for; without one on that of the last time, where open pages look, or a free one."""
    if not port and remembered.exists() and remembered.read_text().strip().isdigit():
        try:
            return bind_sockets(int(remembered.read_text()), host)
        except (OSError, OverflowError):
            pass  # somebody else has it now
    sockets = bind_sockets(port, host)
    remembered.write_text(f"{sockets[0].getsockname()[1]}\n")
    return sockets


async def _serve(options: argparse.Namespace, sockets: Sequence[socket.socket]) -> None:
    context = None
    if options.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(options.certificate)
    book = Book(options.data / "book.sqlite")
    till = Till(book, _now, lambda: messenger.wake(), bank_ms=round(options.bank_seconds * 1_000))
    messenger = Messenger(
        till,
        _now,
        secret=options.webhook_secret.read_text().strip(),
        url=options.notify,
        authority=options.authority,
        first_pause=round(options.retry_seconds * 1_000),
    )
    port = sockets[0].getsockname()[1]
    platform = Platform(
        till=till,
        messenger=messenger,
        api_key=options.api_key.read_text().strip(),
        console_word=options.console_word.read_text().strip(),
        public_url=options.public_url.rstrip("/"),
        scheme="https" if context else "http",
        port=port,
    )
    server = HTTPServer(application(platform), ssl_options=context, max_body_size=_MOST_BODY)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    server.add_sockets(sockets)
    carrying = asyncio.create_task(messenger.run())
    sys.stdout.write(f"listening on {options.host}:{port}\n")
    sys.stdout.flush()
    await asyncio.wait((carrying, asyncio.create_task(stopping.wait())), return_when=asyncio.FIRST_COMPLETED)
    server.stop()
    with suppress(TimeoutError):  # some may be kept waiting because a tester wanted it
        await asyncio.wait_for(server.close_all_connections(), _FAREWELL_SECONDS)
    if carrying.done():
        carrying.result()  # it never ends by itself: this raises what ended it
    carrying.cancel()
    await asyncio.wait((carrying,))
    book.close()


def application(platform: Platform) -> Application:
    return Application(
        [*api.routes(), *pages.routes()],
        platform=platform,
        log_function=lambda _: None,
        **pages.settings(platform),
    )


def main() -> int:
    options = _arguments()
    options.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        sockets = _listen(options.host, options.port, options.data / "port")
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        sys.stderr.write(f"port {options.port} is taken\n" if taken else f"cannot listen: {error}\n")
        return 1
    asyncio.run(_serve(options, sockets))
    return 0


if __name__ == "__main__":
    sys.exit(main())
