"""Ending a sign-in closes its sockets, and no others, whether they listen to their inbox or not (R-01, DESIGN 2)."""

from __future__ import annotations

from server.realtime.protocol import Close
from tests.wire.client import PASSWORD, Crowd, Person, Socket


class Devices:
    """One person with two browsers and a program, two sockets each."""

    def __init__(self, person: Person, other: Person) -> None:
        self.person = person
        self.other = other
        self.here: list[Socket] = []
        self.there: list[Socket] = []
        self.program: list[Socket] = []

    @classmethod
    async def of(cls, crowd: Crowd, handle: str) -> Devices:
        person = await crowd.person(handle)
        devices = cls(person, await crowd.browser(person))
        token = (await person.post("/tokens", {"name": "script"}))["token"]
        for _ in range(2):
            devices.here.append(await person.socket())
            devices.there.append(await devices.other.socket())
            script = await person.socket(hello=False, headers={})
            await script.hello(token=token)
            devices.program.append(script)
        # The second of each listens to the inbox, the first to nothing at all.
        for sockets in (devices.here, devices.there, devices.program):
            await sockets[1].subscribe(person.inbox)
        return devices


async def gone(sockets: list[Socket]) -> None:
    for socket in sockets:
        bye = await socket.until("bye")
        assert (bye["close"], bye["reason"]) == (Close.SIGNED_OUT, "signed_out")
        assert await socket.end() == Close.SIGNED_OUT


async def alive(*groups: list[Socket]) -> None:
    for sockets in groups:
        for socket in sockets:
            await socket.fence()


async def refused(person: Person) -> None:
    """The cookie opens nothing any more."""
    late = await person.socket(hello=False)
    await late.say("hello", v=1)
    assert await late.end() == Close.UNAUTHENTICATED


async def test_signing_out(crowd: Crowd) -> None:
    devices, bystander = await Devices.of(crowd, "lin"), await (await crowd.person("mei")).socket()
    await devices.person.delete("/sessions/current")
    await gone(devices.here)
    await alive(devices.there, devices.program, [bystander])
    await refused(devices.person)


async def test_revoking_another_sign_in(crowd: Crowd) -> None:
    devices = await Devices.of(crowd, "lin")
    sessions = (await devices.person.get("/sessions"))["sessions"]
    browser = next(s["id"] for s in sessions if s["kind"] == "browser" and not s["current"])
    await devices.person.delete(f"/sessions/{browser}")
    await gone(devices.there)
    await alive(devices.here, devices.program)
    await refused(devices.other)

    token = next(s["id"] for s in sessions if s["kind"] == "token")
    await devices.person.delete(f"/sessions/{token}")
    await gone(devices.program)
    await alive(devices.here)


async def test_revoking_all_others(crowd: Crowd) -> None:
    devices = await Devices.of(crowd, "lin")
    assert (await devices.person.delete("/sessions"))["ended"] == 2
    await gone([*devices.there, *devices.program])
    await alive(devices.here)


async def test_nobody_ends_the_sign_ins_of_others(crowd: Crowd) -> None:
    devices, mei = await Devices.of(crowd, "lin"), await crowd.person("mei")
    for session in (await devices.person.get("/sessions"))["sessions"]:
        assert (await mei.call("DELETE", f"/sessions/{session['id']}")).code == "not_found"
    await alive(devices.here, devices.there, devices.program)


async def test_a_new_password_ends_all_other_sign_ins(crowd: Crowd) -> None:
    devices = await Devices.of(crowd, "lin")
    await devices.person.put("/me/password", {"current": PASSWORD, "new": "wax and ribbon"})
    await gone([*devices.there, *devices.program])
    await alive(devices.here)


async def test_deleting_the_account_ends_everything(crowd: Crowd) -> None:
    devices, mei = await Devices.of(crowd, "lin"), await crowd.person("mei")
    await crowd.befriend(mei, devices.person)
    ch = await crowd.direct(mei, devices.person)
    from_mei = await mei.socket()
    await from_mei.subscribe(ch)
    await devices.person.delete("/me", {"password": PASSWORD})
    await gone([*devices.here, *devices.there, *devices.program])
    await from_mei.entry(ch, "closed")
    await refused(devices.person)


async def test_a_sign_in_that_ends_before_its_hello(crowd: Crowd) -> None:
    """The cookie is read when the socket opens; what ends between that and `hello` must not slip through."""
    lin = await crowd.person("lin")
    other = await crowd.browser(lin)
    early, followed = await other.socket(hello=False), await lin.socket()
    await followed.subscribe(lin.inbox)
    await lin.delete("/sessions")
    await followed.entry(lin.inbox, "session_ended")  # long past when the other one says hello
    await early.say("hello", v=1)
    assert await early.end() in (Close.SIGNED_OUT, Close.UNAUTHENTICATED)
    await followed.fence()
