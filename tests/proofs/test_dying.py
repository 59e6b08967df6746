"""The process dies between any two steps of filing a snapshot or a place; the next goes on: a proof and its row of
evidence are both there, once, or neither is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from secrets import token_bytes
from typing import Any

import pytest
from msgspec.structs import replace

from server.media.model import Variant
from server.proofs.model import Place, ShareLocation
from server.proofs.studio import Print
from tests.conftest import Run
from tests.payments.mortality import Died, Fate, Mortal
from tests.proofs.conftest import Booth
from tests.proofs.scenes import scene

STEPS = 60
HERE = Place(latitude=51.5072, longitude=-0.1276, accuracy=18.0)
PICTURE = scene(21, width=320, height=240)


@pytest.fixture
def fate(booth: Booth, run: Run[Any], monkeypatch: pytest.MonkeyPatch) -> Fate:
    """Each call of the database, the media and the evidence is a step; sealing is quick and the same."""
    run(booth.supervision.timers.stop())
    proofs, fate = booth.proofs, Fate()
    made = run(proofs.studio.seal(*PICTURE.size, PICTURE.tobytes(), ("now", "Emma", "code"), booth.clock.at, {}))

    async def seal(*_: object) -> Print:
        kind, file = made.pieces[Variant.MAIN]
        another = {Variant.MAIN: (kind, file + token_bytes(8))}  # signed anew, no two files are the same
        sealed: Print = replace(made, pieces={**made.pieces, **another})
        return sealed

    monkeypatch.setattr(proofs.studio, "seal", seal)
    near = proofs._near
    exhibits = near.exhibits
    for part, names in (
        (exhibits, ("_log",)),
        (exhibits._changes, ("_repo", "_outbox", "_money", "_record")),
        (proofs, ("repo",)),
    ):
        for name in names:
            monkeypatch.setattr(part, name, Mortal(getattr(part, name), fate))
    for name in ("making", "store", "keeping"):
        object.__setattr__(near, name, Mortal(getattr(near, name), fate))
    return fate


async def everywhere(booth: Booth, fate: Fate, act: Callable[[int], Awaitable[Any]]) -> int:
    """`act`, dying before its first step, before its second …, after each; what the database says after each death.
    Answers how many steps there are."""
    for step in range(2 * STEPS):
        fate.strike(step)
        with suppress(Died):
            await act(step)
        died, fate.dead = fate.dead, False
        fate.spare()
        await whole(booth)
        await act(step)  # the client asks again
        await whole(booth)
        if not died:
            return step // 2
    raise AssertionError(f"more than {STEPS} steps")


async def whole(booth: Booth) -> set[str]:
    """Every proof of the pledge stands in its chain, and every row names one that is there."""
    kept = await booth.services.store.collection("live_proofs").find({"pledge": booth.pledge}).to_list(None)
    listed = await booth.supervision.exhibits.of(booth.emma, booth.pledge)
    shown = [proof.id for row in listed.evidence for proof in row.proofs]
    assert sorted(shown) == sorted(row["_id"] for row in kept)
    assert listed.whole
    return set(shown)


async def test_while_a_snapshot_is_filed(booth: Booth, fate: Fate) -> None:
    async def file(step: int) -> None:
        more = {"person": booth.emma, "by": booth.tom, "pledge": booth.pledge, "call": "cl_1", "key": f"k{step}"}
        await booth.proofs.from_picture(PICTURE.tobytes(), *PICTURE.size, **more)

    steps = await everywhere(booth, fate, file)
    assert steps > 8
    assert len(await whole(booth)) == 2 * steps + 1, "one for each key, however often it died"


async def test_while_a_place_is_told(booth: Booth, fate: Fate, monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_limit(*_: object) -> None: ...

    monkeypatch.setattr(booth.services.limits, "hit", no_limit)

    async def tell(_: int) -> None:
        await booth.proofs.locate(booth.emma, booth.pledge, ShareLocation(task=1, place=HERE))

    assert await everywhere(booth, fate, tell) > 4
