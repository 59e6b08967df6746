"""Passkeys on the real database, by a software authenticator: proven, copied, forged and damaged."""

from __future__ import annotations

import msgspec
import pytest
from webauthn import base64url_to_bytes

from server.errors import Code
from server.people.factor_model import FactorKind, Method
from server.people.factors import Confirmation
from server.people.proofs import Answer
from tests.people.authenticator import PRESENT, Authenticator
from tests.people.conftest import PASSWORD, World
from tests.people.holder import PAGE, holder, refusal


async def test_a_passkey_proves_and_its_counter_goes_on(world: World) -> None:
    lin = await holder(world, "lin")
    key = Authenticator()
    await lin.add_key(key)
    for _ in range(2):
        begun = await lin.begin()
        assert begun.methods == [Method.PASSKEY]
        assert begun.passkey is not None
        assert begun.passkey.rp_id == "vouch.example"
        await lin.proofs.make(lin.id, lin.session, begun.id, Answer(assertion=key.sign(begun.passkey.challenge)))
        await lin.spend(begun.id)
    (shown,) = (await lin.factors.all_of(lin.id, PAGE)).factors
    assert (shown.kind, shown.host, shown.here, shown.copied) == (FactorKind.PASSKEY, "vouch.example", True, False)
    assert shown.used_at is not None


async def test_a_copied_passkey_is_found_and_not_taken_any_more(world: World) -> None:
    lin = await holder(world, "lin")
    key = Authenticator()
    await lin.add_key(key)
    for counter in (5, 2):  # the copy has counted from where it was copied
        begun = await lin.begin()
        assert begun.passkey is not None
        key.counter = counter - 1
        answer = Answer(assertion=key.sign(begun.passkey.challenge))
        if counter == 5:
            await lin.proofs.make(lin.id, lin.session, begun.id, answer)
        else:
            assert await refusal(lin.proofs.make(lin.id, lin.session, begun.id, answer)) is Code.WRONG_FACTOR
    (shown,) = (await lin.factors.all_of(lin.id, PAGE)).factors
    assert (shown.copied, shown.here) == (True, False)
    assert not await lin.factors.has(lin.id)
    assert await refusal(lin.begin()) is Code.FACTOR_NEEDED
    told = [body["done"] for kind, body in await world.news(lin.id) if kind == "factors_changed"]
    assert told == ["added", "copied"]


async def test_what_a_forger_sends_is_not_taken(world: World) -> None:
    lin, eve = await holder(world, "lin"), Authenticator()
    key = Authenticator()
    await lin.add_key(key)
    begun, other = await lin.begin(), await lin.begin()
    assert begun.passkey is not None
    assert other.passkey is not None
    challenge = begun.passkey.challenge
    eve.id = key.id  # it names the passkey and signs with a key of its own
    forged = [eve.sign(challenge), key.sign(other.passkey.challenge)]
    key.origin = "https://vouch.example.evil"
    forged.append(key.sign(challenge))
    key.origin, key.host = PAGE, "evil.example"
    forged.append(key.sign(challenge))
    key.host, key.flags = "vouch.example", PRESENT  # nobody has shown a finger, a face or a PIN
    forged.append(key.sign(challenge))
    for assertion in forged:
        begun = await lin.begin()
        await world.store.collection("proofs").update_one(
            {"_id": begun.id}, {"$set": {"challenge": base64url_to_bytes(challenge)}}
        )
        asked = lin.proofs.make(lin.id, lin.session, begun.id, Answer(assertion=assertion))
        assert await refusal(asked) is Code.WRONG_FACTOR
    assert await lin.factors.has(lin.id), "a forger cannot make a passkey look copied"


async def test_passkeys_are_not_made_where_browsers_make_none(world: World) -> None:
    lin = await holder(world, "lin")
    asked = lin.factors.begin_passkey(
        lin.id, lin.session, "Key", Confirmation(password=PASSWORD), "http://127.0.0.1:8080"
    )
    assert await refusal(asked) is Code.CONFLICT
    assert (await lin.factors.all_of(lin.id, "http://127.0.0.1:8080")).passkeys is False


async def test_a_passkey_belongs_to_one_account(world: World) -> None:
    lin, chen = await holder(world, "lin"), await holder(world, "chen")
    key = Authenticator()
    await lin.add_key(key)
    assert await refusal(chen.add_key(key)) is Code.ALREADY


@pytest.mark.parametrize("field", ["client_data", "authenticator_data", "signature"])
async def test_damaged_signatures_are_wrong_and_not_a_fault(world: World, field: str) -> None:
    lin = await holder(world, "lin")
    key = Authenticator()
    await lin.add_key(key)
    for text in ("", "AA", "e30", "_" * 40):
        begun = await lin.begin()
        assert begun.passkey is not None
        damaged = msgspec.structs.replace(key.sign(begun.passkey.challenge), **{field: text})
        asked = lin.proofs.make(lin.id, lin.session, begun.id, Answer(assertion=damaged))
        assert await refusal(asked) is Code.WRONG_FACTOR


@pytest.mark.parametrize("field", ["client_data", "attestation"])
async def test_damaged_passkeys_are_wrong_and_not_a_fault(world: World, field: str) -> None:
    chen = await holder(world, "chen")
    confirmation = Confirmation(password=PASSWORD)
    setup = await chen.factors.begin_passkey(chen.id, chen.session, "Key", confirmation, PAGE)
    new = Authenticator().create(setup.challenge)
    for text in ("", "AA", "oA", new.attestation[:40]):
        damaged = msgspec.structs.replace(new, **{field: text})
        asked = chen.factors.add_passkey(chen.id, chen.session, setup.setup, damaged, PAGE)
        assert await refusal(asked) is Code.WRONG_FACTOR
