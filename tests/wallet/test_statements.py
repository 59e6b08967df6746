"""Statements, their course over days, and receipts: over HTTP, on a real ledger."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pypdf
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from server.clock import to_ms
from server.errors import Code
from server.money.model import TransferKind
from server.payments.providers import PROVIDERS
from server.wallet.receipts import WORDS
from tests.conftest import Run
from tests.handlers.conftest import Client
from tests.wallet.conftest import Keeper, Street

DAY = 86_400_000


def query(values: Mapping[str, Any]) -> str:
    return "&".join(f"{name}={value}" for name, value in values.items() if value is not None)


async def whole(keeper: Keeper, limit: int = 50, **more: Any) -> list[dict[str, Any]]:
    """A statement, page after page."""
    lines: list[dict[str, Any]] = []
    before = None
    while True:
        asked = {"currency": "CNY", "limit": limit, "before": before} | more
        page = await keeper.get(f"/statement?{query(asked)}")
        lines += page["lines"]
        if (before := page["next"]) is None:
            return lines


async def test_pages_lose_and_repeat_nothing_while_new_lines_arrive(street: Street) -> None:
    lin, emma = await street.friends("lin", "emma")
    await street.fund(lin, 1_000_00)
    for number in range(25):
        await lin.pay(emma, 1_00, note=f"old {number}")
    seen: list[str] = []
    before = None
    for turn in range(100):
        asked = {"currency": "CNY", "limit": 4, "before": before}
        page, _ = await asyncio.gather(lin.get(f"/statement?{query(asked)}"), lin.pay(emma, 2_00, note=f"new {turn}"))
        seen += [line["note"] for line in page["lines"] if line["note"].startswith("old")]
        before = page["next"]
        if before is None:
            break
    assert seen == [f"old {number}" for number in range(24, -1, -1)]
    lines = await whole(lin)
    assert len({line["transfer"] for line in lines}) == len(lines)
    running = 0
    for line in reversed(lines):
        running += line["available"]
        assert line["balance"] == running
    assert running == await lin.available()


async def test_filters_choose_lines_and_keep_their_balances(street: Street) -> None:
    lin, emma = await street.friends("lin", "emma")
    await street.fund(lin, 100_00)
    street.clock.ahead += timedelta(days=2)
    middle = to_ms(street.clock.now())
    await lin.pay(emma, 10_00)
    street.clock.ahead += timedelta(days=2)
    await emma.pay(lin, 5_00)
    every = await whole(lin)
    assert [line["balance"] for line in every] == [95_00, 90_00, 100_00]
    assert await whole(lin, kind="payment") == every[:2]
    assert await whole(lin, to=middle) == every[2:]
    assert await whole(lin, **{"from": middle}) == every[:2]
    assert await whole(lin, limit=1, **{"from": middle, "to": middle + DAY}) == every[1:2]
    assert await whole(lin, kind="pay_out") == []
    for wrong in ({"currency": "XXX"}, {"kind": "gift"}, {"before": "x"}, {"limit": 0}, {"limit": 201}, {"from": -1}):
        answer = await lin.call("GET", f"/statement?{query({'currency': 'CNY'} | wrong)}")
        assert answer.code == Code.BAD_REQUEST, wrong
    assert (await emma.get("/statement?currency=GBP"))["lines"] == []


Moves = list[tuple[int, int, bool]]


@given(
    moves=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 300), st.booleans()), min_size=1, max_size=8),
    zone=st.sampled_from(("Europe/London", "Asia/Shanghai", "America/New_York")),
)
@settings_of_hypothesis(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_course_sums_up_to_the_statement(
    run: Run[Any], street: Street, pair: list[tuple[datetime, tuple[Keeper, ...]]], moves: Moves, zone: str
) -> None:
    async def play() -> None:
        begun, (lin, emma) = pair[0] if pair else (street.clock.now(), tuple(await street.friends("lin", "emma")))
        if not pair:  # the same two in every example: their story goes on
            pair.append((begun, (lin, emma)))
            await street.fund(lin, 10_000)
            await street.fund(emma, 10_000)
        await lin.client.call("PATCH", "/me", {"time_zone": zone})
        for hours, amount, out in moves:
            street.clock.ahead += timedelta(hours=hours)
            answer = await (lin.pay(emma, amount) if out else emma.pay(lin, amount))
            assert answer.status == 200, answer.data
        first, last = to_ms(begun) - 3 * DAY, to_ms(street.clock.now()) + 2 * DAY
        lines = await whole(lin)
        days = (await lin.get(f"/course?{query({'currency': 'CNY', 'from': first, 'to': last})}"))["days"]
        there = ZoneInfo(zone)
        wanted: dict[str, tuple[int, int]] = {}
        for line in lines:
            on = datetime.fromtimestamp(line["at"] / 1000, there).date().isoformat()
            came, went = wanted.get(on, (0, 0))
            wanted[on] = (came + max(line["available"], 0), went + max(-line["available"], 0))
        assert {
            day["date"]: (day["incoming"], day["outgoing"]) for day in days if day["incoming"] or day["outgoing"]
        } == wanted
        dates = [day["date"] for day in days]
        assert dates == sorted(set(dates))
        assert dates[0] == datetime.fromtimestamp(first / 1000, there).date().isoformat()
        assert len(dates) == (datetime.fromisoformat(dates[-1]) - datetime.fromisoformat(dates[0])).days + 1
        balance = 0
        for day in days:
            balance += day["incoming"] - day["outgoing"]
            assert day["balance"] == balance
        assert balance == await lin.available()

    run(play())


@pytest.fixture
def pair() -> list[tuple[datetime, tuple[Keeper, ...]]]:
    """Filled by the first example."""
    return []


async def test_a_course_in_which_nothing_moved_is_level(street: Street) -> None:
    lin = await street.keeper("lin", time_zone="UTC")
    now = to_ms(datetime.now(UTC))
    assert {
        day["balance"] for day in (await lin.get(f"/course?currency=CNY&from={now - 5 * DAY}&to={now}"))["days"]
    } == {0}
    await street.fund(lin, 12_34)
    street.clock.ahead += timedelta(days=10)
    later = now + 10 * DAY
    days = (await lin.get(f"/course?currency=CNY&from={later - 5 * DAY}&to={later}"))["days"]
    assert {(day["incoming"], day["outgoing"], day["balance"]) for day in days} == {(0, 0, 12_34)}
    for wrong in (f"from={now}&to={now}", f"from={now}&to={now - 1}", f"from=0&to={401 * DAY}", f"from={now}"):
        assert (await lin.call("GET", f"/course?currency=CNY&{wrong}")).code == Code.BAD_REQUEST


# ── Receipts ────────────────────────────────────────────────────────────────────────────────────────────────────────


def text_of(pdf: bytes) -> str:
    reader = pypdf.PdfReader(io.BytesIO(pdf))
    assert len(reader.pages) == 1
    return reader.pages[0].extract_text()


def address_of(pdf: bytes) -> str:
    """Where the QR code's link leads."""
    (link,) = pypdf.PdfReader(io.BytesIO(pdf)).pages[0].annotations or []
    annotation: Any = link.get_object()
    return str(annotation["/A"]["/URI"])


