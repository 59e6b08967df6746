"""Examines an installation and says in words what is wrong, and what to do."""

from __future__ import annotations

from server.doctor import backends, installation, machine, media, payments, pictures
from server.doctor.findings import Finding, Verdict, ok, problem
from server.embedded import databases
from server.errors import StartupError
from server.settings import Settings

__all__ = ["Finding", "Verdict", "examine"]


def running(settings: Settings) -> list[Finding]:
    """What can be found out about a server that runs, without disturbing it. Takes up to some seconds."""
    return [
        machine.packages(),
        machine.web_client(settings),
        machine.open_files(1_000),
        *installation.exposure(settings),
        installation.data_directory(settings),
        installation.disk_space(settings),
        *installation.certificate(settings, None),
    ]


async def examine(settings: Settings, connections: int) -> list[Finding]:
    """Every finding, good ones too. Nothing is changed; the embedded servers are started for the time being when they
    are not running, unless there is no data directory yet."""
    found = [
        machine.python(),
        machine.packages(),
        machine.web_client(settings),
        machine.gestures(),
        machine.open_files(connections),
        await media.workers(),
        installation.variables(),
        *installation.exposure(settings),
        installation.data_directory(settings),
        installation.disk_space(settings),
        installation.port(settings),
    ]
    secrets, keys = installation.secrets(settings)
    found += [secrets, *installation.certificate(settings, keys), *await pictures.proofs(keys)]
    found += await payments.examine(settings, keys)
    if settings.mongodb_uri and settings.redis_url:
        found += await backends.database(settings.mongodb_uri, settings.database, keys)
        return [*found, *await backends.redis(settings.redis_url)]
    if keys is None or any(finding.verdict is Verdict.PROBLEM for finding in found if finding.name == "data_directory"):
        text = "The embedded servers were not tried: there is no usable data directory with secrets."
        return [*found, ok("embedded", text)]
    try:
        with databases(settings) as (keys, mongodb_uri, redis_url):
            found += await backends.database(mongodb_uri, settings.database, keys)
            found += await backends.redis(redis_url)
    except StartupError as error:
        found.append(problem("embedded", error.message, error.hint or ""))
    return found
