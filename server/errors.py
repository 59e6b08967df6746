"""One vocabulary of errors.

Every refusal that a person or a program can meet has a stable `code`. HTTP answers send it with its status, WebSocket
frames send the same code without one, and the clients hold a sentence per code and language. Codes are never renamed
and never reused; `docs/http.md` and `docs/protocol.md` list them from this table.
"""

from __future__ import annotations

from enum import StrEnum


class Code(StrEnum):
    """The stable codes. The value is what goes over the wire."""

    BAD_REQUEST = "bad_request"
    MALFORMED = "malformed"
    UNKNOWN_FRAME = "unknown_frame"
    OUT_OF_ORDER = "out_of_order"
    TOO_LARGE = "too_large"
    BAD_OFFER = "bad_offer"
    UNSUPPORTED_VERSION = "unsupported_version"
    RANGE_NOT_SATISFIABLE = "range_not_satisfiable"
    UNAUTHENTICATED = "unauthenticated"
    WRONG_CREDENTIALS = "wrong_credentials"
    XSRF = "xsrf"
    FORBIDDEN = "forbidden"
    SUSPENDED = "suspended"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    CONFLICT = "conflict"
    HANDLE_TAKEN = "handle_taken"
    PHONE_TAKEN = "phone_taken"
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"
    STALE = "stale"
    BLOCKED = "blocked"
    CLOSED = "closed"
    SILENCED = "silenced"
    ALREADY = "already"
    BUSY = "busy"
    LIMIT_REACHED = "limit_reached"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    AMOUNT_LIMIT = "amount_limit"
    GUARDIAN_NEEDED = "guardian_needed"
    FACTOR_NEEDED = "factor_needed"
    WRONG_FACTOR = "wrong_factor"
    COOLING = "cooling"
    MONEY_LEFT = "money_left"
    NOT_LIVE = "not_live"
    NONCE_USED = "nonce_used"
    NONCE_STALE = "nonce_stale"
    PICTURE_REUSED = "picture_reused"
    BAD_PICTURE = "bad_picture"
    LOCATION_ALONE = "location_alone"
    TOO_OFTEN = "too_often"
    TRY_LATER = "try_later"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


#: code → (HTTP status, the English sentence sent along for people who read the raw answer)
CODES: dict[Code, tuple[int, str]] = {
    Code.BAD_REQUEST: (400, "The request does not have the expected form."),
    Code.MALFORMED: (400, "The frame is not a JSON object of a known form."),
    Code.UNKNOWN_FRAME: (400, "No frame has this type."),
    Code.OUT_OF_ORDER: (400, "This frame cannot come at this point of the conversation."),
    Code.TOO_LARGE: (413, "This is larger than allowed."),
    Code.BAD_OFFER: (400, "This browser's offer of media cannot be understood."),
    Code.UNSUPPORTED_VERSION: (400, "The server does not speak this version of the protocol."),
    Code.RANGE_NOT_SATISFIABLE: (416, "There is nothing at this place: the content is shorter."),
    Code.UNAUTHENTICATED: (401, "Sign in first."),
    Code.WRONG_CREDENTIALS: (401, "Handle or password do not match."),
    Code.XSRF: (403, "The page is out of date. Reload it and try again."),
    Code.FORBIDDEN: (403, "You are not allowed to do this."),
    Code.SUSPENDED: (403, "This account is suspended for some time."),
    Code.NOT_FOUND: (404, "There is nothing here, or not for you."),
    Code.METHOD_NOT_ALLOWED: (405, "This address does not answer this method."),
    Code.CONFLICT: (409, "This does not fit the present state."),
    Code.HANDLE_TAKEN: (409, "Somebody has this handle already."),
    Code.PHONE_TAKEN: (409, "This phone number belongs to another account."),
    Code.IDEMPOTENCY_CONFLICT: (409, "This id was used before with other content."),
    Code.STALE: (409, "Somebody else changed this in the meantime. Load it again."),
    Code.BLOCKED: (403, "This is not possible between the two of you."),
    Code.CLOSED: (409, "This conversation is closed."),
    Code.SILENCED: (403, "You may not write here for a while."),
    Code.ALREADY: (409, "This is done already."),
    Code.BUSY: (409, "You are in another call."),
    Code.LIMIT_REACHED: (409, "The largest number allowed is reached."),
    Code.INSUFFICIENT_FUNDS: (409, "There is not enough money for this."),
    Code.AMOUNT_LIMIT: (409, "This is more, or less, than may be moved at once, in a day or in a month."),
    Code.GUARDIAN_NEEDED: (403, "A guardian does this for minors."),
    Code.FACTOR_NEEDED: (403, "Confirm this with your second factor."),
    Code.WRONG_FACTOR: (401, "This code or passkey is not the right one."),
    Code.COOLING: (409, "This account was changed lately. Money goes there after a waiting period."),
    Code.MONEY_LEFT: (409, "There is money in the wallet, or on its way to it or out of it. Settle that first."),
    Code.NOT_LIVE: (409, "This picture was not taken just now with the camera here."),
    Code.NONCE_USED: (409, "A picture was taken with this code already. Take another one."),
    Code.NONCE_STALE: (409, "The time for this picture was over. Take another one."),
    Code.PICTURE_REUSED: (409, "This picture was shown before. Take another one, from another angle."),
    Code.BAD_PICTURE: (400, "This is no whole JPEG picture of a size that is taken here."),
    Code.LOCATION_ALONE: (409, "A location alone decides nothing. Say what else you know."),
    Code.TOO_OFTEN: (429, "Too often. Wait a moment and try again."),
    Code.TRY_LATER: (503, "The server is busy. Your message is not lost: send it again with the same id."),
    Code.UNAVAILABLE: (503, "This part of the server is not available at the moment."),
    Code.INTERNAL: (500, "Something went wrong on our side. It has been recorded."),
}

#: Codes after which the same request, with the same id, may well succeed.
TRANSIENT = frozenset({Code.TOO_OFTEN, Code.TRY_LATER, Code.UNAVAILABLE, Code.INTERNAL})


class VouchError(Exception):
    """A refusal with a stable code.

    `field` names the offending field of a request in dotted form, `retry_after` is in seconds, `message` replaces the
    table's sentence where a more precise one helps; none of them may carry secrets or message text.
    """

    def __init__(
        self, code: Code, message: str | None = None, *, field: str | None = None, retry_after: float | None = None
    ) -> None:
        self.code = code
        self.status, default = CODES[code]
        self.message = message or default
        self.field = field
        self.retry_after = retry_after
        super().__init__(f"{code}: {self.message}")


class StartupError(Exception):
    """The server cannot start; the text is the one line that the person at the terminal reads (no traceback)."""

    def __init__(self, code: str, message: str, *, hint: str | None = None, exit_status: int = 1) -> None:
        self.code = code
        self.message = message
        self.hint = hint
        self.exit_status = exit_status
        super().__init__(message if hint is None else f"{message} {hint}")
