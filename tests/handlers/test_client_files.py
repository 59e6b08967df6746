"""The built web client as it is served."""

from __future__ import annotations

import gzip
from pathlib import Path

import msgspec
import pytest

from server.settings import Settings
from tests.conftest import RunningServer
from tests.handlers.conftest import Client

SCRIPT = b"export const seal = 'vermilion'\n" * 50


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    root = tmp_path / "dist"
    (root / "assets").mkdir(parents=True)
    (root / "index.html").write_text("<!doctype html><title>Vouch</title>")
    (root / "favicon.svg").write_text("<svg/>")
    (root / "worker.js").write_text("self.addEventListener('fetch', () => undefined)")
    (root / "manifest.webmanifest").write_text("{}")
    (root / "icons").mkdir()
    (root / "icons" / "icon-192.png").write_bytes(b"as if it were a picture")
    (root / "icons" / "link.png").symlink_to(tmp_path / "outside.js")
    (root / "notes.secret").write_text("not for the world")
    (root / ".env").write_text("not for the world")
    (root / "assets" / "app-3f2a.js").write_bytes(SCRIPT)
    (root / "assets" / "app-3f2a.js.gz").write_bytes(gzip.compress(SCRIPT))
    (root / "assets" / "app-3f2a.js.br").write_bytes(b"as if it were brotli")
    (root / "assets" / "app-3f2a.css").write_text("body{}")
    (tmp_path / "outside.js").write_text("not for the world")
    (root / "link.js").symlink_to(tmp_path / "outside.js")
    return root


@pytest.fixture
def settings(settings: Settings, dist: Path) -> Settings:
    return msgspec.structs.replace(settings, static_dir=dist)


@pytest.mark.parametrize("path", ["//", "//chats", "//chats/c_1/details", "//sign-in", "//x.unknown", "//.env"])
async def test_every_page_is_the_client(server: RunningServer, path: str) -> None:
    answer = await Client(server.url).get(path)
    assert (answer.status, answer.data) == (200, b"<!doctype html><title>Vouch</title>")
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.headers["Content-Type"].startswith("text/html")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert f"ws://127.0.0.1:{server.port}" in policy
    for name in ("Permissions-Policy", "Referrer-Policy", "Cross-Origin-Opener-Policy", "X-Frame-Options"):
        assert name in answer.headers
    assert "Strict-Transport-Security" not in answer.headers  # not over plain http
    assert "Server" not in answer.headers


async def test_files_of_the_root_are_served_and_nothing_outside(server: RunningServer) -> None:
    client = Client(server.url)
    answer = await client.get("//favicon.svg")
    assert (answer.data, answer.headers["Content-Type"]) == (b"<svg/>", "image/svg+xml")
    assert (await client.get("//missing.svg")).status == 404
    assert (await client.get("//link.js")).status == 404
    assert (await client.get("//icons/link.png")).status == 404
    assert (await client.get("//icons/missing.png")).status == 404
    for path in ("//../outside.js", "//%2e%2e/outside.js", "//assets/../../outside.js", "//assets/%2e%2e/notes.secret"):
        assert b"not for the world" not in (await client.get(path)).data


async def test_the_service_worker_is_asked_for_each_time_and_serves_all_of_the_client(server: RunningServer) -> None:
    answer = await Client(server.url).get("//worker.js")
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.headers["Service-Worker-Allowed"] == "/"
    assert "javascript" in answer.headers["Content-Type"]
    assert "connect-src 'self'" in answer.headers["Content-Security-Policy"]
    page = await Client(server.url).get("//")
    assert "Service-Worker-Allowed" not in page.headers
    for rule in ("worker-src 'self'", "manifest-src 'self'"):
        assert rule in page.headers["Content-Security-Policy"]


async def test_the_manifest_and_the_icons_have_their_types(server: RunningServer) -> None:
    client = Client(server.url)
    manifest = await client.get("//manifest.webmanifest")
    assert manifest.headers["Content-Type"] == "application/manifest+json"
    icon = await client.get("//icons/icon-192.png")
    assert (icon.data, icon.headers["Content-Type"]) == (b"as if it were a picture", "image/png")
    assert icon.headers["Cache-Control"] == "no-cache"


async def test_assets_are_kept_for_good(server: RunningServer) -> None:
    client = Client(server.url)
    answer = await client.get("//assets/app-3f2a.js")
    assert answer.data == SCRIPT
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert "javascript" in answer.headers["Content-Type"]
    assert (await client.get("//assets/app-0000.js")).status == 404


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [("gzip", "gzip"), ("gzip, deflate, br", "br"), ("br;q=1.0", "br"), ("identity", None), ("", None)],
)
async def test_assets_come_compressed_as_built(server: RunningServer, accepted: str, encoding: str | None) -> None:
    answer = await Client(server.url).call("GET", "//assets/app-3f2a.js", headers={"Accept-Encoding": accepted})
    assert answer.headers.get("Content-Encoding") == encoding
    assert "javascript" in answer.headers["Content-Type"]
    assert answer.headers["Vary"] == "Accept-Encoding"
    if encoding == "gzip":
        assert gzip.decompress(answer.data) == SCRIPT
    plain = await Client(server.url).call("GET", "//assets/app-3f2a.css", headers={"Accept-Encoding": accepted})
    assert plain.data == b"body{}"
    assert "Content-Encoding" not in plain.headers


async def test_a_missing_build_says_how_to_build(server: RunningServer, dist: Path) -> None:
    (dist / "index.html").unlink()
    answer = await Client(server.url).get("//")
    assert answer.status == 200
    assert b"npm run build" in answer.data
