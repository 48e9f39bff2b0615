"""The keys that sign access tokens: which one signs now, which ones still verify, and how the next one takes over."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from contexts.identity.domain.errors import NoSigningKey, RotationPending, TooManySigningKeys

TOKEN_LIFE = timedelta(minutes=15)
LONGEST_TOKEN_LIFE = timedelta(hours=12)  # an operator may ask for it
CLOCK_SKEW = timedelta(seconds=60)
AHEAD = timedelta(seconds=60)  # a key is published this long before it signs, so that every verifier and replica has it
MAX_KEYS = 20


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The public half of an ES256 key and its life.

    Invariants: `kid` is the RFC 7638 thumbprint; `x` and `y` are base64url without padding; `expire_time` is set
    when a successor is.
    """

    kid: str
    x: str
    y: str
    active_time: datetime
    expire_time: datetime | None = None

    def verifies(self, at: datetime) -> bool:
        """Whether tokens signed by it may still live; true before it signs."""
        return self.expire_time is None or at < self.expire_time


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The installation's signing keys, newest first.

    Invariants: at most 20 verify at a time; at most one has yet to become active.
    """

    keys: tuple[SigningKey, ...]

    @classmethod
    def of(cls, keys: tuple[SigningKey, ...]) -> "KeyRing":
        """From keys in any order."""
        return cls(tuple(sorted(keys, key=lambda key: (key.active_time, key.kid), reverse=True)))

    def signing(self, at: datetime) -> SigningKey:
        """The key that signs now. Raises NoSigningKey."""
        for key in self.keys:
            if key.active_time <= at and key.verifies(at):
                return key
        raise NoSigningKey("no key can sign tokens; start the identity service again")

    def published(self, at: datetime) -> tuple[SigningKey, ...]:
        """What verifiers must know."""
        return tuple(key for key in self.keys if key.verifies(at))

    def rotated(self, kid: str, x: str, y: str, at: datetime) -> "KeyRing":
        """With a new key that takes over from the others. Raises RotationPending, TooManySigningKeys."""
        live = self.published(at)
        if not live:
            return KeyRing.of((*self.keys, SigningKey(kid, x, y, at)))
        if live[0].active_time > at:
            wait = int((live[0].active_time - at).total_seconds()) + 1
            raise RotationPending("the key of the last rotation does not sign yet; wait", retry_after_s=wait)
        if len(live) >= MAX_KEYS:
            raise TooManySigningKeys(f"{MAX_KEYS} keys still verify live tokens; wait until one has expired")
        active = at + AHEAD
        expire = active + LONGEST_TOKEN_LIFE + CLOCK_SKEW
        older = tuple(key if key.expire_time is not None else replace(key, expire_time=expire) for key in self.keys)
        return KeyRing.of((SigningKey(kid, x, y, active), *older))
