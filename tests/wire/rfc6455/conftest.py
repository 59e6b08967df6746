from __future__ import annotations

from collections.abc import Iterator

import pytest
from tornado.testing import bind_unused_port

from tests.conftest import Run
from tests.wire import echo


@pytest.fixture
def port(io_loop: object, run: Run[None]) -> Iterator[int]:
    """The echo program, in this process."""
    server = echo.make_server(max_message=2 * 1024 * 1024)
    listening, port = bind_unused_port()
    server.add_socket(listening)
    yield port
    server.stop()
    run(server.close_all_connections())
