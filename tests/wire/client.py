"""People with browsers, for tests: accounts over HTTP, sockets that remember everything they were told.

Nothing here sleeps: `Socket.until` waits for the frame itself, and `Socket.fence` for a pong, behind which everything
that the server had to say to earlier frames has arrived.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import socket
from collections.abc import Callable
from typing import Any, NamedTuple

from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from tests.conftest import RunningServer

#: Seconds after which a test says what it has waited for in vain.
PATIENCE = 10.0
PASSWORD = "paper and seal"

Frame = dict[str, Any]

#: What `subscribed` leaves out when it is so.
OMITTED: Frame = {
    "write": False,
    "signal": False,
    "first": 1,
    "read": 0,
    "read_n": 0,
    "delivered": 0,
    "gap": None,
}


class Answer(NamedTuple):
    """An HTTP answer with its JSON body (None when empty)."""

    status: int
    data: Any

    @property
    def code(self) -> str:
        """The stable code of a refusal; empty for a success."""
        return str(self.data["error"]["code"]) if self.status >= 400 else ""


def client_id() -> str:
    """128 random bits, as clients choose them."""
    return secrets.token_urlsafe(16)


class Socket:
    """One WebSocket as the client sees it. `frames` holds all that has arrived, in order."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.frames: list[Frame] = []
        self._connection: WebSocketClientConnection | None = None
        self._unseen: list[Frame] = []
        self._news = asyncio.Event()
        self._over = False
        self._rid = 0

    async def open(self, url: str, headers: dict[str, str]) -> None:
        request = HTTPRequest(url, headers=headers)
        self._connection = await websocket_connect(request, on_message_callback=self._arrived)

    # ── Saying ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def say(self, t: str, **fields: Any) -> None:
        await self.send(json.dumps({"t": t, **fields}, ensure_ascii=False))

    async def send(self, data: str | bytes, *, binary: bool = False) -> None:
        """Any text or bytes, however wrong."""
        assert self._connection is not None
        await self._connection.write_message(data, binary=binary)

    def close(self, code: int | None = None) -> None:
        if self._connection is not None:
            self._connection.close(code)

    @property
    def rid(self) -> int:
        """A fresh request id."""
        self._rid += 1
        return self._rid

    async def hello(self, **fields: Any) -> Frame:
        await self.say("hello", **({"v": 1} | fields))
        return await self.until("welcome")

    async def subscribe(self, ch: str, after: int | None = None) -> Frame:
        """The answer: `subscribed` or `refused`."""
        rid = self.rid
        await self.say("subscribe", rid=rid, channels=[{"ch": ch} if after is None else {"ch": ch, "after": after}])
        answer = await self.until("subscribed", "refused", rid=rid, ch=ch)
        return OMITTED | answer if answer["t"] == "subscribed" else answer

    async def append(self, ch: str, kind: str, body: Any, *, id: str | None = None, ref: int | None = None) -> Frame:
        """The answer: `ack` or `error`."""
        id = id or client_id()
        await self.say("append", id=id, ch=ch, kind=kind, body=body, **({} if ref is None else {"ref": ref}))
        return await self.until("ack", "error", id=id)

    async def write(self, ch: str, text: str, *, id: str | None = None) -> int:
        """Appends a message; its number."""
        answer = await self.append(ch, "message", {"text": text}, id=id)
        assert answer["t"] == "ack", answer
        return int(answer["seq"])

    async def page(self, ch: str, **fields: Any) -> Frame:
        """The page, or the `error`."""
        rid = self.rid
        await self.say("history", rid=rid, ch=ch, **fields)
        answer = await self.until("page", "error", rid=rid)
        return dict(answer["page"]) if answer["t"] == "page" else answer

    async def fence(self) -> None:
        """Returns when the server has dealt with everything said before (appends: has begun to)."""
        rid = self.rid
        await self.say("ping", rid=rid)
        await self.until("pong", rid=rid)

    # ── Hearing ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def until(self, *types: str, where: Callable[[Frame], bool] = lambda frame: True, **fields: Any) -> Frame:
        """The first frame not asked for before that has one of these types and these fields; waits for it."""

        def fits(frame: Frame) -> bool:
            named = frame["t"] in types and all(frame.get(name) == value for name, value in fields.items())
            return named and where(frame)

        return dict(await self._wait(lambda: self._take(fits), f"{'/'.join(types)} {fields}"))

    async def entry(self, ch: str, kind: str | None = None, seq: int | None = None) -> Frame:
        """The next entry of a channel (of this kind, with this number)."""

        def fits(frame: Frame) -> bool:
            return kind in (None, frame["entry"]["kind"]) and seq in (None, frame["entry"]["seq"])

        return dict((await self.until("entry", ch=ch, where=fits))["entry"])

    def entries(self, ch: str) -> list[Frame]:
        """All entries of a channel so far, in the order of their arrival."""
        return [frame["entry"] for frame in self.frames if frame["t"] == "entry" and frame["ch"] == ch]

    def numbers(self, ch: str) -> list[int]:
        return [entry["seq"] for entry in self.entries(ch)]

    def heard(self, t: str, **fields: Any) -> list[Frame]:
        """All frames so far of this type with these fields."""
        return [
            frame
            for frame in self.frames
            if frame["t"] == t and all(frame.get(name) == value for name, value in fields.items())
        ]

    async def end(self) -> int | None:
        """Waits until the socket is closed; the close code."""
        await self._wait(lambda: True if self._over else None, "the end")
        assert self._connection is not None
        return self._connection.close_code

    def is_open(self) -> bool:
        return self._connection is not None and not self._over

    def _arrived(self, message: str | bytes | None) -> None:
        if message is None:
            self._over = True
            self.close()
        else:
            frame = json.loads(message)
            self.frames.append(frame)
            self._unseen.append(frame)
        self._news.set()

    def _take(self, fits: Callable[[Frame], bool]) -> Frame | None:
        for index, frame in enumerate(self._unseen):
            if fits(frame):
                return self._unseen.pop(index)
        return None

    async def _wait(self, found: Callable[[], Any], what: str) -> Any:
        try:
            async with asyncio.timeout(PATIENCE):
                while (result := found()) is None:
                    if self._over:
                        code = self._connection.close_code if self._connection else None
                        raise AssertionError(f"{self.name} waited for {what}, but the socket closed with {code}")
                    self._news.clear()
                    await self._news.wait()
                return result
        except TimeoutError:
            last = "\n".join(str(frame)[:300] for frame in self.frames[-12:])
            raise AssertionError(f"{self.name} waited for {what} in vain; the last frames:\n{last}") from None


