"""`python -m server.proofs.worker`: reads orders from standard input, answers them on standard output.

What decodes people's files holds no key, and what holds the key decodes nothing. A process that has seen somebody's
file ends with that order; one that seals (`seal`) goes on, until the server closes its input.
"""

from __future__ import annotations

import io
import os
import resource
import select
import sys
import threading
from contextlib import suppress

import msgspec
from PIL import Image

from server.media.worker.thumbhash import blur
from server.proofs.orders import (
    GRIDS,
    MIB,
    Answer,
    Broken,
    Check,
    Checked,
    Order,
    Pixels,
    Read,
    Refused,
    Seal,
    Sealed,
    Why,
)
from server.proofs.worker import drawing, looks, reading
from server.proofs.worker.segments import BadPicture, Foreign

_MEMORY = 1536 * MIB
#: for each order
_CPU_SECONDS = 30
_MOST_FILES = 64
_NICENESS = 10
_QUALITY = 88
_PREVIEW, _THUMB = 1280, 320
SEALING = "seal"


def bound() -> None:
    """What happens beyond: MemoryError, EMFILE. It writes no file at all."""
    for what, most in (
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, _MOST_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(ValueError):  # a stricter bound is there already, or (macOS) none of this kind can be set
            resource.setrlimit(what, (most, most))
    os.nice(_NICENESS)


def bound_order() -> None:
    """So much of the processor from now on; then SIGXCPU."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (round(used.ru_utime + used.ru_stime) + _CPU_SECONDS, hard))


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
                return _checked(order, data)
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
    whole = drawing.marked(picture, order.lines)
    written = whole.crop((0, 0, *picture.size))
    grids = [looks.greys(one) for one in (picture, written, whole)]
    assert len(grids) == GRIDS
    hashes = [looks.hash_of(grid) for grid in grids]
    hashes += [looks.hash_of(looks.greys(looks.cut(picture, share))) for share in looks.CUTS]
    signed = signing.sign(_encoded(whole, "JPEG", _QUALITY), order.key, order.chain, order.at, order.facts)
    pieces = signed, _shrunk(whole, _PREVIEW), _shrunk(whole, _THUMB)
    first, second, third = map(len, pieces)
    answer = Sealed(whole.width, whole.height, tuple(hashes), blur(whole), (first, second, third))
    return answer, (b"".join(grids), *pieces)


def _checked(order: Check, data: bytes) -> tuple[Answer, tuple[bytes, ...]]:
    from server.proofs.worker import signing  # 0.2 s that reading need not wait for

    valid, proof = signing.check(data, order.authorities)
    picture = None if valid else reading.glance(data)
    if picture is None:
        return Checked(valid, proof), ()
    grid = looks.greys(picture)
    return Checked(valid, proof, looks.hash_of(grid)), (grid,)


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
    gone = select.poll()
    gone.register(0, 0)  # an end of the line is told whatever one waits for, and nothing is read
    gone.poll()
    os._exit(1)


def get_ready() -> None:
    """What takes time, before anybody waits: the libraries, and the font."""
    from server.proofs.worker import signing  # noqa: F401

    drawing.marked(Image.new("RGB", (320, 240)), ("守", "守", "守"))


def main() -> None:
    sealing = SEALING in sys.argv[1:]
    threading.Thread(target=end_with_parent, daemon=True).start()
    bound()
    if sealing:
        get_ready()
    while line := sys.stdin.buffer.readline():
        order = msgspec.json.decode(line, type=Order)
        data = sys.stdin.buffer.read(order.length)
        if len(data) != order.length:  # whoever sent it is gone
            break
        bound_order()
        answer, following = carry_out(order, data)
        sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
        for piece in following:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        if not (sealing and isinstance(order, Seal)):
            break
    os._exit(0)  # nothing of the libraries' own farewell is of use


if __name__ == "__main__":
    main()
