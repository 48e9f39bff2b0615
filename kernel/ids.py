"""Identity: typed UUIDs, made from an instant (version 7) or from what they stand for (version 5)."""

from datetime import datetime
from typing import NewType
from uuid import UUID, uuid5

TenantId = NewType("TenantId", UUID)
PrincipalId = NewType("PrincipalId", UUID)
EmployeeId = NewType("EmployeeId", UUID)
AssignmentId = NewType("AssignmentId", UUID)
Version = NewType("Version", int)

NAMESPACE = UUID("6d757374-6572-5000-8000-000000000001")


def uuid7(instant: datetime, entropy: bytes) -> UUID:
    """A version 7 UUID: 48 bits of milliseconds since 1970, then 74 of the 80 bits of `entropy` (10 bytes)."""
    if len(entropy) != 10:
        raise ValueError("uuid7 takes 10 bytes of entropy")
    milliseconds = int(instant.timestamp()) * 1000 + instant.microsecond // 1000
    number = (milliseconds & (1 << 48) - 1) << 80 | int.from_bytes(entropy, "big")
    number = number & ~(0xF << 76) | 0x7 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=number)


def derived_id(*parts: object) -> UUID:
    """The version 5 UUID of what it stands for: the same parts give the same id, for ever."""
    return uuid5(NAMESPACE, "|".join(str(part) for part in parts))


def tenant_id_of(code: str) -> TenantId:
    """The tenant that a code names: codes are unique and never change, so the id follows from them."""
    return TenantId(derived_id("tenant", code))


INSTALLATION = TenantId(derived_id("installation"))  # keeps what belongs to no company, such as signing keys