async def test_a_receipt_reads_in_both_languages_and_is_genuine(street: Street) -> None:
    lin = await street.keeper("lin", name="林建国", time_zone="Asia/Shanghai")
    emma = await street.keeper("emma", name="Zoë Clarke 🙂", time_zone="Europe/London")
    await street.befriend(lin, emma)
    await street.fund(lin, 2_000_00)
    paid = (await lin.pay(emma, 1_250_50, note="给你买书 — 《小王子》")).json
    path = f"/receipts/{paid['transfer']}"
    english, chinese = [await lin.call("GET", f"{path}?language={language}") for language in ("en", "zh-CN")]
    for answer in (english, chinese):
        assert answer.headers["Content-Type"] == "application/pdf"
        assert answer.headers["Content-Disposition"] == f'attachment; filename="vouch-{paid["transfer"]}.pdf"'
        text = text_of(answer.data)
        for piece in ("¥1,250.50 CNY", "林建国", "Zoë Clarke □", "给你买书 — 《小王子》", paid["transfer"]):
            assert piece in text, (piece, text)
    assert "Receipt" in text_of(english.data)
    assert "收据" in text_of(chinese.data)
    assert "付款方 林建国" in text_of(chinese.data)
    assert "（Asia/Shanghai）" in text_of(chinese.data)
    own = await lin.call("GET", path)
    assert own.data == english.data, "in one's own language, and the same bytes each time"

    code = address_of(english.data).removeprefix(f"{street.server.url}/receipts/")
    stranger = Client(street.server.url)
    checked = (await stranger.get(f"/receipts/{code}")).json
    assert checked == {
        "transfer": paid["transfer"],
        "kind": "payment",
        "amount": {"amount": 1_250_50, "currency": "CNY"},
        "at": paid["at"],
        "test": True,
    }
    theirs = address_of((await emma.call("GET", path)).data)
    assert not theirs.endswith(code), "each of the two has their own"
    swapped = "0" if code[-1] != "0" else "1"
    for forged in (code[:-1] + swapped, code[:20] + "0" * 16, "0" * 36, code[:-1], code.upper(), "x"):
        assert (await stranger.get(f"/receipts/{forged}")).code == Code.NOT_FOUND, forged


async def test_a_receipt_is_for_those_whom_it_concerns(street: Street) -> None:
    lin, emma, eve = await street.friends("lin", "emma", "eve")
    await street.fund(lin, 10_00)
    paid = (await lin.pay(emma, 10_00)).json
    assert (await eve.call("GET", f"/receipts/{paid['transfer']}")).code == Code.NOT_FOUND
    assert (await eve.call("GET", f"/receipts/t_{'0' * 20}")).code == Code.NOT_FOUND
    assert (await eve.call("GET", "/receipts/nonsense")).code == Code.NOT_FOUND
    assert (await lin.call("GET", f"/receipts/{paid['transfer']}?language=fr")).code == Code.BAD_REQUEST


async def test_a_receipt_of_a_top_up_names_the_payment_and_says_that_it_is_play_money(street: Street) -> None:
    lin = await street.keeper("lin", name="林小雨")
    begun = (await lin.top_up(88_00)).json
    street.sandbox.pay(begun["check_out"])
    assert (await lin.get(f"/payments/{begun['id']}"))["state"] == "done"
    (line,) = await whole(lin)
    assert (line["kind"], line["order"]) == (TransferKind.TOP_UP, begun["id"])
    text = text_of((await lin.call("GET", f"/receipts/{line['transfer']}?language=zh-CN")).data)
    for piece in ("¥88.00 CNY", "练习付", "林小雨", begun["id"], "游戏币", "充值"):
        assert piece in text, (piece, text)


def test_every_kind_of_transfer_and_every_provider_has_a_name_on_receipts() -> None:
    for words in WORDS.values():
        assert set(words.kinds) == set(TransferKind)
        assert set(words.providers) == set(PROVIDERS)
