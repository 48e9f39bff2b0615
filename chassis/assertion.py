"""Inner assertions: a signed word from the application to one data service about who calls, valid for a minute.

They are compact JWS (ES256) that any JWT library reads. Every write pays for one signature and one verification, so
both are done here on the bytes: the header of each of our keys is a constant and is compared whole, which leaves a
token no choice of algorithm, key or extension, and saves about half of what a general library takes.

Where both sides are parts of one process, nothing is signed: what would be is remembered, for the length of the call,
under a name that nobody can guess, and the name is what is sent (`Spoken`).
"""

import binascii
import json
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

from chassis.keyring import open_to_others, write_whole
from chassis.lifecycle import CannotStart
from chassis.principal import Principal
from chassis.settings import Settings
from kernel.ids import EmployeeId, TenantId

ALGORITHM = "ES256"
TYPE = "muster+jwt"
ISSUER = "application"
METADATA_KEY = "muster-assertion"
LIFETIME_S = 60
REUSE_S = 30.0
SKEW_S = 5
MOST_CACHED = 4096
LONGEST_TOKEN = 4096
MOST_ROLES = 32

_ES256 = ECDSA(SHA256())
_URL = re.compile("[A-Za-z0-9_-]+")
_TO_URL, _FROM_URL = bytes.maketrans(b"+/", b"-_"), str.maketrans("-_", "+/")

# The feed and other plumbing serve all tenants at once; only their services accept this one.
ALL_TENANTS = TenantId(UUID(int=0))


class AssertionRefused(Exception):
    """A token that is not an assertion of ours for this service. The text names the check that failed, no content."""


class KeyFileProblem(CannotStart):
    """A key file that cannot be used, and what to do."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What an accepted assertion says.

    Invariants: `request_id` and `fingerprint` come together and belong to one write, both None for a read.
    """

    principal: Principal
    request_id: UUID | None
    fingerprint: bytes | None
    expires_s: int  # seconds since 1970; 0 where it ends with its call


class Assertions(Protocol):
    """What makes the assertions of a client's calls."""

    def for_read(self, principal: Principal, audience: str) -> str:
        """An assertion without a request id."""
        ...

    def for_write(self, principal: Principal, audience: str, request_id: UUID, fingerprint: bytes) -> str:
        """An assertion for one write. `fingerprint`: 32 bytes, see `fingerprint_of`."""
        ...

    def ended(self, token: str) -> None:
        """The call that it was made for has ended."""
        ...


class Signer:
    """Signs assertions with one ES256 key.

    Invariants: a read's assertion is used again for 30 s by the same principal and audience; a write's never.
    """

    def __init__(self, key: ECKey, *, issuer: str = ISSUER, now_s: Callable[[], float] = time.time) -> None:
        self._key = key
        if key.private_key is None:
            raise KeyFileProblem("only a private key signs")
        self._private = key.private_key
        self._header = _header(key)
        self._issuer = issuer
        self._now_s = now_s
        self._reads: OrderedDict[tuple[Principal, str], tuple[str, float]] = OrderedDict()

    @classmethod
    def open(cls, settings: Settings) -> "Signer":
        """With the private key that the settings name. Raises KeyFileProblem."""
        return cls(_private_key(settings.assertion_key))

    def public_keys(self) -> dict[str, Any]:
        """The JWKS with which others verify."""
        return dict(KeySet([self._key]).as_dict(private=False))

    def for_read(self, principal: Principal, audience: str) -> str:
        """An assertion without a request id, signed at most 30 s ago."""
        now = self._now_s()
        key = (principal, audience)
        cached = self._reads.get(key)
        if cached is not None and cached[1] > now:
            return cached[0]
        token = self._sign(principal, audience, now, {})
        self._reads[key] = token, now + REUSE_S
        self._reads.move_to_end(key)
        if len(self._reads) > MOST_CACHED:
            self._reads.popitem(last=False)
        return token

    def for_write(self, principal: Principal, audience: str, request_id: UUID, fingerprint: bytes) -> str:
        """An assertion for one write. `fingerprint`: 32 bytes, see `fingerprint_of`."""
        if len(fingerprint) != 32:
            raise ValueError("a fingerprint has 32 bytes")
        bound = {"request_id": str(request_id), "fingerprint": fingerprint.hex()}
        return self._sign(principal, audience, self._now_s(), bound)

    def ended(self, token: str) -> None:
        """Nothing: what is signed ends by its time."""

    def within_process(self) -> "Spoken":
        """The same word to the parts of this process, unsigned; those that would accept the signature accept it."""
        return Spoken(self._header)

    def _sign(self, principal: Principal, audience: str, now: float, bound: Mapping[str, str]) -> str:
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "aud": audience,
            "iat": int(now),
            "exp": int(now) + LIFETIME_S,
            "tenant": str(principal.tenant_id),
            "sub": principal.subject,
            "roles": sorted(principal.roles),
            **bound,
        }
        if principal.on_behalf_of is not None:
            claims["on_behalf_of"] = principal.on_behalf_of
        if principal.employee_id is not None:
            claims["employee_id"] = str(principal.employee_id)
        signed = f"{self._header}.{_encode(json.dumps(claims, separators=(',', ':')).encode())}"
        first, second = decode_dss_signature(self._private.sign(signed.encode(), _ES256))
        return f"{signed}.{_encode(first.to_bytes(32, 'big') + second.to_bytes(32, 'big'))}"


