"""Where an endpoint is: one strict form of URL, so that nobody downstream reads it differently."""

import re
from dataclasses import dataclass, field

from contexts.delivery.domain.addresses import Address, AddressRule, is_public, literal
from contexts.delivery.domain.errors import WebhookUrlRefused

LONGEST_URL = 1000
LONGEST_NAME = 253
SECURE_PORTS, PLAIN_PORTS = frozenset({443, 8443}), frozenset({80, 8080})
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[^\]\[/?#@:\\\s%]+)(?::(?P<port>[1-9][0-9]{0,4}))?"
    r"(?P<target>/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*(?:\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?)?",
    re.IGNORECASE,
)
_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+")
_LOCAL_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class DialRule:
    """What the installation lets tenants dial."""

    addresses: AddressRule = field(default_factory=AddressRule)
    plain: bool = False  # http:// too, for development on one machine

    def admits(self, address: Address, port: int) -> bool:
        """Whether exactly this may be dialled: any port of an address that the operator named, else the usual ones."""
        return self.addresses.names(address) or (is_public(address) and port in self.ports)

    @property
    def ports(self) -> frozenset[int]:
        """The ports of public receivers."""
        return SECURE_PORTS | PLAIN_PORTS if self.plain else SECURE_PORTS


@dataclass(frozen=True, slots=True)
class Destination:
    """The parts of an endpoint's URL.

    Invariants: `host` is an ASCII name in lower case or an IP address in its usual notation without brackets; `target`
    starts with "/".
    """

    secure: bool
    host: str
    port: int
    target: str

    @property
    def url(self) -> str:
        """The one way in which it is written."""
        scheme, usual = ("https", 443) if self.secure else ("http", 80)
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}{'' if self.port == usual else f':{self.port}'}{self.target}"


def destination(url: str, rule: DialRule) -> Destination:
    """The parts of a URL that may be dialled, as far as its text tells. Raises WebhookUrlRefused."""
    found = _URL.fullmatch(url) if len(url) <= LONGEST_URL else None
    if found is None:
        raise _refused(
            "write an absolute URL: https, a host, and a path of unreserved characters; no user, no fragment"
        )
    secure = found["scheme"].lower() == "https"
    if not secure and not rule.plain:
        raise _refused("only https is delivered to")
    host, is_named = _host(found["host"], rule)
    port = int(found["port"] or (443 if secure else 80))
    # A receiver that the operator named may have any port; which address a name has is seen when it is dialled.
    if port > 65535 or not (port in rule.ports or is_named):
        raise _refused("use port 443 or 8443")
    return Destination(secure, host, port, found["target"] or "/")


def _host(text: str, rule: DialRule) -> tuple[str, bool]:
    """The host in its one form, and whether the operator's list may cover it."""
    try:
        address = literal(text.strip("[]")) if text.startswith("[") else literal(_ascii(text))
    except ValueError:
        raise _refused("this is no usual notation of an IP address") from None
    if address is not None:
        if not rule.addresses.admits(address):
            raise _refused("this address is not public")
        return str(address), rule.addresses.names(address)
    name = _ascii(text)
    on_premise = bool(rule.addresses.allowed)
    if not (_NAME.fullmatch(name) or (on_premise and _LOCAL_NAME.fullmatch(name))) or len(name) > LONGEST_NAME:
        raise _refused("write the full name of a public host")
    return name, on_premise


def _ascii(host: str) -> str:
    """An international name in its xn-- form, all in lower case."""
    if host.isascii():
        return host.lower()
    if len(host) > LONGEST_NAME:
        raise _refused("write the full name of a public host")
    try:
        return host.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise _refused("this name has letters that no host name has") from None


def _refused(words: str) -> WebhookUrlRefused:
    return WebhookUrlRefused(words, field="url")
