"""Ways in and out: registering, signing in, signing out, being signed out."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.person import PASSWORD, Person

People = Callable[..., Person]


def sign_in(person: Person) -> None:
    person.open("/sign-in")
    person.page.get_by_label("Handle or phone").fill(person.handle)
    person.page.get_by_label("Password", exact=True).fill(PASSWORD)
    person.page.get_by_role("button", name="Sign in").click()
    expect(person.page).to_have_url(re.compile("/chats$"))


def test_a_newcomer_registers_and_is_told_what_to_do_next(people: People) -> None:
    ada = people("Ada Lovelace", registered=False).open("/")
    page = ada.page
    page.get_by_role("link", name="Create an account").click()
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_text("Enter a name of at most 60 characters.")).to_be_visible()

    page.get_by_label("Name").fill("Ada Lovelace")
    page.get_by_label("Handle").fill("1x")
    expect(page.get_by_text("starts with a letter (not met yet)")).to_be_visible()
    page.get_by_label("Handle").fill(ada.handle)
    expect(page.get_by_text("starts with a letter (met)")).to_be_visible()
    page.get_by_label("Password", exact=True).fill("short")
    expect(page.get_by_text("at least 8 characters (not met yet)")).to_be_visible()
    page.get_by_label("Password", exact=True).fill("password")
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_text("This password is among the first that others would try.")).to_be_visible()
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Phone and birth date").click()
    page.get_by_label("Birth date").fill("2012-03-04")
    page.get_by_role("button", name="Create account").click()

    expect(page.get_by_role("heading", name="No chats yet")).to_be_visible()
    page.get_by_role("button", name="Add a friend").click()
    expect(page.get_by_role("dialog").get_by_label("Handle or phone")).to_be_focused()


def test_a_handle_that_is_taken_is_said_at_its_field(people: People) -> None:
    ada = people("Ada")
    other = people("Other", registered=False).open("/register")
    other.page.get_by_label("Name").fill("Other")
    other.page.get_by_label("Handle").fill(ada.handle.upper())
    other.page.get_by_label("Password", exact=True).fill(PASSWORD)
    other.page.get_by_role("button", name="Create account").click()
    expect(other.page.get_by_text("Somebody has this handle already. Choose another one.")).to_be_visible()
    expect(other.page.get_by_label("Name")).to_have_value("Other")


def test_signing_in_goes_on_where_somebody_wanted_to_be(people: People) -> None:
    ada = people("Ada")
    ada.context.clear_cookies()
    ada.open("/people")
    expect(ada.page).to_have_url(re.compile(r"/sign-in\?next=/people"))
    ada.page.get_by_label("Handle or phone").fill(ada.handle)
    ada.page.get_by_label("Password", exact=True).fill("not it at all")
    ada.page.get_by_role("button", name="Sign in").click()
    expect(ada.page.get_by_text("Handle and password do not fit together. Check both.")).to_be_visible()
    ada.page.get_by_label("Password", exact=True).fill(PASSWORD)
    ada.page.get_by_label("Password", exact=True).press("Enter")
    expect(ada.page).to_have_url(re.compile("/people$"))


def test_language_and_theme_are_chosen_before_the_sign_in_and_stay(people: People) -> None:
    somebody = people("Somebody", registered=False).open("/sign-in")
    page = somebody.page
    page.get_by_text("中文").click()
    expect(page.get_by_role("heading", name="登录")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    page.get_by_title("深色").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.get_by_role("heading", name="登录")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_signing_out_erases_what_the_browser_kept(people: People) -> None:
    ada, ben = people("Ada"), people("Ben")
    ada.befriend(ben)
    conversation = ada.direct(ben)
    ada.open_chat(conversation)
    ada.composer.fill("a thought for later")
    expect(ada.page.locator("[data-row]")).to_have_count(1)
    assert any(ada.id in name for name in ada.stored()["names"])

    ada.open("/me")
    ada.page.get_by_role("button", name="Sign out").first.click()
    ada.page.get_by_role("dialog").get_by_role("button", name="Sign out").click()
    expect(ada.page).to_have_url(re.compile("/sign-in$"))
    kept = ada.stored()
    assert not any(ada.id in name for name in kept["names"])
    assert kept["records"] == 0
    ada.page.go_back()
    expect(ada.page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_revoked_sign_in_returns_to_the_door_and_says_why(people: People) -> None:
    ada = people("Ada")
    elsewhere = people("Ada elsewhere", registered=False)
    elsewhere.handle = ada.handle
    sign_in(elsewhere)

    ada.open("/me/sessions")
    expect(ada.page.get_by_text("This device")).to_be_visible()
    ada.page.get_by_role("button", name=re.compile("^End the sign-in")).click()
    expect(ada.page.get_by_text("You are signed in here only.")).to_be_visible()
    expect(elsewhere.page.get_by_text("this sign-in was ended on another device")).to_be_visible()
    expect(elsewhere.page).to_have_url(re.compile("/sign-in$"))


def test_a_new_password_ends_the_other_sign_ins(people: People) -> None:
    ada = people("Ada")
    elsewhere = people("Ada elsewhere", registered=False)
    elsewhere.handle = ada.handle
    sign_in(elsewhere)

    ada.open("/me/password")
    ada.page.get_by_label("Present password").fill("wrong one here")
    ada.page.get_by_label("New password").fill("another paper boat")
    ada.page.get_by_role("button", name="Change password").click()
    expect(ada.page.get_by_text("The present password is not right.")).to_be_visible()
    ada.page.get_by_label("Present password").fill(PASSWORD)
    ada.page.get_by_role("button", name="Change password").click()
    expect(ada.page.get_by_text("Password changed. All other sign-ins have ended.")).to_be_visible()
    expect(elsewhere.page.get_by_text("this sign-in was ended on another device")).to_be_visible()


def test_a_deleted_account_is_gone(people: People) -> None:
    ada = people("Ada").open("/me/delete")
    ada.page.get_by_label("Your password").fill("wrong one here")
    ada.page.get_by_role("button", name="Delete my account").click()
    expect(ada.page.get_by_text("The password is not right. Nothing was deleted.")).to_be_visible()
    ada.page.get_by_label("Your password").fill(PASSWORD)
    ada.page.get_by_role("button", name="Delete my account").click()
    expect(ada.page.get_by_text("Your account is deleted.")).to_be_visible()
    assert ada.stored()["records"] == 0


def test_a_profile_is_changed_and_friends_see_it(people: People) -> None:
    ada, ben = people("Ada"), people("Ben")
    ada.befriend(ben)
    ben.open(f"/people/{ada.id}")
    ada.open("/me")
    ada.page.get_by_label("Introduction").fill("I read.\nMostly at night.")
    ada.page.get_by_label("Name").fill("Ada 爱达")
    ada.page.get_by_role("button", name="Save").click()
    expect(ada.page.get_by_role("status").get_by_text("Saved")).to_be_visible()
    ben.page.reload()
    expect(ben.page.get_by_role("heading", name="Ada 爱达").last).to_be_visible()
    expect(ben.page.get_by_text("Mostly at night.")).to_be_visible()
