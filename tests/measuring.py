"""For programs that a test starts with an environment of their own."""

from __future__ import annotations

import os


def measured() -> dict[str, str]:
    """What has coverage look into a process: without it, what only that process runs counts as never run."""
    return {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
