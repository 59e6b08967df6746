"""Whether those who are to take and pay money know us."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import msgspec

from server.clock import SystemClock
from server.doctor.findings import Finding, ok, problem, warning
from server.errors import StartupError
from server.ids import new_id
from server.keys import Keys
from server.money.model import Currency
from server.payments import providers
from server.payments.model import Order, OrderKind, OrderState
from server.payments.provider import PaymentProvider, ProviderFault
from server.payments.repo import OrdersRepo
from server.settings import Settings
from server.store import Store

#: how long an order may wait for its provider
_LATE = timedelta(minutes=15)
_SETTINGS = {"stripe": "VOUCH_STRIPE_KEY", "alipay": "VOUCH_ALIPAY_APP_ID and VOUCH_ALIPAY_KEY"}


async def examine(settings: Settings, keys: Keys | None) -> list[Finding]:
    """One finding or more for each provider of the settings. Stripe and Alipay are asked for something that is not
    there; nothing is begun."""
    if not settings.providers:
        return [ok("payments", "Nobody takes or pays money here (VOUCH_PAYMENTS).")]
    found: list[Finding] = []
    public = any(origin.startswith("https://") for origin in settings.public_origins)
    if "sandbox" in settings.providers:
        found.append(_play_money(settings, public))
    for name in settings.providers:
        if name not in providers.PROVIDERS:
            hint = f"There are {', '.join(providers.PROVIDERS)}."
            found.append(problem("payments", f"VOUCH_PAYMENTS names {name}, which does not exist.", hint))
        elif name != "sandbox" and keys is not None:
            found += await _real(name, settings, keys, public)
    return found


async def orders(store: Store) -> list[Finding]:
    """What waits for providers, and what for people."""
    found, now = await OrdersRepo(store, [bytes(32)]).unfinished(), datetime.now(UTC)
    late = [one for one in found if one.state is OrderState.WAITING and now - one.changed_at > _LATE]
    resting = sum(one.resting for one in found)
    findings = []
    for name, count in sorted(Counter(one.provider for one in late).items()):
        mine = [one for one in late if one.provider == name]
        since = (now - min(one.changed_at for one in mine)).total_seconds() / 60
        fault = ", ".join(sorted({one.fault for one in mine if one.fault})) or "not asked yet"
        text = f"{count} payment(s) wait for {name}, the first for {since:.0f} minutes ({fault})."
        remedy = "Nothing is lost: it is asked again and again. Is it reachable, and named in VOUCH_PAYMENTS?"
        findings.append(warning("payment_orders", text, remedy))
    if resting:
        text = f"{resting} payment(s) rest: a provider did something else than it was asked."
        findings.append(warning("payment_orders", text, "The finance desk decides (Reconciliation)."))
    return findings or [ok("payment_orders", f"{len(found)} payment(s) are under way, and none waits for long.")]


def _play_money(settings: Settings, public: bool) -> Finding:
    if public or len(settings.providers) > 1:
        return warning(
            "payments",
            "Play money is taken here: anybody can top up as much as they like.",
            "Name real providers in VOUCH_PAYMENTS, or leave it empty (docs/payments.md).",
        )
    return ok("payments", "Play money is taken here, no other.")


async def _real(name: str, settings: Settings, keys: Keys, public: bool) -> list[Finding]:
    finding = f"payments_{name}"
    alone = msgspec.structs.replace(settings, payments=(name,))
    try:
        provider = providers.build(providers.Surroundings(alone, keys, SystemClock()))[name]
    except StartupError as error:
        return [problem(finding, error.message, error.hint or "See docs/operations.md.")]
    try:
        found = [await _known(name, provider)]
    finally:
        await provider.close()
    if not public:
        found.append(
            warning(
                finding,
                f"{name.title()} cannot tell us of payments: no public origin is https. We ask instead, later.",
                "Name the address in VOUCH_PUBLIC_ORIGINS.",
            )
        )
    if name == "alipay" and (settings.alipay_certificate is None or settings.alipay_root_certificate is None):
        found.append(
            warning(
                finding,
                "Without certificates Alipay takes money and gives it back, but makes no pay-outs.",
                "Set VOUCH_ALIPAY_CERTIFICATE and VOUCH_ALIPAY_ROOT_CERTIFICATE (docs/operations.md).",
            )
        )
    if name == "stripe" and "_test_" in settings.stripe_key:
        found.append(
            warning(finding, "Stripe's key is one for tests: no real money moves.", "Use a live key in earnest.")
        )
    return found


async def _known(name: str, provider: PaymentProvider) -> Finding:
    finding, said = f"payments_{name}", name.title()
    try:
        await provider.find(_nothing(name))
    except ProviderFault as fault:
        match fault.code:
            case "credentials":
                return problem(finding, f"{said} does not accept who we say we are.", f"Correct {_SETTINGS[name]}.")
            case "forged_answer":
                remedy = "VOUCH_ALIPAY_PUBLIC_KEY must be Alipay's key, not the app's own."
                return problem(finding, f"The signature of {said}'s answer does not hold.", remedy)
            case _:
                remedy = "Can this machine reach it? It is tried again and again; nothing is lost."
                return warning(finding, f"{said} does not answer as it should ({fault.code}).", remedy)
    return ok(finding, f"{said} answers and knows us.")


def _nothing(provider: str) -> Order:
    """A charge that was never asked for."""
    now = SystemClock().now()
    return Order(
        id=new_id("y"),
        kind=OrderKind.CHARGE,
        provider=provider,
        person="",
        amount=100,
        currency=Currency.CNY,
        state=OrderState.WAITING,
        by="system",
        created_at=now,
        changed_at=now,
    )
