"""Access tokens verified at the edge: one algorithm, known keys, every claim checked, and the principal they name."""

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NoReturn
from uuid import UUID

import structlog
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from joserfc.util import urlsafe_b64decode

from application.access.claims import ALGORITHM, AUDIENCE, LONGEST_TOKEN, SKEW_S
from application.access.table import ROLES
from application.edge.json_body import decode
from application.edge.refusal import Refusal, Unauthenticated
from chassis.health import NotReady
from chassis.principal import Principal
from kernel.ids import EmployeeId, TenantId

log = structlog.get_logger(__name__)

Jwk = Mapping[str, str]
Keys = Callable[[], Awaitable[Sequence[Jwk]]]  # the issuer's public keys, now

LONGEST_LIFE_S = 12 * 3600
MAX_ROLES = 32
MAX_KEYS = 100
CACHED_TOKENS = 4096
REFETCH_S = 10.0  # an unknown kid asks the issuer at most once in this time
RETRY_S = 1.0  # the same, after an answer that failed
ASK_S = 2.0  # how long an answer is waited for
FRESH_S = 300.0  # keys are asked for again after this time, so that a withdrawn one is forgotten
STALE_S = 3600.0  # while the issuer does not answer, known keys serve this long

_HEADER = frozenset({"alg", "kid", "typ"})  # jwk, jku, x5u, crit and all others would let the token choose its key
_CLAIMS = frozenset({"iss", "aud", "sub", "tenant", "roles", "employee_id", "iat", "nbf", "exp", "jti"})
_TOKEN = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{86})")
_KID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ROLE = re.compile(rf"(?:{'|'.join(ROLES)})(?:@(?:legal_entity|department):[A-Za-z0-9._-]{{1,40}})?")
_REFRESH = re.compile(r"([0-9a-f]{32})\.[0-9a-f]{32}\.[A-Za-z0-9_-]{43}")


class TokenRefused(Unauthenticated):
    """A token that is not ours, not for us, or no longer valid; `cause` is for logs, the client is told only that."""

    def __init__(self, cause: str) -> None:
        super().__init__(
            "the token is not valid (any more); sign in again",
            headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
        )
        self.cause = cause


class KeysUnavailable(Refusal):
    """No key of the issuer is known and it does not answer, so no token can be verified now."""

    status, reason = 503, "KEYS_UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class _Verified:
    """A token that was verified: what it says, and what must still hold when it is seen again."""

    principal: Principal
    kid: str
    not_before: float
    expires: float


