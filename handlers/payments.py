"""What payment providers send us."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from handlers.operations import Binary, Call, Signed, operation
from server.errors import Code
from server.principals import ANYBODY

TAG = "payments"

ProviderName = Annotated[str, Meta(pattern=r"^[a-z]{1,32}$")]


@operation(
    "POST",
    "/payments/notices/{provider}",
    allow=ANYBODY,
    tag=TAG,
    errors=(Code.NOT_FOUND, Code.TOO_OFTEN),
    accepts=("application/json", "application/x-www-form-urlencoded"),
    produces="text/plain",
)
async def payment_notice(call: Call, provider: ProviderName, body: Signed) -> Binary:
    """Tell of a payment.

    For payment providers, which sign what they send (docs/payments.md). A notice may come late, twice and in any order:
    it makes us ask the provider. The answer is the word `success`. What is not signed as it should be is `forbidden`.
    """
    await call.services.payments.notice(provider, body.headers, body.data, call.ip)
    return Binary("text/plain", b"success")


OPERATIONS = [payment_notice]
