"""Questions between nodes: one asks another by name, and waits for the answer for a while.

They go over the bus, which may lose and double: whoever gets no answer in time is told so (`Unanswered`) and decides
what that means; an answer that comes late or twice is dropped. What is asked should therefore bear being done though
nobody heard of it. Both ways are sealed: whoever can write to Redis must not be able to ask, or to answer.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import secrets
from collections.abc import Awaitable, Callable

import msgspec
import structlog

from server.errors import Code, VouchError
from server.realtime.background import Background
from server.realtime.bus import Bus
from server.store import StoreError

#: What a question or an answer begins with: other things come for a node, too.
MARK = b"asking\x00\x01"
#: Seconds that an answer is waited for, unless whoever asks says otherwise.
ANSWER_WITHIN = 5.0
#: Questions of others that are worked on at once; what is beyond is not answered.
_MOST_AT_ONCE = 256
_SEAL_BYTES = 16

log = structlog.get_logger(__name__)

#: Given the node that asks and what; answers, or raises VouchError, which the other side raises too.
Answerer = Callable[[str, bytes], Awaitable[bytes]]


class Unanswered(Exception):
    """The other node has not answered: it may be gone, and it may have done what it was asked."""


class Question(msgspec.Struct, array_like=True, tag="question"):
    id: str
    name: str
    body: bytes


class Reply(msgspec.Struct, array_like=True, tag="reply"):
    """The answer, or the code with which it was refused."""

    id: str
    body: bytes = b""
    code: Code | None = None
    message: str | None = None
    field: str | None = None
    retry_after: float | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Question | Reply).decode


class Asking:
    """One per node. `on` registers what this node answers; `ask` asks another one, or this one itself."""

    def __init__(self, *, node: str, bus: Bus, key: bytes, background: Background) -> None:
        self._node = node
        self._bus = bus
        self._key = hashlib.blake2b(b"asking", key=key[:64]).digest()
        self._background = background
        self._answerers: dict[str, Answerer] = {}
        self._waiting: dict[str, tuple[str, asyncio.Future[bytes]]] = {}
        self._run = secrets.token_hex(8)
        self._numbers = itertools.count()
        self._at_work = 0

    def on(self, name: str, answerer: Answerer) -> None:
        if name in self._answerers:
            raise ValueError(f"{name!r} is answered already")
        self._answerers[name] = answerer

    async def ask(self, node: str, name: str, body: bytes, *, within: float = ANSWER_WITHIN) -> bytes:
        """Raises Unanswered after `within` seconds, and what the answerer raises (VouchError)."""
        if node == self._node:
            return await self._answerers[name](node, body)
        id = f"{self._run}{next(self._numbers)}"
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[id] = (node, future)
        try:
            self._send(node, Question(id, name, body))
            async with asyncio.timeout(within):
                return await future
        except TimeoutError:
            raise Unanswered(name) from None
        finally:
            self._waiting.pop(id, None)

    def gone(self, node: str) -> None:
        """A node has died: nobody waits for its answers."""
        for whom, future in self._waiting.values():
            if whom == node and not future.done():
                future.set_exception(Unanswered(node))

    def told(self, node: str, payload: bytes) -> None:
        """Another node has sent something that begins with MARK."""
        seal = payload[len(MARK) : len(MARK) + _SEAL_BYTES]
        text = payload[len(MARK) + _SEAL_BYTES :]
        if not hmac.compare_digest(seal, self._seal(node, self._node, text)):
            log.warning("a question or an answer has no seal of ours", node=node)
            return
        try:
            message = _decode(text)
        except msgspec.DecodeError:  # a node of another version
            log.warning("a question or an answer cannot be read", node=node)
            return
        if isinstance(message, Question):
            if self._at_work >= _MOST_AT_ONCE:
                log.warning("too many questions at once; one is not answered", node=node, name=message.name)
                return
            self._at_work += 1
            self._background.spawn(self._answer(node, message), f"answer to {message.name}")
        else:
            self._answered(node, message)

    def _answered(self, node: str, reply: Reply) -> None:
        whom, future = self._waiting.get(reply.id, ("", None))
        if future is None or future.done() or whom != node:
            return
        if reply.code is None:
            future.set_result(reply.body)
        else:
            future.set_exception(
                VouchError(reply.code, reply.message, field=reply.field, retry_after=reply.retry_after)
            )

    async def _answer(self, node: str, question: Question) -> None:
        try:
            answerer = self._answerers.get(question.name)
            if answerer is None:  # a node of another version asks
                raise VouchError(Code.UNAVAILABLE)
            reply = Reply(question.id, await answerer(node, question.body))
        except VouchError as fault:
            reply = Reply(question.id, b"", fault.code, fault.message, fault.field, fault.retry_after)
        except StoreError:
            reply = Reply(question.id, b"", Code.UNAVAILABLE)
        except Exception:
            log.exception("a question of another node could not be answered", name=question.name)
            reply = Reply(question.id, b"", Code.INTERNAL)
        finally:
            self._at_work -= 1
        self._send(node, reply)

    def _send(self, node: str, message: Question | Reply) -> None:
        text = _encode(message)
        self._bus.send(node, MARK + self._seal(self._node, node, text) + text)

    def _seal(self, sender: str, receiver: str, text: bytes) -> bytes:
        digest = hashlib.blake2b(text, digest_size=_SEAL_BYTES, key=self._key)
        digest.update(f"{sender}>{receiver}".encode())
        return digest.digest()
