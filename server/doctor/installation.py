"""The settings, the data directory, the secrets, and how the hub is reached."""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import socket
import ssl
import stat
from collections.abc import Mapping
from datetime import UTC, datetime
from http.client import HTTPException
from urllib.parse import urlsplit
from urllib.request import urlopen

from cryptography import x509

from server import certificates, preflight, tls
from server.data_directory import LEAST_FREE_BYTES
from server.doctor.findings import Finding, ok, problem, warning
from server.errors import StartupError
from server.keys import FILES, Keys, load_keys
from server.settings import Settings, unknown_variables

#: below this many free bytes it is time to do something
LOW_FREE_BYTES = 10 * LEAST_FREE_BYTES
_PATIENCE = 3.0  # seconds, for an answer on the network


def variables(environ: Mapping[str, str] = os.environ) -> Finding:
    unknown = unknown_variables(environ)
    if unknown:
        return warning("variables", f"Nothing reads {', '.join(unknown)}.", "Correct the names (docs/operations.md).")
    return ok("variables", "Every VOUCH_ variable is known.")


def exposure(settings: Settings) -> list[Finding]:
    """Whether what the world sees fits what the server believes of it."""
    found: list[Finding] = []
    everybody = [
        proxy for proxy in settings.trusted_proxies if ipaddress.ip_network(proxy, strict=False).prefixlen == 0
    ]
    if everybody:
        found.append(
            problem(
                "trusted_proxies",
                f"VOUCH_TRUSTED_PROXIES={everybody[0]} lets everybody claim any address, and so escape the limits.",
                "Name the addresses of the proxies only.",
            )
        )
    secure = [origin for origin in settings.public_origins if origin.startswith("https://")]
    plain = [o for o in settings.public_origins if o.startswith("http://") and not _local(urlsplit(o).hostname or "")]
    if plain:
        found.append(
            warning("public_origins", f"{plain[0]} is not encrypted.", "Use https:// in VOUCH_PUBLIC_ORIGINS.")
        )
    if secure and not settings.tls and not settings.trusted_proxies:
        found.append(
            problem(
                "trusted_proxies",
                f"{secure[0]} is served by a proxy that is not trusted: cookies are not marked Secure, and all people "
                "share the limits of its address.",
                "Name the proxy's address in VOUCH_TRUSTED_PROXIES.",
            )
        )
    if not settings.tls and not settings.trusted_proxies and not _local(settings.host):
        found.append(
            problem(
                "exposure",
                f"The hub listens on {settings.host} without encryption: passwords can be read on the way.",
                "Use --tls, or listen on 127.0.0.1 behind a proxy with a certificate.",
            )
        )
    return found or [ok("exposure", "Address, origins and proxies fit together.")]


def _local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def data_directory(settings: Settings) -> Finding:
    path = settings.data_dir
    if not path.exists():
        above = next(parent for parent in path.parents if parent.exists())
        if not os.access(above, os.W_OK | os.X_OK):
            return problem("data_directory", f"{path} cannot be made: {above} is not writable.", "Use --data-dir.")
        return ok("data_directory", f"{path} is not there yet; the first start makes it.")
    mode = stat.S_IMODE(path.stat().st_mode)
    if not path.is_dir() or not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        return problem(
            "data_directory", f"{path} cannot be used by this user.", f"chown -R $(id -un) {path}, or run as its owner."
        )
    if path.stat().st_uid != os.geteuid():
        return warning("data_directory", f"{path} belongs to another user.", f"chown -R $(id -un) {path}")
    if mode & 0o077:
        return problem("data_directory", f"{path} is open to others (mode {mode:o}).", f"chmod 700 {path}")
    return ok("data_directory", f"{path} is private and can be written.")


def disk_space(settings: Settings, free: int | None = None) -> Finding:
    above = next(path for path in (settings.data_dir, *settings.data_dir.parents) if path.exists())
    free = shutil.disk_usage(above).free if free is None else free
    said = f"{free / 2**30:.1f} GB are free on the disk of {settings.data_dir}."
    if free < LEAST_FREE_BYTES:
        return problem(
            "disk_space", said, f"Make room: the server does not start with less than {LEAST_FREE_BYTES >> 20} MB."
        )
    if free < LOW_FREE_BYTES:
        return warning("disk_space", said, "Make room soon: a full disk stops the database.")
    return ok("disk_space", said)


def secrets(settings: Settings) -> tuple[Finding, Keys | None]:
    """Nothing is made here: what is missing stays missing."""
    directory = settings.secrets_path
    there = [name for name in FILES if (directory / name).exists()]
    if not there:
        return ok("secrets", f"There are no secrets in {directory} yet; the first start makes them."), None
    missing = [name for name in FILES if name not in there]
    if missing:
        verdict = problem if {"cookie", "field", "blind"} & set(missing) else warning
        remedy = "Restore them from a backup; the next start makes new ones, which cannot read what is stored."
        return verdict("secrets", f"Missing in {directory}: {', '.join(missing)}.", remedy), None
    try:
        keys = load_keys(directory)
    except StartupError as error:
        return problem("secrets", error.message, error.hint or ""), None
    unfinished = [name for name in ("cookie", "field", "blind") if len(getattr(keys, name).keys) > 1]
    if unfinished:
        remedy = "`python -m server secrets show` tells how far; `secrets rotate NAME` takes the next step."
        return warning("secrets", f"Being changed: {', '.join(unfinished)}.", remedy), keys
    return ok("secrets", f"The secrets in {directory} are complete and private."), keys


