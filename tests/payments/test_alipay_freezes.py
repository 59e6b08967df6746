"""Money that is frozen at Alipay: captured in parts, given back, asked for twice and taken back."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from server.payments.model import OrderKind
from server.payments.provider import ProviderFault
from server.payments.providers.alipay_freezes import FreezeState
from tests.payments.alipay_side import AlipaySide, app_key, gateway, other_key, side, there
from tests.payments.contract import make

__all__ = ["app_key", "gateway", "other_key", "side", "there"]


async def test_what_is_frozen_is_captured_in_parts_and_the_rest_goes_back(side: AlipaySide) -> None:
    freezes, id = side.provider.freezes, make(side).id
    asked = await freezes.freeze(id, 100_00, "自习室押金")
    assert (asked.state, asked.amount) == (FreezeState.OPEN, 100_00)
    assert await freezes.freeze(id, 100_00, "自习室押金") == asked
    side.gateway.agree(asked.url or "")
    notice = side.provider.read_notice({}, side.gateway.sent[-1], datetime.now(UTC))
    assert notice is not None
    assert (notice.kind, notice.order) == (OrderKind.CHARGE, id)
    frozen = await freezes.find(id)
    assert frozen is not None
    assert (frozen.state, frozen.rest, frozen.captured) == (FreezeState.FROZEN, 100_00, 0)

    part = make(side).id
    captured = await freezes.capture(part, frozen, 30_00, "迟到", last=False)
    assert (captured.amount, captured.done) == (30_00, True)
    assert await freezes.capture(part, frozen, 30_00, "迟到", last=False) == captured
    with pytest.raises(ProviderFault) as caught:
        await freezes.capture(make(side).id, frozen, 70_01, "too much", last=False)
    assert caught.value.certain

    back = make(side).id
    left = await freezes.unfreeze(back, frozen, 20_00, "按时归还")
    assert (left.rest, left.captured) == (50_00, 30_00)
    assert (await freezes.unfreeze(back, frozen, 20_00, "按时归还")).rest == 50_00
    with pytest.raises(ProviderFault) as caught:
        await freezes.unfreeze(make(side).id, frozen, 50_01, "too much")
    assert caught.value.certain

    await freezes.capture(make(side).id, frozen, 10_00, "last", last=True)
    ended = await freezes.find(id)
    assert ended is not None
    assert (ended.state, ended.captured, ended.rest) == (FreezeState.ENDED, 40_00, 0)


async def test_a_capture_whose_answer_was_lost_is_one(side: AlipaySide) -> None:
    freezes, id = side.provider.freezes, make(side).id
    side.gateway.agree((await freezes.freeze(id, 50_00, "deposit")).url or "")
    frozen = await freezes.find(id)
    assert frozen is not None
    part = make(side).id
    side.gateway.lose = 1
    with pytest.raises(ProviderFault) as caught:
        await freezes.capture(part, frozen, 20_00, "part", last=False)
    assert not caught.value.certain
    assert (await freezes.capture(part, frozen, 20_00, "part", last=False)).done
    after = await freezes.find(id)
    assert after is not None
    assert (after.captured, after.rest) == (20_00, 30_00)


async def test_a_question_is_taken_back_and_what_nobody_froze_is_not_captured(side: AlipaySide) -> None:
    freezes, id = side.provider.freezes, make(side).id
    assert await freezes.find(id) is None
    asked = await freezes.freeze(id, 50_00, "deposit")
    for step in (
        freezes.capture(make(side).id, asked, 1_00, "early", last=False),
        freezes.unfreeze(make(side).id, asked, 1_00, "early"),
    ):
        with pytest.raises(ProviderFault) as caught:
            await step
        assert (caught.value.code, caught.value.certain) == ("not_frozen", True)
    assert (await freezes.cancel(asked)).state is FreezeState.ENDED
    with pytest.raises(ProviderFault) as caught:
        await freezes.freeze(id, 60_00, "another amount")
    assert caught.value.certain
