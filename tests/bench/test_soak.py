"""What the soak says of samples, and the soak itself for some seconds."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from tests.soak.__main__ import soak
from tests.soak.call import Caller
from tests.soak.judging import MOST_MEMORY, Sample, growth, silent

STILL = Sample(memory=100 * 2**20, descriptors=20, threads=5, tasks=40)


def rising(**by: int) -> list[Sample]:
    """A hundred samples, each with so much more of something."""
    return [
        msgspec.structs.replace(STILL, **{name: getattr(STILL, name) + n * more for name, more in by.items()})
        for n in range(100)
    ]


def test_what_stays_has_not_grown() -> None:
    assert growth("hub", [STILL] * 100) == []


def test_warming_up_is_no_growth() -> None:
    cold = msgspec.structs.replace(STILL, memory=STILL.memory // 2, descriptors=1, tasks=1)
    assert growth("hub", [cold] * 20 + [STILL] * 80) == []


@pytest.mark.parametrize("thing", ["descriptors", "threads", "tasks"])
def test_what_leaks_is_found(thing: str) -> None:
    (complaint,) = growth("hub", rising(**{thing: 1}))
    assert complaint.startswith(f"hub: {thing} from ")


def test_memory_may_rise_by_a_little() -> None:
    share = (MOST_MEMORY - 1) * STILL.memory
    assert growth("worker", rising(memory=round(share / 100))) == []
    (complaint,) = growth("worker", rising(memory=round(share / 25)))
    assert complaint.startswith("worker: memory from ")


def test_one_moment_decides_nothing() -> None:
    busy = msgspec.structs.replace(STILL, memory=2 * STILL.memory, descriptors=200, tasks=400)
    assert growth("hub", [*[STILL] * 60, busy, *[STILL] * 39]) == []


def test_too_few_samples_say_nothing() -> None:
    with pytest.raises(ValueError, match="too few"):
        growth("hub", [STILL] * 4)


def test_streams_that_stand_still() -> None:
    assert silent([5, 7, 9], [6, 7, 12]) == [1]


@pytest.mark.slow
@pytest.mark.gen_test(timeout=120)
async def test_a_call_that_is_soaked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """For some seconds. One of them stops looking in the middle, which must be found out."""
    changed = 0
    leave_and_join = Caller.leave_and_join

    async def once(caller: Caller) -> None:
        nonlocal changed
        changed += 1
        await leave_and_join(caller)

    monkeypatch.setattr(Caller, "leave_and_join", once)
    wrong = await soak(8.0)
    assert [line for line in wrong if "gets nothing" in line] == []
    assert changed > 0
    assert "worker" in capsys.readouterr().out
    # a viewer whose connection is gone gets nothing, and that is said
    monkeypatch.setattr(Caller, "leave_and_join", _stops_watching)
    wrong = await soak(8.0)
    assert any("gets nothing in the lines [0, 1, 2, 3, 4, 5]" in line for line in wrong)


async def _stops_watching(caller: Caller) -> None:
    viewer = caller._viewer
    assert viewer is not None
    await asyncio.shield(viewer.close())
