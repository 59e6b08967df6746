"""What nobody should send, sent to the real server: each gets a clear refusal, and nothing of it is kept."""

from __future__ import annotations

import asyncio
import os
import signal
import struct
import zlib
from pathlib import Path

import pytest

from server.media.model import FaultCode, MediaKind
from server.media.orders import MIB, Refusal
from server.media.workshop import Bounds, Lost, Workshop
from tests.conftest import RunningServer, eventually
from tests.handlers.conftest import Answer
from tests.media import samples
from tests.media.conftest import Gather, direct, header, nothing_is_left


def png_of(width: int, height: int, *, whole: bool = False) -> bytes:
    """A grey PNG that says it is so large; `whole`: it really is, and compresses to next to nothing."""
    packer = zlib.compressobj(9)
    row = bytes(1 + width)
    content = b"".join([*(packer.compress(row) for _ in range(height if whole else 1)), packer.flush()])
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", content), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


SCRIPT = b"<script>alert(document.cookie)</script>"
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)">' + SCRIPT + b"</svg>"
HTML = b"<!doctype html><html><body>" + SCRIPT + b"</body></html>"


async def test_what_is_not_what_it_says_is_refused(gather: Gather, server: RunningServer) -> None:
    lin, emma = await gather("lin", "emma")
    room = await direct(lin, emma)
    film = samples.film(3.0, (640, 480))
    cases = [
        ("picture", "huge.png", png_of(50_000, 50_000), "too_many_pixels"),
        ("picture", "bomb.png", png_of(20_000, 20_000, whole=True), "too_many_pixels"),
        ("picture", "drawing.svg", SVG, "unsupported"),
        ("picture", "drawing.png", SVG, "unsupported"),
        ("picture", "page.png", HTML, "not_recognised"),
        ("picture", "half.jpg", samples.jpeg(800, 600)[:20_000], "damaged"),
        ("video", "half.mp4", film[: len(film) // 2], "damaged"),
        ("video", "song.mp4", samples.voice(1.0), "no_picture"),
        ("video", "page.mp4", HTML, "not_recognised"),
        ("video", "list.m3u8", b"#EXTM3U\n#EXTINF:9,\nfile:///etc/passwd\n", "not_recognised"),
        ("voice", "mute.mp4", samples.film(1.0, sound=None), "no_sound"),
        ("voice", "picture.ogg", samples.jpeg(40, 40), "unsupported"),
    ]
    for kind, name, content, code in cases:
        assert (await lin.refused(room, kind, content, name), name) == (code, name)
    for kind in ("picture", "voice", "video", "file"):
        empty = await lin.begin_upload(room, kind, 0)
        assert (empty.code, empty.field) == ("bad_request", "size")
        large = await lin.begin_upload(room, kind, 10**9)
        assert (large.code, large.field) == ("too_large", "size")
    assert (await lin.begin_upload(room, "program", 10)).code == "bad_request"
    await nothing_is_left(server, lin)


async def test_polyglots_are_harmless(gather: Gather) -> None:
    """Pictures that are something else as well come out as nothing but pictures; files are only ever saved."""
    lin, emma = await gather("lin", "emma")
    room = await direct(lin, emma)
    gif = bytearray(samples.animation("GIF", frames=1))
    as_script = bytes(gif) + b"*/=1;alert(document.cookie)//" + SCRIPT
    as_page = samples.encoded(samples.photograph(200, 150), "JPEG", comment=HTML)
    as_archive = samples.png() + b"PK\x03\x04" + bytes(26) + b"evil.class"
    for content in (as_script, as_page, as_archive):
        facts = await lin.ready(room, "picture", content, "picture.html")
        for variant in ("main", "preview", "thumb"):
            answer = await lin.read(facts["id"], variant)
            assert_inert(answer)
            assert header(answer, "Content-Type") in ("image/webp", "image/jpeg")
            for evil in (b"alert", b"evil", b"script", b"PK\x03\x04"):
                assert evil not in answer.data
    pdf_and_zip = b"%PDF-1.7\n" + bytes(100) + b"PK\x03\x04" + bytes(30)
    for name, content in (("a.pdf", pdf_and_zip), ("页面.html", HTML), ("b.svg", SVG), ("c.js", b"alert(1)")):
        facts = await lin.ready(room, "file", content, name)
        answer = await lin.read(facts["id"])
        assert answer.data == content
        assert_inert(answer)
        assert header(answer, "Content-Type") == "application/octet-stream"
        assert header(answer, "Content-Disposition").startswith("attachment; filename=")


def assert_inert(answer: Answer) -> None:
    assert answer.status == 200
    assert header(answer, "X-Content-Type-Options") == "nosniff"
    assert header(answer, "Content-Security-Policy") == "sandbox; default-src 'none'"
    assert header(answer, "Cross-Origin-Resource-Policy") == "same-origin"


# ── Bounds of what a job may cost ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "bounds",
    [
        Bounds(memory=160 * MIB, cpu_seconds=60, seconds=60.0),
        Bounds(memory=3072 * MIB, cpu_seconds=1, seconds=60.0),
        Bounds(memory=3072 * MIB, cpu_seconds=60, seconds=0.05),
    ],
    ids=["memory", "processor", "time"],
)
async def test_a_job_that_costs_too_much_is_ended(tmp_path: Path, bounds: Bounds) -> None:
    source, into = tmp_path / "source", tmp_path / "into"
    into.mkdir()
    source.write_bytes(png_of(8_900, 8_900, whole=True))
    workshop = Workshop(bounds={MediaKind.PICTURE: bounds})
    with pytest.raises(Refusal) as refusal:
        await workshop.make("job", MediaKind.PICTURE, source, into, 0)
    assert refusal.value.code is FaultCode.TOO_MUCH_WORK
    assert workshop.running == {}
    await workshop.stop()


async def test_a_worker_sees_nothing_of_the_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOUCH_MONGODB_URI", "mongodb://secret")
    workshop = Workshop()
    await workshop.warm()
    await workshop.warm()  # there is one already
    (pid,) = workshop.spare
    environ = Path(f"/proc/{pid}/environ").read_bytes()
    assert b"secret" not in environ
    assert b"VOUCH" not in environ
    await workshop.stop()
    assert not Path(f"/proc/{pid}").exists()


async def test_a_killed_worker_is_told_from_a_bad_file(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(samples.film(3.0, (1280, 720), rate=30))
    workshop = Workshop()
    making = asyncio.create_task(workshop.make("job", MediaKind.VIDEO, source, tmp_path, 180))
    await eventually(lambda: bool(workshop.running))
    os.kill(workshop.running["job"], signal.SIGKILL)
    with pytest.raises(Lost):
        await making
    await workshop.stop()


async def test_a_job_whose_worker_dies_is_begun_again_and_refused_in_the_end(
    gather: Gather, server: RunningServer
) -> None:
    lin, emma = await gather("lin", "emma")
    room = await direct(lin, emma)
    workshop = server.services.media.workshop
    film = samples.film(3.0, (1280, 720), rate=30)
    for kills, state in ((1, "ready"), (3, "refused")):
        begun = (await lin.begin_upload(room, "video", len(film))).json["id"]
        await lin.patch(begun, 0, film)
        for _ in range(kills):
            await eventually(lambda: bool(workshop.running), 30.0)
            (pid,) = workshop.running.values()
            os.kill(pid, signal.SIGKILL)
            await eventually(lambda pid=pid: pid not in workshop.running.values(), 30.0)  # type: ignore[misc]
        told = await lin.settled(begun)
        assert told["state"] == state
        if state == "refused":
            assert told["fault"]["code"] == "failed"


async def test_giving_up_ends_the_work(gather: Gather, server: RunningServer) -> None:
    lin, emma = await gather("lin", "emma")
    room = await direct(lin, emma)
    film = samples.film(3.0, (1280, 720), rate=30)
    begun = (await lin.begin_upload(room, "video", len(film))).json["id"]
    await lin.patch(begun, 0, film)
    await eventually(lambda: bool(server.services.media.workshop.running), 30.0)
    assert (await lin.call("DELETE", f"/uploads/{begun}")).status == 204
    await eventually(lambda: not server.services.media.workshop.running, 30.0)
    await nothing_is_left(server, lin)
