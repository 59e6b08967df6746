"""`--nodes 2` as a person starts it: one address, one database, and nothing left behind however it ends."""

from __future__ import annotations

import os
import re
import shutil
import signal
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from scripts.hub_process import HubProcess, run_command
from tests.platform.test_embedded import alive, eventually


def get(url: str) -> tuple[int, bytes]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.status, answer.read()


def node_urls(hub: HubProcess) -> list[str]:
    behind = re.search(r"nodes behind nginx: (.+)$", hub.printed, re.MULTILINE)
    assert behind is not None, hub.printed
    return behind[1].split()


def test_one_address_answers_for_both_whoever_dies_is_started_again_and_nothing_is_left_behind(tmp_path: Path) -> None:
    hub = HubProcess(tmp_path / "data", "--nodes", "2", "--demo").start()
    assert "Sign in as lin" in hub.printed
    assert get(hub.url + "/readyz")[0] == 200
    assert len(node_urls(hub)) == 2
    first = pids = hub.child_pids()
    assert {"secantusd", "redis", "sandbox", "node-1", "node-2", "nginx"} <= set(pids)

    # Whoever is told by the proxy which page asks, and for whom, has been passed the headers.
    with urllib.request.urlopen(hub.url + "/", timeout=10) as answer:
        assert hub.url.partition("//")[2] in answer.headers["Content-Security-Policy"]
    with pytest.raises(urllib.error.HTTPError) as refused:  # measurements are one node's
        get(hub.url + "/metrics")
    with refused.value:
        assert refused.value.code == 404
    assert get(node_urls(hub)[0] + "/metrics")[0] == 200

    os.kill(pids["node-2"], signal.SIGKILL)
    assert get(hub.url + "/healthz")[0] == 200  # nobody notices
    hub.wait_for(r"child_restarted.*child=node-2")
    assert get(node_urls(hub)[1] + "/readyz")[0] == 200  # where it was before
    os.kill(hub.child_pids()["nginx"], signal.SIGKILL)
    hub.wait_for(r"child_restarted.*child=nginx")
    assert get(hub.url + "/readyz")[0] == 200

    pids = hub.child_pids()
    hub.send(signal.SIGKILL)
    hub.end()
    assert eventually(lambda: not any(alive(pid) for pid in {*first.values(), *pids.values()}))

    again = HubProcess(tmp_path / "data", "--nodes", "2", "--port", hub.url.rpartition(":")[2]).start()
    assert again.url == hub.url
    assert get(again.url + "/readyz")[0] == 200
    pids = again.child_pids()
    again.send(signal.SIGTERM)
    assert again.end() == 0
    assert again.printed.splitlines()[-1] == "Stopping."
    assert not [name for name, pid in pids.items() if alive(pid)]


def test_without_nginx_each_node_has_its_own_address(tmp_path: Path) -> None:
    """A path on which nginx is not found, as on a machine without it."""
    bare = tmp_path / "bin"
    bare.mkdir()
    shell = shutil.which("sh")
    assert shell is not None
    (bare / "sh").symlink_to(shell)
    from server.commands import nginx

    places = tmp_path / "sitecustomize.py"
    places.write_text("import server.commands.nginx as nginx\nnginx._PLACES = ()\n")
    assert nginx.program() is not None
    environ = {"PATH": str(bare), "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path(nginx.__file__).parents[2]}"}
    with HubProcess(tmp_path / "data", "--nodes", "2", environ=environ) as hub:
        assert "nginx is not installed" in hub.printed
        urls = re.findall(r"running: (\S+)", hub.printed)
        assert len(set(urls)) == 2
        for url in urls:
            assert get(url + "/readyz")[0] == 200
        assert "nginx" not in hub.child_pids()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--nodes", "2", "--tls"), "--tls and --nodes do not go together."),
        (("--nodes", "0"), "argument --nodes"),
        (("--nodes", "two"), "argument --nodes"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(tmp_path: Path, options: tuple[str, ...], line: str) -> None:
    done = run_command("serve", *options, "--port", "0", "--data-dir", str(tmp_path / "data"))
    assert done.returncode != 0
    assert line in done.stdout.splitlines()[-1]
    assert not (tmp_path / "data").exists()
