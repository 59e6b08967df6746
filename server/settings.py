"""One typed settings object, from the environment (`VOUCH_*`) and the command line. The command line wins.

docs/operations.md holds the table that people read; `VARIABLES` is what the program reads.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from server.errors import StartupError

#: The directory that holds `server/`, `static/` and the default data directories.
ROOT = Path(__file__).resolve().parent.parent

PREFIX = "VOUCH_"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be set from outside; tests build one directly."""

    #: address to listen on; 127.0.0.1 is this machine only, 0.0.0.0 every network it is in
    host: str = "127.0.0.1"
    #: port to listen on; 0 takes a free one
    port: int = 8080
    #: holds the embedded database, the secrets and the logs of the children; 0700
    data_dir: Path = ROOT / ".data"
    #: fill the data directory with a small story and print who can sign in
    demo: bool = False
    #: serve https with a certificate of the local authority
    tls: bool = False
    #: a MongoDB replica set; empty: the embedded database
    mongodb_uri: str = ""
    #: a Redis or Valkey; empty: the embedded one
    redis_url: str = ""
    #: name of the database inside MongoDB
    database: str = "vouch"
    #: the secrets of several nodes that belong together; None: `data_dir/secrets`
    secrets_dir: Path | None = None
    #: debug, info, warning or error
    log_level: str = "info"
    #: text (for people) or json (one object per line)
    log_format: str = "text"
    #: origins besides the server's own whose pages may open sockets, such as https://vouch.example
    public_origins: tuple[str, ...] = ()
    #: addresses or networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed
    trusted_proxies: tuple[str, ...] = ()
    #: multiplies every limit on how often something may be done; 1 in earnest, more for demonstrations and load tests
    limits_factor: float = 1.0
    #: send Web Push to browsers that ask for it
    push: bool = True
    #: how operators of push services reach the administrator: mailto:… or https:…; empty: the first https public origin
    push_contact: str = ""
    #: hosts (`host` or `host:port`) of push services that may lie in private networks and at other ports than 443
    push_allow: tuple[str, ...] = ()
    #: certificates (PEM) believed besides the system's when this server asks others
    outbound_ca: Path | None = None
    #: bytes that are kept for one person: pictures, voices, videos and files, also those that are on their way
    media_quota: int = 2 * 1024**3
    #: who takes and pays money: sandbox, stripe, alipay; empty: nobody; None: play money where the database is embedded
    payments: tuple[str, ...] | None = None
    #: Stripe's secret key (sk_… or rk_…), and the secret that its webhook signs with
    stripe_key: str = ""
    stripe_webhook_secret: str = ""
    #: another address than Stripe's own, for tests
    stripe_api_base: str = ""
    #: the app at Alipay, our private key, and the key or certificate that Alipay signs with
    alipay_app_id: str = ""
    alipay_key: Path | None = None
    alipay_public_key: Path | None = None
    #: our app's certificate and Alipay's roots: Alipay asks for them of those who pay out
    alipay_certificate: Path | None = None
    alipay_root_certificate: Path | None = None
    #: the gateway that requests go to; Alipay's sandbox has another
    alipay_gateway: str = "https://openapi.alipay.com/gateway.do"
    #: which of Alipay's check-out pages people are sent to: page (desktops) or wap (phones)
    alipay_check_out: str = "page"
    #: port of the platform for play money that is started with the server; 0: that of the last time, or a free one
    sandbox_port: int = 0
    #: a platform for play money that runs already, such as http://127.0.0.1:8090; empty: one is started
    sandbox_url: str = ""
    #: where browsers reach its pages; empty: at the host under which they reach us, and its own port
    sandbox_public_url: str = ""
    #: days before money goes to a new pay-out account
    pay_out_cooling: float = 3.0
    #: multiplies every bound on how much a person may move
    money_factor: float = 1.0
    #: processes that carry the media of calls; 0: one per processor
    calls_workers: int = 0
    #: whether one more of them is kept ready, which takes over when one dies
    calls_spare: bool = True
    #: UDP port of the first of them, the others take those after it; 0: free ones
    calls_udp_port: int = 0
    #: addresses that people are told to send media to, such as the public one; empty: those of this machine
    calls_addresses: tuple[str, ...] = ()
    #: STUN and TURN servers that browsers are told of (stun:… and turn:…), and the secret that coturn shares with us
    calls_stun: tuple[str, ...] = ()
    calls_turn: tuple[str, ...] = ()
    calls_turn_secret: str = ""
    #: the built web client
    static_dir: Path = ROOT / "static" / "dist"

    @property
    def providers(self) -> tuple[str, ...]:
        """The payment providers that are used."""
        if self.payments is not None:
            return self.payments
        return () if self.mongodb_uri else ("sandbox",)

    @property
    def contact(self) -> str:
        """How operators of push services reach ours; empty where nobody has said it."""
        https = (origin for origin in self.public_origins if origin.startswith("https://"))
        return self.push_contact or next(https, "")

    @property
    def secrets_path(self) -> Path:
        return self.secrets_dir or self.data_dir / "secrets"

    @property
    def scheme(self) -> str:
        return "https" if self.tls else "http"


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) <= 65535:
        return int(text)
    raise ValueError("is not a port number (0 to 65535)")


