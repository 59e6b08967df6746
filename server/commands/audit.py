"""`python -m server audit verify`: recomputes the seals of the whole audit trail and of all evidence; the exit status
is 1 when one does not hold."""

from __future__ import annotations

import argparse
import asyncio

import msgspec

from server import logs
from server.administration.audit import AuditTrail
from server.administration.chain import ChainHead, ChainReport, sentence
from server.clock import SystemClock
from server.commands.options import chosen_settings
from server.commands.sealed import add_options, progress, sealed_store
from server.media.keeping import Keeping
from server.settings import Settings, load
from server.supervision.verification import EvidenceReport, EvidenceVerification
from server.supervision.verification import sentence as evidence_sentence


class Verified(ChainReport, frozen=True):
    """The report on the trail, with the one on evidence."""

    evidence: EvidenceReport


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    verify = actions.add_parser("verify", help="find rows that were changed, removed, moved or inserted")
    text = "an end of the trail that was written down when it was whole, as this command prints it"
    add_options(verify, text)


def run(arguments: argparse.Namespace) -> int:
    settings = load({"log_level": "warning"} | chosen_settings(arguments))
    logs.configure(settings.log_level, settings.log_format)
    expected = ChainHead(*arguments.head) if arguments.head else None
    report, evidence = asyncio.run(_verify(settings, expected, quiet=arguments.json))
    if arguments.json:
        print(msgspec.json.encode(Verified(**msgspec.structs.asdict(report), evidence=evidence)).decode())
    else:
        print("\n".join(_lines(report) + _evidence_lines(evidence)))
    return 1 if report.count or evidence.count else 0


async def _verify(settings: Settings, expected: ChainHead | None, *, quiet: bool) -> tuple[ChainReport, EvidenceReport]:
    clock = SystemClock()
    async with sealed_store(settings) as (store, key):
        trail = await AuditTrail(store, clock, key).verify(progress("rows", quiet=quiet), expected)
        verification = EvidenceVerification(store, Keeping(store, clock), key)
        return trail, await verification.run(progress("pledges with evidence", quiet=quiet))


def _lines(report: ChainReport) -> list[str]:
    lines = [sentence(fault) for fault in report.faults]
    if report.count > len(report.faults):
        lines.append(f"… and {report.count - len(report.faults)} more")
    since = "no row is sealed" if report.begins is None else f"sealed from row {report.begins} on"
    verdict = f"{report.count} fault(s)." if report.count else "Whole."
    lines.append(f"{report.rows} rows, {since}. {verdict}")
    if report.count == 0 and report.begins is not None:
        lines.append(f"Write it down: --head {report.head.number}:{report.head.seal}")
    return lines


def _evidence_lines(report: EvidenceReport) -> list[str]:
    lines = [evidence_sentence(fault) for fault in report.faults]
    if report.count > len(report.faults):
        lines.append(f"… and {report.count - len(report.faults)} more")
    verdict = f"{report.count} fault(s)." if report.count else "Whole."
    lines.append(f"{report.rows} rows of evidence in {report.pledges} pledges. {verdict}")
    return lines
