"""Second factors on the real database: how they come, change and go, and what helps when they are lost."""

from __future__ import annotations

from datetime import timedelta

import pyotp

from server.errors import Code
from server.people.factor_model import Method, Purpose
from server.people.factor_rules import MOST_FACTORS
from server.people.factors import Confirmation
from server.people.proofs import Answer
from tests.people.authenticator import Authenticator
from tests.people.conftest import PASSWORD, World
from tests.people.holder import PAGE, holder, refusal


async def test_the_first_factor_asks_the_password_and_brings_recovery_codes(world: World) -> None:
    lin = await holder(world, "lin")
    assert not await lin.factors.has(lin.id)
    for wrong in (Confirmation(), Confirmation(password="not this one"), Confirmation(proof="pf_" + "0" * 20)):
        asked = lin.factors.begin_totp(lin.id, lin.session, "Phone", wrong)
        assert await refusal(asked) is Code.WRONG_CREDENTIALS
    setup = await lin.factors.begin_totp(lin.id, lin.session, "Phone", Confirmation(password=PASSWORD))
    assert setup.secret in setup.uri
    assert setup.qr.startswith("data:image/svg+xml")
    assert await refusal(lin.factors.add_totp(lin.id, lin.session, setup.setup, "000000", PAGE)) is Code.WRONG_FACTOR
    assert not await lin.factors.has(lin.id), "what the app has not shown does not count"
    code = pyotp.TOTP(setup.secret).at(world.clock.now())
    added = await lin.factors.add_totp(lin.id, lin.session, setup.setup, code, PAGE)
    assert added.recovery_codes is not None
    assert len(added.recovery_codes) == 10
    assert await lin.factors.has(lin.id)
    assert await refusal(lin.factors.add_totp(lin.id, lin.session, setup.setup, code, PAGE)) is Code.NOT_FOUND
    told = [body for kind, body in await world.news(lin.id) if kind == "factors_changed"]
    assert [(body["done"], body["name"]) for body in told] == [("added", "Phone")]


async def test_nothing_of_a_secret_lies_in_the_database(world: World) -> None:
    lin = await holder(world, "lin")
    await lin.add_app()
    for name in ("factors", "factor_setups", "recovery_codes", "proofs"):
        for row in await world.store.collection(name).find({}).to_list(None):
            assert lin.secret not in repr(row)
            assert not any(code in repr(row) or code.replace("-", "") in repr(row) for code in lin.codes)


async def test_a_further_factor_and_every_change_ask_for_a_proof(world: World) -> None:
    lin = await holder(world, "lin")
    first = await lin.add_app()
    again = Confirmation(password=PASSWORD)
    assert await refusal(lin.factors.begin_totp(lin.id, lin.session, "Second", again)) is Code.FACTOR_NEEDED
    assert await refusal(lin.factors.remove(lin.id, lin.session, first, "pf_" + "0" * 20)) is Code.FACTOR_NEEDED
    assert await refusal(lin.factors.renew_codes(lin.id, lin.session, "")) is Code.FACTOR_NEEDED
    key = Authenticator()
    for_an_app = await lin.prove(Purpose.FACTOR, action="add", what="totp")
    assert await refusal(lin.add_key(key, Confirmation(proof=for_an_app))) is Code.FACTOR_NEEDED
    second = await lin.add_key(key, Confirmation(proof=await lin.prove(Purpose.FACTOR, action="add", what="passkey")))
    codes = lin.codes
    for_another = await lin.prove(Purpose.FACTOR, action="remove", what=first)
    assert await refusal(lin.factors.remove(lin.id, lin.session, second, for_another)) is Code.FACTOR_NEEDED
    renewed = await lin.factors.renew_codes(
        lin.id, lin.session, await lin.prove(Purpose.FACTOR, action="codes", what="")
    )
    assert set(renewed.codes).isdisjoint(codes)
    await lin.factors.remove(lin.id, lin.session, second, await lin.prove(Purpose.FACTOR, action="remove", what=second))
    await lin.factors.remove(lin.id, lin.session, first, for_another)
    assert not await lin.factors.has(lin.id)
    left = await lin.factors.all_of(lin.id, PAGE)
    assert (left.factors, left.recovery_left) == ([], 0)


