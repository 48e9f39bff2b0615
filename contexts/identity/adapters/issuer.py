"""The local issuer: access tokens signed with ES256 by the installation's key of the hour."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from joserfc import jwt
from joserfc.jwk import ECKey

from contexts.identity.domain.signing_key import KeyRing, SigningKey
from contexts.identity.handlers.signing_keys import MintedKey
from kernel.ids import EmployeeId, TenantId

ALGORITHM = "ES256"
AUDIENCE = "muster"
REREAD_S = 20.0  # well below the time that a key is published before it signs


class RingSource(Protocol):
    """Where the ring and its private halves are read from."""

    async def ring(self) -> KeyRing:
        """All keys."""
        ...

    async def private_key(self, kid: str) -> bytes:
        """PEM."""
        ...


@dataclass(frozen=True, slots=True)
class Issued:
    """An access token and how long it lives."""

    token: str
    expires_in_s: int


def mint() -> MintedKey:
    """A fresh ES256 key."""
    key = ECKey.generate_key("P-256", private=True)
    public = key.as_dict(private=False)
    return MintedKey(key.thumbprint(), str(public["x"]), str(public["y"]), key.as_pem(private=True))


class TokenIssuer:
    """Signs access tokens.

    Invariants: it knows the ring as of its last reading; a key is published before it signs, so that a reading
    every 20 s is soon enough in every replica.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._ring = KeyRing(())
        self._private: dict[str, ECKey] = {}

    async def read(self, source: RingSource, at: datetime) -> None:
        """Take over the ring as it is stored now."""
        ring = await source.ring()
        live = {key.kid for key in ring.published(at)}
        private = {kid: key for kid, key in self._private.items() if kid in live}
        for kid in live - private.keys():
            private[kid] = ECKey.import_key((await source.private_key(kid)).decode())
        self._ring, self._private = ring, private

    def published(self, at: datetime) -> Sequence[SigningKey]:
        """What verifiers must know now."""
        return self._ring.published(at)

    def issue(
        self,
        tenant_id: TenantId,
        account_id: UUID,
        roles: Sequence[str],
        employee_id: EmployeeId | None,
        *,
        token_id: UUID,
        at: datetime,
        life: timedelta,
    ) -> Issued:
        """An access token from `at` on. Raises NoSigningKey."""
        kid = self._ring.signing(at).kid
        now, life_s = int(at.timestamp()), int(life.total_seconds())
        claims: dict[str, object] = {
            "iss": self.name,
            "aud": AUDIENCE,
            "sub": str(account_id),
            "tenant": str(tenant_id),
            "roles": list(roles),
            "iat": now,
            "nbf": now,
            "exp": now + life_s,
            "jti": str(token_id),
        }
        if employee_id is not None:
            claims["employee_id"] = str(employee_id)
        header = {"alg": ALGORITHM, "typ": "JWT", "kid": kid}
        return Issued(jwt.encode(header, claims, self._private[kid], algorithms=[ALGORITHM]), life_s)
