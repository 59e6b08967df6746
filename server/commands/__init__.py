"""The commands of `python -m server`, one module each. A module is loaded when its command is called.

A command offers `add_arguments(parser)` and `run(arguments) -> exit status`; `run` raises StartupError for what is told
in one line.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Protocol, cast

#: name of the command and of its module → one line for --help
COMMANDS = {
    "serve": "run the hub until Ctrl-C or SIGTERM",
    "admin": "make an administrator",
    "backup": "copy the database into a file, also while it runs",
    "restore": "put a backup back",
    "secrets": "show the secrets, or change them",
    "audit": "verify that nobody has tampered with the audit trail",
    "ledger": "verify that all money is where the journal says",
    "doctor": "look at this installation and say what is wrong",
}


class Command(Protocol):
    """What a module in here offers."""

    def add_arguments(self, parser: argparse.ArgumentParser, /) -> None: ...

    def run(self, arguments: argparse.Namespace, /) -> int: ...


def load(name: str) -> Command:
    """The module of one of the `COMMANDS`."""
    return cast(Command, import_module(f"server.commands.{name}"))


def overview() -> str:
    """What --help prints."""
    lines = [
        "usage: python -m server [COMMAND] [options]",
        "",
        "Vouch, a realtime hub. Without a command it serves.",
        "",
    ]
    lines += [f"  {name:<10}{summary}" for name, summary in COMMANDS.items()]
    return "\n".join([*lines, "", "python -m server COMMAND --help lists the options of a command."])
