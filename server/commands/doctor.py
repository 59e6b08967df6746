"""`python -m server doctor`: looks at this installation and says what is wrong. The exit status is 1 for a problem."""

from __future__ import annotations

import argparse
import asyncio

import msgspec

from server import doctor, logs
from server.commands.options import add_settings, chosen_settings
from server.doctor import Finding, Verdict
from server.settings import load

_CONNECTIONS = 10_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for programs: {healthy, findings}")
    text = f"how many people's sockets this node is to hold at once ({_CONNECTIONS})"
    parser.add_argument("--connections", metavar="N", type=int, default=_CONNECTIONS, help=text)
    add_settings(parser, "host", "port", "data_dir", "demo", "tls", "log_level")


def run(arguments: argparse.Namespace) -> int:
    settings = load({"log_level": "error"} | chosen_settings(arguments))
    logs.configure(settings.log_level, settings.log_format)
    findings = asyncio.run(doctor.examine(settings, arguments.connections))
    healthy = not any(finding.verdict is Verdict.PROBLEM for finding in findings)
    if arguments.json:
        print(msgspec.json.encode({"healthy": healthy, "findings": findings}).decode())
    else:
        print("\n".join(_lines(findings)))
    return 0 if healthy else 1


def _lines(findings: list[Finding]) -> list[str]:
    lines: list[str] = []
    for finding in findings:
        lines.append(f"{finding.verdict:<8} {finding.name:<16} {finding.says}")
        if finding.remedy and finding.verdict is not Verdict.OK:
            lines.append(f"{'':<26}→ {finding.remedy}")
    count = {verdict: sum(finding.verdict is verdict for finding in findings) for verdict in Verdict}
    summary = f"{count[Verdict.PROBLEM]} problem(s), {count[Verdict.WARNING]} warning(s), {count[Verdict.OK]} fine."
    return [*lines, "", summary]
