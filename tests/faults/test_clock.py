"""A clock jumps by an hour, forwards and back: nobody is signed out, nothing is late, nothing is out of order."""

from __future__ import annotations

import secrets
import time
from pathlib import Path

import pytest

from tests.faults.accounts import Account, call, circle, direct, read_log
from tests.faults.conftest import Play
from tests.faults.line import Line
from tests.faults.proxies import Manner
from tests.faults.stage import Stage
from tests.faults.turned import turn

_HOUR = 3600.0


async def say(line: Line, ch: str) -> str:
    """Says a word; its id, when it has been acknowledged."""
    id = secrets.token_urlsafe(16)
    await line.say(t="append", id=id, ch=ch, kind="message", body={"text": "word"})
    await line.until("ack", id=id)
    return id


async def shown_time(line: Line) -> float:
    """What the node's clock says, in seconds."""
    await line.say(t="ping", rid=9)
    at: float = (await line.until("pong", rid=9))["at"]
    return at / 1000


async def hears(line: Line, id: str) -> None:
    while not any(frame["t"] == "entry" and frame["entry"]["id"] == id for frame in line.heard):
        await line.until("entry", seconds=15.0)


async def sign_in(url: str, person: Account) -> dict[str, str]:
    """The cookies of a new sign-in."""
    cookies = {"_xsrf": person.cookies["_xsrf"]}
    form = {"login": person.handle, "password": "correct horse battery"}
    await call(url, "POST", "/sessions", form, cookies=cookies)
    return cookies


@pytest.mark.slow
def test_an_hour_makes_no_difference(tmp_path: Path, play: Play) -> None:
    async def scene() -> None:
        async with Stage(tmp_path, seed=1) as stage:
            turned, other = stage.nodes
            ann, bo = await circle(turned.server.url, 2)
            ch = await direct(turned.server.url, ann, bo)
            said: list[str] = []
            here = Line(turned.server.socket_url, ann.token, ch)
            there = Line(other.server.socket_url, bo.token, ch)
            async with here, there:
                for seconds in (_HOUR, -_HOUR, 0.0):
                    turn(turned.clock, seconds)
                    assert abs(await shown_time(here) - time.time() - seconds) < 60
                    assert abs(await shown_time(there) - time.time()) < 60
                    for line, listener in ((here, there), (there, here)):
                        said.append(await say(line, ch))
                        await hears(listener, said[-1])
                    # Without the bus: what one node has written, the other finds in the log.
                    for node in stage.nodes:
                        node.bus.manner = Manner.SILENT
                    said += [await say(here, ch), await say(there, ch)]
                    for line in (here, there):
                        await hears(line, said[-1])
                    for node in stage.nodes:
                        node.bus.manner = Manner.FAITHFUL
                    # Signing in and being signed in, across the two clocks.
                    for url, elsewhere in (
                        (turned.server.url, other.server.url),
                        (other.server.url, turned.server.url),
                    ):
                        cookies = await sign_in(url, ann)
                        made = await call(url, "POST", "/tokens", {"name": "program"}, cookies=cookies)
                        assert (await call(elsewhere, "GET", "/me", cookies=cookies))["id"] == ann.id
                        assert (await call(elsewhere, "GET", "/me", token=made["token"]))["id"] == ann.id
                assert (await call(other.server.url, "GET", "/me", cookies=ann.cookies))["id"] == ann.id
            assert [entry.id for entry in await read_log(other.server.url, bo, ch)][1:] == said
            for line in (here, there):
                assert [frame["entry"]["id"] for frame in line.heard if frame["t"] == "entry"][1:] == said
            assert "Traceback" not in stage.printed()

    play(scene())
