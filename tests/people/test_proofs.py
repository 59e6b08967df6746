"""Proofs on the real database: each is good for one thing, once, in one sign-in, and for five minutes."""

from __future__ import annotations

from datetime import timedelta

import pyotp

from server.errors import Code, VouchError
from server.people.factor_model import Method
from server.people.factor_rules import MOST_TRIES
from server.people.proofs import Answer
from server.store import Tx
from tests.people.authenticator import Authenticator
from tests.people.conftest import World
from tests.people.holder import FACTS, holder, refusal, together


async def test_without_a_factor_there_is_nothing_to_prove_with(world: World) -> None:
    lin = await holder(world, "lin")
    assert await refusal(lin.begin()) is Code.FACTOR_NEEDED
    key = Authenticator("http://localhost:8080", "localhost")
    await lin.add_key(key)
    assert await refusal(lin.begin()) is Code.FACTOR_NEEDED, "the passkey belongs to another address"


async def test_a_code_proves_once_and_only_its_owner(world: World) -> None:
    lin, chen = await holder(world, "lin"), await holder(world, "chen")
    await lin.add_app()
    await chen.add_app()
    one, two = await lin.begin(), await lin.begin()
    assert one.methods == [Method.TOTP]
    code = lin.code()
    theirs = Answer(code=pyotp.TOTP(chen.secret).at(world.clock.now()))
    assert await refusal(lin.proofs.make(lin.id, lin.session, one.id, theirs)) is Code.WRONG_FACTOR
    await lin.proofs.make(lin.id, lin.session, one.id, Answer(code=code))
    replayed = lin.proofs.make(lin.id, lin.session, two.id, Answer(code=code))
    assert await refusal(replayed) is Code.WRONG_FACTOR


async def test_of_two_who_use_one_code_at_once_one_does(world: World) -> None:
    lin = await holder(world, "lin")
    await lin.add_app()
    proofs = [await lin.begin() for _ in range(4)]
    code = lin.code()
    done = await together(lin.proofs.make(lin.id, lin.session, one.id, Answer(code=code)) for one in proofs)
    failed = [one for one in done if isinstance(one, VouchError)]
    assert len(failed) == 3
    assert {one.code for one in failed} == {Code.WRONG_FACTOR}


async def test_a_proof_is_good_for_just_one_thing_once(world: World) -> None:
    lin, chen = await holder(world, "lin"), await holder(world, "chen")
    await lin.add_app()
    proof = await lin.prove()
    for wrong in (
        lin.spend(proof, {**FACTS, "amount": 5001}),
        lin.spend(proof, {**FACTS, "account": "b_2"}),
        lin.spend(proof, purpose="payout_account"),
        lin.spend(proof, person=chen.id),
        lin.spend(proof, session="s_" + "0" * 20),
        lin.spend("pf_" + "0" * 20),
        lin.spend(""),
    ):
        assert await refusal(wrong) is Code.FACTOR_NEEDED
    await lin.spend(proof)
    assert await refusal(lin.spend(proof)) is Code.FACTOR_NEEDED


async def test_a_step_that_is_repeated_spends_nothing_twice(world: World) -> None:
    lin = await holder(world, "lin")
    await lin.add_app()
    proof = await lin.prove()
    await lin.spend(proof, use="pay_out:1")
    world.clock.ahead += timedelta(minutes=6)
    await lin.spend(proof, use="pay_out:1")
    assert await refusal(lin.spend(proof, use="pay_out:2")) is Code.FACTOR_NEEDED
    assert await refusal(lin.spend(proof)) is Code.FACTOR_NEEDED


async def test_of_many_who_spend_one_proof_at_once_one_does(world: World) -> None:
    lin = await holder(world, "lin")
    await lin.add_app()
    proof = await lin.prove()
    done = await together(lin.spend(proof, use=f"pay_out:{n}") for n in range(5))
    assert sum(one is None for one in done) == 1
    assert {one.code for one in done if one is not None} == {Code.FACTOR_NEEDED}


async def test_what_is_rolled_back_was_not_spent(world: World) -> None:
    lin = await holder(world, "lin")
    await lin.add_app()
    proof = await lin.prove()

    async def body(tx: Tx) -> None:
        await lin.proofs.spend(tx, lin.id, lin.session, proof, "pay_out", FACTS)
        raise VouchError(Code.INSUFFICIENT_FUNDS)

    assert await refusal(world.store.transact(body)) is Code.INSUFFICIENT_FUNDS
    await lin.spend(proof)


async def test_a_proof_waits_five_minutes_and_so_does_one_that_was_made(world: World) -> None:
    lin = await holder(world, "lin")
    await lin.add_app()
    begun = await lin.begin()
    made = await lin.prove()
    assert await refusal(lin.spend(begun.id)) is Code.FACTOR_NEEDED, "it was not made yet"
    world.clock.ahead += timedelta(minutes=5)
    late = lin.proofs.make(lin.id, lin.session, begun.id, Answer(code=lin.code()))
    assert await refusal(late) is Code.FACTOR_NEEDED
    assert await refusal(lin.spend(made)) is Code.FACTOR_NEEDED


async def test_a_proof_bears_five_answers_also_at_once(world: World) -> None:
    lin = await holder(world, "lin")
    await lin.add_app()
    begun = await lin.begin()
    wrong = Answer(code="000000")
    done = await together(lin.proofs.make(lin.id, lin.session, begun.id, wrong) for _ in range(MOST_TRIES + 3))
    codes = sorted(one.code for one in done)
    assert codes == sorted([Code.WRONG_FACTOR] * MOST_TRIES + [Code.FACTOR_NEEDED] * 3)
    right = lin.proofs.make(lin.id, lin.session, begun.id, Answer(code=lin.code()))
    assert await refusal(right) is Code.FACTOR_NEEDED


async def test_answers_are_limited_over_all_proofs(world: World) -> None:
    lin = await holder(world, "lin")
    await lin.add_app()
    refused = []
    for _ in range(4):
        begun = await lin.begin()
        wrong = [lin.proofs.make(lin.id, lin.session, begun.id, Answer(code="000000")) for _ in range(3)]
        refused += [await refusal(one) for one in wrong]
    assert refused.count(Code.TOO_OFTEN) == 3  # ten in a quarter of an hour, one of them when the app was added


async def test_a_proof_of_another_sign_in_or_person_is_not_found(world: World) -> None:
    lin, chen = await holder(world, "lin"), await holder(world, "chen")
    await lin.add_app()
    await chen.add_app()
    begun = await lin.begin()
    for person, session in ((lin.id, "s_" + "0" * 20), (chen.id, chen.session), (chen.id, lin.session)):
        answer = Answer(code=pyotp.TOTP(chen.secret).at(world.clock.now()))
        assert await refusal(lin.proofs.make(person, session, begun.id, answer)) is Code.NOT_FOUND


async def test_exactly_one_answer_is_given(world: World) -> None:
    lin = await holder(world, "lin")
    await lin.add_app()
    begun = await lin.begin()
    for wrong in (Answer(), Answer(code="123456", recovery="x")):
        assert await refusal(lin.proofs.make(lin.id, lin.session, begun.id, wrong)) is Code.BAD_REQUEST


async def test_a_proof_ends_with_its_sign_in(world: World) -> None:
    lin = await holder(world, "lin")
    await lin.add_app()
    made = await lin.prove()
    await world.people.sessions.sign_out(lin.id, lin.session)
    assert await refusal(lin.spend(made)) is Code.FACTOR_NEEDED
    assert await world.store.collection("proofs").find({}).to_list(None) == []
