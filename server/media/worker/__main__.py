"""`python -m server.media.worker`: reads one order from standard input, answers it on standard output, ends."""

from __future__ import annotations

import os
import resource
import sys
import threading
from contextlib import suppress

import msgspec

from server.media.model import FaultCode, MediaKind
from server.media.orders import Answer, Broken, Made, Order, Refusal, Refused
from server.media.worker import pictures

#: bytes of one file that a job may write
_LARGEST_FILE = 512 * 1024 * 1024
_MOST_FILES = 64
#: how much less pressing this is than answering people
_NICENESS = 10


def bound(order: Order) -> None:
    """What happens beyond: MemoryError, SIGXCPU, SIGXFSZ, EMFILE. None of it can be raised again."""
    for what, most in (
        (resource.RLIMIT_AS, order.memory),
        (resource.RLIMIT_FSIZE, _LARGEST_FILE),
        (resource.RLIMIT_NOFILE, _MOST_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(ValueError):  # a stricter bound is there already, or (macOS) none of this kind can be set
            resource.setrlimit(what, (most, most))
    # At the first bound it ends with a signal that tells why, at the second it is killed.
    resource.setrlimit(resource.RLIMIT_CPU, (order.cpu_seconds, order.cpu_seconds + 5))
    os.nice(_NICENESS)


def carry_out(order: Order) -> Answer:
    """The work itself."""
    try:
        return _make(order)
    except Refusal as refusal:
        return Refused(refusal.code)
    except MemoryError:
        return Refused(FaultCode.TOO_MUCH_WORK)
    except Exception as fault:
        return Broken(type(fault).__name__)


def _make(order: Order) -> Made:
    if order.kind is MediaKind.PICTURE:
        return pictures.make(order)
    if order.kind is MediaKind.VOICE:  # 0.2 s and 40 MB that pictures need not wait for
        from server.media.worker import sound

        return sound.make(order)
    from server.media.worker import film

    return film.make(order)


def end_with_parent() -> None:
    """The server holds the other end of standard input: when that is gone, so is who wants the answer."""
    while os.read(0, 1024):
        pass
    os._exit(1)


def main() -> None:
    line = sys.stdin.buffer.readline()
    if not line:
        return
    order = msgspec.json.decode(line, type=Order)
    threading.Thread(target=end_with_parent, daemon=True).start()
    bound(order)
    answer = carry_out(order)
    sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
    sys.stdout.buffer.flush()
    os._exit(0)  # nothing of the libraries' own farewell is of use


if __name__ == "__main__":
    main()
