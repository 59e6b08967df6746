"""Live proofs on the real database, with real processes that read and sign: a stage with a pledge that runs."""

from __future__ import annotations

from typing import Any

import pytest

from server.proofs.model import AskNonce, Place, ProofView, TakePhoto
from server.services import Services
from tests.conftest import Run
from tests.payments.strict import StrictProvider
from tests.proofs.scenes import shot
from tests.supervision import conftest as supervision
from tests.supervision.conftest import Stage, StageClock

clock = supervision.clock
provider = supervision.provider
services = supervision.services


#: the sign-in at which pictures are taken
HERE = "se_here"


class Booth(Stage):
    """Emma has promised something, Tom watches; Eve knows nobody."""

    emma: str
    tom: str
    eve: str
    pledge: str

    async def open(self) -> Booth:
        self.emma, self.tom = await self.friends("emma", "tom")
        self.eve = await self.person("eve")
        pledge = await self.put(self.emma, self.tom)
        self.pledge, self.clock.at = pledge.id, pledge.tasks[0].opens_at
        return self

    @property
    def proofs(self) -> Any:
        return self.services.proofs

    async def ask(self, task: int = 1) -> str:
        return str((await self.proofs.ask(self.emma, HERE, self.pledge, AskNonce(task))).nonce)

    async def take(self, picture: bytes | None = None, *, nonce: str = "", place: Place | None = None) -> ProofView:
        body = TakePhoto(nonce=nonce or await self.ask(), picture=picture or shot(), place=place)
        view: ProofView = await self.proofs.photograph(self.emma, HERE, self.pledge, body)
        return view

    async def file(self, proof: ProofView, by: str = "") -> bytes:
        """The signed file as it is given out."""
        content = await self.proofs.picture(by or self.emma, proof.id)
        return b"".join([piece async for piece in content.read(0, content.size)])


@pytest.fixture
def booth(services: Services, clock: StageClock, provider: StrictProvider, run: Run[Any]) -> Booth:
    made: Booth = run(Booth(services, clock, provider).open())
    return made
