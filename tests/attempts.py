"""For properties of the form "any input is taken or refused": the result, or the refusal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from server.errors import VouchError

T = TypeVar("T")


def attempt(call: Callable[[], T]) -> T | VouchError:
    try:
        return call()
    except VouchError as refusal:
        return refusal