class PublishedKeys:
    """The issuer's public keys as last heard.

    Invariants: at most 100 keys; the issuer is asked by one task at a time, and for unknown keys at most once in 10 s.
    """

    def __init__(self, source: Keys, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._monotonic = monotonic
        self._keys: dict[str, ECKey] = {}
        self._heard: float | None = None
        self._next_ask = float("-inf")
        self._turn = asyncio.Lock()

    async def key(self, kid: str) -> ECKey | None:
        """The key of that name, None where the issuer has none. Raises KeysUnavailable."""
        if not self._fresh() or kid not in self._keys:
            async with self._turn:
                if not self._fresh() or kid not in self._keys:
                    await self._ask()
        if self._heard is None or self._monotonic() - self._heard > STALE_S:
            raise KeysUnavailable("the issuer of tokens does not answer; try again", headers={"Retry-After": "5"})
        return self._keys.get(kid)

    def holds(self, kid: str) -> bool:
        """Whether the key of that name was heard of lately, so that nobody need be asked."""
        return kid in self._keys and self._fresh()

    async def known(self) -> bool:
        """Whether a token could be verified now."""
        if not self._fresh():
            async with self._turn:
                if not self._fresh():
                    await self._ask()
        return bool(self._keys)

    async def check(self) -> None:
        """For readiness. Raises NotReady."""
        if not await self.known():
            raise NotReady("no signing key of the issuer is known")

    def _fresh(self) -> bool:
        return self._heard is not None and self._monotonic() - self._heard <= FRESH_S

    async def _ask(self) -> None:
        now = self._monotonic()
        if now < self._next_ask:
            return
        self._next_ask = now + RETRY_S
        try:
            async with asyncio.timeout(ASK_S):
                found = await self._source()
            keys = {jwk["kid"]: _public(jwk) for jwk in list(found)[:MAX_KEYS]}
        except Exception as error:  # whatever the source is, a token is refused or known keys serve on
            log.warning("signing keys could not be read", error=type(error).__name__, known=len(self._keys))
            return
        self._keys = keys
        self._heard = now
        self._next_ask = now + REFETCH_S


class TokenVerifier:
    """Bearer tokens to principals; the edge's `Authenticator`.

    Invariants: only ES256 by a key of the issuer passes; at most 4,096 verified tokens are remembered, each for no
    longer than it and its key are valid.
    """

    def __init__(
        self,
        keys: PublishedKeys,
        *,
        issuer: str,
        audience: str = AUDIENCE,
        now: Callable[[], float] = time.time,
        remembered: int = CACHED_TOKENS,
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._now = now
        self._remembered = remembered
        self._seen: OrderedDict[bytes, _Verified] = OrderedDict()

    async def principal(self, token: str) -> Principal:
        """Who the token names. Raises TokenRefused, KeysUnavailable."""
        return (await self._verified(token)).principal

    def remembered(self, token: str) -> Principal | None:
        """The same of a token that was verified before and is valid still; None: ask `principal`."""
        known = self._seen.get(_digest(token))
        if known is None or not self._keys.holds(known.kid):
            return None
        valid = known.not_before - SKEW_S <= self._now() <= known.expires + SKEW_S
        return known.principal if valid else None

    async def session(self, token: str) -> tuple[Principal, float]:
        """Who the token names, and when it expires (seconds since 1970). Raises TokenRefused, KeysUnavailable."""
        verified = await self._verified(token)
        return verified.principal, verified.expires

    async def _verified(self, token: str) -> _Verified:
        if len(token) > LONGEST_TOKEN:
            raise TokenRefused("longer than any token of ours")
        digest = _digest(token)
        known = self._seen.get(digest)
        if known is not None:
            if await self._keys.key(known.kid) is None:
                del self._seen[digest]
                raise TokenRefused("its key was withdrawn")
            self._check_time(known)
            self._seen.move_to_end(digest)
            return known
        verified = await self._verify(token)
        self._seen[digest] = verified
        if len(self._seen) > self._remembered:
            self._seen.popitem(last=False)
        return verified

    async def _verify(self, token: str) -> _Verified:
        parts = _TOKEN.fullmatch(token)
        if parts is None:
            raise TokenRefused("not three parts with a signature of 64 bytes")
        kid = _kid(_object(parts[1]))
        key = await self._keys.key(kid)
        if key is None:
            raise TokenRefused("unknown key")
        try:
            jws.deserialize_compact(token, key, algorithms=[ALGORITHM])
        except (JoseError, ValueError):
            raise TokenRefused("wrong signature") from None
        verified = self._claimed(_object(parts[2]), kid)
        self._check_time(verified)
        return verified

    def _claimed(self, claims: Mapping[str, Any], kid: str) -> _Verified:
        if not claims.keys() <= _CLAIMS:
            raise TokenRefused("claims that we never write")
        if claims.get("iss") != self._issuer:
            raise TokenRefused("another issuer")
        if claims.get("aud") != self._audience:
            raise TokenRefused("another audience")
        issued, begins, expires = (_instant(claims, name) for name in ("iat", "nbf", "exp"))
        if not begins <= expires <= issued + LONGEST_LIFE_S or issued > self._now() + SKEW_S:
            raise TokenRefused("times that contradict each other")
        employee = claims.get("employee_id")
        principal = Principal(
            tenant_id=TenantId(_uuid(claims.get("tenant"))),
            subject=str(_uuid(claims.get("sub"))),
            roles=_roles(claims.get("roles")),
            employee_id=None if employee is None else EmployeeId(_uuid(employee)),
        )
        _uuid(claims.get("jti"))
        return _Verified(principal, kid, begins, expires)

    def _check_time(self, verified: _Verified) -> None:
        now = self._now()
        if now > verified.expires + SKEW_S:
            raise TokenRefused("expired")
        if now < verified.not_before - SKEW_S:
            raise TokenRefused("not valid yet")


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


def tenant_of_refresh_token(token: str) -> TenantId:
    """The tenant under which the token is to be presented; whether it opens anything is not known here.

    Raises TokenRefused where it has not the form of a refresh token.
    """
    parts = _REFRESH.fullmatch(token)
    if parts is None:
        raise TokenRefused("not the form of a refresh token")
    return TenantId(UUID(parts[1]))


def _public(jwk: Jwk) -> ECKey:
    if jwk.get("kty") != "EC" or jwk.get("crv") != "P-256" or not _KID.fullmatch(jwk["kid"]):
        raise ValueError("a signing key is EC on P-256 with a kid")
    return ECKey.import_key({name: jwk[name] for name in ("kty", "crv", "x", "y")})


def _object(part: str) -> Mapping[str, Any]:
    try:
        value = decode(urlsafe_b64decode(part.encode("ascii")))
    except (Refusal, ValueError):
        raise TokenRefused("a part is not one JSON text") from None
    if not isinstance(value, dict):
        raise TokenRefused("a part is not an object")
    return value


def _kid(header: Mapping[str, Any]) -> str:
    if header.get("alg") != ALGORITHM:
        raise TokenRefused("another algorithm")
    if not header.keys() <= _HEADER:
        raise TokenRefused("a header that we never write")
    if header.get("typ", "JWT") != "JWT":
        raise TokenRefused("another kind of token")
    kid = header.get("kid")
    if not isinstance(kid, str) or not _KID.fullmatch(kid):
        raise TokenRefused("no key is named")
    return kid


def _instant(claims: Mapping[str, Any], name: str) -> int:
    value = claims.get(name)
    if type(value) is not int or not 0 < value < 2**40:
        _refuse(f"{name} is no instant")
    return value


def _uuid(value: Any) -> UUID:
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        _refuse("an id that is no UUID")
    return UUID(value)


def _roles(value: Any) -> frozenset[str]:
    if not isinstance(value, list) or len(value) > MAX_ROLES:
        _refuse("roles are no short list")
    for role in value:
        if not isinstance(role, str) or not _ROLE.fullmatch(role):
            _refuse("a role that nobody may hold")
    return frozenset(value)


def _refuse(cause: str) -> NoReturn:
    raise TokenRefused(cause)
