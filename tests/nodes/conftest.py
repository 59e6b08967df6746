"""Redis of both kinds for the bus, and what belongs to several nodes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.conftest import play, serve
from tests.nodes.valkey import Cluster, Valkey

__all__ = ["play", "serve"]


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    server = Valkey(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Nobody may kill its members: who wants to makes one of their own."""
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.kill()
