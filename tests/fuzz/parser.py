"""`python -m tests.fuzz.parser`: fuzzes what clients send until Ctrl-C, guided by coverage where atheris is installed.

    python -m tests.fuzz.parser -max_total_time=300 /tmp/corpus      with atheris: options and a directory of libFuzzer
    python -m tests.fuzz.parser --seconds 60                         without: random changes of the examples

atheris is no dependency of this project, for not every Python has it; `uv pip install atheris` brings it. What was
found is written to a file by libFuzzer (printed without); add it to tests/fuzz/corpus, where the tests try it for ever.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import importlib.util
import logging
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structlog

CORPUS = Path(__file__).with_name("corpus")


def guided(arguments: Sequence[str]) -> None:
    """Does not return: libFuzzer ends the process."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["server.realtime", "tests.fuzz.target"]):
        from tests.fuzz.target import converse

    loop = asyncio.new_event_loop()

    def one(data: bytes) -> None:
        loop.run_until_complete(converse(data))

    atheris.Setup(["parser", *arguments, str(CORPUS)], one)
    atheris.Fuzz()


def changed(data: bytes, seeds: Sequence[bytes], chance: random.Random) -> bytes:
    """An example with a few changes."""
    bytes_ = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        at = chance.randint(0, len(bytes_))
        match chance.randrange(4):
            case 0:
                bytes_[at : at + 1] = bytes((chance.randrange(256),))
            case 1:
                del bytes_[at : at + chance.randint(1, 16)]
            case 2:
                bytes_[at:at] = chance.randbytes(chance.randint(1, 16))
            case _:
                other = chance.choice(seeds)
                start = chance.randint(0, len(other))
                bytes_[at:at] = other[start : start + chance.randint(1, 200)]
    return bytes(bytes_)


def unguided(seconds: float, seed: int) -> int:
    """How many inputs were tried. Raises, after printing the input, what it has found."""
    from tests.fuzz.target import converse

    seeds, chance, count = examples(), random.Random(seed), 0
    until = time.monotonic() + seconds

    async def all_of_them() -> None:
        nonlocal count
        while time.monotonic() < until:
            data = changed(chance.choice(seeds), seeds, chance)
            try:
                await converse(data)
            except BaseException:
                print(f"after {count} inputs: {data!r}", file=sys.stderr)  # noqa: T201
                raise
            count += 1

    asyncio.run(all_of_them())
    return count


def examples() -> list[bytes]:
    return [path.read_bytes() for path in sorted(CORPUS.iterdir())]


def main(arguments: Sequence[str]) -> int:
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    if importlib.util.find_spec("atheris") is not None and "--seconds" not in arguments:
        guided(arguments)
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.parser")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    print(f"{unguided(options.seconds, options.seed)} inputs tried", flush=True)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