def port(settings: Settings) -> Finding:
    if settings.port == 0:
        return ok("port", "A free port is taken at each start.")
    if _answers(settings):
        state = _readiness(settings)
        if state is None:
            remedy = "Stop what uses it, or choose another with --port."
            return problem("port", f"Port {settings.port} is taken by something else.", remedy)
        if "away" in state.values():
            return problem("port", f"A Vouch on port {settings.port} is not ready: {state}.", "See its log.")
        return ok("port", f"A Vouch answers on port {settings.port}, and is ready.")
    try:
        for listening in preflight.listen(settings.host, settings.port):
            listening.close()
    except StartupError as error:
        return problem("port", error.message, error.hint or "")
    return ok("port", f"Port {settings.port} is free.")


def _reachable(settings: Settings) -> str:
    """The address at which this machine reaches what listens."""
    return "127.0.0.1" if settings.host in ("0.0.0.0", "::", "") else settings.host  # noqa: S104 - compared


def _answers(settings: Settings) -> bool:
    try:
        socket.create_connection((_reachable(settings), settings.port), timeout=_PATIENCE).close()
    except OSError:
        return False
    return True


def _readiness(settings: Settings) -> dict[str, str] | None:
    """What a Vouch on the port says of itself; None when it is none."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # who it is, not whether it is trusted
    host = _reachable(settings)
    url = f"{settings.scheme}://{f'[{host}]' if ':' in host else host}:{settings.port}/readyz"
    try:
        try:
            answer = urlopen(url, timeout=_PATIENCE, context=context if settings.tls else None)  # noqa: S310 - ours
        except OSError as error:
            if not hasattr(error, "read"):
                return None
            answer = error  # 503 is an answer too
        with answer:
            state = json.loads(answer.read(1_000))
    except (OSError, ValueError, HTTPException):
        return None
    return state if isinstance(state, dict) and {"database", "redis"} <= state.keys() else None


def certificate(settings: Settings, keys: Keys | None, at: datetime | None = None) -> list[Finding]:
    """The certificate of --tls, and those that the public origins show."""
    at = at or datetime.now(UTC)
    found = [_own(settings, keys, at)] if settings.tls else []
    found += [_shown(origin, at) for origin in settings.public_origins if origin.startswith("https://")]
    return found


def _own(settings: Settings, keys: Keys | None, at: datetime) -> Finding:
    path = settings.data_dir / "tls" / "server.pem"
    try:
        pem = path.read_bytes()
        end = x509.load_pem_x509_certificate(pem).not_valid_after_utc
        names = certificates.names_of(pem)
    except FileNotFoundError:
        return ok("certificate", "There is no certificate yet; the first start with --tls makes it.")
    except (OSError, ValueError) as fault:
        return problem("certificate", f"{path} cannot be read ({fault}).", "Delete it: the next start makes another.")
    if end <= at:
        return problem("certificate", f"The certificate ended on {end:%Y-%m-%d}.", "Restart the server: it renews it.")
    if keys is not None and not certificates.signed_by(pem, keys.ca_cert):
        return problem("certificate", "The certificate is of a former authority.", "Restart the server.")
    missing = sorted(set(tls.server_names(settings.public_origins)) - names)
    if missing:
        return warning("certificate", f"The certificate does not name {', '.join(missing)}.", "Restart the server.")
    if certificates.due_for_renewal(pem, at):
        return warning("certificate", f"The certificate ends on {end:%Y-%m-%d}.", "Restart the server: it renews it.")
    return ok("certificate", f"The certificate is good until {end:%Y-%m-%d}.")


def _shown(origin: str, at: datetime) -> Finding:
    """What a browser that opens this origin is shown. The connection is made as a browser makes it."""

    parts = urlsplit(origin)
    host, port = parts.hostname or "", parts.port or 443
    try:
        with (
            socket.create_connection((host, port), timeout=_PATIENCE) as plain,
            ssl.create_default_context().wrap_socket(plain, server_hostname=host) as connection,
        ):
            der = connection.getpeercert(binary_form=True)
    except ssl.SSLCertVerificationError as fault:
        return problem(
            "certificate",
            f"Browsers do not trust {origin}: {fault.verify_message}.",
            "Look at the proxy's certificate.",
        )
    except OSError as fault:
        return warning("certificate", f"{origin} cannot be reached from here ({fault}).", "Is the proxy running?")
    end = x509.load_der_x509_certificate(der or b"").not_valid_after_utc
    days = (end - at).days
    if days < 14:
        return warning("certificate", f"The certificate of {origin} ends in {days} days.", "Has its renewal stopped?")
    return ok("certificate", f"The certificate of {origin} is good until {end:%Y-%m-%d}.")
