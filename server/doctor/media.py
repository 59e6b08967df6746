"""Whether pictures and sounds can be made ready on this machine, and are."""

from __future__ import annotations

import io
import tempfile
import wave
from datetime import UTC, datetime, timedelta
from pathlib import Path

from PIL import Image

from server.doctor.findings import Finding, ok, problem, warning
from server.media.model import MediaKind
from server.media.orders import Refusal
from server.media.repo import MediaRepo
from server.media.workshop import Lost, Workshop
from server.store import Store

#: how long something may wait to be made ready
_LATE = timedelta(minutes=15)


async def workers() -> Finding:
    """A small picture and a short sound go through real workers."""
    workshop = Workshop()
    for kind, content in ((MediaKind.PICTURE, _picture()), (MediaKind.VOICE, _sound())):
        with tempfile.TemporaryDirectory(prefix="vouch-doctor-") as name:
            source = Path(name) / "source"
            source.write_bytes(content)
            try:
                await workshop.make(kind, kind, source, Path(name), 10)
            except (Refusal, Lost, OSError) as fault:
                text = f"A {kind} cannot be made ready here ({fault})."
                return problem(
                    "media_workers", text, "Are Pillow and av installed (requirements.lock)? Is memory left?"
                )
    return ok("media_workers", "Pictures and sounds can be made ready.")


async def jobs(store: Store) -> Finding:
    """How long uploads wait."""
    waiting = await MediaRepo(store).waiting_since()
    if not waiting:
        return ok("media_jobs", "No upload waits to be made ready.")
    since = datetime.now(UTC) - min(waiting)
    text = f"{len(waiting)} upload(s) wait to be made ready, the first for {since.total_seconds() / 60:.0f} minutes."
    if since > _LATE:
        return warning("media_jobs", text, "Is a node running? See `media` in its log; more nodes do it sooner.")
    return ok("media_jobs", text)


def _picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (16, 16), "white").save(out, "PNG")
    return out.getvalue()


def _sound() -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(bytes(2 * 9_600))
    return out.getvalue()
