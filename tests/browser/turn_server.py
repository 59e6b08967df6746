"""A real coturn: the way out of a network that lets nothing but its TURN server through (R-15)."""

from __future__ import annotations

import ipaddress
import secrets
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import ifaddr


class TurnServer(NamedTuple):
    url: str
    secret: str


def own_address() -> str:
    """An IPv4 address of this machine; browsers do not relay by the loopback addresses where there is another."""
    for adapter in ifaddr.get_adapters():
        for one in adapter.ips:
            if isinstance(one.ip, str) and not ipaddress.ip_address(one.ip).is_loopback:
                return one.ip
    return "127.0.0.1"


@contextmanager
def coturn(directory: Path) -> Iterator[TurnServer]:
    """Runs at a free port of this machine for as long as the block takes, with credentials that expire."""
    program = shutil.which("turnserver") or "/usr/bin/turnserver"
    address, secret = own_address(), secrets.token_hex(16)
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.bind((address, 0))
        port = probe.getsockname()[1]
    command = [
        program,
        "-n",
        f"--listening-ip={address}",
        f"--relay-ip={address}",
        f"--listening-port={port}",
        "--realm=vouch.test",
        "--use-auth-secret",
        f"--static-auth-secret={secret}",
        "--allow-loopback-peers",
        "--no-tls",
        "--no-dtls",
        "--no-cli",
        "--log-file=stdout",
        "--simple-log",
        f"--userdb={directory / 'turn.db'}",
        f"--pidfile={directory / 'turn.pid'}",
    ]
    log = directory / "turn.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(command, cwd=directory, stdout=output, stderr=subprocess.STDOUT) as process,
    ):
        try:
            assert answers(address, port), log.read_text()
            yield TurnServer(f"turn:{address}:{port}?transport=udp", secret)
        finally:
            process.terminate()
            process.wait()


def answers(address: str, port: int, tries: int = 100) -> bool:
    """Whether a STUN server is there: asks until it answers a binding request (RFC 8489 section 2)."""
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.settimeout(0.2)
        for _ in range(tries):
            client.sendto(struct.pack("!HHI12s", 0x0001, 0, 0x2112A442, secrets.token_bytes(12)), (address, port))
            with suppress(TimeoutError, ConnectionRefusedError):
                return client.recv(2048)[:2] == b"\x01\x01"
    return False