def _flag(text: str) -> bool:
    answer = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if text.lower() in answer:
        return answer[text.lower()]
    raise ValueError("is neither 1 nor 0")


def _path(text: str) -> Path:
    if not text:
        raise ValueError("is empty; it should be a directory")
    return Path(text).expanduser().absolute()


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() in choices:
            return text.lower()
        raise ValueError(f"is none of {', '.join(choices)}")

    return parse


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _origins(text: str) -> tuple[str, ...]:
    origins = _list(text)
    for origin in origins:
        scheme, _, rest = origin.partition("://")
        if scheme not in ("http", "https") or not rest or "/" in rest:
            raise ValueError("should be origins such as https://vouch.example, separated by commas")
    return origins


def _base(text: str) -> str:
    if not text:
        return ""
    try:
        return _origins(text.rstrip("/"))[0]
    except (ValueError, IndexError):
        raise ValueError("should be an address such as https://pay.vouch.example") from None


def _proxies(text: str) -> tuple[str, ...]:
    proxies = _list(text)
    try:
        for proxy in proxies:
            ipaddress.ip_network(proxy)
    except ValueError:
        raise ValueError("should be addresses or networks such as 10.0.0.0/8, separated by commas") from None
    return proxies


def _contact(text: str) -> str:
    if text and not (
        text.startswith(("mailto:", "https://")) and len(text) < 256 and not any(c.isspace() for c in text)
    ):
        raise ValueError("should be an address such as mailto:admin@vouch.example or https://vouch.example")
    return text


def _hosts(text: str) -> tuple[str, ...]:
    hosts = tuple(host.lower() for host in _list(text))
    if not all(re.fullmatch(r"([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", host) for host in hosts):
        raise ValueError("should be hosts such as push.example, 10.0.0.5:8443 or [fd00::5]:8443, separated by commas")
    return hosts


