"""Receipts: what stands on one, in both languages, and the code by which anybody can tell that it is genuine. Pure.

The code names a transfer and one of the people whom it concerns, followed by the first 80 bits of an HMAC over both.
Nobody but this installation can make one, and a receipt needs no row of its own: what it says stands in the journal.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Meta

from server.money.model import DECIMALS, Currency, TransferKind
from server.people.model import Language

ReceiptCode = Annotated[str, Meta(pattern=r"^[0-9a-hjkmnp-tv-z]{36}$", max_length=36)]
_ID = 20  # characters of a transfer's id after `t_`
_PROOF = 16  # characters of 5 bits
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


class Notary:
    """Makes and reads codes with a key of its own, derived from one that never changes."""

    def __init__(self, secret: bytes) -> None:
        self._key = HKDF(hashes.SHA256(), 32, salt=None, info=b"vouch receipt").derive(secret)

    def code(self, transfer: str, person: str) -> str:
        """36 characters: who reads it aloud needs no capitals."""
        return transfer.removeprefix("t_") + self._proof(transfer, person)

    def transfer(self, code: str) -> str:
        """The transfer that a code names; whether it is genuine is told by `holder`."""
        return "t_" + code[:_ID]

    def holder(self, code: str, people: list[str]) -> str | None:
        """For whom of these the receipt was made; None for a forged one."""
        transfer, given = self.transfer(code), code[_ID:]
        found = [person for person in people if hmac.compare_digest(self._proof(transfer, person), given)]
        return found[0] if found else None

    def _proof(self, transfer: str, person: str) -> str:
        digest = hmac.new(self._key, f"{transfer}:{person}".encode(), hashlib.sha256).digest()
        bits = int.from_bytes(digest[:10], "big")
        return "".join(_ALPHABET[bits >> shift & 31] for shift in range(5 * (_PROOF - 1), -1, -5))


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What stands on one: texts in its language, ready to be drawn. `rows` are labels with their texts, `address` is
    behind the QR code, `small` stands below."""

    language: Language
    title: str
    amount: str
    what: str
    rows: list[tuple[str, str]]
    check: str
    address: str
    small: list[str]


