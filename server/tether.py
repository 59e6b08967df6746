"""Runs a command that must not outlive its parent: `python -I -S tether.py MODE PARENT COMMAND…`.

A database left behind by a killed server would keep its directory locked. `prctl` (Linux) asks the kernel to kill the
command when the parent is gone, and then becomes the command. `pipe` (elsewhere) stays between the two: the parent
holds the other end of standard input, so the end of it is the end of the parent.

The kernel's promise is bound to the *thread* that starts the command, so it must be started from the main thread.
Standard library only, and imported by nobody: it runs in an interpreter without site-packages.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1
_GRACE_SECONDS = 10


def become(parent: int, command: Sequence[str]) -> None:
    """Never returns. SIGKILL rather than SIGTERM: nothing acknowledged depends on a clean end, and it cannot hang."""
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the kernel knew of our wish
        sys.exit(1)
    os.execv(command[0], list(command))  # noqa: S606 - no shell is wanted


def watch(command: Sequence[str]) -> int:
    """The exit status of the command, which is ended when standard input ends."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: child.terminate())

    def end_with_parent() -> None:
        while os.read(0, 1024):
            pass
        child.terminate()
        try:
            child.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()

    threading.Thread(target=end_with_parent, daemon=True).start()
    return child.wait()


if __name__ == "__main__":
    mode, parent, *command = sys.argv[1:]
    if mode == "prctl":
        become(int(parent), command)
    sys.exit(watch(command))
