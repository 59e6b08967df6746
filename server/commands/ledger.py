"""`python -m server ledger verify`: recomputes every balance, hold and seal from the journal, also while nodes move
money. The exit status is 1 when something differs."""

from __future__ import annotations

import argparse
import asyncio

import msgspec

from server import logs
from server.clock import SystemClock
from server.commands.options import chosen_settings
from server.commands.sealed import add_options, progress, sealed_store
from server.money.report import Head, Report, sentence
from server.money.verification import Verification
from server.settings import Settings, load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    verify = actions.add_parser("verify", help="recompute everything from the journal and compare")
    text = "a seal that was written down earlier, as this command prints it: it must still be there"
    add_options(verify, text)


def run(arguments: argparse.Namespace) -> int:
    settings = load({"log_level": "warning"} | chosen_settings(arguments))
    logs.configure(settings.log_level, settings.log_format)
    expected = Head(*arguments.head) if arguments.head else None
    report = asyncio.run(_verify(settings, expected, quiet=arguments.json))
    print(msgspec.json.encode(report).decode() if arguments.json else "\n".join(_lines(report)))
    return 0 if report.whole else 1


async def _verify(settings: Settings, expected: Head | None, *, quiet: bool) -> Report:
    async with sealed_store(settings) as (store, key):
        return await Verification(store, SystemClock(), key).run(progress("transfers", quiet=quiet), expected)


def _lines(report: Report) -> list[str]:
    lines = [sentence(fault) for fault in report.faults]
    if report.count > len(report.faults):
        lines.append(f"… and {report.count - len(report.faults)} more")
    lines.append(
        f"{report.transfers} transfers, {report.accounts} balances and {report.holds} holds in {report.seconds:.1f} s."
    )
    lines += [f"{currency}: all accounts together {total}" for currency, total in sorted(report.sums.items())]
    if report.sealed_until is not None:
        lines.append(f"Sealed until {report.sealed_until:%Y-%m-%d %H:%M:%S} UTC by {report.seals} seals.")
    lines.append(f"Difference: {report.difference}. {f'{report.count} fault(s).' if report.count else 'Whole.'}")
    if report.whole and report.head is not None:
        lines.append(f"Write it down: --head {report.head.number}:{report.head.signature}")
    return lines
