"""What the edge itself refuses, before any context hears of the request."""

from collections.abc import Mapping
from typing import ClassVar

NOTHING_THERE = "there is nothing here under this name that you may see; check the id or the address"


class Refusal(Exception):
    """A request that is turned away at the edge: an HTTP status, a stable reason, a sentence that says what to do.

    Invariants: the message never repeats what the client sent; `field` is a dotted path into the input.
    """

    status: ClassVar[int]
    reason: str

    def __init__(self, message: str, *, field: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.headers = dict(headers or {})


class UnreadableBody(Refusal):
    """A body that is not JSON, or that two readers could understand differently."""

    status, reason = 400, "UNREADABLE_BODY"


class AmbiguousRequest(Refusal):
    """A path, query or header that two readers could understand differently."""

    status, reason = 400, "AMBIGUOUS_REQUEST"


class Unauthenticated(Refusal):
    """No token, or one that is not ours, not for us, or no longer valid."""

    status, reason = 401, "UNAUTHENTICATED"


class SignInRefused(Refusal):
    """Login and password, or the refresh token, open nothing."""

    status, reason = 401, "SIGN_IN_REFUSED"

    @classmethod
    def because(cls, reason: str, message: str) -> "SignInRefused":
        """With identity's own words."""
        refusal = cls(message)
        refusal.reason = reason
        return refusal


class Forbidden(Refusal):
    """No role of the caller allows it."""

    status, reason = 403, "FORBIDDEN"


class OwnRecord(Refusal):
    """Allowed to others, but nobody does it to their own record."""

    status, reason = 403, "OWN_RECORD"


class NotThere(Refusal):
    """Nothing there, or nothing that the caller may know of: the same answer for both."""

    status, reason = 404, "NOT_FOUND"

    @classmethod
    def because(cls, reason: str) -> "NotThere":
        """With the reason that the owner of the thing gives when it is not there."""
        refusal = cls(NOTHING_THERE)
        refusal.reason = reason
        return refusal


class MethodNotAllowed(Refusal):
    """The path is there, but not with this method."""

    status, reason = 405, "METHOD_NOT_ALLOWED"


class BodyTooSlow(Refusal):
    """The body did not arrive within the request's deadline."""

    status, reason = 408, "BODY_TOO_SLOW"


class BodyTooLarge(Refusal):
    """More bytes than the operation accepts."""

    status, reason = 413, "BODY_TOO_LARGE"


class AddressTooLong(Refusal):
    """A path with query longer than any operation needs."""

    status, reason = 414, "ADDRESS_TOO_LONG"


class UnsupportedMediaType(Refusal):
    """A body that does not say it is JSON."""

    status, reason = 415, "UNSUPPORTED_MEDIA_TYPE"


class InvalidHeader(Refusal):
    """A header that does not have its documented form."""

    status, reason = 422, "INVALID_HEADER"


class IfMatchMissing(Refusal):
    """A change to a versioned thing that does not say which version it saw."""

    status, reason = 428, "IF_MATCH_MISSING"


class TooManyRequests(Refusal):
    """More attempts than the operation allows in its window, or more at once than a company's share."""

    status, reason = 429, "TOO_MANY_REQUESTS"


class HeadersTooLarge(Refusal):
    """More header bytes than any operation needs."""

    status, reason = 431, "HEADERS_TOO_LARGE"


class ClientGone(Refusal):
    """The client closed its connection before the answer; what was begun for it was given up. Nobody reads this."""

    status, reason = 499, "CLIENT_GONE"


class Overloaded(Refusal):
    """This process serves as many requests as it can; others would only wait."""

    status, reason = 503, "OVERLOADED"


class DeadlineExceeded(Refusal):
    """The answer did not come within the request's deadline; whether a change was made is not known."""

    status, reason = 504, "DEADLINE_EXCEEDED"
