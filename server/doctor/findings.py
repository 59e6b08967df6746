"""What an examination finds."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Verdict(StrEnum):
    OK = "ok"
    #: it works, but not for long or not well
    WARNING = "warning"
    #: it does not work, or must not be left so
    PROBLEM = "problem"


class Finding(msgspec.Struct, frozen=True):
    """`name` is stable, for programs; `says` and `remedy` are sentences for people, without secrets."""

    name: str
    verdict: Verdict
    says: str
    remedy: str = ""


def ok(name: str, says: str) -> Finding:
    return Finding(name, Verdict.OK, says)


def warning(name: str, says: str, remedy: str = "") -> Finding:
    return Finding(name, Verdict.WARNING, says, remedy)


def problem(name: str, says: str, remedy: str = "") -> Finding:
    return Finding(name, Verdict.PROBLEM, says, remedy)
