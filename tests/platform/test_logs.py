from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from server import logs


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_carries_the_request_and_the_names(stream: io.StringIO) -> None:
    logs.configure("info", "json", stream)
    structlog.contextvars.bind_contextvars(request_id="r1")
    structlog.get_logger("vouch.test").info("signed_in", handle="lin")
    (line,) = lines(stream)
    assert line["event"] == "signed_in"
    assert line["request_id"] == "r1"
    assert line["handle"] == "lin"
    assert line["level"] == "info"
    assert line["logger"] == "vouch.test"
    assert str(line["timestamp"]).endswith("Z")


@pytest.mark.parametrize("format", ["json", "text"])
def test_secrets_and_words_are_dropped_at_every_depth(stream: io.StringIO, format: str) -> None:
    logs.configure("info", format, stream)
    structlog.get_logger().info(
        "sent",
        password="hush1",
        access_token="hush2",
        Authorization="hush3",
        text="hush4",
        request={"headers": {"cookie": "hush5", "Set-Cookie": "hush6"}, "path": "/kept"},
        many=[{"body": "hush7"}],
        uri="mongodb://vouch:hush8@127.0.0.1:1/?x=1",
    )
    assert "hush" not in stream.getvalue()
    assert "/kept" in stream.getvalue()
    assert "mongodb://…@127.0.0.1:1/" in stream.getvalue()


def test_the_standard_library_ends_in_the_same_place(stream: io.StringIO) -> None:
    logs.configure("info", "json", stream)
    logging.getLogger("tornado.application").error("Uncaught %s", "thing", extra={"token": "hush"})
    (line,) = lines(stream)
    assert line["event"] == "Uncaught thing"
    assert line["logger"] == "tornado.application"
    assert "token" not in line


def test_an_exception_is_one_line_of_json_without_addresses_that_hold_passwords(stream: io.StringIO) -> None:
    logs.configure("info", "json", stream)
    try:
        raise ConnectionError("redis://user:hush@host refused")
    except ConnectionError:
        structlog.get_logger().exception("lost")
    (line,) = lines(stream)
    assert "ConnectionError" in str(line["exception"])
    assert "hush" not in stream.getvalue()


def test_the_level_holds_and_the_driver_keeps_its_heartbeats(stream: io.StringIO) -> None:
    logs.configure("warning", "json", stream)
    structlog.get_logger("a").info("quiet")
    logging.getLogger("b").info("quiet")
    logs.configure("debug", "json", stream)
    structlog.get_logger("a").debug("heard")
    logging.getLogger("pymongo.command").debug("quiet")
    assert [line["event"] for line in lines(stream)] == ["heard"]


def test_configuring_twice_does_not_write_twice(stream: io.StringIO) -> None:
    logs.configure("info", "json", io.StringIO())
    logs.configure("info", "json", stream)
    structlog.get_logger("a").info("once")
    assert len(lines(stream)) == 1
