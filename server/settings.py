"""One typed settings object, from the environment (`VOUCH_*`) and the command line. The command line wins.

docs/operations.md holds the table that people read; `VARIABLES` is what the program reads.
"""

from __future__ import annotations

import ipaddress
import os
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
    #: the built web client
    static_dir: Path = ROOT / "static" / "dist"

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


def _proxies(text: str) -> tuple[str, ...]:
    proxies = _list(text)
    try:
        for proxy in proxies:
            ipaddress.ip_network(proxy)
    except ValueError:
        raise ValueError("should be addresses or networks such as 10.0.0.0/8, separated by commas") from None
    return proxies


def _factor(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if 0 < value < 1e6:
        return value
    raise ValueError("should be a number over 0 such as 1 or 2.5")


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
    "static_dir": _path,
}


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
                raise StartupError("bad_setting", f"{source}={text!r} {error}.") from None
            break
    if values.get("demo") and "data_dir" not in values:
        values["data_dir"] = ROOT / ".data-demo"
    return Settings(**values)


def unknown_variables(environ: Mapping[str, str] = os.environ) -> list[str]:
    """VOUCH_ variables that nothing reads: most likely a typing error, worth a warning."""
    known = {PREFIX + field.upper() for field in VARIABLES}
    return sorted(name for name in environ if name.startswith(PREFIX) and name not in known)
