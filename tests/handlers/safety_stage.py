"""A family and those who look after it, over HTTP; what makes things fail for them, and the scenes that they play."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any

import pyotp
import pytest

from handlers import factors, guardians
from server.errors import Code
from server.limits import Limits
from server.principals import Grant, Role
from tests.conftest import RunningServer
from tests.handlers.conftest import PASSWORD, Answer, Client
from tests.people.authenticator import Authenticator
from tests.people.conftest import CHEAP

PAY_OUT = {"purpose": "pay_out", "facts": {"account": "b_1", "amount": 100, "currency": "CNY"}}


def born(years: int) -> str:
    """Somebody so old, everywhere."""
    return (date.today() - timedelta(days=years * 366 + 40)).isoformat()


#: operations that are for those with a role
OF_ROLE = {
    role: {one.id for one in (*factors.OPERATIONS, *guardians.OPERATIONS) if one.allow.role is role} for role in Role
}


class Stage:
    """A mother, who is staff too, and her child, who are friends; the father is not their friend yet."""

    def __init__(self, server: RunningServer, patch: pytest.MonkeyPatch, number: int) -> None:
        self.server = server
        self._number = number
        self._patch = patch
        self.mother, self.father, self.child = (Client(server.url) for _ in range(3))
        self.staff, self.admin = Client(server.url), Client(server.url)
        self._totp = pyotp.TOTP(pyotp.random_base32())
        self._step = 0

    async def enter(self, operation: str) -> Stage:
        """Staff and admins come where they are needed."""
        people = self.server.services.people
        self._patch.setattr(people._passwords, "_hasher", CHEAP)
        self.m = (await self.mother.register(self.handle("mother"), birth_date=born(40)))["id"]
        self.f = (await self.father.register(self.handle("father")))["id"]
        self.c = (await self.child.register(self.handle("child"), birth_date=born(9)))["id"]
        for client, role in ((self.staff, Role.STAFF), (self.admin, Role.ADMIN)):
            if operation in OF_ROLE[role]:
                person = (await client.register(self.handle(role.value)))["id"]
                await people.grant(person, Grant(role), "system")
        await self.befriend(self.mother, self.child, self.c, self.m)
        return self

    def handle(self, who: str) -> str:
        """Several stages are on one server, one after the other."""
        return f"{who}_{self._number}"

    async def befriend(self, one: Client, other: Client, others_id: str, ones_id: str) -> None:
        await one.post("/friends/requests", {"person": others_id})
        await other.call("POST", f"/friends/requests/{ones_id}/accept")

    # ── What makes things fail ──────────────────────────────────────────────────────────────────────────────────────

    def exhaust(self, limit: str) -> None:
        real = Limits.take

        async def take(limits: Limits, name: str, key: str, n: int) -> bool:
            return name != limit and await real(limits, name, key, n)

        self._patch.setattr(Limits, "take", take)

    def busy(self) -> None:
        self._patch.setattr(self.server.services.people._passwords, "_room", 0)

    def somebody_faster(self, repo: Any, method: str) -> None:
        async def refuse(*args: Any, **more: Any) -> bool:
            return False

        self._patch.setattr(repo, method, refuse)

    # ── Factors ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def code(self) -> str:
        """The one after the last, so that none is used twice; the server takes those of the neighbouring steps."""
        self._step = max(self._step + 1, int(self.server.services.clock.now().timestamp()) // 30 - 1)
        return self._totp.generate_otp(self._step)

    async def begin_app(self, **more: Any) -> Answer:
        return await self.mother.post("/me/factors/totp", {"name": "Phone", "password": PASSWORD, **more})

    async def begin_key(self, origin: str = "", **more: Any) -> Answer:
        body = {"name": "Key", "password": PASSWORD, **more}
        headers = {"Origin": origin or f"http://localhost:{self.server.port}"}
        headers["Host"] = headers["Origin"].partition("://")[2]
        return await self.mother.call("POST", "/me/factors/passkeys", body, headers=headers)

    async def add_app(self) -> str:
        begun = (await self.begin_app()).json
        self._totp = pyotp.TOTP(begun["secret"])
        added = await self.mother.post(f"/me/factors/totp/{begun['setup']}", {"code": self.code()})
        assert added.status == 201, added.data
        self.codes: list[str] = added.json["recovery_codes"]
        return str(added.json["factor"]["id"])

    async def prove(self, wanted: dict[str, Any], **answer: Any) -> str:
        begun = (await self.mother.post("/me/proofs", wanted)).json
        made = await self.mother.post(f"/me/proofs/{begun['id']}", answer or {"code": self.code()})
        assert made.status == 200, made.data
        return str(begun["id"])

    async def crowd(self) -> None:
        """As many factors as there may be."""
        rows = self.server.services.store.collection("factors")
        (row,) = await rows.find({"person": self.m}).to_list(None)
        row = {name: value for name, value in row.items() if name != "secret"} | {"kind": "passkey"}
        await rows.insert_many(
            [{**row, "_id": f"f_{self._number}_{n}", "credential": f"c{self._number}_{n}"} for n in range(9)]
        )

    async def first_key(self) -> tuple[Answer, dict[str, Any]]:
        """A passkey that is begun, and what the browser would answer."""
        begun = await self.begin_key()
        key = Authenticator(f"http://localhost:{self.server.port}", "localhost")
        made = key.create(begun.json["challenge"])
        return begun, {name: getattr(made, name) for name in made.__struct_fields__}

    # ── Families ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def link(self) -> None:
        await self.mother.post("/me/wards", {"person": self.c})
        await self.child.call("POST", f"/me/guardians/{self.m}/confirm")

    async def appoint(self, who: str = "father", ward: str = "", by: Client | None = None) -> Answer:
        body = {"guardian": self.handle(who), "reason": "A court has decided."}
        return await (by or self.staff).call("PUT", f"/staff/custody/{ward or self.c}", body)


Scene = Callable[[Stage], Awaitable[Answer]]
SCENES: dict[tuple[str, Code], Scene] = {}


def scene(operation: str, code: Code) -> Callable[[Scene], Scene]:
    def add(play: Scene) -> Scene:
        SCENES[operation, code] = play
        return play

    return add