_spoken: dict[str, tuple[str, str, Verified]] = {}  # by name: the key's header, the audience, and what was said


class Spoken:
    """Assertions between the parts of one process.

    Invariants: what is said is known in this process only, under a name of 128 random bits, and forgotten as soon as
    its call has ended: as many are remembered as calls go on.
    """

    def __init__(self, header: str) -> None:
        """`header`: that of the key with which it would be signed."""
        self._header = header

    def for_read(self, principal: Principal, audience: str) -> str:
        """An assertion without a request id."""
        return self._say(audience, Verified(principal, None, None, 0))

    def for_write(self, principal: Principal, audience: str, request_id: UUID, fingerprint: bytes) -> str:
        """An assertion for one write. `fingerprint`: 32 bytes, see `fingerprint_of`."""
        if len(fingerprint) != 32:
            raise ValueError("a fingerprint has 32 bytes")
        return self._say(audience, Verified(principal, request_id, fingerprint, 0))

    def _say(self, audience: str, said: Verified) -> str:
        name = secrets.token_hex(16)
        _spoken[name] = self._header, audience, said
        return name

    def ended(self, token: str) -> None:
        """Forget it."""
        _spoken.pop(token, None)


class Verifier:
    """Accepts assertions that our application made for one audience.

    Invariants: one algorithm and one type of token; the keys are those of our JWKS, never one that a token names or
    carries; a token that was accepted is remembered by its bytes until it expires, at most 4,096 of them.
    """

    def __init__(
        self, jwks: Mapping[str, Any], audience: str, *, issuer: str = ISSUER, now_s: Callable[[], float] = time.time
    ) -> None:
        keys = KeySet.import_key_set({"keys": list(jwks["keys"])}).keys
        self._keys: dict[str, EllipticCurvePublicKey] = {}
        for key in keys:
            if not isinstance(key, ECKey) or key.is_private or not isinstance(key.public_key.curve, SECP256R1):
                raise KeyFileProblem("the JWKS must hold public P-256 keys and nothing else")
            self._keys[_header(key)] = key.public_key
        self._audience = audience
        self._issuer = issuer
        self._now_s = now_s
        self._accepted: OrderedDict[str, Verified] = OrderedDict()

    @classmethod
    def open(cls, settings: Settings, audience: str) -> "Verifier":
        """With the public keys that the settings name. Raises KeyFileProblem."""
        path = settings.assertion_jwks
        try:
            return cls(json.loads(path.read_bytes()), audience)
        except FileNotFoundError:
            raise KeyFileProblem(
                f"{path} is missing: copy the application's public JWKS there, or set MUSTER_ASSERTION_JWKS_PATH"
            ) from None
        except (OSError, ValueError, KeyError, TypeError, JoseError) as error:
            raise KeyFileProblem(f"{path} is not a readable JWKS of public EC keys: write it anew") from error

    def verify(self, token: str) -> Verified:
        """What the assertion says. Raises AssertionRefused."""
        spoken = _spoken.get(token)
        if spoken is not None:
            return self._heard(*spoken)
        known = self._accepted.get(token)
        now = self._now_s()
        if known is not None:
            if known.expires_s + SKEW_S > now:
                return known
            del self._accepted[token]
            raise AssertionRefused("expired")
        verified = self._verify(token, now)
        self._accepted[token] = verified
        if len(self._accepted) > MOST_CACHED:
            self._accepted.popitem(last=False)
        return verified

    def _heard(self, header: str, audience: str, said: Verified) -> Verified:
        if header not in self._keys:
            raise AssertionRefused("header or key")
        if audience != self._audience:
            raise AssertionRefused("issuer or audience")
        try:
            _check(said.principal)
        except ValueError as error:
            raise AssertionRefused("claims") from error
        return said

    def _verify(self, token: str, now: float) -> Verified:
        if len(token) > LONGEST_TOKEN or token.count(".") != 2:
            raise AssertionRefused("shape")
        signed, _, signature = token.rpartition(".")
        header, _, body = signed.partition(".")
        key = self._keys.get(header)
        if key is None:
            raise AssertionRefused("header or key")
        try:
            numbers = _decode(signature)
            if len(numbers) != 64:
                raise AssertionRefused("signature")
            both = int.from_bytes(numbers[:32], "big"), int.from_bytes(numbers[32:], "big")
            key.verify(encode_dss_signature(*both), signed.encode(), _ES256)
            claims = json.loads(_decode(body))
        except (InvalidSignature, ValueError, RecursionError) as error:
            raise AssertionRefused("signature") from error
        if claims.get("iss") != self._issuer or claims.get("aud") != self._audience:
            raise AssertionRefused("issuer or audience")
        issued, expires = claims.get("iat"), claims.get("exp")
        if type(issued) is not int or type(expires) is not int or not 0 < expires - issued <= LIFETIME_S:
            raise AssertionRefused("times")
        if issued - SKEW_S > now or expires + SKEW_S <= now:
            raise AssertionRefused("expired or not valid yet")
        try:
            return _verified(claims, expires)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise AssertionRefused("claims") from error


