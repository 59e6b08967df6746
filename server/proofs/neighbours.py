"""What proofs need of their neighbours; the wiring gives it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from server.clock import Clock
from server.keys import Keys
from server.media.making import Shape
from server.media.model import Media, Variant
from server.media.rows import MediaRow
from server.media.service import Content
from server.people.model import PersonCard
from server.proofs.model import Proof
from server.store import Store, Tx
from server.supervision.model import Pledge


class People(Protocol):
    async def cards(self, ids: Iterable[str]) -> dict[str, PersonCard]: ...


class Limits(Protocol):
    async def hit(self, name: str, key: str) -> None: ...


class Pledges(Protocol):
    async def get(self, id: str) -> Pledge: ...


class Exhibits(Protocol):
    async def prove(self, proof: Proof, picture: Media | None, keep: Callable[[Tx], Awaitable[None]]) -> None: ...


class Making(Protocol):
    async def put(
        self, person: str, place: str, name: str, pieces: Mapping[Variant, tuple[str, bytes]], shape: Shape
    ) -> MediaRow: ...

    async def add(self, tx: Tx, row: MediaRow) -> None: ...


class Keeping(Protocol):
    async def keep(self, tx: Tx, ids: Sequence[str], keeper: str) -> None: ...

    async def is_kept(self, id: str) -> bool: ...

    async def let_go(self, tx: Tx, ids: Sequence[str]) -> None: ...


class Contents(Protocol):
    async def content(self, id: str, variant: Variant) -> Content: ...


@dataclass(frozen=True)
class Neighbours:
    store: Store
    clock: Clock
    limits: Limits
    people: People
    pledges: Pledges
    exhibits: Exhibits
    making: Making
    keeping: Keeping
    contents: Contents
    keys: Keys
