"""The platform's pages as payers and testers get them: nothing of others' runs there, and nobody presses for others."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.payments.sandbox_process import Browser, SandboxProcess, sandbox, sandbox_process
from tests.payments.test_sandbox_platform import BACK, code, name, now, opened, paid, refund

__all__ = ["sandbox", "sandbox_process"]

SCRIPT = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


def page(sandbox: SandboxProcess, made: dict[str, Any], query: str = "") -> str:
    answer = sandbox.browser().ask("GET", made["url"] + query)
    assert answer.status == 200
    return answer.text


def console(sandbox: SandboxProcess) -> Browser:
    browser = sandbox.browser()
    assert browser.press(sandbox.url + "/console", word=sandbox.console_word).status == 303
    return browser


def act(sandbox: SandboxProcess, browser: Browser, **fields: str) -> int:
    """Presses a button of the console."""
    shown = browser.ask("GET", sandbox.url + "/console").text
    token = re.search(r'name="_xsrf" value="([^"]+)"', shown)
    assert token is not None, shown
    path = "/console/troubles" if "outage" in fields else "/console/act"
    return browser.submit(sandbox.url, fields | {"_xsrf": token[1]}, path).status


class TestCheckOut:
    def test_it_says_what_is_paid_to_whom_and_that_it_is_play_money(self, sandbox: SandboxProcess) -> None:
        made = opened(sandbox, 1_234_56, description="Top-up of your wallet")
        english = page(sandbox, made)
        for said in ("¥1,234.56", "Vouch", "Top-up of your wallet", made["order"], "Play money", "No real money moves"):
            assert said in english
        chinese = page(sandbox, made, "?lang=zh-CN")
        for said in ('lang="zh-CN"', "¥1,234.56", "守约", "游戏币", "不会动真的钱"):
            assert said in chinese

    def test_it_speaks_the_language_of_the_charge(self, sandbox: SandboxProcess) -> None:
        assert 'lang="zh-CN"' in page(sandbox, opened(sandbox, language="zh-CN"))
        assert 'lang="en"' in page(sandbox, opened(sandbox, language="en"))
        assert 'lang="en"' in page(sandbox, opened(sandbox, language="zh-CN"), "?lang=en")

    def test_words_of_others_stay_words(self, sandbox: SandboxProcess) -> None:
        made = opened(sandbox, description=SCRIPT, return_url=BACK + "?a=b&c=\"'><script>alert(1)</script>")
        for shown in (page(sandbox, made), page(sandbox, made, "?lang=" + "%22%3E%3Cscript%3E")):
            assert "<script" not in shown
            assert "<img" not in shown
            assert "&lt;script&gt;" in shown

    def test_its_headers_let_nothing_in_and_nobody_frame_it(self, sandbox: SandboxProcess) -> None:
        answer = sandbox.browser().ask("GET", opened(sandbox)["url"])
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "frame-ancestors 'none'" in policy
        assert policy.endswith("form-action 'self' http://127.0.0.1:1")
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert "<script" not in answer.text
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("practice_xsrf=")
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie

    def test_another_page_cannot_press_its_button(self, sandbox: SandboxProcess) -> None:
        made = opened(sandbox)
        path = made["url"].removeprefix(sandbox.url)
        victim = sandbox.browser()
        victim.ask("GET", made["url"])  # has the cookie, as a browser would
        for fields in ({}, {"_xsrf": ""}, {"_xsrf": "2|00000000|00000000000000000000000000000000|1"}):
            answer = victim.submit(sandbox.url, {"act": "pay", "purse": "full"} | fields, path)
            assert answer.status == 403
            assert "out of date" in answer.text
        assert now(sandbox, made)["state"] == "open"

    def test_payers_decide_and_are_led_back(self, sandbox: SandboxProcess) -> None:
        for decide, state, fault in ((sandbox.pay, "done", None), (sandbox.refuse, "failed", "refused")):
            made = opened(sandbox)
            answer = decide(made["url"])
            assert answer.headers["location"] == BACK
            after = now(sandbox, made)
            assert (after["state"], after.get("fault")) == (state, fault)

    def test_a_page_that_is_over_says_so_and_leads_back(self, sandbox: SandboxProcess) -> None:
        made = opened(sandbox)
        sandbox.pay(made["url"])
        shown = page(sandbox, made)
        assert "Paid" in shown
        assert f'href="{BACK}"' in shown
        assert "<form" not in shown

    def test_what_there_is_not(self, sandbox: SandboxProcess) -> None:
        for path in (
            "/",
            "/pay/",
            "/pay/short",
            "/pay/" + "x" * 43,
            "/../book.sqlite",
            "/%2e%2e/book.sqlite",
            "/templates/pay.html",
        ):
            answer = sandbox.browser().ask("GET", sandbox.url + path)
            assert answer.status == 404
            assert "There is nothing to pay here" in answer.text

    def test_nobody_pays_while_it_is_down(self, sandbox: SandboxProcess) -> None:
        made = opened(sandbox)
        sandbox.trouble(outage="refusing")
        answer = sandbox.browser().ask("GET", made["url"])
        assert answer.status == 503
        assert "Nothing was taken" in answer.text
        sandbox.calm()
        assert "<form" in page(sandbox, made)

    def test_a_button_that_there_is_not(self, sandbox: SandboxProcess) -> None:
        made = opened(sandbox)
        for fields in ({"act": "steal"}, {"act": "pay", "purse": "bottomless"}, {}):
            assert sandbox.browser().press(made["url"], **fields).status == 400
        assert now(sandbox, made)["state"] == "open"


class TestConsole:
    def test_it_is_open_to_those_who_know_the_word(self, sandbox: SandboxProcess) -> None:
        stranger = sandbox.browser()
        shut = stranger.ask("GET", sandbox.url + "/console")
        assert shut.status == 401
        assert "Trouble" not in shut.text
        for word in ("", "wrong", sandbox.api_key):
            answer = stranger.press(sandbox.url + "/console", word=word)
            assert answer.status == 401
            assert "not the word" in answer.text
        browser = console(sandbox)
        assert "Trouble" in browser.ask("GET", sandbox.url + "/console").text
        (cookie,) = [cookie for cookie in browser.cookies if cookie.name == "practice_console"]
        assert cookie.has_nonstandard_attr("HttpOnly")
        assert cookie.get_nonstandard_attr("SameSite") == "Strict"
        assert sandbox.console_word not in (cookie.value or "")

    def test_it_is_shut_again(self, sandbox: SandboxProcess) -> None:
        browser = console(sandbox)
        shown = browser.ask("GET", sandbox.url + "/console").text
        token = shown.partition('name="_xsrf" value="')[2].partition('"')[0]
        assert browser.submit(sandbox.url, {"_xsrf": token}, "/console/leave").status == 303
        assert browser.ask("GET", sandbox.url + "/console").status == 401

    def test_a_made_up_cookie_opens_nothing(self, sandbox: SandboxProcess) -> None:
        headers = {"Cookie": "practice_console=open"}
        assert sandbox.browser().ask("GET", sandbox.url + "/console", None, headers).status == 401

    @pytest.mark.parametrize("path", ["/console/troubles", "/console/act", "/console/leave"])
    def test_another_page_cannot_press_its_buttons(self, sandbox: SandboxProcess, path: str) -> None:
        charge = paid(sandbox)
        browser = console(sandbox)
        fields = {"act": "dispute", "id": charge["id"], "outage": "refusing"}
        assert browser.submit(sandbox.url, fields, path).status == 403
        assert now(sandbox, charge)["disputed"] == 0
        assert sandbox.tester("GET", "troubles")["outage"] == "none"

    def test_strangers_press_nothing(self, sandbox: SandboxProcess) -> None:
        charge = paid(sandbox)
        stranger = sandbox.browser()
        shut = stranger.ask("GET", sandbox.url + "/console").text
        token = shut.partition('name="_xsrf" value="')[2].partition('"')[0]
        for path in ("/console/troubles", "/console/act"):
            fields = {"_xsrf": token, "act": "dispute", "id": charge["id"], "outage": "refusing"}
            assert stranger.submit(sandbox.url, fields, path).status == 401
        assert now(sandbox, charge)["disputed"] == 0

    def test_trouble_is_made_and_ended(self, sandbox: SandboxProcess) -> None:
        browser = console(sandbox)
        fields = {"outage": "mute", "outage_requests": "3", "decline": "0", "fail_pay_outs": "2"}
        fields |= {"delay": "1.5", "copies": "2", "lose": "1", "reorder": "1", "act": "save"}
        assert act(sandbox, browser, **fields) == 303
        made = sandbox.tester("GET", "troubles")
        assert made == {
            "outage": "mute",
            "outage_requests": 3,
            "decline": 0,
            "fail_pay_outs": 2,
            "hold_pay_outs": False,
            "delay": 1.5,
            "copies": 2,
            "lose": 1,
            "reorder": True,
        }
        for wrong in ({"copies": "9"}, {"delay": "nan"}, {"lose": "-1"}, {"outage": "sideways"}, {"decline": "x"}):
            assert act(sandbox, browser, **(fields | wrong)) == 400
        assert sandbox.tester("GET", "troubles") == made
        assert act(sandbox, browser, outage="none", act="calm") == 303
        assert sandbox.tester("GET", "troubles")["outage"] == "none"

    def test_its_buttons_do_what_they_say(self, sandbox: SandboxProcess) -> None:
        browser = console(sandbox)
        charge = paid(sandbox)
        refund(sandbox, charge, 2_00)
        assert act(sandbox, browser, act="dispute", id=charge["id"]) == 303
        assert now(sandbox, charge)["disputed"] == 8_00
        assert act(sandbox, browser, act="dispute", id=charge["id"]) == 409
        assert act(sandbox, browser, act="restore", id=charge["id"]) == 303
        assert now(sandbox, charge)["disputed"] == 0
        sandbox.trouble(hold_pay_outs=True)
        for button, state in (("finish", "done"), ("fail", "failed")):
            order = name()
            asked = {"order": order, "amount": 1_00, "currency": "CNY", "destination": {"number": "1"}}
            pay_out = sandbox.ask("POST", "/v1/pay-outs", asked, key=order).json()
            assert act(sandbox, browser, act=button, id=pay_out["id"]) == 303
            assert now(sandbox, pay_out)["state"] == state
        notice = sandbox.notices()[0]
        assert act(sandbox, browser, act="again", id=str(notice["id"])) == 303
        assert sandbox.notices()[0]["notice"] == notice["notice"]
        for id in ("", "ch_000000000000000000000000", "9" * 30):
            assert act(sandbox, browser, act="dispute", id=id) == 404
        assert act(sandbox, browser, act="again", id="9" * 30) == 400

    def test_words_of_others_stay_words(self, sandbox: SandboxProcess) -> None:
        opened(sandbox, description=SCRIPT)
        order = name()
        asked = {"order": order, "amount": 1_00, "currency": "CNY", "destination": {SCRIPT[:40]: SCRIPT}}
        assert sandbox.ask("POST", "/v1/pay-outs", asked, key=order).status == 200
        browser = console(sandbox)
        shown = browser.ask("GET", sandbox.url + "/console").text
        assert order in shown
        assert "<script" not in shown
        assert "<img" not in shown
        assert "测试台" in browser.ask("GET", sandbox.url + "/console?lang=zh-CN").text

    def test_its_api_and_its_pages_have_different_words(self, sandbox: SandboxProcess) -> None:
        headers = {"Authorization": f"Bearer {sandbox.console_word}"}
        assert code(sandbox.browser().ask("GET", sandbox.url + "/v1/charges", None, headers)) == (401, "credentials")
