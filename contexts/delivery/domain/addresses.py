"""Which IP addresses may be dialled: public ones, and what the operator allows by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Every block that is not plain unicast of the public internet. Source: IANA IPv4 and IPv6 Special-Purpose Address
# Registries (RFC 6890 and its updates), IPv4 multicast (RFC 5771), IPv6 multicast (RFC 4291).
SPECIAL_V4 = tuple(
    IPv4Network(block)
    for block in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        # Not in a registry, but never a receiver: addresses at which clouds serve a machine's own credentials.
        "168.63.129.16/32", "100.100.100.200/32",
    )
)  # fmt: skip
# Of IPv6 only what is allocated as global unicast may be dialled, and of that not these.
GLOBAL_V6 = IPv6Network("2000::/3")
SPECIAL_V6 = tuple(
    IPv6Network(block)
    for block in (
        "2001::/23",  # IETF protocol assignments, Teredo among them
        "2001:db8::/32", "3fff::/20",  # documentation
        "2002::/16",  # 6to4: the address of a machine inside may be written in it
        "2620:4f:8000::/48",  # AS112
        "5f00::/16",  # segment routing
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class AddressRule:
    """What may be dialled.

    Invariants: an address is judged as it is dialled; an IPv6 address that stands for an IPv4 one (mapped, compatible,
    NAT64, 6to4) is outside 2000::/3 or in a special block, so it is refused whatever it stands for.
    """

    allowed: tuple[Network, ...] = ()  # on-premise receivers that the operator named

    def admits(self, address: Address) -> bool:
        """Whether this very address may be dialled."""
        return self.names(address) or is_public(address)

    def names(self, address: Address) -> bool:
        """Whether the operator allowed this address by name."""
        return any(address.version == network.version and address in network for network in self.allowed)


def is_public(address: Address) -> bool:
    """Whether it is plain unicast of the public internet."""
    if isinstance(address, IPv4Address):
        return not any(address in block for block in SPECIAL_V4)
    if address.scope_id is not None or address not in GLOBAL_V6:
        return False
    return not any(address in block for block in SPECIAL_V6)


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Networks in CIDR notation. Raises ValueError."""
    return tuple(ip_network(text) for text in texts)


def literal(host: str) -> Address | None:
    """The address that a host in a URL writes, None for a name. Brackets of IPv6 are gone. Raises ValueError for what
    some programs read as an address and others do not (octal, hexadecimal, fewer parts)."""
    if ":" in host:
        return ip_address(host)
    last = host.rpartition(".")[2].lower()
    if last.isdigit() or last.startswith("0x"):
        return IPv4Address(host)
    return None
