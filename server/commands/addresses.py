"""Where the hub can be opened."""

from __future__ import annotations

from server import tls
from server.settings import Settings


def urls(settings: Settings, port: int) -> list[str]:
    """From this machine first, then from the network."""
    everywhere = settings.host in ("0.0.0.0", "::", "")  # noqa: S104 - compared, not listened on
    hosts = ["127.0.0.1", *tls.lan_addresses()] if everywhere else [settings.host]
    return [f"{settings.scheme}://{bracketed(host)}:{port}" for host in hosts]


def bracketed(host: str) -> str:
    """An address as URLs and nginx write it."""
    return f"[{host}]" if ":" in host else host
