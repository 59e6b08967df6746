"""Pledges over HTTP: people at their browsers, what makes things fail for them, and the scenes that they play."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from server.errors import Code
from server.limits import Limits
from server.principals import Grant, Role
from server.supervision.repo import PledgesRepo
from server.supervision.terms import StakeTerms
from tests.conftest import RunningServer
from tests.handlers.conftest import Answer, Client
from tests.payments.strict import StrictProvider
from tests.people.conftest import CHEAP
from tests.supervision.conftest import Stage, StageClock
from tests.supervision.examples import POINTS, terms
from tests.wire.client import client_id


class Theatre(Stage):
    """Emma promises; Tom, Max and Ann are her friends. Lin is a child of nine and a friend of Emma, who is no guardian.
    Eve knows nobody, Sue and Sam are staff. A client by the name of each, and `ids` by name."""

    def __init__(self, server: RunningServer, clock: StageClock, provider: StrictProvider) -> None:
        super().__init__(server.services, clock, provider)
        self.server = server
        self.ids: dict[str, str] = {}
        self.patch: pytest.MonkeyPatch
        self.emma, self.tom, self.max, self.ann, self.lin, self.eve, self.sue, self.sam = (
            Client(server.url) for _ in range(8)
        )

    async def open(self, patch: pytest.MonkeyPatch) -> Theatre:
        patch.setattr(self.services.people._passwords, "_hasher", CHEAP)
        for name in ("emma", "tom", "max", "ann", "lin", "eve", "sue", "sam"):
            born = {"birth_date": "2017-05-01"} if name == "lin" else {}
            self.ids[name] = (await getattr(self, name).register(name, **born))["id"]
        for name in ("sue", "sam"):
            await self.services.people.grant(self.ids[name], Grant(Role.STAFF), "system")
        await self.befriend(self.ids["emma"], *(self.ids[name] for name in ("tom", "max", "ann", "lin")))
        return self

    def wanted(self, stake: StakeTerms = POINTS, **more: Any) -> dict[str, Any]:
        """What is sent to draft a pledge; `words` are other terms."""
        words = more.pop("words", {})
        said: dict[str, Any] = msgspec.to_builtins(terms(stake, **words))
        return {"id": client_id(), "side": "owner", "terms": said, **more}

    async def draft(self, by: Client | None = None, **more: Any) -> str:
        """The id of a fresh draft."""
        answer = await (by or self.emma).post("/pledges", self.wanted(**more))
        assert answer.status == 201, answer.data
        return str(answer.json["id"])

    async def published(self, by: Client | None = None, **more: Any) -> str:
        id = await self.draft(by, **more)
        answer = await (by or self.emma).post(f"/pledges/{id}/publish")
        assert answer.status == 200, answer.data
        return id

    async def placed(self, *seated: str, owner: str = "emma", **more: Any) -> str:
        """A pledge made by hand (`examples.pledge`), its people by their names; Tom watches by himself."""
        people = [self.ids[name] for name in seated or ("tom",)]
        return (await self.put(self.ids[owner], *people, **more)).id

    # ── What makes things fail ──────────────────────────────────────────────────────────────────────────────────────

    def exhaust(self, limit: str) -> None:
        real = Limits.take

        async def take(limits: Limits, name: str, key: str, n: int) -> bool:
            return name != limit and await real(limits, name, key, n)

        self.patch.setattr(Limits, "take", take)

    def others_faster(self, repo: Any = PledgesRepo, method: str = "replace") -> None:
        """Whatever is written, somebody else was there before."""

        async def refuse(*args: Any, **more: Any) -> bool:
            return False

        self.patch.setattr(repo, method, refuse)


Scene = Callable[[Theatre], Awaitable[Answer]]
SCENES: dict[tuple[str, Code], Scene] = {}


def scene(operation: str, code: Code) -> Callable[[Scene], Scene]:
    def add(play: Scene) -> Scene:
        SCENES[operation, code] = play
        return play

    return add
