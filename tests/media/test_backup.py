"""A backup holds what people have sent, and gives it back byte for byte."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from server import backup
from server.archive import Reader
from server.clock import SystemClock
from server.keys import Keys
from server.media.model import Variant
from server.principals import Kind, Principal
from server.services import Services
from server.settings import Settings
from server.store import Store
from tests.conftest import RunningServer
from tests.media import samples
from tests.media.conftest import Gather, direct


@pytest.mark.gen_test(timeout=90)
async def test_what_was_sent_comes_back(
    gather: Gather, server: RunningServer, settings: Settings, keys: Keys, tmp_path: Path
) -> None:
    lin, emma = await gather("lin", "emma")
    room = await direct(lin, emma)
    content = secrets.token_bytes(3_000_000)
    file = await lin.ready(room, "file", content, "thesis.pdf")
    picture = await lin.ready(room, "picture", samples.jpeg(900, 700))
    assert (await lin.send(room, file, picture)).status == 201
    half = (await lin.begin_upload(room, "file", 300_000)).json["id"]
    await lin.patch(half, 0, bytes(200_000))
    await server.services.followers.settled()

    path = tmp_path / "night.tar.gz"
    await backup.take(server.services.store, path, keys, SystemClock(), {})
    other = Store(settings.mongodb_uri, settings.database + "_restored")
    await other.connect()
    await backup.restore(other, Reader(path), SystemClock().now())
    other.close()

    services = Services(
        Settings(data_dir=tmp_path, database=other.name, payments=()),
        keys,
        mongodb_uri=settings.mongodb_uri,
        redis_url=settings.redis_url,
    )
    await services.start()
    try:
        reader = Principal(Kind.PERSON, emma.id)
        told = await services.media.open(reader, file["id"], Variant.MAIN)
        assert b"".join([piece async for piece in told.read(0, told.size)]) == content
        thumb = await services.media.open(reader, picture["id"], Variant.THUMB)
        assert samples.opened(b"".join([piece async for piece in thumb.read(0, thumb.size)])).width == 320
        assert (await services.media.uploads.get(lin.id, half)).offset == 200_000
        used = (await services.media.uploads.limits(Principal(Kind.PERSON, lin.id))).used
        assert used == (await lin.get("/uploads/limits")).json["used"]
    finally:
        await services.store.drop()
        await services.stop()
