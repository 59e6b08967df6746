"""The operations over HTTP, as browsers and programs call them."""

from __future__ import annotations

from server.keys import Keys
from tests.conftest import RunningServer
from tests.handlers.conftest import PASSWORD, Client
from tests.notifications.push_service import PushService, Receiver


async def test_a_browser_subscribes_for_its_own_sign_in(server: RunningServer, push_service: PushService) -> None:
    phone, desk = Client(server.url), Client(server.url)
    await phone.register("lin")
    await desk.begin()
    assert (await desk.post("/sessions", {"login": "lin", "password": PASSWORD})).status == 201
    made = await phone.post("/push/subscriptions", push_service.subscription("phone"))
    assert made.status == 201
    assert made.json | {"id": "", "created_at": 0, "name": ""} == {
        "id": "",
        "service": "127.0.0.1",
        "name": "",
        "current": True,
        "created_at": 0,
        "last_at": None,
        "fault": None,
        "failing_since": None,
    }
    assert (await desk.post("/push/subscriptions", push_service.subscription("desk"))).status == 201
    listed = (await desk.get("/push/subscriptions")).json["subscriptions"]
    assert [each["current"] for each in listed] == [True, False]
    assert listed[1]["id"] == made.json["id"]
    assert "endpoint" not in listed[0]  # whoever knows it could send pushes
    assert (await desk.call("DELETE", f"/push/subscriptions/{made.json['id']}")).status == 204
    assert (await desk.call("DELETE", f"/push/subscriptions/{made.json['id']}")).code == "not_found"
    await desk.call("DELETE", "/sessions/current")
    assert (await phone.get("/push/subscriptions")).json == {"subscriptions": []}


async def test_nobody_takes_away_what_belongs_to_others(server: RunningServer, push_service: PushService) -> None:
    lin, mei = Client(server.url), Client(server.url)
    await lin.register("lin")
    await mei.register("mei")
    made = await lin.post("/push/subscriptions", push_service.subscription())
    assert (await mei.call("DELETE", f"/push/subscriptions/{made.json['id']}")).code == "not_found"
    assert len((await lin.get("/push/subscriptions")).json["subscriptions"]) == 1


async def test_what_is_no_subscription_is_refused(server: RunningServer, push_service: PushService) -> None:
    lin = Client(server.url)
    await lin.register("lin")
    good = push_service.subscription()
    for wrong, field in (
        ({"endpoint": "https://127.0.0.1/x"}, "endpoint"),
        ({"endpoint": "http://" + push_service.host}, "endpoint"),
        ({"endpoint": "x"}, None),
        ({"p256dh": good["p256dh"][:-1] + "!"}, None),
        ({"p256dh": "B" + "A" * 86}, "p256dh"),
        ({"auth": "short"}, None),
        ({"more": 1}, None),
    ):
        answer = await lin.post("/push/subscriptions", good | wrong)
        assert answer.code == "bad_request", wrong
        assert field is None or answer.field == field


async def test_subscribing_is_limited(server: RunningServer, push_service: PushService) -> None:
    lin = Client(server.url)
    await lin.register("lin")
    for _ in range(30):
        assert (await lin.post("/push/subscriptions", push_service.subscription())).status == 201
    assert (await lin.post("/push/subscriptions", push_service.subscription())).code == "too_often"


async def test_the_key_is_the_servers_own(server: RunningServer, keys: Keys) -> None:
    lin = Client(server.url)
    await lin.register("lin")
    assert (await lin.get("/push/key")).json == {"key": keys.vapid_public}


async def test_a_server_that_sends_none_says_so(server: RunningServer) -> None:
    server.services.notifications._on = False
    lin = Client(server.url)
    await lin.register("lin")
    assert (await lin.get("/push/key")).json == {"key": None}
    answer = await lin.post("/push/subscriptions", Receiver().subscription("https://push.example/x"))
    assert answer.code == "unavailable"


async def test_choices_come_back_as_they_were_made(server: RunningServer) -> None:
    lin = Client(server.url)
    await lin.register("lin")
    everything = {"on": False, "from": "22:00", "to": "07:00", "zone": "UTC", "days": [0, 1, 2, 3, 4, 5, 6]}
    assert (await lin.get("/me/notifications")).json == {"quiet": everything, "previews": True, "receipts": "shown"}
    wanted = {
        "quiet": {"on": True, "from": "21:30", "to": "06:00", "zone": "Asia/Shanghai", "days": [0, 4]},
        "previews": False,
        "receipts": "hidden",
    }
    assert (await lin.call("PUT", "/me/notifications", wanted)).json == wanted
    assert (await lin.get("/me/notifications")).json == wanted
    for wrong in (
        {"quiet": {"from": "24:00"}},
        {"quiet": {"from": "7:00"}},
        {"quiet": {"days": [7]}},
        {"quiet": {"zone": "Nowhere"}},
        {"receipts": "sometimes"},
        {"sound": True},
    ):
        assert (await lin.call("PUT", "/me/notifications", wrong)).code == "bad_request", wrong
    assert (await lin.get("/me/notifications")).json == wanted
