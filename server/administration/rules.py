"""What admins may not do, though they are admins. Pure."""

from __future__ import annotations

from server.administration.model import SystemRole
from server.errors import Code, VouchError


def may_take(actor: str, person: str, role: SystemRole) -> None:
    """Raises `forbidden` for one's own role of an admin: somebody must be left who can give it."""
    if actor == person and role is SystemRole.ADMIN:
        raise VouchError(Code.FORBIDDEN, "Another admin takes this role from you.")
