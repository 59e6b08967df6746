"""The commands of `python -m server`, one module each; `COMMANDS` is the list that the parser is made from."""

from __future__ import annotations

import argparse
from typing import Protocol

from server.commands import admin, serve


class Command(Protocol):
    """What a module in here offers."""

    #: one line for --help
    SUMMARY: str

    def add_arguments(self, parser: argparse.ArgumentParser, /) -> None: ...

    def run(self, arguments: argparse.Namespace, /) -> int:
        """Returns the exit status; raises StartupError for what is told in one line."""


COMMANDS: dict[str, Command] = {"serve": serve, "admin": admin}


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m server", description="Vouch, a realtime hub. Without a command it serves."
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        command.add_arguments(commands.add_parser(name, help=command.SUMMARY, description=command.SUMMARY))
    return top
