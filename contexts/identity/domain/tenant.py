"""A tenant: a company that uses the installation, with what holds where nothing else is said."""

import re
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from contexts.identity.domain.errors import TenantMalformed
from kernel.ids import TenantId, tenant_id_of

_CODE = re.compile(r"[a-z0-9](?:-?[a-z0-9]){1,39}")
_LOCALE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}")
_CURRENCY = re.compile(r"[A-Z]{3}")
MAX_CODE, MAX_NAME, MAX_ZONE = 40, 200, 64


@dataclass(frozen=True, slots=True)
class Tenant:
    """A company.

    Invariants: the id follows from the code, which is unique and never changes; the home zone exists.
    """

    id: TenantId
    code: str
    name: str
    home_zone: str
    locale: str
    currency: str
    created_time: datetime

    @classmethod
    def create(cls, code: str, name: str, home_zone: str, locale: str, currency: str, at: datetime) -> "Tenant":
        """A new tenant. Raises TenantMalformed."""
        if not _CODE.fullmatch(code) or len(code) > MAX_CODE:
            raise TenantMalformed("a code is 2 to 40 lower-case letters, digits and single hyphens", field="code")
        if not 0 < len(name.strip()) <= MAX_NAME:
            raise TenantMalformed("a name has 1 to 200 characters", field="name")
        if not _LOCALE.fullmatch(locale):
            raise TenantMalformed("a locale is a language tag such as zh-CN", field="locale")
        if not _CURRENCY.fullmatch(currency):
            raise TenantMalformed("a currency is three upper-case letters such as CNY", field="currency")
        _zone(home_zone)
        return cls(tenant_id_of(code), code, name.strip(), home_zone, locale, currency, at)

    def today(self, at: datetime) -> date:
        """The civil date in the home zone."""
        return at.astimezone(_zone(self.home_zone)).date()


def _zone(name: str) -> ZoneInfo:
    try:
        if len(name) > MAX_ZONE or ("/" not in name and name != "UTC"):
            raise ValueError(name)
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:  # an unknown zone is a KeyError, an odd name one of the others
        raise TenantMalformed("a home zone is an IANA name such as Asia/Shanghai", field="home_zone") from error
