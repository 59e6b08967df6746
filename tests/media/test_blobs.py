"""What every place for contents must do. A new one is added to `PLACES`."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from server.clock import SystemClock
from server.media.blobs import BlobMissing, BlobStore, DatabaseBlobs, new_key
from server.settings import Settings
from server.store import Store
from server.store.blobs import CHUNK
from tests.conftest import Run

PLACES: dict[str, Callable[[Store], Any]] = {"database": lambda store: DatabaseBlobs(store, SystemClock())}


@pytest.fixture(params=sorted(PLACES))
def blobs(request: pytest.FixtureRequest, settings: Settings, run: Run[Any]) -> Iterator[BlobStore]:
    store = Store(settings.mongodb_uri, settings.database)
    place = PLACES[request.param](store)
    run(place.ensure_indexes())
    yield place
    store.close()


async def pieces(content: bytes, size: int = 100_000, *, breaking: bool = False) -> AsyncIterator[bytes]:
    for first in range(0, len(content), size):
        if breaking and first > len(content) // 2:
            raise ConnectionResetError
        yield content[first : first + size]


async def part(blobs: BlobStore, key: str, first: int, length: int) -> bytes:
    return b"".join([piece async for piece in blobs.read(key, first, length)])


async def test_what_is_put_is_read_in_any_part(blobs: BlobStore) -> None:
    content = secrets.token_bytes(6 * CHUNK + 123)
    key = new_key()
    assert await blobs.put(key, pieces(content)) == len(content) == await blobs.size(key)
    assert await part(blobs, key, 0, len(content)) == content
    for first, length in (
        (0, 1),
        (len(content) - 1, 1),
        (CHUNK - 1, 2),
        (CHUNK, CHUNK),
        (3 * CHUNK + 5, 3 * CHUNK),
        (7, 0),
    ):
        assert await part(blobs, key, first, length) == content[first : first + length]


async def test_contents_have_nothing_to_do_with_each_other(blobs: BlobStore) -> None:
    one, other = new_key(), new_key()
    await blobs.put(one, pieces(b"one"))
    await blobs.put(other, pieces(b"other"))
    await blobs.delete(one)
    assert await part(blobs, other, 0, 5) == b"other"
    with pytest.raises(BlobMissing):
        await blobs.size(one)
    with pytest.raises(BlobMissing):
        await part(blobs, one, 0, 3)
    await blobs.delete(one)  # what is gone may be deleted again


async def test_half_a_content_is_never_found(blobs: BlobStore) -> None:
    key = new_key()
    with pytest.raises(ConnectionResetError):
        await blobs.put(key, pieces(bytes(5 * CHUNK), breaking=True))
    with pytest.raises(BlobMissing):
        await blobs.size(key)
    await blobs.delete(key)
    assert await blobs.put(key, pieces(b"whole")) == 5
    assert await part(blobs, key, 0, 5) == b"whole"


async def test_nothing_at_all_is_a_content_too(blobs: BlobStore) -> None:
    key = new_key()
    assert await blobs.put(key, pieces(b"")) == 0
    assert await part(blobs, key, 0, 0) == b""


async def test_more_than_there_is_is_missing(blobs: BlobStore) -> None:
    key = new_key()
    await blobs.put(key, pieces(b"short"))
    with pytest.raises(BlobMissing):
        await part(blobs, key, CHUNK, 1)


def test_keys_are_not_guessed() -> None:
    keys = {new_key() for _ in range(1_000)}
    assert len(keys) == 1_000
    assert {len(key) for key in keys} == {28}
