"""localstripe in a process of its own: Stripe's API as far as it goes. It is GPL, and never imported."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_RUNNING = re.compile(r"Running on http://\S+?:(\d+)")


@contextmanager
def localstripe() -> Iterator[int]:
    """Its port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "localstripe", "--port", "0", "--from-scratch"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if found := _RUNNING.search(line):
                yield int(found[1])
                return
        raise AssertionError(f"localstripe did not start: {said}")
    finally:
        process.kill()
        process.communicate()
