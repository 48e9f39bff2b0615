"""Which countries payroll knows the statutory lines of."""

from functools import lru_cache

from contexts.payroll.domain.china import ChinaLines
from contexts.payroll.domain.errors import PayGroupInvalid
from contexts.payroll.domain.statutory import pack
from contexts.payroll.domain.statutory_lines import Statutory

KNOWN = ("CN",)


@lru_cache(maxsize=16)
def _lines(country: str) -> Statutory:
    return ChinaLines(pack(country))


def statutory_of(country: str) -> Statutory | None:
    """The country's statutory lines in their current edition, None for no country. Raises PayGroupInvalid."""
    if not country:
        return None
    if country not in KNOWN:
        raise PayGroupInvalid(
            f"there is no statutory pack for {country}; there are {', '.join(KNOWN)}, or leave the country empty",
            field="country",
        )
    return _lines(country)
