"""`python -m server admin create HANDLE`: the first administrator, who can then name others in the browser."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import sys

import msgspec

from server import logs
from server.clock import SystemClock
from server.commands.options import add_settings, chosen_settings
from server.embedded import databases
from server.errors import StartupError, VouchError
from server.services import Services
from server.settings import Settings, load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    create = actions.add_parser("create", help="make a person with every right")
    create.add_argument("handle", metavar="HANDLE")
    create.add_argument(
        "--password-stdin", action="store_true", help="read the password from standard input instead of asking"
    )
    add_settings(create, "data_dir", "demo", "log_level")


def run(arguments: argparse.Namespace) -> int:
    settings = load({"log_level": "warning"} | chosen_settings(arguments))
    logs.configure(settings.log_level, settings.log_format)
    password = sys.stdin.readline().rstrip("\n") if arguments.password_stdin else _ask()
    asyncio.run(_create(settings, arguments.handle, password))
    print(f"{arguments.handle} is an administrator now.")
    return 0


def _ask() -> str:
    password = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != password:
        raise StartupError("passwords_differ", "The two passwords differ.", hint="Nothing was changed.")
    return password


async def _create(settings: Settings, handle: str, password: str) -> None:
    with databases(settings) as (keys, mongodb_uri, redis_url):
        settings = msgspec.structs.replace(settings, payments=())
        services = Services(settings, keys, SystemClock(), mongodb_uri=mongodb_uri, redis_url=redis_url)
        await services.start()
        try:
            await services.people.create_admin(handle, password)
        except VouchError as error:
            raise StartupError(error.code, error.message, hint="Nothing was changed.") from None
        finally:
            await services.stop()
