"""What a call's channel tells, and what its calls leave in people's inboxes and in their conversation."""

from __future__ import annotations

import msgspec

from server.calls.model import CallState


class CallChanged(msgspec.Struct, frozen=True):
    """The call is to be loaded again, unless one has this version of it already. A higher `epoch` than before: the
    media are to be set up anew."""

    version: int
    epoch: int
    state: CallState


class SnapshotTaken(msgspec.Struct, frozen=True):
    """`by` has taken a picture of `person`, which is the proof `proof` now."""

    person: str
    by: str
    proof: str


class LineQuality(msgspec.Struct, frozen=True):
    """How good somebody's line is, every 2 s: what they lose in percent, and bits per second that it seems to carry."""

    person: str
    loss: float
    bitrate: int
