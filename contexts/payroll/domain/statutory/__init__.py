"""Statutory packs: the law of payroll per country, as effective-dated tables and pure functions over them."""

from contexts.payroll.domain.statutory.cn.pack import ChinaPack
from contexts.payroll.domain.statutory.errors import UnknownCountry

__all__ = ["ChinaPack", "pack"]

_PACKS = {"CN": ChinaPack()}


def pack(country: str) -> ChinaPack:
    """The statutory pack of a country (ISO 3166 code) in its current edition. Raises UnknownCountry."""
    found = _PACKS.get(country)
    if found is None:
        raise UnknownCountry(f"there is no statutory pack for {country}", field="country")
    return found
