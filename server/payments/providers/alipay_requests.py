"""What is asked of Alipay, in the words of its official SDK: for each interface it has a model and a request."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_SDK = "alipay.aop.api"


def request(interface: str, **fields: object) -> Any:
    """The request of an interface such as `TradeRefund` (alipay.trade.refund). Raises AttributeError for a field that
    the interface does not have; fields that are None are left out."""
    model = _made(f"{_SDK}.domain.Alipay{interface}Model")
    for name, value in fields.items():
        getattr(model, name)
        setattr(model, name, value)
    return _made(f"{_SDK}.request.Alipay{interface}Request", model)


def _made(path: str, *arguments: object) -> Any:
    return getattr(import_module(path), path.rpartition(".")[2])(*arguments)