class Party(msgspec.Struct, frozen=True):
    """Whom money came from, or went to. A person has a `name`; else it is a `provider`, or a `place` (`held`,
    `department`, `platform`, `elsewhere`)."""

    name: str = ""
    provider: str = ""
    place: str = ""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger knows of it. `amount` over 0, in minor units; `zone` is the holder's time zone; `test`: no real
    money; `payment` and `reference` are the ids of the order here and at its provider."""

    code: str
    origin: str
    transfer: str
    kind: TransferKind
    amount: int
    currency: Currency
    at: datetime
    zone: str
    holder: str
    payers: list[Party]
    payees: list[Party]
    beneficiary: str = ""
    note: str = ""
    payment: str = ""
    reference: str = ""
    test: bool = False


_SIGN = {
    Currency.CNY: "¥",
    Currency.HKD: "HK$",
    Currency.TWD: "NT$",
    Currency.JPY: "¥",
    Currency.SGD: "S$",
    Currency.USD: "$",
    Currency.EUR: "€",
    Currency.GBP: "£",
}


def money_text(amount: int, currency: Currency) -> str:
    """`¥1,250.00 CNY`: with the sign people know and the code that leaves no doubt. Exact for any integer."""
    sign = "−" if amount < 0 else ""
    whole, minor = divmod(abs(amount), 10 ** DECIMALS[currency])
    decimals = f".{minor:0{DECIMALS[currency]}d}" if DECIMALS[currency] else ""
    return f"{sign}{_SIGN[currency]}{whole:,}{decimals} {currency.value}"


def moment_text(at: datetime, zone: str, language: Language) -> str:
    """`22 November 2026, 21:00 (Europe/London)` or `2026年11月22日 周日 21:00（Asia/Shanghai）`."""
    there = at.astimezone(ZoneInfo(zone))
    if language is Language.CHINESE:
        day = "一二三四五六日"[there.weekday()]
        return f"{there.year}年{there.month}月{there.day}日 周{day} {there:%H:%M}（{zone}）"
    return f"{there.day} {_MONTHS[there.month - 1]} {there.year}, {there:%H:%M} ({zone})"


_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """What stands on every receipt of a language."""

    title: str
    kinds: dict[TransferKind, str]
    payers: str
    payees: str
    beneficiary: str
    note: str
    at: str
    holder: str
    transfer: str
    payment: str
    reference: str
    providers: dict[str, str]
    held: str
    department: str
    platform: str
    elsewhere: str
    deleted: str
    check: str
    test: str
    ledger: str
    comma: str


WORDS = {
    Language.ENGLISH: Words(
        title="Receipt",
        kinds={
            TransferKind.TOP_UP: "Top-up",
            TransferKind.PAYMENT: "Payment",
            TransferKind.HOLD: "Set aside",
            TransferKind.RELEASE: "Released from what was set aside",
            TransferKind.REFUND: "Given back from what was set aside",
            TransferKind.SPLIT: "Divided from what was set aside",
            TransferKind.SENT_BACK: "Top-up sent back",
            TransferKind.PAY_OUT: "Pay-out",
            TransferKind.FEE: "Fee",
            TransferKind.CLAW_BACK: "Taken back",
            TransferKind.SETTLE_CLAIM: "Debt settled",
            TransferKind.CHARGE_BACK: "Taken back by the bank",
            TransferKind.ADJUSTMENT: "Correction",
        },
        payers="From",
        payees="To",
        beneficiary="For",
        note="Note",
        at="When",
        holder="Issued to",
        transfer="Transfer",
        payment="Payment",
        reference="Provider's reference",
        providers={"sandbox": "Practice Pay", "stripe": "Stripe", "alipay": "Alipay"},
        held="set aside",
        department="the staff department",
        platform="Vouch",
        elsewhere="outside",
        deleted="a deleted account",
        check="Scan this to see whether the receipt is genuine. Its code:",
        test="Play money: no real money was moved.",
        ledger="Made from the ledger, in which nothing is changed afterwards.",
        comma=", ",
    ),
    Language.CHINESE: Words(
        title="收据",
        kinds={
            TransferKind.TOP_UP: "充值",
            TransferKind.PAYMENT: "付款",
            TransferKind.HOLD: "留出",
            TransferKind.RELEASE: "从留出款放行",
            TransferKind.REFUND: "留出款退回",
            TransferKind.SPLIT: "留出款分配",
            TransferKind.SENT_BACK: "充值退回",
            TransferKind.PAY_OUT: "提现",
            TransferKind.FEE: "手续费",
            TransferKind.CLAW_BACK: "收回",
            TransferKind.SETTLE_CLAIM: "还欠款",
            TransferKind.CHARGE_BACK: "被银行收回",
            TransferKind.ADJUSTMENT: "更正",
        },
        payers="付款方",
        payees="收款方",
        beneficiary="受益人",
        note="备注",
        at="时间",
        holder="开给",
        transfer="流水号",
        payment="支付单号",
        reference="支付平台单号",
        providers={"sandbox": "练习付", "stripe": "Stripe", "alipay": "支付宝"},
        held="留出",
        department="工作人员账户",
        platform="守约平台",
        elsewhere="外部",
        deleted="已注销的账号",
        check="扫码可查真伪。查验码：",
        test="游戏币，没有真实资金往来。",
        ledger="由账本生成，账本里的记录事后不会改动。",
        comma="，",
    ),
}


def receipt(facts: Facts, language: Language) -> Receipt:
    """The texts of a receipt."""
    words = WORDS[language]
    rows = [
        (words.payers, words.comma.join(_party(party, words) for party in facts.payers)),
        (words.payees, words.comma.join(_party(party, words) for party in facts.payees)),
        (words.beneficiary, facts.beneficiary),
        (words.note, facts.note),
        (words.at, moment_text(facts.at, facts.zone, language)),
        (words.holder, facts.holder),
        (words.transfer, facts.transfer),
        (words.payment, facts.payment),
        (words.reference, facts.reference),
    ]
    return Receipt(
        language=language,
        title=words.title,
        amount=money_text(facts.amount, facts.currency),
        what=words.kinds[facts.kind],
        rows=[(label, text) for label, text in rows if text],
        check=words.check,
        address=f"{facts.origin}/receipts/{facts.code}",
        small=[" ".join(facts.code[at : at + 4] for at in range(0, len(facts.code), 4)), words.ledger]
        + ([words.test] if facts.test else []),
    )


def _party(party: Party, words: Words) -> str:
    places = {
        "held": words.held,
        "department": words.department,
        "platform": words.platform,
        "elsewhere": words.elsewhere,
    }
    place = places.get(party.place, "")
    name = party.name or words.providers.get(party.provider, party.provider)
    if name and place:
        return f"{name} ({place})" if words.comma == ", " else f"{name}（{place}）"
    return name or place or words.deleted
