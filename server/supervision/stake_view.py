"""The stake as people see it: both outcomes in money before anybody pays, and where it went (R-08)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from server.clock import to_ms
from server.people.model import PersonCard
from server.supervision.model import WAITING, Outcome, Part, Pledge, PledgeState, StakeState
from server.supervision.neighbours import Guardians, People
from server.supervision.rules import lifecycle
from server.supervision.rules.shares import Due, Party, dues
from server.supervision.terms import MONEY, Terms
from server.supervision.views import Share, Split, StakeView


class StakeViews:
    def __init__(self, people: People, guardians: Guardians) -> None:
        self._people = people
        self._guardians = guardians

    async def split_of(
        self,
        terms: Terms,
        owner: str,
        seated: Sequence[str],
        payer: str,
        *,
        known: bool = False,
        paid_by: str | None = None,
    ) -> Split | None:
        """Both outcomes in money; None where no money is at stake.

        `payer` is who is to pay (the owner, or with a reward who drafts it), `paid_by` who has paid: from then on it is
        frozen. While not all supervisors are `known`, `most` of them are counted.
        """
        stake = terms.stake
        if stake.kind not in MONEY or stake.currency is None:
            return None
        complete = known or len(seated) >= terms.most
        purse = paid_by or await self._guardians.payee_of(payer) or payer
        unknown = 0 if complete else terms.most
        kept, failed = (
            dues(stake, outcome, owner, seated, purse, unknown=unknown) for outcome in (Outcome.KEPT, Outcome.FAILED)
        )
        payees = await self._payees([*kept, *failed])
        cards = await self._people.cards({purse, *payees, *payees.values()})
        return Split(
            amount=stake.amount,
            currency=stake.currency,
            payer=cards.get(purse),
            if_kept=[_share(due, payees, cards) for due in kept],
            if_failed=[_share(due, payees, cards) for due in failed],
            frozen=paid_by is not None,
        )

    async def of(self, pledge: Pledge, me: str) -> StakeView:
        """`me` sees one's own check-out; for whom words or a chore are is told to those whom it concerns."""
        stake, terms = pledge.stake, pledge.terms.stake
        begun = pledge.state not in WAITING and pledge.state is not PledgeState.DRAFT
        held = stake.state not in (StakeState.CREATED, StakeState.AUTHORISED, StakeState.VOIDED)
        split = await self.split_of(
            pledge.terms,
            pledge.owner,
            pledge.seated,
            lifecycle.payer(pledge),
            known=begun,
            paid_by=stake.payer if held else None,
        )
        people = {person for part in stake.parts for person in (part.person, part.payee) if person}
        cards = await self._people.cards(people | ({terms.to} if terms.to else set()))
        paying = stake.state is StakeState.AUTHORISED and stake.payer == me
        return StakeView(
            kind=terms.kind,
            state=stake.state,
            split=split,
            parts=[_went(pledge, part, cards) for part in stake.parts],
            payment=stake.order if paying else None,
            words=terms.words,
            to=cards.get(terms.to or ""),
            points=terms.points,
            done=to_ms(stake.done_at) if stake.done_at else None,
        )

    async def _payees(self, parts: Iterable[Due]) -> dict[str, str]:
        """Who receives money for whom, of everybody who is named."""
        payees: dict[str, str] = {}
        for due in parts:
            if due.person is not None and due.person not in payees:
                payee = due.payee or await self._guardians.payee_of(due.person)
                if payee is not None:
                    payees[due.person] = payee
        return payees


def _share(due: Due, payees: dict[str, str], cards: dict[str, PersonCard]) -> Share:
    person = due.person or ""
    payee = due.payee or payees.get(person, person)
    return Share(
        side=due.party.value,
        person=cards.get(person),
        payee=cards.get(payee) if payee != person else None,
        amount=due.amount,
        many=due.many,
    )


def _went(pledge: Pledge, part: Part, cards: dict[str, PersonCard]) -> Share:
    return Share(
        side=_party(pledge, part).value,
        person=cards.get(part.person),
        payee=cards.get(part.payee) if part.payee != part.person else None,
        amount=part.amount,
    )


def _party(pledge: Pledge, part: Part) -> Party:
    if not part.person:
        return Party.DEPARTMENT
    if part.person == pledge.owner:
        return Party.OWNER
    return Party.PAYER if part.payee == pledge.stake.payer else Party.SUPERVISOR
