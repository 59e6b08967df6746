"""Valkey servers for the tests: one, or a cluster of three primaries with a replica each, all real processes."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.retry import Retry

from server.embedded import valkey_server
from tests.faults.server_process import free_port

__all__ = ["SLOTS", "Cluster", "Valkey", "key_slot"]

SLOTS = 16_384
_WITHIN = 20.0
#: milliseconds after which a node that does not answer is failed over
_NODE_TIMEOUT = 1_000


class Valkey:
    """One server on a port of loopback."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.port = free_port()
        self._directory = directory
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        directory.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @property
    def client(self) -> Any:
        """A synchronous client; Any, because commands are made by name."""
        return redis.Redis(port=self.port, decode_responses=True, socket_timeout=5.0, retry=Retry(NoBackoff(), 0))

    def start(self) -> None:
        with (self._directory / "log").open("ab") as log:
            command = [str(valkey_server()), "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
            command += ["--appendonly", "no", "--dir", str(self._directory), *self._options]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until(self.answers, "Valkey does not answer")

    def answers(self) -> bool:
        try:
            with self.client as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class Cluster:
    """Three primaries, the slots in thirds, and a replica of each."""

    def __init__(self, directory: Path) -> None:
        self.servers = [self._server(directory / str(number)) for number in range(6)]

    @staticmethod
    def _server(directory: Path) -> Valkey:
        options = ["--cluster-enabled", "yes", "--cluster-node-timeout", str(_NODE_TIMEOUT)]
        options += ["--cluster-port", str(free_port()), "--cluster-replica-validity-factor", "0"]
        return Valkey(directory, *options, "--repl-diskless-sync-delay", "0")

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{server.port}" for server in self.servers[:2])

    def start(self) -> None:
        for server in self.servers:
            server.start()
        primaries, replicas = self.servers[:3], self.servers[3:]
        for number, primary in enumerate(primaries):
            first, last = SLOTS * number // 3, SLOTS * (number + 1) // 3 - 1
            self.ask(primary, "ADDSLOTSRANGE", first, last)
        for server in self.servers[1:]:
            port = server._options[server._options.index("--cluster-port") + 1]
            self.ask(self.servers[0], "MEET", "127.0.0.1", server.port, port)
        until(lambda: all(self._known(server) == 6 for server in self.servers), "the nodes have not met")
        for primary, replica in zip(primaries, replicas, strict=True):
            self.ask(replica, "REPLICATE", self.id_of(primary))
        until(lambda: all(self.healthy(server) for server in self.servers), "the cluster is not ready")

    def ask(self, server: Valkey, *words: object) -> Any:
        with server.client as client:
            return client.execute_command("CLUSTER", *words)

    def id_of(self, server: Valkey) -> str:
        return str(self.ask(server, "MYID"))

    def primary_of(self, slot: int) -> Valkey:
        """As the first server that answers sees it."""
        for first, last, owner, *_ in self._slots():
            if first <= slot <= last:
                return next(server for server in self.servers if server.port == owner[1])
        raise LookupError(slot)

    def move_slot(self, slot: int, target: Valkey) -> None:
        """Gives a slot without keys to another primary, as `valkey-cli --cluster reshard` does."""
        source = self.primary_of(slot)
        primaries = {self.primary_of(number).port: self.primary_of(number) for number in (0, SLOTS // 2, SLOTS - 1)}
        self.ask(target, "SETSLOT", slot, "IMPORTING", self.id_of(source))
        self.ask(source, "SETSLOT", slot, "MIGRATING", self.id_of(target))
        for server in [target, *(each for each in primaries.values() if each is not target)]:
            self.ask(server, "SETSLOT", slot, "NODE", self.id_of(target))

    def kill(self) -> None:
        for server in self.servers:
            server.kill()

    def healthy(self, server: Valkey) -> bool:
        """The cluster works, and this member of it has what a replica or a primary with one has."""
        with server.client as client:
            state = client.execute_command("CLUSTER", "INFO")
            replication = client.info("replication")
        text = state if isinstance(state, str) else "\r\n".join(f"{name}:{value}" for name, value in state.items())
        linked = replication.get("master_link_status") == "up" or replication.get("connected_slaves", 0) > 0
        return "cluster_state:ok" in text and "cluster_slots_assigned:16384" in text and linked

    def _known(self, server: Valkey) -> int:
        nodes: str = self.ask(server, "NODES")
        return len(nodes.splitlines())

    def _slots(self) -> list[list[Any]]:
        for server in self.servers:
            if server.answers():
                with server.client as client:
                    client.set_response_callback("CLUSTER SLOTS", lambda rows, **_: rows)
                    rows: list[list[Any]] = client.execute_command("CLUSTER SLOTS")
                    return rows
        raise LookupError("nobody answers")


def until(true: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + _WITHIN
    while not true():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.02)
