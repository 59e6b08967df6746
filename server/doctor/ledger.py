"""Whether all money is where the journal says, as far as that was looked at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from server.doctor.findings import Finding, ok, problem, warning
from server.money.survey import Survey
from server.store import Store

#: Nodes verify every day.
_STALE = timedelta(days=3)
#: Nodes seal every minute what is ten minutes old, and silence once an hour.
_UNSEALED = timedelta(hours=2)
_VERIFY = "python -m server ledger verify"


async def books(store: Store) -> Finding:
    """What the last verification found, and until when the journal is sealed. To verify may take minutes: the doctor
    leaves it to those who have them."""
    survey, now = Survey(store), datetime.now(UTC)
    mark = await survey.mark()
    if mark is None or not await survey.begun():
        return ok("ledger", "No money has moved yet.")
    report = await survey.last_report()
    if report is None:
        return warning("ledger", "Money has moved, and nobody has verified the ledger.", f"Run {_VERIFY}.")
    when = f"{report.at:%Y-%m-%d %H:%M} UTC"
    if not report.whole:
        text = (
            f"The ledger differed from its journal on {when}: {report.count} fault(s), difference {report.difference}."
        )
        return problem("ledger", text, f"Run {_VERIFY}, which names them; move no money before you know why.")
    if now - report.at > _STALE:
        return warning("ledger", f"The ledger was verified last on {when}.", f"Run {_VERIFY}. Is a node running?")
    if now - mark.until > _UNSEALED:
        text = f"The ledger was whole on {when}, but its journal is sealed only until {mark.until:%Y-%m-%d %H:%M} UTC."
        return warning("ledger", text, "A running node seals it: see `seals of the ledger` in its log.")
    return ok("ledger", f"The ledger was whole on {when}, {report.transfers} transfers.")
