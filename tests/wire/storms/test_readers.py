"""Much to read for many at once, and those who do not read."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import pytest

from server.realtime.protocol import MAX_BODY, Close
from tests.conftest import eventually
from tests.wire.storms.line import Line, greeting
from tests.wire.storms.place import Place

#: the largest text of a message: 16,000 characters of four bytes each
LARGEST = "🙂" * 16_000
MIB = 1024 * 1024


async def everybody_has(lines: Sequence[Line], number: int) -> None:
    await eventually(lambda: all(number in line.numbers[-1:] for line in lines), 60.0)


async def write(sender: Line, ch: str, text: str) -> None:
    """Appends a message; returns when it is durable."""
    before = sender.heard["ack"]
    sender.say("append", id=secrets.token_urlsafe(16), ch=ch, kind="message", body={"text": text})
    await eventually(lambda: sender.heard["ack"] > before or sender.heard["error"] > 0, 30.0)
    assert not sender.heard["error"], sender.last["error"]


@pytest.mark.slow
@pytest.mark.gen_test(timeout=900)
async def test_a_quarter_of_the_readers_stalls(place: Place) -> None:
    """500 of 2,000 are closed with the code that says *resume*; the others get everything; the memory comes back."""
    readers, stalled = place.size(2_000), place.size(500)
    people = await place.people(place.size(400))
    ch = await place.group(people)
    tokens = [people[number % len(people)].token for number in range(readers)]
    (sender,) = await place.open_all([greeting(people[0].token, ch)])
    slow = await place.open_all([greeting(token, ch) for token in tokens[:stalled]], buffer=4_096)
    lines = await place.open_all([greeting(token, ch) for token in tokens[stalled:]])
    head = int(sender.last["subscribed"]["head"])
    before, closed, most = place.memory(), await place.closed("slow_consumer"), 0
    async with place.others(f"{stalled} of {readers} readers stalled"):
        for line in slow:
            line.stall()
        sent = 0
        while await place.closed("slow_consumer") < closed + stalled:
            assert sent < 400, "readers that stall are not closed"
            await write(sender, ch, LARGEST)
            sent += 1
            await everybody_has(lines, head + sent)
            most = max(most, place.memory())
        assert all(line.in_order_from(head + 1) and not line.over for line in lines)

        # When they read at last: what was sent before, in order, and the code unless they were dropped by then.
        for line in slow:
            line.resume()
        await eventually(lambda: all(line.over for line in slow), 60.0)
    after = place.memory()
    print(  # noqa: T201 - what the run has shown
        f"stalled readers closed after {sent} messages of 64 kB; memory {before // MIB} MiB, "
        f"at most {most // MIB} MiB, afterwards {after // MIB} MiB"
    )
    assert {line.code for line in slow} <= {int(Close.SLOW_CONSUMER), None}
    assert all(line.in_order_from(head + 1) for line in slow)
    # What one stalled reader may hold is its backlog, and most of that is shared with the others'.
    assert most - before < stalled * MIB + 64 * MIB
    assert after - before < 64 * MIB

    # They resume, and have missed nothing.
    seen = [max(head, *line.numbers[-1:]) for line in slow]
    back = await place.open_all([greeting(token, ch, after) for token, after in zip(tokens, seen, strict=False)])
    await write(sender, ch, "for everybody")
    await everybody_has([*lines, *back], head + sent + 1)
    assert all(line.numbers == list(range(first + 1, head + sent + 2)) for first, line in zip(seen, back, strict=True))


@pytest.mark.slow
@pytest.mark.gen_test(timeout=300)
async def test_the_largest_message_to_everybody(place: Place) -> None:
    """64 kB to 2,000: everybody gets it, and nobody is taken for a slow reader because of it."""
    readers = place.size(2_000)
    people = await place.people(place.size(400))
    ch = await place.group(people)
    lines = await place.open_all([greeting(people[number % len(people)].token, ch) for number in range(readers)])
    sizes: list[int] = []
    for line in lines:
        line.listener = lambda t, payload: sizes.append(len(payload)) if t == "entry" else None
    async with place.others(f"64 kB to {readers}"):
        for _ in range(3):
            await write(lines[0], ch, LARGEST)
        await eventually(lambda: len(sizes) == 3 * readers, 60.0)
    assert min(sizes) > 64_000
    assert len(LARGEST.encode()) < MAX_BODY < len(LARGEST.encode()) + 4_096  # there is hardly a larger one
    assert all(line.in_order_from(line.numbers[0]) and not line.over for line in lines)
