"""The SDK of Stripe on our event loop, and its faults in our words."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Mapping
from typing import Any

import msgspec
import stripe

from server.payments.provider import ProviderFault
from server.payments.providers.line import Line, Silence

_BUSY = frozenset({"idempotency_key_in_use", "lock_timeout"})
_OVER = frozenset({"charge_already_refunded", "amount_too_large"})

stripe.enable_telemetry = False
logging.getLogger("stripe").setLevel(logging.WARNING)  # below it writes what was asked and answered


class Wire(stripe.HTTPClient):
    """The SDK's requests on our loop."""

    name = "tornado"

    def __init__(self, line: Line) -> None:
        super().__init__()
        self._line = line

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        body = post_data.encode() if isinstance(post_data, str) else post_data
        try:
            answer = await self._line.request(method.upper(), url, headers, body)
        except Silence as silence:
            error: Any = stripe.APIConnectionError  # not typed
            raise error(str(silence), code=silence.code, should_retry=True) from None
        if answer.status < 500:
            try:
                msgspec.json.decode(answer.body, type=dict[str, msgspec.Raw])
            except (msgspec.DecodeError, RecursionError):  # the SDK would stumble over it
                raise stripe.APIError("no object", http_status=answer.status) from None
        return answer.body, answer.status, answer.headers

    def sleep_async(self, secs: float) -> Awaitable[None]:
        return asyncio.sleep(secs)


def fault_of(error: stripe.StripeError, *, over: bool) -> ProviderFault:
    """Certain is only what Stripe says of this very request. Wrong keys, too many requests and faults of its own say
    nothing of an earlier try."""
    if isinstance(error, stripe.APIConnectionError):
        return ProviderFault(error.code or "down", certain=False)
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        return ProviderFault("credentials", certain=False)
    if isinstance(error, stripe.RateLimitError) or error.http_status == 409 or error.code in _BUSY:
        return ProviderFault("busy", certain=False)
    if error.code == "balance_insufficient":  # for a day the same key is answered with the same refusal
        return ProviderFault("no_funds", certain=True)
    if isinstance(error, stripe.IdempotencyError):
        return ProviderFault("conflict", certain=True)
    if isinstance(error, stripe.CardError):
        return ProviderFault("declined", certain=True)
    if isinstance(error, stripe.InvalidRequestError):
        return ProviderFault("over_refund" if over and _is_over(error) else "refused", certain=True)
    return ProviderFault("down" if (error.http_status or 0) >= 500 else "unknown", certain=False)


def _is_over(error: stripe.InvalidRequestError) -> bool:
    return error.code in _OVER or error.param == "amount"
