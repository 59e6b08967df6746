"""A real nginx with docs/deploy/nginx.conf, in which only names, places and ports are exchanged."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from server.commands.nginx import PROXY_RULES, program
from tests.faults.server_process import free_port
from tests.nodes.valkey import until

DOCUMENTED = PROXY_RULES.with_name("nginx.conf")


class Nginx:
    """Before these nodes (`127.0.0.1:8081`); `certificate` and `key` are files in PEM, without them it speaks plain."""

    def __init__(self, directory: Path, nodes: Sequence[str], certificate: Path | None, key: Path | None) -> None:
        self.port, self.plain_port = free_port(), free_port()
        self._tls = certificate is not None
        self._directory = directory
        self._config = directory / "nginx.conf"
        self._process: subprocess.Popen[bytes] | None = None
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "vouch-proxy.conf").write_text(PROXY_RULES.read_text())
        self._config.write_text(self._adapted(DOCUMENTED.read_text(), nodes, certificate, key))

    def _adapted(self, text: str, nodes: Sequence[str], certificate: Path | None, key: Path | None) -> str:
        """Whatever is not found any more makes the test fail, and not quietly try less than is documented."""

        def exchange(pattern: str, new: str, count: int = 1) -> None:
            nonlocal text
            text, found = re.subn(pattern, new.replace("\\", "\\\\"), text, flags=re.MULTILINE)
            assert found == count, f"{pattern!r} is {found} times in {DOCUMENTED}"

        for failing in ("max_fails=1 fail_timeout=3s", "max_fails=0"):
            old = "".join(rf"^ +server 10\.0\.0\.1{number}:8080 {failing};\n" for number in (1, 2))
            exchange(old, "".join(f"        server {node} {failing};\n" for node in nodes))
        exchange(r"^user www-data;", "daemon off;")
        exchange(r"^worker_processes auto;", "worker_processes 2;")
        exchange(r"^worker_rlimit_nofile .+$", "")
        exchange(r"worker_connections 100000;", "worker_connections 1000;")
        exchange(r"^pid .+;", f"pid {self._directory}/pid;")
        exchange(r"^error_log .+;", f"error_log {self._directory}/error.log warn;")
        exchange(r"access_log .+ brief ", f"access_log {self._directory}/access.log brief ")
        exchange(r"^ +listen \[::\].+$", "", 2)
        exchange(r"listen 80;", f"listen 127.0.0.1:{self.plain_port};")
        exchange(r"include vouch-proxy\.conf;", f'include "{self._directory}/vouch-proxy.conf";')
        if self._tls:
            exchange(r"listen 443 ", f"listen 127.0.0.1:{self.port} ")
            exchange(r"ssl_certificate /.+;", f"ssl_certificate {certificate};")
            exchange(r"ssl_certificate_key /.+;", f"ssl_certificate_key {key};")
        else:
            exchange(r"listen 443 ssl http2 ", f"listen 127.0.0.1:{self.port} ")
            exchange(r"^ +ssl_.+;.*$", "", 8)
        temporary = "".join(
            f"    {name}_temp_path {self._directory}/{name};\n"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        exchange(r"^http \{$", "http {\n" + temporary)
        return text

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def socket_url(self) -> str:
        return f"{'wss' if self._tls else 'ws'}://127.0.0.1:{self.port}/api/v1/socket"

    def _command(self, *words: str) -> list[str]:
        path = program()
        assert path is not None, "nginx is missing (Debian: apt-get install nginx-light)"
        return [path, "-p", str(self._directory), "-e", "stderr", "-c", str(self._config), *words]

    def check(self) -> str:
        """What `nginx -t` prints. Fails when it finds a fault."""
        done = subprocess.run(self._command("-t"), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stderr

    def start(self) -> None:
        with (self._directory / "printed").open("ab") as printed:
            self._process = subprocess.Popen(self._command(), stdin=subprocess.DEVNULL, stdout=printed, stderr=printed)
        until(self._answers, "nginx does not answer")

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1.0).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def logged(self) -> str:
        return (self._directory / "error.log").read_text()
