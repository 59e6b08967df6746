"""Live proofs over HTTP, as browsers ask: from the code to the sealed file, and a stranger who verifies it."""

from __future__ import annotations

from hashlib import sha256

import pytest

from tests.conftest import RunningServer
from tests.handlers.conftest import Client
from tests.handlers.pledge_stage import Theatre
from tests.handlers.proofs_scenes import HERE, take
from tests.payments.strict import StrictProvider
from tests.proofs.scenes import shot
from tests.supervision import conftest as supervision
from tests.supervision.conftest import StageClock

clock = supervision.clock
provider = supervision.provider
services = supervision.services


async def test_a_photo_and_a_stranger(
    server: RunningServer, clock: StageClock, provider: StrictProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = await Theatre(server, clock, provider).open(monkeypatch)
    id = await stage.placed()
    proof = (await take(stage, id, picture=shot(31))).json
    added = await stage.emma.post(f"/pledges/{id}/evidence", {"words": "See", "media": [proof["media"]]})
    assert added.json["evidence"][-1]["proofs"][0]["id"] == proof["id"]
    file = await stage.tom.get(f"/proofs/{proof['id']}/picture")
    assert file.headers["Content-Type"] == "image/jpeg"
    assert "sandbox" in file.headers["Content-Security-Policy"]
    assert sha256(file.data).hexdigest() == proof["sha256"]
    assert (await stage.eve.get(f"/proofs/{proof['id']}")).status == 404

    stranger = await Client(server.url).begin()
    kind = {"Content-Type": "application/octet-stream"}
    said = (await stranger.call("POST", "/proofs/verify", data=file.data, headers=kind)).json
    assert (said["state"], said["code"], said["pledge"], said["person"]) == ("unchanged", proof["code"], None, None)
    assert b"Look" not in file.data
    changed = (await stranger.call("POST", "/proofs/verify", data=file.data[:-9] + b"!" * 9, headers=kind)).json
    assert changed["state"] == "changed"
    told = (await stage.tom.call("POST", "/proofs/verify", data=file.data, headers=kind)).json
    assert told["pledge"]["id"] == id


async def test_where_somebody_is_decides_nothing_by_itself(
    server: RunningServer, clock: StageClock, provider: StrictProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = await Theatre(server, clock, provider).open(monkeypatch)
    id = await stage.placed()
    clock.at = (await stage.load(id)).tasks[0].opens_at
    shared = await stage.emma.post(f"/pledges/{id}/locations", {"task": 1, "place": HERE})
    assert shared.status == 201
    refused = await stage.tom.post(f"/pledges/{id}/tasks/1/stamps", {"verdict": "done"})
    assert refused.code == "location_alone"
    outside = {"task": 1, "place": {**HERE, "latitude": 91}}
    assert (await stage.emma.post(f"/pledges/{id}/locations", outside)).code == "bad_request"
