"""The desk over HTTP: who is let in, who is not though they have the role, and tables that stream."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import msgspec
import pytest

from handlers import finance
from server.clock import to_ms
from server.errors import Code, VouchError
from server.money.model import Transfer
from server.principals import Grant, Role
from server.services import Services
from server.settings import Settings
from tests.conftest import Run, RunningServer
from tests.finance.conftest import Desk, charged
from tests.handlers.conftest import Client
from tests.payments.strict import StrictProvider

WORDS = {"reason": "Because"}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return msgspec.structs.replace(settings, limits_factor=1000.0)


class Hall(NamedTuple):
    """Lin has paid 1,000 yuan in, and 300 of it wait to be paid out. Fay and Gus have the finance role, Sam is staff,
    Ann admin; `robot` is a program of Fay's."""

    server: RunningServer
    desk: Desk
    lin: Client
    fay: Client
    gus: Client
    sam: Client
    ann: Client
    robot: Client
    order: str


@pytest.fixture
def hall(server: RunningServer, services: Services, provider: StrictProvider, run: Run[Any]) -> Hall:
    async def make() -> Hall:
        clients: dict[str, Client] = {}
        ids: dict[str, str] = {}
        for name, role in (
            ("lin", None),
            ("fay", Role.FINANCE),
            ("gus", Role.FINANCE),
            ("sam", Role.STAFF),
            ("ann", Role.ADMIN),
        ):
            clients[name] = Client(server.url)
            ids[name] = (await clients[name].register(name))["id"]
            if role is not None:
                await services.people.grant(ids[name], Grant(role), "system")
        token = (await clients["fay"].post("/tokens", {"name": "Robot"})).json["token"]
        charge = await charged(services, provider, ids["lin"], 1_000_00, "first")
        everybody = {**ids, "hal": ids["gus"], "eve": ids["sam"]}
        desk = Desk(services, provider, **everybody, charge=charge)
        order = await desk.pay_out(ids["lin"], 300_00, "out")
        return Hall(server, desk, **clients, robot=Client(server.url, token), order=order.id)

    made: Hall = run(make())
    return made


def calls(hall: Hall) -> list[tuple[str, str, Any]]:
    """Every operation of the desk, as somebody would call it."""
    order, nothing = f"/finance/orders/{hall.order}", msgspec.UNSET
    now = to_ms(hall.desk.charge.created_at)
    case, run = "di_" + "0" * 20, "rc_" + "0" * 20
    adjustment, transfer = "/finance/adjustments/ad_" + "0" * 20, "t_" + "0" * 20
    propose = {
        "id": "i" * 20,
        "source": "fee:platform",
        "target": "external:bank",
        "amount": 5,
        "currency": "CNY",
        **WORDS,
    }
    return [
        *(("GET", f"/finance/{name}", nothing) for name in ("waiting", "orders", "disputes", "adjustments")),
        *(("GET", f"/finance/{name}", nothing) for name in ("reconciliations", "books", "people?handle=lin")),
        ("GET", f"/finance/people/{hall.desk.lin}", nothing),
        ("GET", f"/finance/transfers/{transfer}", nothing),
        ("GET", f"/finance/exports/journal?from={now - 1000}&to={now + 1000}", nothing),
        ("GET", order, nothing),
        ("POST", f"{order}/look", nothing),
        ("POST", f"{order}/refusal", WORDS),
        ("POST", f"{order}/approval", nothing),
        ("GET", f"/finance/disputes/{case}", nothing),
        ("POST", f"/finance/disputes/{case}/decision", {"version": 1, "verdict": "refuse", **WORDS}),
        ("GET", adjustment, nothing),
        ("POST", "/finance/adjustments", propose),
        ("POST", "/finance/claw-backs", {"id": "j" * 20, "transfer": transfer, **WORDS}),
        ("POST", f"{adjustment}/approval", nothing),
        ("POST", f"{adjustment}/refusal", WORDS),
        ("POST", "/finance/reconciliations", {"provider": "strict", "from": now - 1000, "to": now}),
        ("GET", f"/finance/reconciliations/{run}", nothing),
        ("POST", f"/finance/reconciliations/{run}/differences/0", {"version": 1, "mend": False, "note": "x"}),
        ("POST", "/finance/books/trail", nothing),
    ]


async def test_no_other_principal_is_let_in(hall: Hall) -> None:
    called = {(method, path.partition("?")[0]) for method, path, _ in calls(hall)}
    declared = [one for one in finance.OPERATIONS if one.path.startswith("/finance")]
    assert len(called) == len(declared)
    stranger = await Client(hall.server.url).begin()
    for method, path, body in calls(hall):
        answer = await stranger.call(method, path, body)
        assert answer.code == Code.UNAUTHENTICATED, path
        for who in (hall.lin, hall.sam, hall.robot):
            answer = await who.call(method, path, body)
            assert answer.code == Code.FORBIDDEN, (path, answer.data)
        if method == "POST":
            assert (await hall.fay.call(method, path, body, xsrf=False)).code == Code.XSRF
    state = (await hall.fay.get(f"/finance/orders/{hall.order}")).json["order"]["state"]
    assert state == "approval"
    assert await hall.desk.acts(hall.order) == []


async def test_those_of_the_desk_and_admins_are(hall: Hall) -> None:
    for who in (hall.fay, hall.ann):
        for method, path, body in calls(hall):
            answer = await who.call(method, path, body)
            assert answer.code not in (Code.FORBIDDEN, Code.UNAUTHENTICATED, Code.INTERNAL), (path, answer.data)


