"""Guardians: adults who look after the money of minors. A minor neither funds nor is paid; the guardian who is the
payee does it for them.

Whoever lets money move asks `payee_of` with its transaction: so a change of custody and what relies on the guardian
before cannot pass each other, and what is open is refused to the old one from that moment.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Protocol

import msgspec
import structlog

from server.clock import Clock, to_ms
from server.errors import Code, VouchError
from server.guardians import rules
from server.guardians.model import (
    ChangeCustody,
    CorrectBirthDate,
    Custody,
    Family,
    GuardianView,
    LinkState,
    LinkView,
    Ward,
    WardView,
)
from server.guardians.repo import WardsRepo
from server.limits import Limits
from server.people import rules as people_rules
from server.people.inbox import GuardianNews
from server.people.model import Age, PersonCard
from server.people.news import Newsroom, Outbox
from server.realtime.rounds import Rounds
from server.store import Duplicate, Store, Tx
from server.wallet.model import Standing

#: seconds between two looks for those who have come of age
EVERY = 300.0
REASON_LONGEST = 500

#: Called in the transaction that changes who is guardian or payee, with the ward.
ChangeHook = Callable[[Tx, str], Awaitable[None]]
Rule = Callable[[Ward], rules.Change]

log = structlog.get_logger("vouch.guardians")


class People(Protocol):
    async def age(self, person: str, tx: Tx | None = None) -> Age | None: ...

    async def cards(self, ids: Iterable[str]) -> dict[str, PersonCard]: ...

    async def id_of(self, handle: str) -> str | None: ...

    async def hold_friendship(self, tx: Tx, a: str, b: str) -> None: ...

    async def correct_birth_date(self, tx: Tx, person: str, text: str) -> None: ...


class Trail(Protocol):
    async def write(
        self, tx: Tx, by: str, action: str, target: str, facts: Mapping[str, str | int | bool | None]
    ) -> None: ...


class Guardians:
    def __init__(
        self, *, store: Store, outbox: Outbox, people: People, trail: Trail, limits: Limits, clock: Clock
    ) -> None:
        self._store = store
        self.repo = WardsRepo(store)
        self._news = Newsroom(outbox)
        self._people = people
        self._trail = trail
        self._limits = limits
        self._clock = clock
        self._hooks: list[ChangeHook] = []
        self._rounds = Rounds("guardians", self.end_of_minority, every=EVERY)

    async def start(self) -> None:
        """Makes the indexes, and from now on ends what ends with a birthday."""
        await self.repo.ensure_indexes()
        self._rounds.start()

    async def stop(self) -> None:
        await self._rounds.stop()

    # ── For other domains ───────────────────────────────────────────────────────────────────────────────────────────

    async def standing(self, person: str, tx: Tx | None = None) -> Standing:
        """Whether somebody may move money themselves."""
        age = await self._people.age(person, tx)
        return Standing.MINOR if age is not None and age.minor else Standing.OPEN

    async def payee_of(self, person: str, tx: Tx | None = None) -> str | None:
        """Who pays and is paid for somebody: themselves when they are of age, the guardian of a minor, None where there
        is none. In a transaction it holds until that has ended."""
        age = await self._people.age(person, tx)
        if age is None:
            return None
        if not age.minor:
            return person
        if tx is not None:
            await self.repo.hold(tx, person)
        return (await self.repo.get(person, tx)).payee

    async def wards_of(self, person: str) -> list[str]:
        """The minors whose guardian somebody is, as payee or not."""
        wards = [ward for ward in await self.repo.of_guardian(person) if person in ward.guardians]
        return [ward.id for ward in wards if await self.standing(ward.id) is Standing.MINOR]

    def on_change(self, hook: ChangeHook) -> None:
        """`hook(tx, ward)` runs in the transaction that changes who is guardian of a ward, or who is the payee."""
        self._hooks.append(hook)

    async def met(self, person: str, ids: set[str]) -> set[str]:
        """Those of `ids` who are of one's family: guardians, wards, and the other guardians of one's wards."""
        own = await self.repo.get(person)
        family = {link.guardian for link in own.links}
        for ward in await self.repo.of_guardian(person):
            family |= {ward.id, *(ward.guardians if person in ward.guardians else ())}
        return ids & family

    # ── One's own family ────────────────────────────────────────────────────────────────────────────────────────────

    async def family(self, me: str) -> Family:
        """Raises `unauthenticated` for an account that is gone."""
        age = await self._people.age(me)
        if age is None:
            raise VouchError(Code.UNAUTHENTICATED)
        own = await self.repo.get(me) if age.minor else Ward(id=me)
        wards = [(ward, await self._people.age(ward.id)) for ward in await self.repo.of_guardian(me)]
        concerned = {link.guardian for link in own.links}.union(*((w.id, *w.guardians) for w, _ in wards))
        cards = await self._people.cards(concerned)
        return Family(
            minor=age.minor,
            of_age_on=age.of_age_on.isoformat() if age.minor and age.of_age_on else None,
            guardians=_guardians(own, me, cards),
            wards=[
                view
                for ward, theirs in wards
                if theirs is not None and theirs.minor and (view := _ward(ward, me, theirs, cards)) is not None
            ],
        )

    async def ask(self, me: str, ward: str, guardian: str) -> Family:
        """Asks, as the ward or as the guardian, who must be friends. Raises `blocked` between others, `conflict` unless
        the one is a minor and the other is not, `already`, `limit_reached`, `too_often`."""
        await self._limits.hit("request_guardian", me)
        at = self._clock.now()

        async def fits(tx: Tx) -> None:
            await self._check_ages(tx, ward, guardian)
            if ward != guardian:
                await self._people.hold_friendship(tx, ward, guardian)

        await self._change(me, ward, lambda before: rules.ask(before, me, guardian, at), fits)
        return await self.family(me)

    async def confirm(self, me: str, ward: str, guardian: str) -> Family:
        """Raises `not_found` without a request that waits for oneself, `blocked` and `conflict` like `ask`."""
        at = self._clock.now()

        async def fits(tx: Tx) -> None:
            if (await self.repo.get(ward, tx)).link(guardian) is None:
                raise VouchError(Code.NOT_FOUND)
            await self._check_ages(tx, ward, guardian)
            await self._people.hold_friendship(tx, ward, guardian)

        await self._change(me, ward, lambda before: rules.confirm(before, me, guardian, at), fits)
        return await self.family(me)

    async def end(self, me: str, ward: str, guardian: str) -> None:
        """Ends it, withdraws one's own request, or declines the other's. Raises `not_found`."""
        await self._change(me, ward, lambda before: rules.end(before, me, guardian))

    async def hand_over(self, me: str, ward: str, guardian: str) -> Family:
        """Raises `forbidden` unless one is the payee, `not_found` where one is no guardian, or the other is none."""

        def rule(before: Ward) -> rules.Change:
            if me not in before.guardians:
                raise VouchError(Code.NOT_FOUND)
            return rules.hand_over(before, me, guardian)

        await self._change(me, ward, rule)
        return await self.family(me)

    # ── Staff ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def find(self, handle: str) -> Custody:
        """Raises `not_found`, `bad_request` for what is no handle."""
        return await self.custody(await self._by_handle(handle))

    async def custody(self, person: str) -> Custody:
        age = await self._people.age(person)
        if age is None:
            raise VouchError(Code.NOT_FOUND)
        ward = await self.repo.get(person) if age.minor else Ward(id=person)
        cards = await self._people.cards({person, *(link.guardian for link in ward.links)})
        return Custody(
            person=cards[person],
            minor=age.minor,
            birth_date=age.birth_date.isoformat() if age.birth_date else None,
            of_age_on=age.of_age_on.isoformat() if age.minor and age.of_age_on else None,
            guardians=_guardians(ward, person, cards),
        )

    async def appoint(self, actor: str, ward: str, wanted: ChangeCustody) -> Custody:
        """Custody changes at once: the payee before is guardian no more. Raises `not_found`, `conflict`, `already`,
        `forbidden` to whoever would decide about themselves."""
        guardian, at = await self._by_handle(wanted.guardian), self._clock.now()
        reason = _reason(wanted.reason)
        self._check_impartial(actor, ward, guardian)

        async def fits(tx: Tx) -> None:
            await self._check_ages(tx, ward, guardian)
            before = await self.repo.get(ward, tx)
            self._check_impartial(actor, *before.guardians)
            facts = {"guardian": guardian, "before": before.payee, "reason": reason}
            await self._trail.write(tx, actor, "custody.changed", ward, facts)

        await self._change("system", ward, lambda before: rules.appoint(before, guardian, at), fits)
        return await self.custody(ward)

    async def end_by_staff(self, actor: str, ward: str, guardian: str, reason: str) -> Custody:
        """Ends what is between a ward and a guardian, at once. Raises `not_found`, `forbidden`."""
        reason = _reason(reason)
        self._check_impartial(actor, ward, guardian)

        def rule(before: Ward) -> rules.Change:
            if before.link(guardian) is None:
                raise VouchError(Code.NOT_FOUND)
            return rules.forget(before, guardian)

        async def note(tx: Tx) -> None:
            await self._trail.write(tx, actor, "guardian.ended", ward, {"guardian": guardian, "reason": reason})

        await self._change("system", ward, rule, note)
        return await self.custody(ward)

    async def correct_birth_date(self, actor: str, person: str, wanted: CorrectBirthDate) -> Custody:
        """Raises `not_found`, `bad_request`, `stale`, `forbidden` for oneself and one's own wards."""
        reason = _reason(wanted.reason)
        self._check_impartial(actor, person)

        async def body(tx: Tx) -> None:
            self._check_impartial(actor, *(await self.repo.get(person, tx)).guardians)
            await self._people.correct_birth_date(tx, person, wanted.birth_date)
            await self._trail.write(tx, actor, "birth_date.corrected", person, {"reason": reason})

        await self._store.transact(body)
        return await self.custody(person)

    # ── What others do that concerns families ───────────────────────────────────────────────────────────────────────

    async def on_block(self, tx: Tx, who: str, whom: str) -> None:
        """Nobody is guardian of somebody with whom there is a block."""
        for ward, guardian in ((who, whom), (whom, who)):
            await self._apply(tx, who, await self.repo.get(ward, tx), partial(rules.forget, guardian=guardian))

    async def on_delete(self, tx: Tx, person: str) -> None:
        own = await self.repo.get(person, tx)
        if own.version:
            for guardian in own.guardians:
                await self._tell(tx, guardian, own, guardian, rules.Done.ENDED, person)
            await self.repo.delete(tx, person)
        for ward in await self.repo.of_guardian(person, tx):
            await self._apply(tx, person, ward, partial(rules.forget, guardian=person))

    async def on_birth_date(self, tx: Tx, person: str) -> None:
        """A ward who is of age now has no guardians, and a minor is guardian of nobody."""
        age = await self._people.age(person, tx)
        if age is None:
            return
        own = await self.repo.get(person, tx)
        if own.version:
            change = rules.Change(own) if age.minor else rules.come_of_age(own)
            await self._write(tx, "system", own, change, age)
        if age.minor:
            for ward in await self.repo.of_guardian(person, tx):
                await self._apply(tx, "system", ward, partial(rules.forget, guardian=person))

    async def end_of_minority(self) -> int:
        """Ends the guardianships of everybody who has come of age; answers how many."""
        ended = 0
        for person in await self.repo.due(self._clock.now()):
            await self._store.transact(partial(self.on_birth_date, person=person))
            ended += 1
        return ended

    # ── Within ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _change(
        self, by: str, ward: str, rule: Rule, fits: Callable[[Tx], Awaitable[None]] | None = None
    ) -> None:
        async def body(tx: Tx) -> None:
            if fits is not None:
                await fits(tx)
            await self._apply(tx, by, await self.repo.get(ward, tx), rule)

        try:
            await self._store.transact(body)
        except Duplicate:  # two first steps at once: now there is something to look at
            await self._store.transact(body)

    async def _apply(self, tx: Tx, by: str, before: Ward, rule: Rule) -> None:
        change = rule(before)
        if change.ward is not before:
            await self._write(tx, by, before, change, await self._people.age(before.id, tx))

    async def _write(self, tx: Tx, by: str, before: Ward, change: rules.Change, age: Age | None) -> None:
        """With the birthday on which it ends, which may have become another one."""
        after = change.ward
        minor = age is not None and age.minor
        due = age.of_age_at if age is not None and minor and after.guardians else None
        if after is before and due == before.due:
            return
        after = msgspec.structs.replace(after, due=due, version=before.version + 1)
        if not await self.repo.put(tx, after):
            raise VouchError(Code.STALE)
        told = {before.id, *before.guardians, *after.guardians}
        for guardian, done in change.news:
            for person in sorted(told | {guardian}):
                await self._tell(tx, person, after, guardian, done, by)
        if rules.power_changed(before, after):
            for hook in self._hooks:
                await hook(tx, before.id)

    async def _tell(self, tx: Tx, person: str, ward: Ward, guardian: str, done: rules.Done, by: str) -> None:
        body = GuardianNews(ward.id, guardian, done.value, by)
        event = f"guardian:{ward.id}:{ward.version}:{done}:{guardian}:{to_ms(self._clock.now())}"
        await self._news.tell(tx, person, event, to_ms(self._clock.now()), "guardian_changed", body)

    async def _check_ages(self, tx: Tx, ward: str, guardian: str) -> None:
        """Raises `not_found` for nobody, `conflict` unless the one is a minor and the other is not."""
        theirs, others = await self._people.age(ward, tx), await self._people.age(guardian, tx)
        if theirs is None or others is None:
            raise VouchError(Code.NOT_FOUND)
        if not theirs.minor:
            raise VouchError(Code.CONFLICT, "Only minors have guardians.")
        if others.minor and ward != guardian:
            raise VouchError(Code.CONFLICT, "A guardian is of age.")

    def _check_impartial(self, actor: str, *concerned: str) -> None:
        if actor in concerned:
            raise VouchError(Code.FORBIDDEN, "Somebody else decides about your own family.")

    async def _by_handle(self, handle: str) -> str:
        found = await self._people.id_of(people_rules.handle(handle.strip().removeprefix("@")))
        if found is None:
            raise VouchError(Code.NOT_FOUND)
        return found


