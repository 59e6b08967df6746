"""Structured logs: text for people, JSON for machines, and never a secret or a word that somebody wrote.

Everything ends in one place: our own structlog calls and what Tornado, motor and asyncio log through the standard
library. The id of the request under way comes from context variables (`structlog.contextvars.bind_contextvars`).
"""

from __future__ import annotations

import logging
import re
import sys
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

#: names of values that are never written down, alone or as the end of a longer name (`access_token`)
SECRET = frozenset(
    (
        *("password", "passphrase", "secret", "token", "authorization", "cookie", "cookies", "credentials"),
        *("body", "text", "content", "phone", "birth_date"),
    )
)
#: user and password inside an address such as mongodb://vouch:…@127.0.0.1
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")


def is_secret(name: str) -> bool:
    lowered = name.lower().replace("-", "_")
    return lowered in SECRET or any(lowered.endswith(f"_{word}") for word in SECRET)


def drop_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A processor: removes values by name, in nested mappings too, and passwords from addresses."""
    return {name: _clean(value) for name, value in event.items() if not is_secret(name)}


def _clean(value: object) -> object:
    if isinstance(value, str):
        return _CREDENTIALS.sub("…@", value)
    if isinstance(value, dict):
        return {name: _clean(inner) for name, inner in value.items() if not is_secret(str(name))}
    if isinstance(value, list | tuple):
        return [_clean(inner) for inner in value]
    return value


def configure(level: str = "info", format: str = "text", stream: TextIO = sys.stderr) -> None:
    """Sends every log of this process to `stream`; `level` and `format` as in Settings. Done twice, the last holds."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.stdlib.ExtraAdder(),
    ]
    if format == "json":
        # After the exception has become text, so that an address in it is cleaned too.
        last: list[Processor] = [structlog.processors.format_exc_info, drop_secrets]
        last.append(structlog.processors.JSONRenderer(ensure_ascii=False))
    else:
        last = [
            drop_secrets,
            structlog.dev.ConsoleRenderer(
                colors=stream.isatty(),
                # The pretty tracebacks print local variables, and so passwords.
                exception_formatter=structlog.dev.plain_traceback,
            ),
        ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # The driver tells every heartbeat and command at the lower levels, with their contents.
    for name in ("pymongo", "motor", "asyncio"):
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared[:-1],
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
