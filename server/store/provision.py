"""The one user of the embedded database, made before anybody else can connect."""

from __future__ import annotations

from pymongo import MongoClient
from pymongo.errors import OperationFailure

_TIMEOUT_MS = 10_000
_ALREADY_EXISTS = 51003


def create_user(uri: str, name: str, password: str) -> None:
    """Creates the user, or sets the password of one left by an interrupted first start."""
    with MongoClient[dict[str, object]](uri, directConnection=True, serverSelectionTimeoutMS=_TIMEOUT_MS) as client:
        roles = [{"role": "root", "db": "admin"}]
        try:
            client.admin.command("createUser", name, pwd=password, roles=roles, mechanisms=["SCRAM-SHA-256"])
        except OperationFailure as error:
            if error.code != _ALREADY_EXISTS:
                raise
            client.admin.command("updateUser", name, pwd=password, mechanisms=["SCRAM-SHA-256"])


def accepts(uri: str) -> bool:
    """True when the server at `uri` lets in the user and password that the URI holds."""
    with MongoClient[dict[str, object]](uri, serverSelectionTimeoutMS=_TIMEOUT_MS) as client:
        try:
            client.admin.command("ping")
            client.admin.command("usersInfo", 1)
        except OperationFailure:
            return False
    return True
