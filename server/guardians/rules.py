"""How somebody becomes guardian of a minor, and stops: a state machine over one `Ward`. Pure.

Every function takes the ward and who acts, and returns the ward as it is afterwards (the same object when nothing
changes) and what is to be told. The caller stores it by compare-and-set and tells it in the same transaction. Either
side asks and the other one confirms; either side ends it. The first guardian is the payee; when the payee goes, the one
who has been guardian for longest is.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from server.errors import Code, VouchError
from server.guardians.model import Link, LinkState, LinkView, Ward

#: Guardians and open requests of one minor.
MOST_LINKS = 6


class Done(StrEnum):
    """What the inbox tells (`GuardianNews.done`)."""

    REQUESTED = "requested"
    WITHDRAWN = "withdrawn"
    DECLINED = "declined"
    CONFIRMED = "confirmed"
    ENDED = "ended"
    PAYEE = "payee"
    OF_AGE = "of_age"


class Change(msgspec.Struct, frozen=True):
    """`news` lists (which guardian it is about, what)."""

    ward: Ward
    news: tuple[tuple[str, Done], ...] = ()


def view(link: Link, me: str) -> LinkView:
    """How `me`, one of the two, sees it."""
    if link.state is LinkState.ACTIVE:
        return LinkView.ACTIVE
    return LinkView.OUTGOING if link.asker == me else LinkView.INCOMING


def ask(ward: Ward, me: str, guardian: str, at: datetime) -> Change:
    """Asks; where the other side has asked already, this confirms. Asking twice is asking once."""
    _two(ward, guardian)
    link = ward.link(guardian)
    if link is None:
        if len(ward.links) >= MOST_LINKS:
            raise VouchError(Code.LIMIT_REACHED, f"At most {MOST_LINKS} guardians and requests.")
        asked = Link(guardian=guardian, state=LinkState.REQUESTED, asker=me, at=at)
        return _change(ward, [*ward.links, asked], ward.payee, (guardian, Done.REQUESTED))
    match view(link, me):
        case LinkView.ACTIVE:
            raise VouchError(Code.ALREADY)
        case LinkView.OUTGOING:
            return Change(ward)
        case LinkView.INCOMING:
            return confirm(ward, me, guardian, at)


def confirm(ward: Ward, me: str, guardian: str, at: datetime) -> Change:
    """Raises `not_found` without a request that waits for `me`. Confirming twice is confirming once."""
    link = ward.link(guardian)
    if link is None or view(link, me) is LinkView.OUTGOING:
        raise VouchError(Code.NOT_FOUND)
    if link.state is LinkState.ACTIVE:
        return Change(ward)
    active = msgspec.structs.replace(link, state=LinkState.ACTIVE, at=at)
    links = [active if one is link else one for one in ward.links]
    return _change(ward, links, ward.payee, (guardian, Done.CONFIRMED))


def end(ward: Ward, me: str, guardian: str) -> Change:
    """Ends it, takes one's own request back, or declines the other's. Raises `not_found` where there is nothing."""
    link = ward.link(guardian)
    if link is None:
        raise VouchError(Code.NOT_FOUND)
    done = {LinkView.ACTIVE: Done.ENDED, LinkView.OUTGOING: Done.WITHDRAWN, LinkView.INCOMING: Done.DECLINED}
    links = [one for one in ward.links if one is not link]
    return _change(ward, links, ward.payee, (guardian, done[view(link, me)]))


def hand_over(ward: Ward, me: str, guardian: str) -> Change:
    """The payee makes another guardian the payee. Raises `forbidden` to others, `not_found` for no guardian."""
    if me != ward.payee:
        raise VouchError(Code.FORBIDDEN, "The guardian who looks after the money hands it over.")
    if guardian not in ward.guardians:
        raise VouchError(Code.NOT_FOUND)
    return Change(ward) if guardian == ward.payee else _change(ward, list(ward.links), guardian)


def appoint(ward: Ward, guardian: str, at: datetime) -> Change:
    """Staff: the payee before is guardian no more, this one is the payee from now on."""
    _two(ward, guardian)
    if guardian == ward.payee:
        raise VouchError(Code.ALREADY)
    gone = ward.payee
    links = [one for one in ward.links if one.guardian not in (gone, guardian)]
    known = ward.link(guardian)
    fresh = Link(guardian=guardian, state=LinkState.ACTIVE, asker=guardian, at=at)
    kept = known if known is not None and known.state is LinkState.ACTIVE else fresh
    return _change(ward, [*links, kept], guardian, *([(gone, Done.ENDED)] if gone else []))


def forget(ward: Ward, guardian: str) -> Change:
    """This guardian is gone, or one of the two has blocked the other. Nothing to end is no fault."""
    link = ward.link(guardian)
    if link is None:
        return Change(ward)
    done = Done.ENDED if link.state is LinkState.ACTIVE else Done.WITHDRAWN
    return _change(ward, [one for one in ward.links if one is not link], ward.payee, (guardian, done))


def come_of_age(ward: Ward) -> Change:
    """Everything ends by itself."""
    if not ward.links:
        return Change(ward)
    return _change(ward, [], None, *((guardian, Done.OF_AGE) for guardian in ward.guardians))


def power_changed(before: Ward, after: Ward) -> bool:
    """Whether others must know: who is guardian, or who is the payee, is another one."""
    return before.payee != after.payee or set(before.guardians) != set(after.guardians)


def _two(ward: Ward, guardian: str) -> None:
    if guardian == ward.id:
        raise VouchError(Code.BAD_REQUEST, "This is yourself.", field="person")


def _change(ward: Ward, links: list[Link], payee: str | None, *news: tuple[str, Done]) -> Change:
    """With the payee who follows: the wanted one, else who has been guardian for longest."""
    after = msgspec.structs.replace(ward, links=tuple(links), payee=payee, version=ward.version + 1)
    if payee not in after.guardians:
        after = msgspec.structs.replace(after, payee=next(iter(after.guardians), None))
    if after.payee is not None and after.payee != ward.payee:
        news = (*news, (after.payee, Done.PAYEE))
    return Change(after, news)