def _header(key: ECKey) -> str:
    key.ensure_kid()
    content = {"alg": ALGORITHM, "kid": key.kid, "typ": TYPE}
    return _encode(json.dumps(content, separators=(",", ":")).encode())


def _encode(content: bytes) -> str:
    return binascii.b2a_base64(content, newline=False).rstrip(b"=").translate(_TO_URL).decode()


def _decode(text: str) -> bytes:
    """Raises ValueError."""
    if not _URL.fullmatch(text):
        raise ValueError("not base64url")
    return binascii.a2b_base64(text.translate(_FROM_URL) + "=" * (-len(text) % 4), strict_mode=True)


def _verified(claims: Mapping[str, Any], expires: int) -> Verified:
    roles, subject = claims["roles"], claims["sub"]
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        raise ValueError("roles")
    if not isinstance(subject, str):
        raise ValueError("sub")
    behalf, employee = claims.get("on_behalf_of"), claims.get("employee_id")
    if behalf is not None and not isinstance(behalf, str):
        raise ValueError("on_behalf_of")
    request_id, fingerprint = claims.get("request_id"), claims.get("fingerprint")
    if (request_id is None) != (fingerprint is None):
        raise ValueError("request_id and fingerprint come together")
    digest = None if fingerprint is None else bytes.fromhex(fingerprint)
    if digest is not None and len(digest) != 32:
        raise ValueError("fingerprint")
    employee_id = None if employee is None else EmployeeId(UUID(employee))
    principal = Principal(TenantId(UUID(claims["tenant"])), subject, frozenset(roles), employee_id, behalf)
    _check(principal)
    return Verified(principal, None if request_id is None else UUID(request_id), digest, expires)


def _check(principal: Principal) -> None:
    """Raises ValueError for what no assertion may say."""
    if len(principal.roles) > MOST_ROLES:
        raise ValueError("roles")
    if not 0 < len(principal.subject) <= 80:
        raise ValueError("sub")
    if principal.on_behalf_of is not None and len(principal.on_behalf_of) > 80:
        raise ValueError("on_behalf_of")
    if principal.tenant_id == ALL_TENANTS and not principal.subject.startswith("process:"):
        raise ValueError("only a process acts for all tenants")


def fingerprint_of(path: str, canonical_body: bytes) -> bytes:
    """SHA-256 over the request's path and its canonical parsed body: what one idempotency key is bound to."""
    return sha256(path.encode() + b"\x00" + canonical_body).digest()


def prepare_keys(settings: Settings) -> None:
    """Make the signing key and its public JWKS where they are missing (embedded form and set-up tools)."""
    if not settings.assertion_key.exists():
        key = ECKey.generate_key("P-256", {"use": "sig", "alg": ALGORITHM}, auto_kid=True)
        write_whole(settings.assertion_key, json.dumps(key.as_dict(private=True)).encode(), mode=0o600, replace=False)
    signer = Signer.open(settings)
    public = json.dumps(signer.public_keys(), sort_keys=True).encode()
    if not settings.assertion_jwks.exists() or settings.assertion_jwks.read_bytes() != public:
        write_whole(settings.assertion_jwks, public, mode=0o644, replace=True)


def _private_key(path: Path) -> ECKey:
    try:
        if open_to_others(path):
            raise KeyFileProblem(f"{path} can be read by others: run chmod 600 on it")
        key = ECKey.import_key(json.loads(path.read_bytes()))
    except FileNotFoundError:
        raise KeyFileProblem(f"{path} is missing: make a signing key there, or set MUSTER_ASSERTION_KEY_PATH") from None
    except (OSError, ValueError, JoseError) as error:
        raise KeyFileProblem(f"{path} is not a readable EC key (JWK): write it anew") from error
    if not key.is_private:
        raise KeyFileProblem(f"{path} holds no private key: the application signs with it")
    return key
