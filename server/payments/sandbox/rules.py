"""What the platform allows, and how it signs and repeats its notices. Pure: no clock, no I/O."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import msgspec

from server.payments.sandbox.model import Currency, Movement, Refusal, RefusalCode, State, Troubles

#: the least and the most of one charge or pay-out, in minor units
TERMS: dict[Currency, tuple[int, int]] = {
    Currency.CNY: (1, 5_000_000),
    Currency.HKD: (1, 5_000_000),
    Currency.TWD: (1, 20_000_000),
    Currency.JPY: (1, 1_000_000),
    Currency.SGD: (1, 1_000_000),
    Currency.USD: (1, 1_000_000),
    Currency.EUR: (1, 1_000_000),
    Currency.GBP: (1, 1_000_000),
}
#: how many decimals people write, and the sign before them
DECIMALS: dict[Currency, int] = {currency: 0 if currency is Currency.JPY else 2 for currency in Currency}
SIGNS: dict[Currency, str] = {
    Currency.CNY: "¥",
    Currency.HKD: "HK$",
    Currency.TWD: "NT$",
    Currency.JPY: "JP¥",
    Currency.SGD: "S$",
    Currency.USD: "US$",
    Currency.EUR: "€",
    Currency.GBP: "£",
}
#: milliseconds by which a notice is held back so that the next one overtakes it
OVERTAKEN_BY = 3_000
#: the name of the header with time and signature of a notice
SIGNATURE = "Practice-Signature"
_LONGEST_PAUSE = 300_000
#: what comes into a header must not mean more there
_PLAIN_HOST = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
#: tries after which a notice is given up: with the pauses above, a bit more than three days
MOST_TRIES = 900


def check_amount(amount: int, currency: Currency) -> None:
    """Raises Refusal `amount_limit`."""
    least, most = TERMS[currency]
    if not least <= amount <= most:
        raise Refusal(RefusalCode.LIMIT, f"{currency} from {least} to {most}")


def check_return_url(url: str) -> None:
    """Raises Refusal for what no browser should be sent to."""
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and _PLAIN_HOST.fullmatch(parts.netloc) is not None
    except ValueError:
        fine = False
    if not fine or not url.isascii() or not url.isprintable() or " " in url:
        raise Refusal(RefusalCode.BAD_REQUEST, "return_url is no address of a page")


def check_refund(charge: Movement, amount: int, currency: Currency) -> None:
    """Raises Refusal unless so much of the charge can go back."""
    if charge.currency is not currency:
        raise Refusal(RefusalCode.CURRENCY, f"the charge was in {charge.currency}")
    if charge.state is not State.DONE:
        raise Refusal(RefusalCode.NOT_PAID, f"the charge is {charge.state}")
    if amount > charge.left:
        raise Refusal(RefusalCode.OVER_REFUND, f"{charge.left} is left of the charge")


def closed_account(destination: Mapping[str, str]) -> str | None:
    """The fault of a pay-out to a number that ends in 0000: such accounts are closed, for those who try that."""
    return "account_closed" if any(value.endswith("0000") for value in destination.values()) else None


def page_origin(return_url: str, scheme: str, port: int) -> str:
    """Where a payer's browser reaches this platform: under the host by which it reached the merchant."""
    host = urlsplit(return_url).hostname or "127.0.0.1"
    try:
        bracketed = f"[{host}]" if ipaddress.ip_address(host).version == 6 else host
    except ValueError:
        bracketed = host
    return f"{scheme}://{bracketed}:{port}"


def origin_of(url: str) -> str:
    """Scheme, host and port of an address that `check_return_url` let pass."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def signature(secret: str, at: int, body: bytes) -> str:
    """The header's value: seconds since 1970 and the HMAC-SHA256 over `seconds.body`."""
    made = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={made}"


def deliveries(troubles: Troubles, number: int) -> tuple[Sequence[int], Troubles]:
    """After how many milliseconds the copies of notice `number` go out – none for one that is lost – and the trouble
    that is left."""
    if troubles.lose:
        return (), fewer(troubles, "lose")
    wait = round(troubles.delay * 1_000)
    if troubles.reorder and number % 2:
        wait += OVERTAKEN_BY
    return (wait,) * troubles.copies, troubles


def pause(tries: int, first: int) -> int:
    """Milliseconds until the next try after so many that failed: twice as long each time, five minutes at most."""
    return int(min(first * 2 ** min(tries - 1, 30), _LONGEST_PAUSE))


def fewer(troubles: Troubles, count: str) -> Troubles:
    """The trouble that is left after one of `count` took effect."""
    return msgspec.structs.replace(troubles, **{count: max(0, getattr(troubles, count) - 1)})


def spelled(amount: int, currency: Currency) -> str:
    """As people read it: ¥1,250.00."""
    decimals = DECIMALS[currency]
    whole, rest = divmod(amount, 10**decimals)
    return f"{SIGNS[currency]}{whole:,}" + (f".{rest:0{decimals}d}" if decimals else "")
