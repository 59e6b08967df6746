"""Who is asking, and who may.

A principal is what authentication yields: a person, a doorplate's virtual account, a handheld at an event's door, a
provider's service, a program with a token, the server itself, or nobody yet. Every HTTP operation and every WebSocket
command carries an `Allow`; there is no default, so forgetting one is a type error and a failing test.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from server.errors import Code, VouchError


class Kind(StrEnum):
    ANONYMOUS = "anonymous"
    PERSON = "person"
    PLATE = "plate"
    HANDHELD = "handheld"
    PROVIDER = "provider"
    PROGRAM = "program"
    SYSTEM = "system"


class Scope(StrEnum):
    """Where a grant holds."""

    SYSTEM = "system"
    SCHOOL = "school"
    EVENT = "event"
    CENTRE = "centre"


class Role(StrEnum):
    ADMIN = "admin"
    STAFF = "staff"
    FINANCE = "finance"
    MANAGER = "manager"
    ORGANISER = "organiser"
    DOOR = "door"
    AGENT = "agent"


class Grant(msgspec.Struct, frozen=True):
    """One role in one place: `scope_id` is empty for the whole system."""

    role: Role
    scope: Scope = Scope.SYSTEM
    scope_id: str = ""


class Principal(msgspec.Struct, frozen=True):
    """Who is asking. `id` is the person's (plate's, …) id; `session` the sign-in it came by, empty for none.

    A program acts for the person who made its token: `id` is that person's, `kind` is PROGRAM.
    """

    kind: Kind
    id: str = ""
    session: str = ""
    grants: tuple[Grant, ...] = ()

    def has(self, role: Role, scope: Scope = Scope.SYSTEM, scope_id: str = "") -> bool:
        """True when the role is granted there; a system admin has every role everywhere."""
        return any(
            (g.role is Role.ADMIN and g.scope is Scope.SYSTEM)
            or (g.role is role and g.scope is scope and g.scope_id == scope_id)
            for g in self.grants
        )


ANONYMOUS = Principal(Kind.ANONYMOUS)
SYSTEM = Principal(Kind.SYSTEM, id="system")


class Allow(msgspec.Struct, frozen=True):
    """Which principals may call an operation; `role` is asked for system-wide (scoped roles are the service's rule)."""

    kinds: frozenset[Kind]
    role: Role | None = None

    def permits(self, principal: Principal) -> bool:
        return principal.kind in self.kinds and (self.role is None or principal.has(self.role))

    def check(self, principal: Principal) -> None:
        """Raises `unauthenticated` to nobody, `forbidden` to somebody else."""
        if self.permits(principal):
            return
        raise VouchError(Code.UNAUTHENTICATED if principal.kind is Kind.ANONYMOUS else Code.FORBIDDEN)


def allow(*kinds: Kind, role: Role | None = None) -> Allow:
    return Allow(frozenset(kinds), role)


#: Anybody, signed in or not.
ANYBODY = allow(*Kind)
#: A person, or a program that acts for one.
PEOPLE = allow(Kind.PERSON, Kind.PROGRAM)
#: A person in a signed-in browser; programs may not (passwords, sessions, deleting the account).
IN_PERSON = allow(Kind.PERSON)
#: Those who look after reports; admins are among them.
STAFF = allow(Kind.PERSON, role=Role.STAFF)
#: Those who look after the money; admins are among them.
FINANCE = allow(Kind.PERSON, role=Role.FINANCE)
#: Operators of the whole system.
ADMINS = allow(Kind.PERSON, role=Role.ADMIN)
