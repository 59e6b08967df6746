"""What an HTTP operation is: one record per endpoint, made from an annotated function.

    @operation("POST", "/friends/requests/{person}/accept", allow=PEOPLE, tag="friends", errors=(Code.NOT_FOUND,))
    async def accept_friend(call: Call, person: PersonId) -> PersonView:
        '''Accept a request.'''
        return await call.services.people.friends.accept(call.principal.id, person)

The function's name is the operation's id, its docstring the summary and description, its annotations the types:
`body` is the request (a Struct, Upload for raw bytes, Signed for what proves itself), `query` the query's Struct,
every other parameter a part of the path, and the return type the answer (None: 204). `allow` has no default. From these
records come the routes, the OpenAPI document, docs/http.md and the test that calls every operation as the wrong
principal.
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from server.errors import Code, VouchError
from server.principals import Allow, Principal

if typing.TYPE_CHECKING:
    from server.services import Services

BASE = "/api/v1"
#: The largest JSON request, in bytes; operations that take more say so.
BODY_LIMIT = 128 * 1024
#: The largest request of all operations: what the HTTP server should let pass.
LARGEST_BODY = 4 * 1024 * 1024

_PART = re.compile(r"\{(\w+)\}")
_CHANGES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Upload(msgspec.Struct, frozen=True):
    """A raw request body."""

    content_type: str
    data: bytes


class Signed(msgspec.Struct, frozen=True):
    """A raw request of a third party that carries its own proof: neither cookies nor tokens are looked at.

    Header names are in lower case.
    """

    headers: dict[str, str]
    data: bytes


class Binary(msgspec.Struct, frozen=True):
    """A raw answer."""

    content_type: str
    data: bytes
    headers: dict[str, str] = {}


class Stream(msgspec.Struct, frozen=True):
    """A raw answer of any size, given out as fast as the client takes it; whole or in part (RFC 9110, section 14).

    `etag` never stands for other bytes. `read(first, length)` gives the bytes in pieces.
    """

    content_type: str
    size: int
    etag: str
    read: Callable[[int, int], AsyncIterator[bytes]]
    headers: dict[str, str] = {}


class Feed(msgspec.Struct, frozen=True):
    """A raw answer whose size nobody knows before its end, given out as fast as the client takes it.

    When `pieces` fails, the connection is broken off: a client never takes a part for the whole.
    """

    content_type: str
    pieces: AsyncIterator[bytes]
    headers: dict[str, str] = {}


@dataclass
class Call:
    """One request, as an operation sees it.

    `origin` is that of the page that asks (`https://vouch.example`), or of the address that was asked.
    `browser` is the cookie by which a browser is known again. `status` may be changed (201 or 200 for "made" or "was
    there"); `start_session` and `end_session` put and take the
    cookie of a browser.
    """

    services: Services
    principal: Principal
    ip: str
    user_agent: str
    languages: str
    request_id: str
    origin: str
    browser: str
    start_session: Callable[[str], None]
    end_session: Callable[[], None]
    status: int


Run = Callable[..., Awaitable[Any]]


@dataclass(frozen=True)
class Operation:
    """One endpoint. `request`, `query` and `response` are types; `params` are the parts of the path with theirs."""

    id: str
    method: str
    path: str
    allow: Allow
    run: Run
    tag: str
    summary: str
    description: str
    status: int
    errors: tuple[Code, ...]
    request: Any
    query: Any
    response: Any
    params: Mapping[str, Any]
    body_limit: int
    #: content types of a raw request, of a raw answer; None: JSON
    accepts: tuple[str, ...] | None
    produces: str | None
    #: further successful statuses, with what they mean
    also: Mapping[int, str] = field(default_factory=dict)

    @property
    def streams(self) -> bool:
        """Whether it answers with a Stream: then HEAD is answered, too."""
        return self.response is Stream

    @property
    def changes_state(self) -> bool:
        return self.method in _CHANGES

    @property
    def signed(self) -> bool:
        """Whether the request proves itself: it comes from no page, so it has no cookie and no XSRF token."""
        return self.request is Signed

    @property
    def pattern(self) -> str:
        """The whole path as a regular expression for Tornado."""
        return re.escape(BASE) + _PART.sub(r"(?P<\1>[^/]+)", self.path.replace(".", r"\.")) + "$"

    def decode_request(self, content_type: str, data: bytes, headers: Mapping[str, str] | None = None) -> Any:
        """Raises `bad_request` naming the field that does not fit. `headers` are those of a signed request."""
        plain = content_type.partition(";")[0].strip().lower()
        if self.accepts is not None:
            if plain not in self.accepts:
                raise VouchError(Code.BAD_REQUEST, f"The content type must be one of {', '.join(self.accepts)}.")
            if self.signed:
                return Signed({name.lower(): value for name, value in (headers or {}).items()}, data)
            return Upload(plain, data)
        if plain != "application/json":
            raise VouchError(Code.BAD_REQUEST, "The content type must be application/json.")
        try:
            return msgspec.json.decode(data, type=self.request)
        except msgspec.ValidationError as fault:
            raise invalid(fault) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise VouchError(Code.BAD_REQUEST, "The request is not valid JSON.") from None

    def decode_query(self, arguments: Mapping[str, list[bytes]]) -> Any:
        """Raises `bad_request` naming the parameter that does not fit."""
        values: dict[str, str] = {}
        for name, given in arguments.items():
            if len(given) != 1:
                raise VouchError(Code.BAD_REQUEST, "This parameter may come once only.", field=name)
            try:
                values[name] = given[0].decode()
            except UnicodeDecodeError:
                raise VouchError(Code.BAD_REQUEST, "This parameter is not UTF-8.", field=name) from None
        try:
            return msgspec.convert(values, type=self.query, strict=False)
        except msgspec.ValidationError as fault:
            raise invalid(fault) from None

    def decode_params(self, parts: Mapping[str, str]) -> dict[str, Any]:
        """Raises `not_found`: an id of another form names nothing."""
        try:
            return {name: msgspec.convert(parts[name], type=kind, strict=False) for name, kind in self.params.items()}
        except msgspec.ValidationError:
            raise VouchError(Code.NOT_FOUND) from None


def operation(
    method: str,
    path: str,
    *,
    allow: Allow,
    tag: str,
    status: int | None = None,
    also: Mapping[int, str] | None = None,
    errors: tuple[Code, ...] = (),
    body_limit: int = BODY_LIMIT,
    accepts: tuple[str, ...] | None = None,
    produces: str | None = None,
) -> Callable[[Run], Operation]:
    """Makes the record. `errors` are those beyond the ones that every operation of its kind may send."""

    def make(run: Run) -> Operation:
        name = run.__name__
        hints = typing.get_type_hints(run, include_extras=True)
        response = hints.pop("return")
        names = list(inspect.signature(run).parameters)[1:]
        parts = _PART.findall(path)
        if [n for n in names if n not in ("body", "query")] != parts:
            raise TypeError(f"{name}: the path's parts {parts} are not the function's parameters {names}")
        raw = response in (Binary, Stream, Feed)
        if (hints.get("body") in (Upload, Signed)) != (accepts is not None) or raw != (produces is not None):
            raise TypeError(f"{name}: raw bodies need their content types")
        summary, _, description = (inspect.getdoc(run) or "").partition("\n")
        if not summary:
            raise TypeError(f"{name} has no docstring")
        return Operation(
            id=name,
            method=method,
            path=path,
            allow=allow,
            run=run,
            tag=tag,
            summary=summary,
            description=description.strip(),
            status=status or (204 if response is types.NoneType else 200),
            errors=errors,
            request=hints.get("body"),
            query=hints.get("query"),
            response=None if response is types.NoneType else response,
            params={part: hints[part] for part in parts},
            body_limit=body_limit,
            accepts=accepts,
            produces=produces,
            also=also or {},
        )

    return make


_AT = re.compile(r" - at `(?P<path>[^`]*)`$")
_NAMED = re.compile(r"(?:unknown|required) field `(?P<name>[^`]*)`")


def invalid(fault: msgspec.ValidationError) -> VouchError:
    """msgspec's sentence without its path, and the path as `field`: `$.members[3]` is `members.3`."""
    text = str(fault)
    at, named = _AT.search(text), _NAMED.search(text)
    path = re.sub(r"\[(\d+)\]", r".\1", at["path"]).replace("[...]", "").lstrip("$.") if at else ""
    parts = [part for part in (path, named["name"] if named else "") if part]
    return VouchError(Code.BAD_REQUEST, _AT.sub("", text) + ".", field=".".join(parts) or None)
