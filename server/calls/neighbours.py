"""What calls need of their neighbours: conversations, people, pledges, the media plane, proofs, the hub. The wiring
gives them; each part takes from `Neighbours` what it uses."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from server.calls import wire
from server.chat.model import Room
from server.clock import Clock
from server.people.model import PersonCard
from server.principals import Principal
from server.realtime.asking import Answerer
from server.store import Store, Tx


class Conversations(Protocol):
    async def room(self, id: str) -> Room | None: ...


class People(Protocol):
    async def cards(self, ids: Iterable[str]) -> dict[str, PersonCard]: ...

    async def blocked_with(self, person: str, others: Iterable[str]) -> set[str]: ...

    async def live_sessions(self, sessions: Collection[str]) -> set[str]: ...


@dataclass(frozen=True)
class Parties:
    """Who takes part in a pledge. `agreed`: its owner has agreed to be supervised, and it is not over."""

    owner: str = ""
    supervisors: frozenset[str] = frozenset()
    agreed: bool = False

    @property
    def watched(self) -> str:
        """Of whom its supervisors may take pictures."""
        return self.owner if self.agreed else ""


class PartiesOf(Protocol):
    """None for no such pledge, or a draft."""

    async def __call__(self, pledge: str, /) -> Parties | None: ...


class Plane(Protocol):
    """`server.calls.plane.Plane`, as far as it is used. Raises PlaneError."""

    on_news: Callable[[wire.News], None]
    on_lost: Callable[[tuple[str, ...]], None]

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def open(self, call: str) -> None: ...

    async def close(self, call: str) -> None: ...

    async def connect(self, call: str, connection: str, person: str, direction: wire.Direction, offer: str) -> str: ...

    async def disconnect(self, call: str, connection: str) -> None: ...

    async def view(self, call: str, connection: str, slots: Sequence[wire.Slot]) -> None: ...

    async def snapshot(self, call: str, person: str, *, within: float = ...) -> wire.Picture: ...

    async def record(
        self, call: str, recording: str, people: Sequence[str], directory: Path, *, lease: float, max_bytes: int
    ) -> None: ...

    async def stop_recording(self, call: str, recording: str) -> dict[str, int]: ...


class Pictures(Protocol):
    """Makes a picture a proof: marked, signed, in the pledge's evidence. Answers the proof's id."""

    async def __call__(
        self, picture: wire.Picture, *, person: str, by: str, pledge: str, call: str, key: str
    ) -> str: ...


class Outbox(Protocol):
    async def put(
        self, tx: Tx, *, id: str, ch: str, order: int, kind: str, body: dict[str, Any], by: str = "system"
    ) -> None: ...

    async def settled(self, ch: str) -> None: ...


class Limits(Protocol):
    async def hit(self, name: str, key: str) -> None: ...


class Peer(Protocol):
    """An open socket."""

    channels: set[str]

    @property
    def principal(self) -> Principal: ...

    def beat(self) -> None: ...


class Asking(Protocol):
    def on(self, name: str, answerer: Answerer) -> None: ...

    async def ask(self, node: str, name: str, body: bytes, *, within: float = ...) -> bytes: ...


@dataclass(frozen=True)
class Neighbours:
    """`sockets` are the open sockets of a person on this node; `live` names the other nodes; `signal` tells whoever is
    subscribed to a channel something that is true only now. `directory` is where recordings are written."""

    store: Store
    outbox: Outbox
    clock: Clock
    limits: Limits
    conversations: Conversations
    people: People
    parties: PartiesOf
    plane: Plane
    pictures: Pictures
    asking: Asking
    node: str
    live: Callable[[], set[str]]
    sockets: Callable[[str], Sequence[Peer]]
    signal: Callable[[str, str, dict[str, Any]], None]
    directory: Path
