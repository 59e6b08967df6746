"""The wallet in the browser: money between people, and what has become of it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import expect
from pypdf import PdfReader

from tests.browser.person import Person
from tests.browser.wallet import available, purse
from tests.payments.sandbox_process import SandboxClient

People = Callable[..., Person]

# ── Between people ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_friend_is_paid_from_the_chat_and_sees_it_live(people: People, till: SandboxClient) -> None:
    ada, ben = people("Ada"), people("Ben")
    ada.befriend(ben)
    direct = ada.direct(ben)
    ada.fund(till)
    ben.open("/wallet")
    expect(purse(ben.page)).to_contain_text("¥0.00")
    ada.open_chat(direct)
    ada.page.get_by_role("button", name="Attach").click()
    ada.page.get_by_role("menuitem", name="Pay Ben").click()
    ada.page.get_by_label("How much").fill("60")
    ada.page.get_by_label("A few words").fill("for the book 书")
    ada.page.get_by_role("main").get_by_role("button", name="Pay", exact=True).click()
    expect(ada.page.get_by_role("alert")).to_contain_text("You have ¥50.00 to use.")
    ada.page.get_by_label("How much").fill("12.5")
    ada.page.get_by_role("button", name="Pay ¥12.50").dblclick()
    expect(ada.page.get_by_text("Ben was paid.")).to_be_visible()
    expect(ada.page.get_by_text("With Ben.")).to_be_visible()
    expect(purse(ben.page)).to_contain_text("¥12.50")
    line = ben.page.get_by_role("listitem").filter(has_text="From Ada")
    expect(line).to_contain_text("+¥12.50")
    expect(line).to_contain_text("for the book 书")
    ben.open("/inbox")
    expect(ben.page.locator(".notice", has_text="Ada paid you ¥12.50")).to_be_visible()
    ada.page.get_by_role("button", name="Back to the chat").click()
    expect(ada.composer).to_be_visible()
    assert (available(ada), available(ben)) == (37_50, 12_50)


def test_a_friend_is_paid_from_their_page(people: People, till: SandboxClient) -> None:
    ada, ben = people("Ada", width="phone"), people("Ben")
    ada.befriend(ben)
    ada.fund(till)
    ada.open(f"/people/{ben.id}")
    ada.page.get_by_role("button", name="Pay", exact=True).click()
    expect(ada.page).to_have_url(re.compile(f"/wallet/pay\\?to={ben.id}"))
    ada.page.get_by_label("How much").fill("5")
    ada.page.get_by_role("button", name="Pay ¥5.00").click()
    expect(ada.page.get_by_text("Ben was paid.")).to_be_visible()
    ada.page.get_by_role("button", name="Pay once more").click()
    expect(ada.page.get_by_label("How much")).to_have_value("")
    ada.page.get_by_label("How much").fill("5")
    ada.page.get_by_role("button", name="Pay ¥5.00").click()
    expect(ada.page.get_by_text("Ben was paid.")).to_be_visible()
    assert available(ben) == 10_00  # the same again is another payment


def test_a_minor_sees_no_money(people: People, till: SandboxClient) -> None:
    lin = people("Lin")
    lin.api("PATCH", "/me", {"birth_date": "2014-05-01"})
    lin.open("/chats")
    navigation = lin.page.get_by_role("navigation").first
    expect(navigation.get_by_role("link", name="Chats")).to_be_visible()
    expect(navigation.get_by_role("link", name="Wallet")).to_have_count(0)
    for path in ["/wallet", "/wallet/top-up", "/wallet/pay", "/wallet/pay-out", "/wallet/accounts"]:
        lin.open(path)
        expect(lin.page.get_by_role("heading", name="No money matters here").last).to_be_visible()
        assert "¥" not in lin.page.locator("body").inner_text()


# ── Looking back ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_statement_is_filtered_drawn_and_printed(people: People, till: SandboxClient, tmp_path: Path) -> None:
    ada, ben = people("Ada"), people("Ben")
    ada.befriend(ben)
    ada.fund(till)
    for note in ["tea", "cake"]:
        body = {"id": secrets.token_urlsafe(16), "to": ben.id, "amount": 5_00, "currency": "CNY", "note": note}
        ada.api("POST", "/me/wallet/transfers", body)
    page = ada.open("/wallet/statement").page
    lines = (
        page.get_by_role("main")
        .get_by_role("listitem")
        .filter(has=page.get_by_role("button", name=re.compile("receipt")))
    )
    expect(lines).to_have_count(3)
    expect(lines.first).to_contain_text("To Ben")
    expect(lines.first).to_contain_text("−¥5.00")
    expect(lines.first).to_contain_text("then ¥40.00")
    expect(page.get_by_role("img", name="¥50.00 came in, ¥10.00 went out, ¥40.00 in the end")).to_be_visible()
    page.get_by_text("The same as a table").click()
    expect(page.get_by_role("table")).to_contain_text("¥40.00")

    page.get_by_label("What", exact=True).select_option("payment")
    expect(lines).to_have_count(2)
    expect(page).to_have_url(re.compile("kind=payment"))
    page.reload()
    expect(lines).to_have_count(2)
    page.get_by_label("What", exact=True).select_option("pay_out")
    expect(page.get_by_role("heading", name="Nothing like this in this time")).to_be_visible()
    page.get_by_role("button", name="Show everything").click()
    expect(lines).to_have_count(3)
    page.get_by_label("When", exact=True).select_option("own")
    page.get_by_label("To", exact=True).fill("2026-01-31")
    page.get_by_label("To", exact=True).dispatch_event("change")
    expect(lines).to_have_count(0)
    page.get_by_role("button", name="Show everything").click()

    with page.expect_download() as download:
        lines.first.get_by_role("button", name=re.compile("Save the receipt")).click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    text = "\n".join(sheet.extract_text() for sheet in PdfReader(file).pages)
    assert [word for word in ["¥5.00", "cake", "Ben"] if word not in text] == []

    found = re.search(r"(?:[0-9a-hjkmnp-tv-z]{4} ){8}[0-9a-hjkmnp-tv-z]{4}", text)
    assert found is not None, text
    code = found[0].replace(" ", "")
    ada.context.clear_cookies()  # whoever holds the paper
    page.goto(f"/receipts/{code}")
    expect(page.get_by_role("heading", name="This receipt is genuine")).to_be_visible()
    expect(page.get_by_text("¥5.00")).to_be_visible()
    page.goto(f"/receipts/{code[:-1]}{'0' if code[-1] != '0' else '1'}")
    expect(page.get_by_role("heading", name="This receipt is not from here")).to_be_visible()


def test_the_wallet_speaks_chinese_on_a_phone(people: People, till: SandboxClient) -> None:
    lin = people("林建国", width="phone", language="zh-CN")
    page = lin.open("/wallet").page
    page.get_by_role("button", name="充值").first.click()
    page.get_by_label("多少").fill("２０。５")
    page.get_by_role("button", name="去练习付确认").click()
    expect(page).to_have_url(re.compile("/pay/"))
    page.get_by_role("button", name=re.compile("20.50")).click()
    expect(page.get_by_text("完成", exact=True)).to_be_visible()
    expect(page.get_by_text("在你的钱包里。", exact=True)).to_be_visible()
    page.get_by_role("button", name="返回").click()
    page.get_by_role("button", name="返回").click()
    expect(page.get_by_role("region", name="钱包，CNY")).to_contain_text("¥20.50")


def test_somebody_says_that_a_payment_is_wrong(people: People, till: SandboxClient) -> None:
    ada = people("Ada")
    ada.fund(till)
    main = ada.page.get_by_role("main")
    main.get_by_role("button", name="Something is wrong").click()
    sheet = ada.page.get_by_role("dialog")
    expect(sheet.get_by_role("button", name="Send", exact=True)).to_be_disabled()
    sheet.get_by_label("What happened").fill("I paid twice <b>for this</b>.")
    sheet.get_by_role("button", name="Send", exact=True).click()
    expect(main.get_by_role("heading", name="Somebody looks at what you said")).to_be_visible()
    expect(main.get_by_text("I paid twice <b>for this</b>.")).to_be_visible()
    expect(main.get_by_role("button", name="Something is wrong")).to_have_count(0)
    ada.page.reload()
    expect(main.get_by_role("heading", name="Somebody looks at what you said")).to_be_visible()
