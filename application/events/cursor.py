"""How far somebody has read the feeds of all data services: a position each, as one opaque text."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from kernel.errors import InvalidValue

LONGEST = 1000
MOST_SERVICES = 30
CURSOR_PATTERN = "^[A-Za-z0-9_-]*$"

_FORMAT = 1
_LAST_POSITION = 2**63 - 1
_SERVICE = re.compile(r"[a-z][a-z0-9_-]{0,29}")


@dataclass(frozen=True, slots=True)
class Cursor:
    """A vector of positions, one per data service.

    Invariants: a service that it does not name stands at its beginning, so that a service added later is read whole;
    equal places have equal texts; the text of the beginning is empty.
    """

    positions: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """The cursor of a text that `str` made. Raises InvalidValue (field `after`)."""
        if not text:
            return cls()
        try:
            if len(text) > LONGEST:
                raise ValueError("too long")
            version, positions = orjson.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_"))
            if version != _FORMAT or not _are_positions(positions):
                raise ValueError("not a cursor of this version")
        except (ValueError, TypeError, binascii.Error) as error:
            raise InvalidValue("take the cursor from an answer, unchanged", field="after") from error
        return cls(positions)

    def at(self, service: str) -> int:
        """The position in the service's feed up to which everything was read, 0 at its beginning."""
        return self.positions.get(service, 0)

    def moved(self, service: str, position: int) -> "Cursor":
        """The cursor with the service's position in place of the one before."""
        return Cursor({**self.positions, service: position})

    def __str__(self) -> str:
        """URL-safe text of at most 1,000 characters, fit for a query, a header and the id of a server-sent event."""
        begun = {service: position for service, position in sorted(self.positions.items()) if position}
        if not begun:
            return ""
        return base64.urlsafe_b64encode(orjson.dumps([_FORMAT, begun])).decode().rstrip("=")


def _are_positions(found: object) -> bool:
    return (
        isinstance(found, dict)
        and len(found) <= MOST_SERVICES
        and all(_SERVICE.fullmatch(service) for service in found)
        and all(type(position) is int and 0 < position <= _LAST_POSITION for position in found.values())
    )
