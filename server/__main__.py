"""`python -m server`: runs a command, and turns what cannot work into one line instead of a traceback."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from server.commands import COMMANDS, parser
from server.errors import StartupError


def main(arguments: Sequence[str]) -> int:
    """The exit status: 0 after a normal stop, 130 after Ctrl-C during the start."""
    words = list(arguments)
    if not words or (words[0] not in COMMANDS and words[0] not in ("-h", "--help") and words[0].startswith("-")):
        words.insert(0, "serve")
    chosen = parser().parse_args(words)
    try:
        return COMMANDS[chosen.command].run(chosen)
    except StartupError as error:
        print("vouch:", " ".join(str(error).split()), file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