async def test_the_role_alone_does_not_let_one_decide_about_oneself(hall: Hall) -> None:
    """As it is told over the wire: the role is there, and it is forbidden all the same."""
    await hall.desk.services.people.grant(hall.desk.lin, Grant(Role.FINANCE), "system")
    for path, body in (("approval", msgspec.UNSET), ("refusal", WORDS)):
        answer = await hall.lin.call("POST", f"/finance/orders/{hall.order}/{path}", body)
        assert (answer.status, answer.code) == (403, Code.FORBIDDEN)
    answer = await hall.fay.post(f"/finance/orders/{hall.order}/approval")
    assert answer.json["approved_by"] == hall.desk.fay
    assert (await hall.gus.post(f"/finance/orders/{hall.order}/approval")).code == Code.ALREADY


async def test_a_person_disputes_and_the_desk_decides(hall: Hall) -> None:
    path = f"/me/wallet/payments/{hall.desk.charge.id}"
    seen = (await hall.lin.get(path)).json
    assert (seen["disputable"], seen["dispute"]) == (True, None)
    for who, code in ((hall.gus, Code.NOT_FOUND), (hall.robot, Code.FORBIDDEN)):
        assert (await who.post(f"{path}/disputes", {"words": "Mine"})).code == code
    assert (await hall.lin.post(f"{path}/disputes", {"words": ""})).code == Code.BAD_REQUEST
    assert (await hall.lin.post(f"{path}/disputes", {"words": "x" * 2_001})).code == Code.BAD_REQUEST
    opened = await hall.lin.post(f"{path}/disputes", {"words": "I paid twice"})
    assert opened.status == 201
    assert (await hall.lin.post(f"{path}/disputes", {"words": "Again"})).status == 200
    seen = (await hall.lin.get(path)).json
    assert (seen["disputable"], seen["dispute"]) == (False, "open")
    id = opened.json["id"]
    decision = {"version": 1, "verdict": "give_back", "reason": "You did", "amount": 200_00}
    for broken in (
        {"amount": 0},
        {"amount": 1.5},
        {"amount": "200"},
        {"version": -1},
        {"reason": ""},
        {"verdict": "x"},
    ):
        answer = await hall.fay.post(f"/finance/disputes/{id}/decision", decision | broken)
        assert answer.code == Code.BAD_REQUEST, broken
    assert (await hall.fay.post(f"/finance/disputes/{id}/decision", decision)).json["state"] == "given_back"
    assert (await hall.gus.post(f"/finance/disputes/{id}/decision", decision)).code == Code.ALREADY
    own = (await hall.lin.get(f"{path}/disputes")).json
    assert (own["state"], own["answer"]) == ("given_back", "You did")
    assert (await hall.lin.post(f"{path}/disputes", {"words": "Once more"})).code == Code.ALREADY


async def test_amounts_are_whole_numbers(hall: Hall) -> None:
    wanted = {"id": "i" * 20, "source": "fee:platform", "target": "external:bank", "currency": "CNY", **WORDS}
    for amount in (0, -5, 1.5, "5", 2**53, None, True):
        answer = await hall.fay.post("/finance/adjustments", wanted | {"amount": amount})
        assert answer.code == Code.BAD_REQUEST, amount
    assert (await hall.fay.get("/finance/waiting")).json["adjustments"] == 0


def between(hall: Hall, **hours: int) -> str:
    made = to_ms(hall.desk.charge.created_at)
    return f"from={made - 3_600_000 * hours.get('before', 1)}&to={made + 3_600_000 * hours.get('after', 1)}"


async def test_a_table_is_saved_by_a_browser(hall: Hall) -> None:
    answer = await hall.fay.get(f"/finance/exports/journal?{between(hall)}")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="vouch-journal-')
    assert "Content-Length" not in answer.headers
    rows = list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"), newline="")))
    assert len(rows) == 4
    assert sum(int(row["amount_minor"]) for row in rows) == 0
    for wrong in ("from=5&to=5", "from=9&to=5", f"from=0&to={367 * 86_400_000}", "from=5", "to=5", "from=x&to=5"):
        assert (await hall.fay.get(f"/finance/exports/journal?{wrong}")).code == Code.BAD_REQUEST, wrong
    assert (await hall.fay.get(f"/finance/exports/people?{between(hall)}")).code == Code.NOT_FOUND


async def test_a_table_that_breaks_off_is_no_whole_one(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that reads to the end of what came is told that more was to come."""

    def broken(after: int) -> Callable[..., AsyncIterator[Transfer]]:
        async def journal(*times: Any) -> AsyncIterator[Transfer]:
            transfer = (await hall.desk.finance.orders.one(hall.desk.fay, hall.desk.charge.id)).transfers[0]
            known = await hall.desk.services.money.transfer(transfer.id)
            for _ in range(after):
                yield known
            raise VouchError(Code.INTERNAL)

        return journal

    monkeypatch.setattr(hall.desk.finance._money, "journal", broken(2_000), raising=True)
    with pytest.raises(Exception, match=r"(?i)closed|chunk|599"):
        await hall.fay.get(f"/finance/exports/journal?{between(hall)}")
    monkeypatch.setattr(hall.desk.finance._money, "journal", broken(0), raising=True)
    assert (await hall.fay.get(f"/finance/exports/journal?{between(hall)}")).code == Code.INTERNAL
