"""Command-line options that are settings: their text goes the same way as that of the environment."""

from __future__ import annotations

import argparse

from server.settings import VARIABLES

_OPTIONS: dict[str, tuple[str, str]] = {
    "host": ("ADDRESS", "address to listen on (127.0.0.1: this machine only; 0.0.0.0: all networks it is in)"),
    "port": ("PORT", "port to listen on (8080; 0 takes a free one)"),
    "data_dir": ("DIRECTORY", "where the database, the secrets and the logs are (.data in the project)"),
    "log_level": ("LEVEL", "debug, info, warning or error (info)"),
    "log_format": ("FORMAT", "text or json (text)"),
}
_FLAGS: dict[str, str] = {
    "demo": "a small story to look at, in a data directory of its own (.data-demo)",
    "tls": "serve https, so that phones on this network may use camera and microphone",
}


def add_settings(parser: argparse.ArgumentParser, *names: str) -> None:
    for name in names:
        flag = "--" + name.replace("_", "-")
        if name in _FLAGS:
            parser.add_argument(flag, action="store_const", const="1", help=_FLAGS[name])
        else:
            metavar, text = _OPTIONS[name]
            parser.add_argument(flag, metavar=metavar, help=text)


def chosen_settings(arguments: argparse.Namespace) -> dict[str, str]:
    """Setting → text, for those that were given on the command line."""
    given = vars(arguments)
    return {name: given[name] for name in VARIABLES if given.get(name) is not None}