class Person:
    """Somebody with one browser: its cookies, its sockets."""

    def __init__(self, server: RunningServer, handle: str) -> None:
        self.server = server
        self.handle = handle
        self.id = ""
        self.sockets: list[Socket] = []
        self.cookies: dict[str, str] = {}

    @property
    def inbox(self) -> str:
        return f"inbox:{self.id}"

    @property
    def cookie(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    async def call(self, method: str, path: str, body: Any = None) -> Answer:
        """One request below /api/v1, with the cookies and the XSRF token of this browser."""
        headers = {"Content-Type": "application/json", "Cookie": self.cookie}
        if "_xsrf" in self.cookies:
            headers["X-XSRFToken"] = self.cookies["_xsrf"]
        data = json.dumps(body) if body is not None else "" if method in ("POST", "PUT", "PATCH") else None
        url = f"{self.server.url}/api/v1{path}"
        answer = await AsyncHTTPClient().fetch(
            HTTPRequest(url, method=method, headers=headers, body=data, allow_nonstandard_methods=True),
            raise_error=False,
        )
        for line in answer.headers.get_list("Set-Cookie"):
            name, _, value = line.split(";")[0].partition("=")
            self.cookies[name] = value.strip('"')
        return Answer(answer.code, json.loads(answer.body) if answer.body else None)

    async def get(self, path: str) -> Any:
        return self._done(await self.call("GET", path))

    async def post(self, path: str, body: Any = None) -> Any:
        return self._done(await self.call("POST", path, body))

    async def put(self, path: str, body: Any = None) -> Any:
        return self._done(await self.call("PUT", path, body))

    async def patch(self, path: str, body: Any) -> Any:
        return self._done(await self.call("PATCH", path, body))

    async def delete(self, path: str, body: Any = None) -> Any:
        return self._done(await self.call("DELETE", path, body))

    async def register(self) -> None:
        await self.call("GET", "/me")  # sets the XSRF cookie
        account = {"handle": self.handle, "password": PASSWORD, "name": self.handle.title()}
        self.id = (await self.post("/registrations", account))["id"]

    async def other_browser(self) -> Person:
        """The same person, signed in once more."""
        other = Person(self.server, self.handle)
        await other.call("GET", "/me")
        other.id = (await other.post("/sessions", {"login": self.handle, "password": PASSWORD}))["me"]["id"]
        return other

    async def socket(self, *, hello: bool = True, headers: dict[str, str] | None = None) -> Socket:
        """A new socket, signed in unless `hello` is False."""
        opened = Socket(self.handle)
        self.sockets.append(opened)
        await opened.open(self.server.socket_url, {"Cookie": self.cookie} if headers is None else headers)
        if hello:
            await opened.hello()
        return opened

    @staticmethod
    def _done(answer: Answer) -> Any:
        assert answer.status < 400, answer
        return answer.data


class Crowd:
    """Makes people and what there is between them; closes all their sockets at the end."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self._people: list[Person] = []

    async def person(self, handle: str) -> Person:
        person = Person(self.server, handle)
        await person.register()
        self._people.append(person)
        return person

    async def people(self, *handles: str) -> list[Person]:
        return list(await asyncio.gather(*(self.person(handle) for handle in handles)))

    async def befriend(self, one: Person, *others: Person) -> None:
        for other in others:
            await one.post("/friends/requests", {"person": other.id})
            await other.post(f"/friends/requests/{one.id}/accept")

    async def friends(self, *handles: str) -> list[Person]:
        """The first is a friend of all others."""
        first, *rest = await self.people(*handles)
        await self.befriend(first, *rest)
        return [first, *rest]

    async def direct(self, one: Person, other: Person) -> str:
        """The channel of their direct conversation."""
        return str((await one.post("/conversations", {"kind": "direct", "person": other.id}))["ch"])

    async def group(self, owner: Person, *members: Person, title: str = "Tea", share_history: bool = False) -> str:
        """The channel of a new group."""
        body = {
            "kind": "group",
            "title": title,
            "members": [member.id for member in members],
            "share_history": share_history,
            "key": client_id(),
        }
        return str((await owner.post("/conversations", body))["ch"])

    async def browser(self, person: Person) -> Person:
        """One more browser of a person, closed with the others."""
        other = await person.other_browser()
        self._people.append(other)
        return other

    async def leave(self) -> None:
        for person in self._people:
            for opened in person.sockets:
                opened.close()


class Raw:
    """A socket without a WebSocket library: for frames that no library sends, and for not reading.

    It reads only when told to; `buffer` bytes wait in the kernel meanwhile.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def open(cls, person: Person, *, buffer: int = 65_536) -> Raw:
        connection = socket.socket()
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        raw = cls(connection)
        await raw._loop.sock_connect(connection, ("127.0.0.1", person.server.port))
        lines = [
            "GET /api/v1/socket HTTP/1.1",
            f"Host: 127.0.0.1:{person.server.port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {base64.b64encode(secrets.token_bytes(16)).decode()}",
            "Sec-WebSocket-Version: 13",
            f"Cookie: {person.cookie}",
        ]
        await raw.send("\r\n".join([*lines, "", ""]).encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += await raw._read()
        assert answer.startswith(b"HTTP/1.1 101"), answer
        return raw

    async def send(self, data: bytes) -> None:
        async with asyncio.timeout(PATIENCE):
            await self._loop.sock_sendall(self._socket, data)

    async def say(self, t: str, **fields: Any) -> None:
        await self.send(frame_bytes(json.dumps({"t": t, **fields}).encode()))

    async def some(self) -> bytes:
        """What has come; empty at the end of the connection."""
        async with asyncio.timeout(PATIENCE):
            return await self._read()

    async def rest(self) -> bytes:
        """Reads to the end of the connection; everything that came."""
        data = b""
        async with asyncio.timeout(PATIENCE):
            while chunk := await self._read():
                data += chunk
        return data

    async def close_code(self) -> int | None:
        """Reads to the end; the code of the close frame, None when the connection just ended."""
        data, code = await self.rest(), None
        while len(data) >= 2:
            size, start = data[1] & 0x7F, 2
            if size == 126:
                size, start = int.from_bytes(data[2:4], "big"), 4
            elif size == 127:
                size, start = int.from_bytes(data[2:10], "big"), 10
            if data[0] & 0x0F == 0x8 and size >= 2:
                code = int.from_bytes(data[start : start + 2], "big")
            data = data[start + size :]
        return code

    def close(self) -> None:
        self._socket.close()

    async def _read(self) -> bytes:
        try:
            return await self._loop.sock_recv(self._socket, 65_536)
        except ConnectionResetError:
            return b""


def frame_bytes(payload: bytes, *, first: int = 0x81, size: int | None = None) -> bytes:
    """A client's frame (RFC 6455 section 5.2), masked with zeros. `first` is its first byte; `size` may lie."""
    size = len(payload) if size is None else size
    if size < 126:
        head = bytes((first, 0x80 | size))
    elif size < 65_536:
        head = bytes((first, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, 0x80 | 127)) + size.to_bytes(8, "big")
    return head + bytes(4) + payload


def conversation_of(ch: str) -> str:
    """The path of a conversation's HTTP operations."""
    return "/conversations/" + ch.partition(":")[2]