def _reason(text: str) -> str:
    words = people_rules.words(text, REASON_LONGEST, field="reason")
    if not words:
        raise VouchError(Code.BAD_REQUEST, "A reason is needed.", field="reason")
    return words


def _guardians(ward: Ward, me: str, cards: Mapping[str, PersonCard]) -> list[GuardianView]:
    """The payee first, then other guardians, then requests."""
    found = [
        GuardianView(cards[link.guardian], rules.view(link, me), link.guardian == ward.payee, to_ms(link.at))
        for link in ward.links
        if link.guardian in cards
    ]
    return sorted(found, key=lambda one: (not one.payee, one.state is not LinkView.ACTIVE, one.since))


def _ward(ward: Ward, me: str, age: Age, cards: Mapping[str, PersonCard]) -> WardView | None:
    link = ward.link(me)
    if link is None or ward.id not in cards:
        return None
    active = link.state is LinkState.ACTIVE
    known = [one for one in _guardians(ward, me, cards) if one.state is LinkView.ACTIVE]
    return WardView(
        person=cards[ward.id],
        state=rules.view(link, me),
        since=to_ms(link.at),
        payee=cards.get(ward.payee) if active and ward.payee else None,
        of_age_on=age.of_age_on.isoformat() if active and age.of_age_on else None,
        guardians=known if active else [],
    )
