"""`python -m server`: runs a command, and turns what cannot work into one line instead of a traceback."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from server.commands import COMMANDS, load, overview
from server.errors import StartupError


def main(words: Sequence[str]) -> int:
    """The exit status: 0 after a normal stop, 130 after Ctrl-C during the start."""
    if words and words[0] in ("-h", "--help"):
        print(overview())
        return 0
    name, options = ("serve", words) if not words or words[0].startswith("-") else (words[0], words[1:])
    if name not in COMMANDS:
        print(f"vouch: There is no command {name!r}. There are: {', '.join(COMMANDS)}.", file=sys.stderr)
        return 2
    try:
        command = load(name)
        parser = argparse.ArgumentParser(prog=f"python -m server {name}", description=COMMANDS[name])
        command.add_arguments(parser)
        return command.run(parser.parse_args(options))
    except StartupError as error:
        print("vouch:", " ".join(str(error).split()), file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