class Secret(str):
    """Is not shown where settings are."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'…'" if self else "''"


def _secret(text: str) -> Secret:
    """The secret itself, or `file:` and the path of what holds nothing else."""
    if not text.startswith("file:"):
        return Secret(text.strip())
    try:
        return Secret(Path(text.removeprefix("file:")).expanduser().read_text().strip())
    except (OSError, UnicodeDecodeError):
        raise ValueError("names no file that can be read") from None


def _key_file(text: str) -> Path:
    if "\n" in text or len(text) > 255:
        raise ValueError("should name the file that holds the key")
    return _path(text)


def _address(text: str) -> str:
    if text and not re.fullmatch(r"https?://[A-Za-z0-9.\-\[\]:]+(/[!-~]*)?", text):
        raise ValueError("should be an address such as https://gateway.example/path")
    return text.rstrip("/")


def _factor(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if 0 < value < 1e6:
        return value
    raise ValueError("should be a number over 0 such as 1 or 2.5")


def _days(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if 0 <= value <= 90:
        return value
    raise ValueError("should be a number of days from 0 to 90 such as 3 or 0.5")


def _megabytes(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 10:
        return int(text) * 1024**2
    raise ValueError("should be a whole number of megabytes such as 2048")


def _workers(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) <= 64:
        return int(text)
    raise ValueError("should be a number of processes from 0 to 64")


def _addresses(text: str) -> tuple[str, ...]:
    try:
        return tuple(str(ipaddress.ip_address(address)) for address in _list(text))
    except ValueError:
        raise ValueError("should be addresses such as 203.0.113.7, separated by commas") from None


def _ice(*schemes: str) -> Callable[[str], tuple[str, ...]]:
    def parse(text: str) -> tuple[str, ...]:
        addresses = _list(text)
        for address in addresses:
            scheme, _, rest = address.partition(":")
            if scheme not in schemes or not rest or rest.startswith("/"):
                raise ValueError(f"should be addresses such as {schemes[0]}:turn.example.org:3478, separated by commas")
        return addresses

    return parse


def _name(text: str) -> str:
    if text and len(text) < 64 and all(c.isascii() and (c.isalnum() or c in "_-") for c in text):
        return text
    raise ValueError("should be a short name of letters, digits, - and _")


#: field of Settings → how its text is read; the variable is VOUCH_ and the field's name in capitals
VARIABLES: dict[str, Callable[[str], Any]] = {
    "host": str,
    "port": _port,
    "data_dir": _path,
    "demo": _flag,
    "tls": _flag,
    "mongodb_uri": str,
    "redis_url": str,
    "database": _name,
    "secrets_dir": _path,
    "log_level": _one_of("debug", "info", "warning", "error"),
    "log_format": _one_of("text", "json"),
    "public_origins": _origins,
    "trusted_proxies": _proxies,
    "limits_factor": _factor,
    "push": _flag,
    "push_contact": _contact,
    "push_allow": _hosts,
    "outbound_ca": _path,
    "media_quota": _megabytes,
    "payments": _list,
    "stripe_key": _secret,
    "stripe_webhook_secret": _secret,
    "stripe_api_base": _address,
    "alipay_app_id": str,
    "alipay_key": _key_file,
    "alipay_public_key": _path,
    "alipay_certificate": _path,
    "alipay_root_certificate": _path,
    "alipay_gateway": _address,
    "alipay_check_out": _one_of("page", "wap"),
    "pay_out_cooling": _days,
    "money_factor": _factor,
    "sandbox_port": _port,
    "sandbox_url": _base,
    "sandbox_public_url": _base,
    "calls_workers": _workers,
    "calls_spare": _flag,
    "calls_udp_port": _port,
    "calls_addresses": _addresses,
    "calls_stun": _ice("stun", "stuns"),
    "calls_turn": _ice("turn", "turns"),
    "calls_turn_secret": _secret,
    "static_dir": _path,
}


#: what is never repeated, not even where it cannot be read
_SECRETS = frozenset({"stripe_key", "stripe_webhook_secret", "alipay_key", "calls_turn_secret"})


def load(options: Mapping[str, str] | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from `options` (field → text, from the command line) over `environ` over the defaults.

    Raises StartupError `bad_setting` naming the option or variable that cannot be read.
    """
    values: dict[str, Any] = {}
    for field, parse in VARIABLES.items():
        variable = PREFIX + field.upper()
        for source, text in (
            ("--" + field.replace("_", "-"), (options or {}).get(field)),
            (variable, environ.get(variable)),
        ):
            if text is None:
                continue
            try:
                values[field] = parse(text)
            except ValueError as error:
                given = source if field in _SECRETS else f"{source}={text!r}"
                raise StartupError("bad_setting", f"{given} {error}.") from None
            break
    if values.get("demo") and "data_dir" not in values:
        values["data_dir"] = ROOT / ".data-demo"
    return Settings(**values)


def unknown_variables(environ: Mapping[str, str] = os.environ) -> list[str]:
    """VOUCH_ variables that nothing reads: most likely a typing error, worth a warning."""
    known = {PREFIX + field.upper() for field in VARIABLES}
    return sorted(name for name in environ if name.startswith(PREFIX) and name not in known)
