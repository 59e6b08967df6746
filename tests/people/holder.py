"""Somebody whose account is held by second factors: an app, passkeys and recovery codes, and proofs by them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from datetime import timedelta
from typing import Any

import pyotp
import pytest

from server.errors import Code, VouchError
from server.people.factor_model import Proof, Purpose
from server.people.factors import Confirmation
from server.people.proofs import Answer
from server.store import Tx
from tests.people.authenticator import Authenticator
from tests.people.conftest import PASSWORD, World

PAGE = "https://vouch.example"
FACTS: dict[str, str | int] = {"account": "b_1", "amount": 5000, "currency": "CNY"}


async def refusal(asked: Coroutine[Any, Any, Any]) -> Code:
    with pytest.raises(VouchError) as caught:
        await asked
    return caught.value.code


async def together(asked: Iterable[Coroutine[Any, Any, Any]]) -> list[Any]:
    """All at once; refusals are answers."""
    return await asyncio.gather(*asked, return_exceptions=True)


class Holder:
    """Somebody with a sign-in, an app and whatever passkeys a test gives them."""

    def __init__(self, world: World, person: str, session: str) -> None:
        self.world, self.id, self.session = world, person, session
        self.factors, self.proofs = world.people.factors, world.people.proofs
        self.secret = ""
        self.codes: list[str] = []

    def code(self) -> str:
        """The next one: each works once, so the clock goes on by a step."""
        self.world.clock.ahead += timedelta(seconds=30)
        return pyotp.TOTP(self.secret).at(self.world.clock.now())

    async def add_app(self, confirmation: Confirmation | None = None, name: str = "Phone") -> str:
        confirmation = confirmation or Confirmation(password=PASSWORD)
        setup = await self.factors.begin_totp(self.id, self.session, name, confirmation)
        before, self.secret = self.secret, setup.secret
        added = await self.factors.add_totp(self.id, self.session, setup.setup, self.code(), PAGE)
        if before:
            self.secret = before
        self.codes = added.recovery_codes or self.codes
        return added.factor.id

    async def add_key(self, key: Authenticator, confirmation: Confirmation | None = None) -> str:
        confirmation = confirmation or Confirmation(password=PASSWORD)
        setup = await self.factors.begin_passkey(self.id, self.session, "Key", confirmation, key.origin)
        added = await self.factors.add_passkey(
            self.id, self.session, setup.setup, key.create(setup.challenge), key.origin
        )
        self.codes = added.recovery_codes or self.codes
        return added.factor.id

    async def begin(self, purpose: Purpose = Purpose.PAY_OUT, **facts: str | int) -> Proof:
        return await self.proofs.begin(self.id, self.session, purpose, facts or FACTS, PAGE)

    async def prove(self, purpose: Purpose = Purpose.PAY_OUT, **facts: str | int) -> str:
        """A proof by the app."""
        begun = await self.begin(purpose, **facts)
        return (await self.proofs.make(self.id, self.session, begun.id, Answer(code=self.code()))).id

    async def spend(self, proof: str, facts: dict[str, str | int] = FACTS, **more: Any) -> None:
        wanted = {"person": self.id, "session": self.session, "purpose": "pay_out", **more}

        async def body(tx: Tx) -> None:
            await self.proofs.spend(
                tx, wanted["person"], wanted["session"], proof, wanted["purpose"], facts, use=wanted.get("use", "")
            )

        await self.world.store.transact(body)


async def holder(world: World, handle: str) -> Holder:
    me = await world.join(handle)
    _, session, _ = await world.people.sessions.sign_in(handle, PASSWORD, "192.0.2.1", "")
    return Holder(world, me.id, session.id)
