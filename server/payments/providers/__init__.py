"""Those who take and pay money for us, each behind the contract of server/payments/provider.py.

A provider is a module here with `build(surroundings) -> PaymentProvider`, named in PROVIDERS; it is imported only where
the setting `payments` names it, because the clients of some third parties take a second to load.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import cast

import msgspec

from server.clock import Clock
from server.errors import StartupError
from server.keys import Keys
from server.payments.provider import PaymentProvider
from server.settings import Settings

#: name → the module that has `build`
PROVIDERS: dict[str, str] = {
    "sandbox": "server.payments.providers.sandbox",
    "stripe": "server.payments.providers.stripe",
    "alipay": "server.payments.providers.alipay",
}


class Surroundings(msgspec.Struct, frozen=True):
    """What a provider is built from."""

    settings: Settings
    keys: Keys
    clock: Clock


def build(surroundings: Surroundings) -> dict[str, PaymentProvider]:
    """The providers that the settings name, in that order. Raises StartupError for one that is unknown, or whose
    settings do not suffice (each module says which)."""
    return {name: _module(name)(surroundings) for name in surroundings.settings.providers}


def _module(name: str) -> Callable[[Surroundings], PaymentProvider]:
    if name not in PROVIDERS:
        raise StartupError(
            "bad_setting", f"VOUCH_PAYMENTS names {name!r}.", hint=f"There are {', '.join(sorted(PROVIDERS))}."
        )
    return cast("Callable[[Surroundings], PaymentProvider]", importlib.import_module(PROVIDERS[name]).build)
