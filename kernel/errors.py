"""What can be wrong with a request, in words that callers can act on."""

from enum import Enum
from typing import ClassVar


class Kind(Enum):
    """What the caller should do about an error; the wire status follows from it."""

    INVALID = "INVALID"  # fix the value
    NOT_FOUND = "NOT_FOUND"  # check the id
    CONFLICT = "CONFLICT"  # use the existing one
    RULE = "RULE"  # wait, or change state first
    STALE = "STALE"  # re-read and retry
    FORBIDDEN = "FORBIDDEN"  # ask someone who may


class DomainError(Exception):
    """An expected refusal: a stable reason, a sentence for people, and the facts that it speaks of.

    Every leaf sets `kind` and `reason`. `facts` must be printable and hold no personal data; they travel to
    the client. `field` names the input at fault, as a dotted path, where there is one.
    """

    kind: ClassVar[Kind]
    reason: ClassVar[str]

    def __init__(self, message: str, *, field: str | None = None, **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.facts = facts


class InvalidValue(DomainError):
    """A value that no caller may send: wrong shape, out of bounds, or contradicting another."""

    kind, reason = Kind.INVALID, "INVALID_VALUE"


class Stale(DomainError):
    """Somebody else changed the thing first; read it again."""

    kind, reason = Kind.STALE, "STALE_VERSION"
