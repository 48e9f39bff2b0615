"""What a client gave, before it is validated, and what is wrong with it."""

from typing import Any
from urllib.parse import parse_qsl

from application.edge.refusal import AmbiguousRequest

MAX_PARAMETERS = 100


class InvalidInput(Exception):
    """Inputs that do not have their documented form, as pydantic found them."""

    def __init__(self, errors: list[Any]) -> None:
        super().__init__(f"{len(errors)} errors")
        self.errors = errors


def query_parameters(query: bytes) -> dict[str, str]:
    """The parameters of a query string, each given once. Raises AmbiguousRequest."""
    if not query:
        return {}
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_PARAMETERS, errors="strict")
    except ValueError:
        raise AmbiguousRequest("the query cannot be read; encode it as UTF-8, with at most 100 parameters") from None
    found = dict(pairs)
    if len(found) != len(pairs):
        raise AmbiguousRequest("a query parameter is given twice; give each one once")
    return found
