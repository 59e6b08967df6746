"""The small parts: device names, the inbox's policy, the pool that hashes passwords (R-01)."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st

from server.errors import Code, VouchError
from server.people.devices import device_name
from server.people.inbox import ENTRIES, InboxPolicy, inbox_kind
from server.people.passwords import Passwords
from server.principals import Kind, Principal
from server.realtime.channels import DENIED, Draft
from server.realtime.protocol import Entry
from tests.people.conftest import CHEAP

_WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
_IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
_ANDROID = f"Mozilla/5.0 (Linux; Android 15; Pixel 9) {_WEBKIT}"


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (f"Mozilla/5.0 (X11; Linux x86_64) {_WEBKIT} Chrome/140.0.0.0 Safari/537.36", "Chrome on Linux"),
        (
            f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/140.0 Safari/537.36 Edg/140.0",
            "Edge on Windows",
        ),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on macOS"),
        (f"{_IPHONE} Version/18.0 Mobile/15E148 Safari/604.1", "Safari on iPhone"),
        (f"{_ANDROID} Version/4.0 Chrome/140.0 Mobile Safari/537.36 MicroMessenger/8.0.50", "WeChat on Android"),
        ("curl/8.5.0", "curl"),
        ("Mozilla/5.0 (Windows NT 10.0)", "Windows"),
        ("Opera", "Opera"),
        ("", "Unknown device"),
        ("\x00/\x00", "Unknown device"),
    ],
)
def test_devices_have_names_that_people_know(user_agent: str, name: str) -> None:
    assert device_name(user_agent) == name


@given(st.text())
def test_any_user_agent_has_a_short_name(user_agent: str) -> None:
    assert 1 <= len(device_name(user_agent)) <= 60


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("own", [True, False])
async def test_an_inbox_is_read_by_its_person_and_written_by_nobody(kind: Kind, own: bool) -> None:
    policy = InboxPolicy()
    principal = Principal(kind, "p_lin" if own else "p_eve")
    access = await policy.access(principal, "p_lin")
    assert access.read == (own and kind in (Kind.PERSON, Kind.PROGRAM))
    assert (access.write, access.signal) == (False, False)
    if not access.read:
        assert access == DENIED
    with pytest.raises(VouchError, match="forbidden"):
        await policy.admit(principal, "p_lin", Draft("inbox:p_lin", "p_lin", "x", "friend_requested", {}), None)


def test_the_end_of_a_sign_in_closes_its_sockets() -> None:
    def entry(kind: str, body: dict[str, object]) -> Entry:
        return Entry(seq=1, n=0, at=0, by="system", id="x", kind=kind, body=body)

    policy = InboxPolicy()
    assert policy.effects(entry("session_ended", {"sessions": ["s_1", "s_2"]})).end_sessions == ("s_1", "s_2")
    assert policy.effects(entry("profile_changed", {"person": "p_1"})).end_sessions == ()


def test_no_client_writes_an_inbox() -> None:
    kind = inbox_kind()
    assert kind.entries == ENTRIES
    assert not any(entry.by_clients or entry.modifies for entry in kind.entries)
    assert all(issubclass(entry.body, msgspec.Struct) for entry in kind.entries)


def test_what_others_do_counts_and_what_one_has_done_does_not() -> None:
    asked = inbox_kind().entry("friend_requested")
    assert asked is not None

    def draft(by: str) -> Draft:
        return Draft("inbox:p_lin", "system", "x", "friend_requested", {"person": "p_emma", "by": by})

    assert asked.counts(draft("p_emma"))
    assert not asked.counts(draft("p_lin"))
    told = inbox_kind().entry("profile_changed")
    assert told is not None
    assert not told.counts(draft("p_emma"))


async def test_too_many_passwords_at_once_are_sent_away() -> None:
    passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1), threads=1, waiting=1)
    results = await asyncio.gather(*(passwords.hash("paper and seal") for _ in range(5)), return_exceptions=True)
    refused = [result for result in results if isinstance(result, VouchError)]
    assert {error.code for error in refused} == {Code.TRY_LATER}
    assert len(refused) == 3
    assert await passwords.matches(await passwords.hash("paper and seal"), "paper and seal")  # there is room again
    passwords.close()


async def test_nobody_has_no_password_and_a_broken_hash_fits_none() -> None:
    passwords = Passwords(CHEAP)
    assert not await passwords.matches(None, "nobody has this password")
    assert not await passwords.matches("not a hash", "x")
    passwords.close()
