"""The examples, and a short, repeatable turn of what `python -m tests.fuzz.parser` does for as long as one likes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from server.realtime import protocol as p
from tests.conftest import Run
from tests.fuzz import parser, target
from tests.fuzz.target import Conversation, converse
from tests.wire.raw import frame

_NAMES = sorted(path.name for path in parser.CORPUS.iterdir())
_thorough = settings_of_hypothesis(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize("name", _NAMES)
async def test_the_examples(name: str) -> None:
    await converse((parser.CORPUS / name).read_bytes())


def test_examples_reach_every_command() -> None:
    together = b"".join(parser.examples())
    for kind in (p.Hello, p.Subscribe, p.Unsubscribe, p.Append, p.Signal, p.Position, p.History, p.Ping):
        assert b'"t":"%s"' % str(kind.__struct_config__.tag).encode() in together


def test_changes_of_the_examples() -> None:
    """Some thousands, the same ones each time for a seed."""
    assert parser.unguided(seconds=2.0, seed=20261122) > 100


def test_any_bytes(run: Run[Any]) -> None:
    @_thorough
    @given(st.binary(max_size=400))
    def check(data: bytes) -> None:
        run(converse(data))

    check()


def test_any_frames(run: Run[Any]) -> None:
    @_thorough
    @given(
        how=st.integers(0, 255).map(lambda how: how | 2),
        frames=st.lists(
            st.builds(frame, st.sampled_from([0, 1, 1, 2, 8, 9, 10, 3]), st.binary(max_size=60)), max_size=6
        ),
    )
    def check(how: int, frames: list[bytes]) -> None:
        run(converse(bytes((how,)) + b"".join(frames)))

    check()


async def test_the_target_notices(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault behind the connection is found: otherwise all this would prove nothing."""

    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(target.OpenHub, "move_position", broken)
    conversation = Conversation(signed_in=True)
    await conversation.say('{"t":"hello","v":1}')
    with pytest.raises(AssertionError, match="internal"):
        await conversation.say('{"t":"position","ch":"conv:c_1","read":1}')
    conversation.end()
