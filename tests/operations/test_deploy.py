"""What docs/deploy offers fits the program: every measurement exists, every file is one that its program accepts."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import server.calls.metrics
import server.media.metrics
import server.money.metrics
import server.notifications.metrics
import server.payments.metrics
import server.proofs.metrics
import server.realtime.metrics
import server.supervision.metrics  # noqa: F401 - registers what it counts
from scripts.hub_process import HubProcess
from server import metrics
from server.commands import COMMANDS
from server.settings import PREFIX, ROOT, VARIABLES

yaml: Any = importlib.import_module("yaml")  # comes without types
DEPLOY = ROOT / "docs" / "deploy"
OPERATIONS = ROOT / "docs" / "operations.md"
_METRIC = re.compile(r"\b(?:vouch|process|python)_[a-z0-9_]+")
#: labels and functions that look like one
_OTHERS = {"process_cpu_seconds"}


def offered() -> set[str]:
    """Every name that /metrics shows."""
    return {sample.name for family in metrics.REGISTRY.collect() for sample in family.samples} | {
        family.name + suffix
        for family in metrics.REGISTRY.collect()
        for suffix in {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
    }


def alerts() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load((DEPLOY / "alerts.yml").read_text())["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    return dict(json.loads((DEPLOY / "grafana.json").read_text()))


def expressions() -> Iterator[tuple[str, str]]:
    """(where, PromQL)"""
    for rule in alerts():
        yield rule["alert"], rule["expr"]
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for variable in dashboard()["templating"]["list"]:
        yield variable["name"], variable["query"]
    for annotation in dashboard()["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]


def test_every_measurement_of_dashboard_and_alerts_is_there() -> None:
    there = offered()
    named = {(where, name) for where, text in expressions() for name in _METRIC.findall(text)}
    assert len(named) > 30
    assert sorted((where, name) for where, name in named if name not in there) == []


def test_every_measurement_in_the_documents_is_there() -> None:
    there = offered() | {re.sub(r"_(bucket|sum|count)$", "", name) for name in offered()}
    for document in (*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"):
        named = re.findall(r"`(vouch_[a-z0-9_]+)(?:\{[^`]*\})?`", document.read_text())
        cookies = ("vouch_session", "vouch_browser")
        assert [name for name in named if name not in (*there, *cookies)] == [], document.name


def test_every_measurement_of_ours_is_on_the_dashboard() -> None:
    shown = {name for where, text in expressions() for name in _METRIC.findall(text)}
    ours = {family.name for family in metrics.REGISTRY.collect() if family.name.startswith("vouch_")}
    assert sorted(name for name in ours if not any(each.startswith(name) for each in shown)) == []


def test_labels_in_expressions_are_those_of_the_measurement() -> None:
    """A label that nothing has makes an alert that never fires."""
    labels = {
        family.name: {label for sample in family.samples for label in sample.labels}
        for family in metrics.REGISTRY.collect()
    }
    own = {"vouch_http_request_seconds": {"operation", "status"}, "vouch_connections_closed": {"code"}}
    own["vouch_payments_notices"] = own["vouch_pledge_timers"] = {"result"}
    own |= {"vouch_frames_refused": {"code"}, "vouch_sign_ins": {"result"}, "vouch_limited": {"limit"}}
    prometheus = {"instance", "job", "le"}
    for where, text in expressions():
        for name, selector in re.findall(r"((?:vouch|process)_[a-z0-9_]+)\{([^}]*)\}", text):
            family = next(key for key in sorted(labels, key=len, reverse=True) if name.startswith(key))
            for label in re.findall(r"([a-z_]+)\s*[=!]", selector):
                assert label in labels[family] | own.get(family, set()) | prometheus, (where, name, label)


def test_alerts_are_complete_and_explained() -> None:
    explained = OPERATIONS.read_text()
    names = [rule["alert"] for rule in alerts()]
    assert len(names) == len(set(names)) > 10
    for rule in alerts():
        assert rule["labels"]["severity"] in ("page", "warn")
        assert rule["annotations"]["summary"].endswith(".")
        assert f"| {rule['alert']} |" in explained


def test_panels_have_a_sentence_and_a_place_of_their_own() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        squares = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert taken.isdisjoint(squares), panel["title"]
        taken |= squares
        assert panel["type"] == "row" or panel["description"].endswith("."), panel["title"]


def unit() -> dict[str, list[str]]:
    """Directive → values of the systemd unit."""
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / "vouch.service").read_text().splitlines():
        name, sign, value = line.partition("=")
        if sign and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def test_the_systemd_unit_is_tight_and_stops_in_order() -> None:
    directives = unit()
    wanted = {
        "NoNewPrivileges": "yes",
        "ProtectSystem": "strict",
        "PrivateTmp": "yes",
        "CapabilityBoundingSet": "",
        "Restart": "on-failure",
        "StateDirectoryMode": "0700",
        # The children must not get the signal too: the database would be gone before what was accepted is durable.
        "KillMode": "mixed",
    }
    assert {name: directives[name] for name in wanted} == {name: [value] for name, value in wanted.items()}
    assert int(directives["LimitNOFILE"][0]) >= 65536
    (command,) = directives["ExecStart"]
    assert command.endswith(" -m server serve")
    for assignment in directives["Environment"][0].split():
        assert assignment.partition("=")[0].removeprefix(PREFIX).lower() in VARIABLES


@pytest.mark.parametrize(
    ("program", "command"),
    [
        ("systemd-analyze", "systemd-analyze verify {unit}"),
        ("caddy", "caddy validate --adapter caddyfile --config {caddyfile}"),
        ("promtool", "promtool check rules {alerts}"),
    ],
)
def test_the_programs_themselves_accept_the_files_where_they_are_installed(
    tmp_path: Path, program: str, command: str
) -> None:
    files = {"unit": tmp_path / "vouch.service", "caddyfile": tmp_path / "Caddyfile", "alerts": DEPLOY / "alerts.yml"}
    (command_line,) = unit()["ExecStart"]
    files["unit"].write_text((DEPLOY / "vouch.service").read_text().replace(command_line, shutil.which("true") or ""))
    files["caddyfile"].write_text((DEPLOY / "Caddyfile").read_text().replace("/var/log/caddy", str(tmp_path)))
    words = command.format(**files).split()
    assert Path(words[-1]).stat().st_size > 100
    if shutil.which(program):
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_on_operations_knows_every_command_setting_and_file() -> None:
    text = OPERATIONS.read_text()
    for command in COMMANDS.keys() - {"serve"}:
        assert f"-m server {command}" in text, command
    for setting in VARIABLES:
        assert f"`{PREFIX}{setting.upper()}`" in text, setting
    for path in DEPLOY.iterdir():
        if not path.name.startswith("nginx-"):  # a part of nginx.conf
            assert f"deploy/{path.name}" in text, path.name


@pytest.mark.slow
def test_a_running_hub_feels_its_loop_its_disk_and_its_certificate(tmp_path: Path) -> None:
    import ssl
    import urllib.request

    with HubProcess(tmp_path / "data", "--tls") as hub:
        context = ssl._create_unverified_context()
        text = urllib.request.urlopen(hub.url + "/metrics", context=context, timeout=10).read().decode()
    values = dict(re.findall(r"^(vouch_\w+(?:\{.*\})?) (\S+)$", text, re.MULTILINE))
    assert float(values["vouch_data_free_bytes"]) > 1e8
    assert float(values["vouch_certificate_end_timestamp_seconds"]) > 1.7e9
    assert any(name.startswith("vouch_build_info{version=") for name in values)
    assert "vouch_append_queue_entries" in values
    assert "vouch_loop_lag_seconds_count" in values
