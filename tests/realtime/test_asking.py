"""Questions between nodes: answered, refused, lost, doubled, forged, and from nodes that have gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from server.errors import Code, VouchError
from server.realtime.asking import MARK, Asking, Unanswered
from server.realtime.background import Background
from server.store import Unavailable


class Wire:
    """A bus between two; `lost` says which payloads do not arrive."""

    def __init__(self, sender: str) -> None:
        self.sender = sender
        self.others: dict[str, Asking] = {}
        self.sent: list[bytes] = []
        self.lost: Callable[[bytes], bool] = lambda _: False
        self.times = 1

    def send(self, node: str, payload: bytes) -> None:
        self.sent.append(payload)
        if not self.lost(payload):
            for _ in range(self.times):
                asyncio.get_running_loop().call_soon(self.others[node].told, self.sender, payload)


class Two:
    def __init__(self, key: bytes = b"k" * 32, other: bytes = b"k" * 32) -> None:
        self.background = Background()
        self.wires = {"n_1": Wire("n_1"), "n_2": Wire("n_2")}
        keys = {"n_1": key, "n_2": other}
        nodes = {
            name: Asking(node=name, bus=wire, key=keys[name], background=self.background)  # type: ignore[arg-type]
            for name, wire in self.wires.items()
        }
        for wire in self.wires.values():
            wire.others = nodes
        self.one, self.two = nodes["n_1"], nodes["n_2"]
        self.asked: list[tuple[str, bytes]] = []
        self.two.on("add", self.add)

    async def add(self, node: str, body: bytes) -> bytes:
        self.asked.append((node, body))
        if body == b"no":
            raise VouchError(Code.TOO_OFTEN, "Not now.", field="x", retry_after=3.0)
        if body == b"database":
            raise Unavailable("away")
        if body == b"fault":
            raise RuntimeError("words that nobody else may read")
        return body + b"!"


async def test_a_question_is_answered_and_a_refusal_arrives_as_it_was() -> None:
    two = Two()
    assert await two.one.ask("n_2", "add", b"one") == b"one!"
    assert two.asked == [("n_1", b"one")]
    with pytest.raises(VouchError) as caught:
        await two.one.ask("n_2", "add", b"no")
    fault = caught.value
    assert (fault.code, fault.message, fault.field, fault.retry_after) == (Code.TOO_OFTEN, "Not now.", "x", 3.0)


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [("add", b"database", Code.UNAVAILABLE), ("add", b"fault", Code.INTERNAL), ("other", b"", Code.UNAVAILABLE)],
)
async def test_faults_are_codes(name: str, body: bytes, code: Code) -> None:
    with pytest.raises(VouchError) as caught:
        await Two().one.ask("n_2", name, body)
    assert caught.value.code is code
    assert "nobody" not in caught.value.message


async def test_one_asks_oneself_without_the_bus() -> None:
    two = Two()
    assert await two.two.ask("n_2", "add", b"x") == b"x!"
    assert two.wires["n_2"].sent == []


async def test_what_is_lost_is_told_in_time_and_what_is_doubled_is_answered_once() -> None:
    two = Two()
    two.wires["n_2"].lost = lambda _: True
    with pytest.raises(Unanswered):
        await two.one.ask("n_2", "add", b"x", within=0.01)
    two.wires["n_2"].lost = lambda _: False
    for wire in two.wires.values():
        wire.times = 2
    assert await two.one.ask("n_2", "add", b"y") == b"y!"
    await two.background.stop()
    assert two.one._waiting == {}


async def test_nobody_waits_for_a_node_that_has_gone() -> None:
    two = Two()
    two.wires["n_1"].lost = lambda _: True
    asking = asyncio.create_task(two.one.ask("n_2", "add", b"x", within=60))
    while not two.one._waiting:
        await asyncio.sleep(0)
    two.one.gone("n_3")
    two.one.gone("n_2")
    with pytest.raises(Unanswered):
        await asking


async def test_what_is_not_sealed_is_not_heard() -> None:
    two = Two(other=b"x" * 32)
    with pytest.raises(Unanswered):
        await two.one.ask("n_2", "add", b"x", within=0.01)
    assert two.asked == []
    honest = Two()
    await honest.one.ask("n_2", "add", b"x")
    [question] = honest.wires["n_1"].sent
    honest.two.told("n_3", question)  # somebody else says it once more
    for at in (len(MARK), len(question) - 1):
        changed = bytearray(question)
        changed[at] ^= 1
        honest.two.told("n_1", bytes(changed))
    honest.two.told("n_1", MARK)
    await honest.background.stop()
    assert len(honest.asked) == 1


async def test_an_answer_counts_only_from_who_was_asked() -> None:
    two = Two()
    two.wires["n_2"].lost = lambda _: True
    asking = asyncio.create_task(two.one.ask("n_2", "add", b"x", within=0.2))
    while not two.wires["n_2"].sent:
        await asyncio.sleep(0)
    two.one.told("n_1", two.wires["n_2"].sent[0])
    with pytest.raises(Unanswered):
        await asking


def test_a_name_is_answered_by_one() -> None:
    two = Two()
    with pytest.raises(ValueError, match="answered already"):
        two.two.on("add", two.add)
