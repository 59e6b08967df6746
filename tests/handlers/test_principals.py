"""Every operation is called by every kind of principal: exactly those may who are declared."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from handlers import openapi
from handlers.operations import Operation
from server.errors import Code
from server.people.service import People
from server.principals import Grant, Kind, Principal, Role, Scope
from tests.conftest import RunningServer
from tests.handlers.conftest import NOBODY, Client

ALL = openapi.all_operations()
#: Before an operation's own rules speak, these say whether it may be called at all.
_AT_THE_DOOR = {Code.UNAUTHENTICATED, Code.FORBIDDEN, Code.XSRF}


@pytest.fixture
def one_of_each(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> dict[Kind, Client]:
    """A client per kind of principal. Not every kind has a way to sign in yet, so all get their token here."""
    known = {f"test {kind}": Principal(kind, id=NOBODY, session="s_" + "0" * 20) for kind in Kind}

    async def authenticate(self: People, token: str, ip: str = "") -> Principal | None:
        return known.get(token)

    monkeypatch.setattr(People, "authenticate_token", authenticate)
    clients = {kind: Client(server.url, f"test {kind}") for kind in Kind}
    clients[Kind.ANONYMOUS] = Client(server.url)
    return clients


def address(operation: Operation) -> str:
    return re.sub(r"\{\w+\}", NOBODY, operation.path)


async def test_exactly_the_declared_principals_may_call(one_of_each: dict[Kind, Client]) -> None:
    for operation in ALL:
        for kind, client in one_of_each.items():
            body: Any = msgspec.UNSET if operation.method == "GET" else {}
            answer = await client.call(operation.method, address(operation), body, xsrf=False)
            refused = answer.status >= 400 and answer.code in _AT_THE_DOOR
            what = f"{operation.id} as {kind}: {answer.status} {answer.data[:120]!r}"
            if operation.signed:  # whoever has the key to sign with may call, and nobody of these has
                assert answer.code in (Code.NOT_FOUND, Code.FORBIDDEN), what
            elif kind in operation.allow.kinds and kind is Kind.ANONYMOUS and not operation.changes_state:
                assert not refused, what  # what anybody may read, such as whether a receipt is genuine
            elif kind is Kind.ANONYMOUS:
                expected = (
                    Code.XSRF if kind in operation.allow.kinds and operation.changes_state else Code.UNAUTHENTICATED
                )
                assert answer.code == expected, what
            elif operation.allow.permits(Principal(kind)):
                # Nobody has this id: the account is gone, which is told by the service and not at the door.
                assert not refused or answer.code == Code.UNAUTHENTICATED, what
            else:
                assert answer.code == Code.FORBIDDEN, what


async def test_staff_and_admins_only_where_the_role_is_asked_for(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A role is one of a person: a program of an admin has none of it, and neither has staff what is for admins."""
    session, other = "s_" + "0" * 20, "p_" + "1" * 20
    known = {
        f"{kind} {role}": Principal(kind, id=other, session=session, grants=(Grant(role),))
        for kind in (Kind.PERSON, Kind.PROGRAM)
        for role in Role
    }
    scoped = Grant(Role.STAFF, Scope.EVENT, "e_1")
    known["elsewhere"] = Principal(Kind.PERSON, id=other, session=session, grants=(scoped,))

    async def authenticate(self: People, token: str, ip: str = "") -> Principal | None:
        return known.get(token)

    monkeypatch.setattr(People, "authenticate_token", authenticate)
    asked = [one for one in ALL if one.allow.role is not None]
    assert {one.path.split("/")[1] for one in asked} == {"staff", "admin", "finance"}
    assert all(one.allow.role is not None for one in ALL if one.path.startswith(("/staff/", "/admin/", "/finance/")))
    for operation in asked:
        for name, principal in known.items():
            body: Any = msgspec.UNSET if operation.method == "GET" else {}
            answer = await Client(server.url, name).call(operation.method, address(operation), body, xsrf=False)
            what = f"{operation.id} as {name}: {answer.status} {answer.data[:120]!r}"
            role = operation.allow.role
            assert role is not None
            if principal.kind is Kind.PERSON and principal.has(role):
                assert answer.code not in _AT_THE_DOOR, what
            else:
                assert answer.code == Code.FORBIDDEN, what


async def test_programs_may_not_touch_sign_ins_and_passwords(one_of_each: dict[Kind, Client]) -> None:
    """Said once more by name, so that changing a declaration is not enough to lose it."""
    for operation_id in (
        "sign_out",
        "list_sessions",
        "revoke_session",
        "revoke_other_sessions",
        "create_token",
        "change_password",
        "delete_me",
    ):
        operation = next(one for one in ALL if one.id == operation_id)
        assert operation.allow.kinds == {Kind.PERSON}


async def test_a_wrong_token_is_refused_even_where_anybody_may_call(server: RunningServer) -> None:
    for header in ("Bearer nonsense", "Bearer ", "Basic bGluOnBhcGVy", "nonsense"):
        client = Client(server.url)
        answer = await client.call("POST", "/sessions", {}, headers={"Authorization": header})
        assert answer.code == Code.UNAUTHENTICATED
