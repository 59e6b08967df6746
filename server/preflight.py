"""What the server can do on this machine, found out before it starts: free port, open files, optional parts."""

from __future__ import annotations

import errno
import importlib.util
import platform
import resource
import signal
import socket
import sys
from ctypes.util import find_library

from tornado.netutil import bind_sockets

from server.door import Door
from server.errors import StartupError


def listen(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen already, so that a taken port is told before any database is started.

    Raises StartupError `port_taken`, `port_forbidden` or `bad_host`.
    """
    try:
        return [Door(listening) for listening in bind_sockets(port, host, backlog=4096)]
    except socket.gaierror:
        raise StartupError(
            "bad_host", f"There is no address {host!r} to listen on.", hint="Try --host 0.0.0.0"
        ) from None
    except OSError as error:
        match error.errno:
            case errno.EADDRINUSE:
                raise StartupError(
                    "port_taken", f"Port {port} is taken.", hint="Stop what uses it, or choose another with --port."
                ) from None
            case errno.EACCES:
                raise StartupError(
                    "port_forbidden",
                    f"Port {port} needs more rights than this user has.",
                    hint="Choose one above 1023.",
                ) from None
            case _:
                raise StartupError(
                    "bad_host", f"{host} is no address of this machine ({error.strerror}).", hint="Try --host 0.0.0.0"
                ) from None


def stop_signals() -> list[signal.Signals]:
    """The signals that stop the server. A hang-up that was ignored at the start (nohup) stays ignored."""
    wanted = [signal.SIGINT, signal.SIGTERM]
    return wanted if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [*wanted, signal.SIGHUP]


def raise_open_files() -> int:
    """Allows as many open files, and so connections, as the system lets us have; returns that number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):  # macOS names a limit that it does not grant
            return soft
    return hard


def gestures_obstacle() -> str | None:
    """Why gesture recognition is off on this machine, in one line; None when it can run.

    Nothing is imported: mediapipe costs a second and 120 MB, and the hub never needs it.
    """
    if sys.platform == "linux" and platform.machine() in ("aarch64", "arm64"):
        return "mediapipe cannot be had for this processor"
    if importlib.util.find_spec("mediapipe") is None or importlib.util.find_spec("cv2") is None:
        return "they need 1.5 GB more; ./scripts/run --with-gestures installs them"
    missing = [name for name, library in (("libGL", "GL"), ("glib", "glib-2.0")) if find_library(library) is None]
    if missing and sys.platform == "linux":
        return f"{' and '.join(missing)} missing on this system (Debian: apt-get install libgl1 libglib2.0-0)"
    return None
