"""nginx before the nodes of a local set, with the rules that docs/deploy/nginx.conf gives to a real one."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Sequence

from server.children import Child
from server.commands.addresses import bracketed
from server.data_directory import DataDirectory
from server.settings import ROOT

PROXY_RULES = ROOT / "docs" / "deploy" / "nginx-proxy.conf"
#: Where Debian puts it, which is on the path of root only.
_PLACES = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin")

_CONFIG = """\
# Written at each start.
daemon off;
master_process off;  # one process, which ends with the one that started it
pid nginx.own.pid;
error_log stderr warn;
events {{
    worker_connections 20000;
}}
http {{
    access_log off;
    server_tokens off;
    client_body_temp_path nginx-body;
    proxy_temp_path nginx-proxy;
    fastcgi_temp_path nginx-fastcgi;
    uwsgi_temp_path nginx-uwsgi;
    scgi_temp_path nginx-scgi;
    upstream vouch {{
        least_conn;
{servers}
        keepalive 16;
        keepalive_timeout 60s;
    }}
    upstream vouch_sockets {{
        least_conn;
{patient}
    }}
    server {{
        listen {host}:{port};
        include {rules};
    }}
}}
"""


def program() -> str | None:
    """The installed nginx; None where there is none, or not the project's documents with its rules."""
    if not PROXY_RULES.is_file():
        return None
    return shutil.which("nginx") or shutil.which("nginx", path=os.pathsep.join(_PLACES))


def config(host: str, port: int, nodes: Sequence[str]) -> str:
    """The text for nginx on this address, before nodes on those (`127.0.0.1:8081`)."""
    servers, patient = (
        "\n".join(f"        server {node} {failing};" for node in nodes)
        for failing in ("max_fails=1 fail_timeout=3s", "max_fails=0")
    )
    quoted = '"' + str(PROXY_RULES).replace("\\", "\\\\").replace('"', '\\"') + '"'
    return _CONFIG.format(servers=servers, patient=patient, host=bracketed(host or "0.0.0.0"), port=port, rules=quoted)  # noqa: S104


class Balancer:
    """nginx as a child."""

    def __init__(self, directory: DataDirectory) -> None:
        self._directory = directory
        self._child: Child | None = None

    def start(self, path: str, host: str, port: int, nodes: Sequence[int]) -> Child:
        """Returns when it answers on the address. Raises StartupError."""
        file = self._directory.run / "nginx.conf"
        file.write_text(config(host, port, [f"127.0.0.1:{node}" for node in nodes]))
        self._child = Child(
            "nginx",
            command=lambda: [path, "-p", str(self._directory.run), "-e", "stderr", "-c", str(file)],
            ready=lambda _: _answers(host, port),
            log_path=self._directory.logs / "nginx.log",
            pid_path=self._directory.run / "nginx.pid",
        )
        self._child.start()
        return self._child

    def stop(self) -> None:
        if self._child is not None:
            self._child.stop()


def _answers(host: str, port: int) -> bool:
    near = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared
    try:
        socket.create_connection((near, port), 1.0).close()
    except OSError:
        return False
    return True
