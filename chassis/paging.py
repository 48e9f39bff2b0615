"""Keyset page tokens: where the last page ended, opaque to clients."""

import base64
import binascii
from collections.abc import Sequence

import orjson

from kernel.errors import InvalidValue

DEFAULT_PAGE, LARGEST_PAGE = 50, 1000
_LONGEST_TOKEN = 1000


def page_size(asked: int) -> int:
    """The size to serve: 0 asks for 50. Raises InvalidValue outside 0..1000."""
    if not 0 <= asked <= LARGEST_PAGE:
        raise InvalidValue(f"ask for 1 to {LARGEST_PAGE} rows", field="page_size")
    return asked or DEFAULT_PAGE


def to_token(*keys: str | int | bool | None) -> str:
    """The token of the last row's sort keys."""
    return base64.urlsafe_b64encode(orjson.dumps(keys)).decode().rstrip("=")


def from_token(token: str, kinds: Sequence[type]) -> tuple[str | int | bool | None, ...] | None:
    """The sort keys again (None for the first page). Raises InvalidValue for what `to_token` did not make."""
    if not token:
        return None
    try:
        if len(token) > _LONGEST_TOKEN:
            raise ValueError("too long")
        keys = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        if not isinstance(keys, list) or [type(key) for key in keys] != list(kinds):
            raise ValueError("not of this list")
    except (ValueError, binascii.Error) as error:
        raise InvalidValue("take the cursor from the page before, unchanged", field="page_token") from error
    return tuple(keys)
