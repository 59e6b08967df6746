"""Quiet hours, what hides reading, what is worth telling: against a second, slower way to say the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.chat.words import Message
from server.clock import to_ms
from server.errors import VouchError
from server.media.model import Media, MediaKind
from server.notifications import rules
from server.notifications.model import Level, NotificationSettings, Notify, QuietHours, Receipts

ZONES = ["UTC", "Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]
NIGHT = QuietHours(on=True, from_="22:00", to="07:00", zone="Asia/Shanghai")

moments = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))
times = st.builds(lambda h, m: f"{h:02}:{m:02}", st.integers(0, 23), st.integers(0, 59))
hours = st.builds(
    QuietHours,
    on=st.just(True),
    from_=times,
    to=times,
    zone=st.sampled_from(ZONES),
    days=st.lists(st.integers(0, 6), unique=True),
)


def at(text: str, zone: str) -> datetime:
    """A moment by the clock on a wall; the first of two where a clock is turned back."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


@given(hours, moments)
def test_it_is_quiet_when_a_day_that_was_chosen_has_begun_it_and_it_has_not_ended(
    quiet: QuietHours, moment: datetime
) -> None:
    wall = moment.astimezone(ZoneInfo(quiet.zone)).replace(tzinfo=None)
    expected = False
    for back in (0, 1):
        day = (wall - timedelta(days=back)).replace(hour=0, minute=0, second=0, microsecond=0)
        begin = day + timedelta(hours=int(quiet.from_[:2]), minutes=int(quiet.from_[3:]))
        end = day + timedelta(hours=int(quiet.to[:2]), minutes=int(quiet.to[3:]))
        if end <= begin:
            end += timedelta(days=1)
        expected |= day.weekday() in quiet.days and begin <= wall < end
    assert rules.is_quiet(quiet, moment) == expected


@given(hours, moments)
def test_switched_off_they_are_never_quiet(quiet: QuietHours, moment: datetime) -> None:
    assert not rules.is_quiet(msgspec.structs.replace(quiet, on=False), moment)


@pytest.mark.parametrize(
    ("moment", "quiet"),
    [
        ("2026-11-22T21:59:59", False),
        ("2026-11-22T22:00:00", True),
        ("2026-11-22T23:59:59", True),
        ("2026-11-23T00:00:00", True),
        ("2026-11-23T06:59:59", True),
        ("2026-11-23T07:00:00", False),
    ],
)
def test_a_night_goes_over_midnight(moment: str, quiet: bool) -> None:
    assert rules.is_quiet(NIGHT, at(moment, "Asia/Shanghai")) == quiet


def test_days_are_those_on_which_they_begin() -> None:
    saturday = msgspec.structs.replace(NIGHT, days=[5])
    assert rules.is_quiet(saturday, at("2026-11-21T23:00", "Asia/Shanghai"))
    assert rules.is_quiet(saturday, at("2026-11-22T06:00", "Asia/Shanghai"))
    assert not rules.is_quiet(saturday, at("2026-11-21T06:00", "Asia/Shanghai"))
    assert not rules.is_quiet(saturday, at("2026-11-22T23:00", "Asia/Shanghai"))


def test_clocks_that_jump_over_the_end_end_them_with_the_jump() -> None:
    """In Berlin 02:00–03:00 does not exist on 2026-03-29."""
    quiet = QuietHours(on=True, from_="23:00", to="02:30", zone="Europe/Berlin")
    before = datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC)
    assert rules.is_quiet(quiet, before)
    assert not rules.is_quiet(quiet, before + timedelta(seconds=1))


def test_an_hour_that_comes_twice_is_quiet_twice() -> None:
    """In Berlin 02:00–03:00 comes twice on 2026-10-25."""
    quiet = QuietHours(on=True, from_="02:00", to="03:00", zone="Europe/Berlin")
    begin = datetime(2026, 10, 25, 0, 0, tzinfo=UTC)
    assert not rules.is_quiet(quiet, begin - timedelta(seconds=1))
    assert rules.is_quiet(quiet, begin)
    assert rules.is_quiet(quiet, begin + timedelta(minutes=90))
    assert not rules.is_quiet(quiet, begin + timedelta(hours=2))


def test_the_same_time_twice_is_a_whole_day() -> None:
    quiet = QuietHours(on=True, from_="08:00", to="08:00", zone="UTC", days=[0])  # Mondays
    monday = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
    assert rules.is_quiet(quiet, monday)
    assert rules.is_quiet(quiet, monday + timedelta(hours=23, minutes=59))
    assert not rules.is_quiet(quiet, monday + timedelta(hours=24))


def test_choices_are_kept_in_order_and_zones_must_exist() -> None:
    wanted = NotificationSettings(quiet=QuietHours(days=[6, 0, 0, 3]))
    assert rules.settings(wanted).quiet.days == [0, 3, 6]
    with pytest.raises(VouchError, match="time zone"):
        rules.settings(NotificationSettings(quiet=QuietHours(zone="Middle/Earth")))


def test_reading_is_hidden_as_chosen() -> None:
    night, day = at("2026-11-22T23:00", "Asia/Shanghai"), at("2026-11-22T12:00", "Asia/Shanghai")
    for receipts, expected in (
        (Receipts.SHOWN, (False, False)),
        (Receipts.NOT_WHEN_QUIET, (True, False)),
        (Receipts.HIDDEN, (True, True)),
    ):
        choices = NotificationSettings(quiet=NIGHT, receipts=receipts)
        assert (rules.hides_receipts(choices, night), rules.hides_receipts(choices, day)) == expected


@given(st.sampled_from(Level), st.one_of(st.none(), moments.map(to_ms)), moments, st.booleans())
def test_what_is_worth_telling(level: Level, until: int | None, moment: datetime, called: bool) -> None:
    notify = Notify(level, until)
    holds = until is None or to_ms(moment) < until
    expected = {Level.ALL: True, Level.MENTIONS: called, Level.NONE: False}[level] if holds else True
    assert rules.wants(notify, moment, called=called) == expected


def test_a_preview_is_one_short_line() -> None:
    assert rules.preview(Message(text=" one\n\n two\t three ")) == {"body": "one two three"}
    shown = rules.preview(Message(text="x" * 1_000))["body"]
    assert len(shown) == rules.PREVIEW_LONGEST
    assert shown.endswith("…")
    pictures = [Media(id="m_" + "0" * 26, kind=MediaKind.PICTURE, name="a.webp", type="image/webp", size=1)] * 2
    assert rules.preview(Message(media=pictures)) == {"media": "picture", "count": 2}


@given(st.text(max_size=5_000), st.text(max_size=80))
def test_a_push_is_never_too_large(body: str, title: str) -> None:
    """Encrypted it must fit into what every service takes (RFC 8030 section 7.2)."""
    content = {"title": title, "body": body, "url": "/chats/c_1?at=1", "tag": "conv:c_1", "badge": 3}
    data = rules.payload(content)
    assert len(data) <= rules.PAYLOAD_MOST
    kept = msgspec.json.decode(data)
    assert {name: kept[name] for name in ("title", "url", "tag", "badge")} == {
        name: content[name] for name in ("title", "url", "tag", "badge")
    }


@pytest.mark.parametrize("text", ["", "A", "!!!!", "A" * 87, "B" + "A" * 86])
def test_keys_that_are_no_points_are_refused(text: str) -> None:
    with pytest.raises(VouchError, match=r"base64url|subscription"):
        rules.receiver_key(text)
