"""Uploads and things as they are kept."""

from __future__ import annotations

from datetime import datetime

import msgspec

from server.media.model import FaultCode, Media, MediaKind, UploadState, Variant


class UploadRow(msgspec.Struct, frozen=True, kw_only=True):
    """`place` is the conversation or pledge that it is for. `media` and `fault` are set when it is ready or refused.
    `seconds` is how long it may play."""

    id: str
    by: str
    place: str
    kind: MediaKind
    name: str
    size: int
    offset: int
    seconds: int
    state: UploadState
    media: str | None = None
    fault: FaultCode | None = None


class Part(msgspec.Struct, frozen=True):
    """One variant: under which key its content lies, and what it is. `digest` is SHA-256 (hex) over the content, for
    the main variant (empty: an earlier version has made it)."""

    key: str
    type: str
    size: int
    digest: str = ""


class MediaRow(msgspec.Struct, frozen=True, kw_only=True):
    """A thing that is ready. `entry` is the id of the log's row that carries it (None: still with whoever uploaded
    it), `seq` its number once that is known. What is evidence is `kept` by that instead, and read by all who may read
    the pledge. `bytes` is what it costs its owner."""

    by: str
    place: str
    facts: Media
    parts: dict[Variant, Part]
    bytes: int
    at: datetime
    entry: str | None = None
    seq: int | None = None
    kept: bool = False

    @property
    def id(self) -> str:
        return self.facts.id

    @property
    def keys(self) -> list[str]:
        """The keys of its contents, each once: variants may share one."""
        return list(dict.fromkeys(part.key for part in self.parts.values()))


class Job(msgspec.Struct, frozen=True):
    """An upload that is being made ready, by which node, and how often that was begun."""

    upload: str
    node: str | None
    tries: int
