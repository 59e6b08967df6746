"""https on the local network: a certificate for this machine's names and addresses, signed by the local authority.

Browsers give camera and microphone to secure pages only, and a phone reaches the hub under an address for which
nobody sells certificates. So the phone is asked once to trust the authority of this installation (page /trust).
"""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import ifaddr

from server import certificates
from server.data_directory import startup_errors
from server.keys import Keys


def lan_addresses() -> list[str]:
    """The addresses by which other machines may reach this one: private IPv4 first, then the rest, no loopback."""
    found: list[ipaddress.IPv4Address | ipaddress.IPv6Address] = []
    for adapter in ifaddr.get_adapters():
        for entry in adapter.ips:
            address = ipaddress.ip_address(entry.ip if isinstance(entry.ip, str) else entry.ip[0].partition("%")[0])
            if not (address.is_loopback or address.is_link_local or address.is_multicast):
                found.append(address)
    found.sort(key=lambda a: (a.version, not a.is_private, int(a)))
    return [str(address) for address in dict.fromkeys(found)]


def server_names(public_origins: Sequence[str] = ()) -> list[str]:
    """Every name and address that the certificate is to be good for, sorted."""
    names = {"localhost", "127.0.0.1", "::1", *lan_addresses()}
    host = socket.gethostname().split(".")[0].lower()
    if host.isascii() and host.replace("-", "").isalnum():
        names |= {host, f"{host}.local"}
    names |= {name for origin in public_origins if (name := urlsplit(origin).hostname)}
    return sorted(names)


def server_context(keys: Keys, directory: Path, names: Sequence[str], at: datetime) -> ssl.SSLContext:
    """A context for the server with the certificate in `directory`, renewed when it is due or does not fit.

    Raises StartupError when the directory cannot be written.
    """
    path = directory / "server.pem"
    with startup_errors(directory):
        directory.mkdir(mode=0o700, exist_ok=True)
        if not _fits(path, keys, names, at):
            key = certificates.private_key_pem()
            certificate = certificates.server_certificate(key, keys.ca_key, keys.ca_cert, names, at)
            temporary = path.with_suffix(".new")
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(key + certificate)
            temporary.replace(path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(path)
    return context


def _fits(path: Path, keys: Keys, names: Sequence[str], at: datetime) -> bool:
    try:
        pem = path.read_bytes()
        return (
            set(names) <= certificates.names_of(pem)
            and not certificates.due_for_renewal(pem, at)
            and certificates.signed_by(pem, keys.ca_cert)
        )
    except (OSError, ValueError):
        return False
