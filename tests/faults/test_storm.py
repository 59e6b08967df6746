"""Everything at once: two nodes, one database and one Redis, harmed by a plan that a number tells (DESIGN 2).

`./scripts/test faults --seed N --minutes M --rate R` plays another plan, for as long and as densely as one likes.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.faults import plan
from tests.faults.conftest import Play
from tests.faults.load import Crowd
from tests.faults.plan import Harm
from tests.faults.stage import Stage

PEOPLE, GROUPS = 10, 3


@pytest.mark.slow
def test_nothing_is_lost_doubled_reordered_or_invented_in_a_storm_of_faults(
    tmp_path: Path, play: Play, seed: int, minutes: float, rate: float, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scene() -> None:
        async with Stage(tmp_path, seed) as stage:
            crowd = await Crowd.gather(
                stage.nodes[0].server.url, people=PEOPLE, groups=GROUPS, seed=seed, rate=rate / PEOPLE
            )
            await crowd.begin(*stage.socket_urls)
            began, number = time.monotonic(), 0
            until = began + minutes * 60
            while number == 0 or time.monotonic() < until:
                print(f"seed {seed}, series {number}\n{plan.told(seed, number)}")  # noqa: T201 - shown when it fails
                await stage.suffer(number, until if number else float("inf"))
                await crowd.connected(60.0)
                number += 1
            await crowd.seen_everywhere()
            verdict = await crowd.settle(stage.nodes[0].server.url, 60.0)
            harms = ", ".join(f"{count} {harm}" for harm, count in sorted(stage.harms.items()))
            treated = ", ".join(f"{count} {manner}" for manner, count in sorted(stage.treated.items()))
            with capsys.disabled():
                print(  # noqa: T201 - what the run has shown
                    f"\nseed {seed}: {stage.harms.total()} faults in {time.monotonic() - began:.0f} s ({harms}; "
                    f"messages of the bus: {treated}); {verdict}"
                )
            assert not verdict.counts
            assert not crowd.surprises
            assert crowd.unanswered == 0
            assert verdict.acknowledged == verdict.sent > 200
            assert set(stage.harms) == set(Harm)
            assert "Traceback" not in stage.printed(), stage.printed()[-4000:]
            for node in stage.nodes:
                assert await node.server.stop() == 0

    play(scene())


def test_a_plan_is_told_by_its_number_alone_and_leaves_nothing_out() -> None:
    for number in range(6):
        programs, lines = plan.series(7, number)
        assert plan.series(7, number) == (programs, lines)
        assert {step.harm for step in programs + lines} == set(Harm)
        assert max(step.seconds for step in programs) == plan.BEYOND_LEASES
    assert plan.series(7, 0) != plan.series(8, 0) != plan.series(8, 1)
    long = {step.harm for n in range(3) for step in plan.series(7, n)[0] if step.seconds == plan.BEYOND_LEASES}
    assert len(long) == 3
