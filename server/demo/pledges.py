"""What the story's people have promised each other: kept so far, looking for somebody, rewarded, disputed, and watched
by staff. Every task can be done days before it is due, so that something has happened already when it is told."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
from PIL import Image, ImageDraw, ImageFilter

from server.demo.cast import ids
from server.demo.telling import skipping
from server.errors import VouchError
from server.money.model import Currency
from server.principals import Grant, Role
from server.proofs.model import AskNonce, TakePhoto
from server.services import Services
from server.supervision.desk_views import Duty
from server.supervision.model import PledgeState, Side, Verdict
from server.supervision.terms import (
    RuleKind,
    StakeKind,
    StakeTerms,
    TaskTerms,
    Terms,
    VerdictRule,
    Visibility,
)
from server.supervision.views import Fund, NewPledge, Report, Stamp

#: minutes: in the story tasks can be done five days before they are due
_EARLY = 5 * 24 * 60
_LONDON, _SHANGHAI = "Europe/London", "Asia/Shanghai"


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """`due` is a time of the day, the first one tomorrow; `funded` the one who pays at once."""

    name: str
    by: str
    title: str
    task: str
    why: str
    zone: str
    due: str
    stake: StakeTerms
    times: int = 1
    needed: int = 0
    owner: str | None = None
    supervisors: tuple[str, ...] = ()
    visibility: Visibility = Visibility.NAMED
    rule: RuleKind = RuleKind.MAJORITY
    template: str | None = None
    funded: str | None = None


PROMISES = (
    Promise(
        name="characters",
        by="emma",
        title="Ten characters a day",
        task="Write ten new characters",
        why="By Christmas I want to read Lin's picture book without asking.",
        zone=_LONDON,
        due="21:00",
        times=14,
        needed=12,
        stake=StakeTerms(kind=StakeKind.DEPOSIT, amount=20_00, currency=Currency.GBP, moves_if_failed=20_00),
        supervisors=("tom",),
        funded="emma",
    ),
    Promise(
        name="running",
        by="chen",
        title="早起跑步",
        task="跑三公里",
        why="想找一位同伴，互相提醒。",
        zone=_SHANGHAI,
        due="07:00",
        times=10,
        needed=8,
        stake=StakeTerms(kind=StakeKind.POINTS, points=50),
        visibility=Visibility.PUBLIC,
    ),
    Promise(
        name="reading",
        by="linba",
        title="每天读半小时书",
        task="读书半小时，说说读到了什么",
        why="读满一周，周末去书店挑一本新书。",
        zone=_SHANGHAI,
        due="20:30",
        times=7,
        needed=6,
        stake=StakeTerms(kind=StakeKind.REWARD, amount=30_00, currency=Currency.CNY, moves_if_kept=30_00),
        owner="lin",
        funded="linba",
    ),
    Promise(
        name="exercises",
        by="chen",
        title="Exercises for the study group",
        task="Put a sheet of exercises into the group",
        why="You asked three times. Now it costs me something.",
        zone=_SHANGHAI,
        due="22:00",
        stake=StakeTerms(kind=StakeKind.DEPOSIT, amount=40_00, currency=Currency.CNY, moves_if_failed=40_00),
        supervisors=("emma", "tom"),
        rule=RuleKind.ANY,
        funded="chen",
    ),
    Promise(
        name="early",
        by="emma",
        title="Up before seven",
        task="Be up and out of bed",
        why="Nobody I know shall have to ring me at seven.",
        zone=_LONDON,
        due="07:00",
        times=5,
        needed=4,
        stake=StakeTerms(kind=StakeKind.STAFF, amount=5_00, currency=Currency.GBP, moves_if_failed=5_00),
        template="early",
        funded="emma",
    ),
)


async def tell(services: Services) -> Sequence[str]:
    """Fang supervises as staff; the others promise, watch, pay, and disagree once."""
    people = await ids(services)
    async with skipping():
        await services.people.grant(people["fang"], Grant(Role.STAFF), "system")
        await services.supervision.staff.set_duty(people["fang"], Duty(["early", "reading"]))
    made: dict[str, str] = {}
    for promise in PROMISES:
        async with skipping():
            made[promise.name] = await _promise(services, people, promise)
    async with skipping():
        await _days(services, people, made["characters"])
    async with skipping():
        await services.supervision.seats.consent(people["lin"], made["reading"])
    async with skipping():
        await _disagree(services, people, made["exercises"])
    return ["emma has promised, tom watches, linba rewards lin (Promises); fang finds a dispute (Desk)."]


async def _promise(services: Services, people: dict[str, str], promise: Promise) -> str:
    """Drafted, published, answered by those who are named, and paid. Its id."""
    supervision, by = services.supervision, people[promise.by]
    named = [people[handle] for handle in promise.supervisors]
    seats = max(1, len(named)) + (promise.owner is not None and bool(named))
    first = datetime.now(ZoneInfo(promise.zone)) + timedelta(days=1)
    repeat = f"FREQ=DAILY;COUNT={promise.times}" if promise.times > 1 else ""
    task = TaskTerms(title=promise.task, due=f"{first:%Y-%m-%d}T{promise.due}", repeat=repeat, opens=_EARLY)
    terms = Terms(
        title=promise.title,
        why=promise.why,
        zone=promise.zone,
        tasks=(task,),
        stake=promise.stake,
        needed=promise.needed,
        rule=VerdictRule(promise.rule),
        least=seats,
        most=seats,
        visibility=promise.visibility,
        template=promise.template,
    )
    wanted = NewPledge(
        id=f"story-of-the-pledges-{promise.name}",
        side=Side.OWNER if promise.owner is None else Side.SUPERVISOR,
        owner=people[promise.owner] if promise.owner else None,
        terms=terms,
        supervisors=named,
    )
    pledge, _ = await supervision.drafting.create(by, wanted)
    await supervision.drafting.publish(by, pledge.id)
    for person in named:
        async with skipping():
            await supervision.seats.answer(person, pledge.id, True)
    if promise.funded is not None:
        async with skipping():
            await supervision.funding.fund(people[promise.funded], pledge.id, Fund(id=f"{wanted.id}-paid"), "")
    return pledge.id


async def _days(services: Services, people: dict[str, str], pledge: str) -> None:
    """Emma is ahead: three days are reported, two of them stamped."""
    judging = services.supervision.judging
    said = ("一二三四五六七八九十！", "月水火木金土日 and three more.", "Ten from the picture book.")
    for task, words in enumerate(said, 1):
        shown = await _live_photo(services, people["emma"], pledge, task) if task == len(said) else []
        async with skipping():
            await judging.report(people["emma"], pledge, task, Report(words=words, media=shown))
    for task, words in ((1, "All ten, and neat."), (2, "火 looks like a person who runs. Well done.")):
        async with skipping():
            await judging.stamp(people["tom"], pledge, task, Stamp(verdict=Verdict.DONE, words=words))


async def _live_photo(services: Services, person: str, pledge: str, task: int) -> list[str]:
    """Of a page of characters, as if a camera saw it; none where the day was reported in an earlier telling."""
    known = (await services.supervision.changes.get(pledge)).task(task)
    if known is None or known.reported_at is not None:
        return []
    try:
        nonce = await services.proofs.ask(person, "", pledge, AskNonce(task))
        picture = await asyncio.to_thread(_page)
        proof = await services.proofs.photograph(person, "", pledge, TakePhoto(nonce=nonce.nonce, picture=picture))
    except VouchError:  # the story goes on without it, also where pictures cannot be sealed
        return []
    return [proof.media] if proof.media else []


def _page() -> bytes:
    """A sheet of squared paper on a table, with ten characters that nobody can read, as JPEG."""
    picture = Image.new("RGB", (1280, 960), "#8A6A4A")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((150, 90, 1130, 900), "#FAF8F4")
    for n in range(10):
        x, y = 230 + n % 5 * 170, 220 + n // 5 * 320
        draw.rectangle((x, y, x + 150, y + 150), outline="#C9BFAE", width=3)
        draw.line((x + 30, y + 40 + n * 3, x + 120, y + 34), "#1F2A37", 9)
        draw.line((x + 75, y + 20, x + 66 + n, y + 130), "#1F2A37", 10)
        draw.line((x + 72, y + 70, x + 30 + n * 2, y + 128), "#1F2A37", 8)
        draw.line((x + 76, y + 72, x + 124 - n * 3, y + 126), "#1F2A37", 8)
    made = io.BytesIO()
    picture.rotate(3, fillcolor="#8A6A4A").filter(ImageFilter.GaussianBlur(1.4)).save(made, "JPEG", quality=88)
    return made.getvalue()


async def _disagree(services: Services, people: dict[str, str], pledge: str) -> None:
    """Tom has stamped what Emma has not seen; Fang knows none of them."""
    supervision = services.supervision
    async with skipping():
        await supervision.judging.stamp(
            people["tom"], pledge, 1, Stamp(verdict=Verdict.DONE, words="She told me that it is there.")
        )
    if (await supervision.changes.get(pledge)).state is PledgeState.CHALLENGE_WINDOW:
        words = "I have looked through the whole group: there is no sheet of exercises, only the old ones of October."
        await supervision.cases.dispute(people["emma"], pledge, words)
