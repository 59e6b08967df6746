"""The one user of the embedded database, made before anybody else can connect."""

from __future__ import annotations

from enum import Enum, auto

from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

_TIMEOUT_MS = 10_000
_ALREADY_EXISTS = 51003
_INTERNAL_ERROR = 1


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


class Answer(Enum):
    """What a database says when it is asked."""

    WELL = auto()
    BROKEN = auto()  # something inside it is
    NONE = auto()


class Probe:
    """Asks a database again and again whether it can read what it keeps; belongs to one event loop."""

    def __init__(self, uri: str) -> None:
        self._client: AsyncIOMotorClient[dict[str, object]] = AsyncIOMotorClient(
            uri, serverSelectionTimeoutMS=_TIMEOUT_MS, socketTimeoutMS=_TIMEOUT_MS, maxPoolSize=1
        )

    async def ask(self) -> Answer:
        """Waits ten seconds for an answer."""
        try:
            await self._client.get_database("admin").get_collection("probe").find_one({"_id": 0})
        except OperationFailure as fault:
            return Answer.BROKEN if fault.code == _INTERNAL_ERROR else Answer.WELL
        except PyMongoError:
            return Answer.NONE
        return Answer.WELL

    def close(self) -> None:
        self._client.close()