async def test_of_two_first_factors_the_second_needs_a_proof(world: World) -> None:
    """Both were begun with the password while there was none."""
    lin = await holder(world, "lin")
    confirmation = Confirmation(password=PASSWORD)
    one, two = [await lin.factors.begin_totp(lin.id, lin.session, "App", confirmation) for _ in range(2)]
    at = world.clock.now()
    await lin.factors.add_totp(lin.id, lin.session, one.setup, pyotp.TOTP(one.secret).at(at), PAGE)
    asked = lin.factors.add_totp(lin.id, lin.session, two.setup, pyotp.TOTP(two.secret).at(at), PAGE)
    assert await refusal(asked) is Code.FACTOR_NEEDED


async def test_a_setup_is_of_one_sign_in_and_lasts_ten_minutes(world: World) -> None:
    lin, chen = await holder(world, "lin"), await holder(world, "chen")
    setup = await lin.factors.begin_totp(lin.id, lin.session, "App", Confirmation(password=PASSWORD))
    code = pyotp.TOTP(setup.secret).at(world.clock.now())
    for person, session in ((chen.id, chen.session), (lin.id, "s_" + "0" * 20)):
        assert await refusal(lin.factors.add_totp(person, session, setup.setup, code, PAGE)) is Code.NOT_FOUND
    world.clock.ahead += timedelta(minutes=10)
    code = pyotp.TOTP(setup.secret).at(world.clock.now())
    assert await refusal(lin.factors.add_totp(lin.id, lin.session, setup.setup, code, PAGE)) is Code.NOT_FOUND


async def test_there_are_at_most_ten_factors(world: World) -> None:
    lin = await holder(world, "lin")
    await lin.add_app()
    rows = world.store.collection("factors")
    (row,) = await rows.find({}).to_list(None)
    await rows.insert_many(
        [{**row, "_id": f"f_{n}", "kind": "passkey", "credential": f"c{n}"} for n in range(1, MOST_FACTORS)]
    )
    for n in range(1, MOST_FACTORS):
        await rows.update_one({"_id": f"f_{n}"}, {"$unset": {"secret": ""}})
    proof = await lin.prove(Purpose.FACTOR, action="add", what="totp")
    asked = lin.factors.begin_totp(lin.id, lin.session, "One more", Confirmation(proof=proof))
    assert await refusal(asked) is Code.LIMIT_REACHED


# ── When things are lost ────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_recovery_code_changes_factors_once_and_moves_no_money(world: World) -> None:
    lin = await holder(world, "lin")
    first = await lin.add_app()
    code = lin.codes[3]
    money = await lin.begin()
    assert Method.RECOVERY not in money.methods
    asked = lin.proofs.make(lin.id, lin.session, money.id, Answer(recovery=code))
    assert await refusal(asked) is Code.WRONG_FACTOR
    change = await lin.begin(Purpose.FACTOR, action="remove", what=first)
    made = await lin.proofs.make(lin.id, lin.session, change.id, Answer(recovery=code.upper().replace("-", " ")))
    assert (await lin.factors.all_of(lin.id, PAGE)).recovery_left == 9
    again = await lin.begin(Purpose.FACTOR, action="remove", what=first)
    assert await refusal(lin.proofs.make(lin.id, lin.session, again.id, Answer(recovery=code))) is Code.WRONG_FACTOR
    await lin.factors.remove(lin.id, lin.session, first, made.id)
    told = [body["done"] for kind, body in await world.news(lin.id) if kind == "factors_changed"]
    assert told == ["added", "recovery_used", "removed"]


async def test_an_account_that_goes_takes_everything_along(world: World) -> None:
    lin = await holder(world, "lin")
    await lin.add_app()
    await lin.begin()
    await world.people.accounts.delete(lin.id, PASSWORD)
    for name in ("factors", "factor_setups", "recovery_codes", "proofs"):
        assert await world.store.collection(name).find({}).to_list(None) == []
