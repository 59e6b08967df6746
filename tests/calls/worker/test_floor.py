"""What a worker keeps of connections that have ended."""

from __future__ import annotations

import gc
import weakref

import msgspec

from server.calls import wire
from server.calls.wire import Direction
from server.calls.worker.floor import Floor
from tests.calls.worker import offers
from tests.calls.worker.stock import endpoint


async def test_nothing_is_left_of_connections_that_have_ended() -> None:
    told: list[msgspec.Struct] = []
    async with endpoint() as server:
        floor = Floor(server, told.append)
        gc.disable()  # as if it had nothing to look for, which is so while packets flow
        try:
            floor.take(wire.Open(id=1, call="cl_1"))
            for number, (direction, offer) in enumerate(
                ((Direction.PUBLISH, offers.publishing()), (Direction.WATCH, offers.watching())), 2
            ):
                name = f"cc_{number}"
                floor.take(
                    wire.Connect(
                        id=number, call="cl_1", connection=name, person="us_1", direction=direction, offer=offer
                    )
                )
            peers = [weakref.ref(peer) for peer in server.peers]
            assert len(peers) == 2
            floor.tidy()
            assert all(peer() is not None for peer in peers)
            for number in (2, 3):
                floor.take(wire.Disconnect(id=number, call="cl_1", connection=f"cc_{number}"))
            assert server.ended == 2
            floor.tidy()
            assert [peer() for peer in peers] == [None, None]
        finally:
            gc.enable()
        await floor.close()
