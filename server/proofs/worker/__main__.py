"""`python -m server.proofs.worker`: reads one order from standard input, answers it on standard output, ends.

What decodes people's files holds no key, and what holds the key decodes nothing: each order has a process of its own.
"""

from __future__ import annotations

import io
import os
import resource
import sys
import threading
from contextlib import suppress

import msgspec
from PIL import Image

from server.media.worker.thumbhash import blur
from server.proofs.orders import MIB, Answer, Broken, Check, Checked, Order, Pixels, Read, Refused, Seal, Sealed, Why
from server.proofs.worker import drawing, looks, reading
from server.proofs.worker.segments import BadPicture, Foreign

_MEMORY = 1536 * MIB
_CPU_SECONDS = 30
_MOST_FILES = 64
_NICENESS = 10
_QUALITY = 88
_PREVIEW, _THUMB = 1280, 320


def bound() -> None:
    """What happens beyond: MemoryError, SIGXCPU, EMFILE. It writes no file at all."""
    for what, most in (
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, _MOST_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(ValueError):  # a stricter bound is there already, or (macOS) none of this kind can be set
            resource.setrlimit(what, (most, most))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS + 5))
    os.nice(_NICENESS)


def carry_out(order: Order, data: bytes) -> tuple[Answer, tuple[bytes, ...]]:
    """The work itself: the answer, and the bytes that follow it."""
    try:
        match order:
            case Read():
                picture = reading.read(data)
                grid = looks.greys(picture)
                pixels = Pixels(picture.width, picture.height, looks.hash_of(grid))
                return pixels, (grid, picture.tobytes())
            case Seal():
                return _sealed(order, data)
            case Check():
                from server.proofs.worker import signing  # 0.2 s that reading need not wait for

                return Checked(*signing.check(data, order.authorities)), ()
    except BadPicture:
        return Refused(Why.BAD_PICTURE), ()
    except Foreign:
        return Refused(Why.NOT_LIVE), ()
    except MemoryError:
        return Refused(Why.BAD_PICTURE), ()
    except Exception as fault:
        return Broken(type(fault).__name__), ()


def _sealed(order: Seal, data: bytes) -> tuple[Answer, tuple[bytes, ...]]:
    from server.proofs.worker import signing

    picture = Image.frombytes("RGB", (order.width, order.height), data)
    grid = looks.greys(picture)
    whole = drawing.marked(picture, order.lines)
    signed = signing.sign(_encoded(whole, "JPEG", _QUALITY), order.key, order.chain, order.at, order.facts)
    pieces = signed, _shrunk(whole, _PREVIEW), _shrunk(whole, _THUMB)
    first, second, third = map(len, pieces)
    answer = Sealed(whole.width, whole.height, looks.hash_of(grid), blur(whole), (first, second, third))
    return answer, (grid, *pieces)


def _shrunk(whole: Image.Image, side: int) -> bytes:
    small = whole.copy()
    small.thumbnail((side, side))
    return _encoded(small, "WEBP", 78)


def _encoded(picture: Image.Image, kind: str, quality: int) -> bytes:
    into = io.BytesIO()
    picture.save(into, kind, quality=quality)
    return into.getvalue()


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
    data = sys.stdin.buffer.read(order.length)
    if len(data) != order.length:  # whoever sent it is gone
        return
    threading.Thread(target=end_with_parent, daemon=True).start()
    bound()
    answer, following = carry_out(order, data)
    sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
    for piece in following:
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
    os._exit(0)  # nothing of the libraries' own farewell is of use


if __name__ == "__main__":
    main()
