"""What Vouch is compared with: the same room written for other servers, each the way its documentation shows.

Each is a program that prints its port, sends every text it receives to everybody connected, and ends when its standard
input does. None of them knows who writes, keeps anything, numbers anything or measures itself.
"""

from __future__ import annotations

import os
import sys
import threading


def end_with_parent() -> None:
    """Ends the process when whoever started it is gone."""
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
