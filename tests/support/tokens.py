"""An issuer of access tokens for tests, and every forgery that nobody may let in."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from application.access.tokens import CACHED_TOKENS, PublishedKeys, TokenVerifier
from kernel.ids import tenant_id_of

NOW = 1_795_000_000
ISSUER = "https://muster.example"
ACME = tenant_id_of("acme")
ACCOUNT, EMPLOYEE = UUID(int=7), UUID(int=8)
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256
Signer = Callable[[bytes], bytes]


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass
class Issuer:
    """An issuer with one key, whose clock and answers a test moves."""

    kid: str = "key-1"
    private: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    now: float = NOW
    uptime: float = 1000.0
    asked: int = 0
    down: bool = False

    def __post_init__(self) -> None:
        self.published: list[Mapping[str, str]] = [self.jwk()]

    def jwk(self) -> dict[str, str]:
        numbers = self.private.public_key().public_numbers()
        x, y = (b64(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
        return {"kty": "EC", "crv": "P-256", "kid": self.kid, "x": x, "y": y, "alg": "ES256", "use": "sig"}

    async def keys(self) -> Sequence[Mapping[str, str]]:
        self.asked += 1
        await asyncio.sleep(0)
        if self.down:
            raise ConnectionError("the issuer is down")
        return list(self.published)

    def verifier(self, remembered: int = CACHED_TOKENS) -> TokenVerifier:
        keys = PublishedKeys(self.keys, monotonic=lambda: self.uptime)
        return TokenVerifier(keys, issuer=ISSUER, now=lambda: self.now, remembered=remembered)

    def sign(self, message: bytes) -> bytes:
        r, s = decode_dss_signature(self.private.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def token(self, header: Mapping[str, Any] | None = None, sign: Signer | None = None, **claims: Any) -> str:
        """A good token but for what is given; a claim that is None is left out."""
        whole = {**good_claims(self.now), **claims}
        body = json.dumps({name: value for name, value in whole.items() if value is not None})
        return self.raw({"alg": "ES256", "typ": "JWT", "kid": self.kid, **(header or {})}, body, sign)

    def raw(self, header: Mapping[str, Any] | str, body: str, sign: Signer | None = None) -> str:
        text = header if isinstance(header, str) else json.dumps(header)
        message = f"{b64(text.encode())}.{b64(body.encode())}"
        return f"{message}.{b64((sign or self.sign)(message.encode()))}"

    def public_pem(self) -> bytes:
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )


def good_claims(at: float = NOW) -> dict[str, Any]:
    """What a good token says, issued at that instant."""
    now = int(at)
    return {
        "iss": ISSUER,
        "aud": "muster",
        "sub": str(ACCOUNT),
        "tenant": str(ACME),
        "roles": ["employee", "hr_admin@department:ENG"],
        "employee_id": str(EMPLOYEE),
        "iat": now,
        "nbf": now,
        "exp": now + 900,
        "jti": str(UUID(int=9)),
    }


def hmac_with(secret: bytes) -> Signer:
    return lambda message: hmac.new(secret, message, hashlib.sha256).digest()


def signed_by_a_stranger(issuer: Issuer, **header: Any) -> str:
    stranger = Issuer(kid=issuer.kid)
    return stranger.token({"jwk": stranger.jwk(), **header} if header.pop("embed", False) else header)


def changed_payload(issuer: Issuer, **claims: Any) -> str:
    header, _, signature = issuer.token().split(".")
    return f"{header}.{b64(json.dumps({**good_claims(issuer.now), **claims}).encode())}.{signature}"


def rsa_signed(issuer: Issuer) -> str:
    from cryptography.hazmat.primitives.asymmetric import padding

    key = rsa.generate_private_key(65537, 2048)
    return issuer.token({"alg": "RS256"}, lambda message: key.sign(message, padding.PKCS1v15(), hashes.SHA256()))


def der_signed(issuer: Issuer) -> str:
    return issuer.token(sign=lambda message: issuer.private.sign(message, ec.ECDSA(hashes.SHA256())))


def without_signature(issuer: Issuer) -> str:
    return issuer.token().rpartition(".")[0] + "."


def doubled_claim(issuer: Issuer) -> str:
    body = json.dumps(good_claims(issuer.now))
    return issuer.raw({"alg": "ES256", "kid": issuer.kid}, f'{{"tenant": "{tenant_id_of("other")}", {body[1:]}')


FORGERIES: dict[str, Callable[[Issuer], str]] = {
    "no algorithm": lambda i: i.token({"alg": "none"}, lambda _: b""),
    "no algorithm, with the old signature": lambda i: i.token({"alg": "none"}),
    "no algorithm in odd case": lambda i: i.token({"alg": "nOnE"}, lambda _: b""),
    "algorithm left out": lambda i: i.raw({"kid": i.kid}, json.dumps(good_claims(i.now))),
    "algorithm in lower case": lambda i: i.token({"alg": "es256"}),
    "algorithm as a list": lambda i: i.token({"alg": ["ES256"]}),
    "HS256 with the public key as secret": lambda i: i.token({"alg": "HS256"}, hmac_with(i.public_pem())),
    "HS256 with the coordinates as secret": lambda i: i.token({"alg": "HS256"}, hmac_with(i.jwk()["x"].encode())),
    "HS256 with an empty secret": lambda i: i.token({"alg": "HS256"}, hmac_with(b"")),
    "RS256 with a key of the forger": rsa_signed,
    "ES512 named for an ES256 signature": lambda i: i.token({"alg": "ES512"}),
    "a key of the forger under our kid": signed_by_a_stranger,
    "a key of the forger in the header": lambda i: signed_by_a_stranger(i, embed=True),
    "our signature, but a key in the header": lambda i: i.token({"jwk": i.jwk()}),
    "a key address in the header": lambda i: signed_by_a_stranger(i, jku="https://evil.example/jwks.json"),
    "a certificate address in the header": lambda i: signed_by_a_stranger(i, x5u="https://evil.example/cert.pem"),
    "a certificate in the header": lambda i: signed_by_a_stranger(i, x5c=["MIIB"]),
    "a kid that is a path": lambda i: i.token({"kid": "../../../../dev/null"}),
    "a kid that is SQL": lambda i: i.token({"kid": "' OR '1'='1"}),
    "a kid that is unknown": lambda i: i.token({"kid": "key-2"}),
    "a kid that is a number": lambda i: i.token({"kid": 1}),
    "no kid": lambda i: i.raw({"alg": "ES256"}, json.dumps(good_claims(i.now))),
    "a critical extension that nobody knows": lambda i: i.token({"crit": ["exp"], "exp": int(i.now)}),
    "an unencoded payload": lambda i: i.token({"b64": False, "crit": ["b64"]}),
    "compression": lambda i: i.token({"zip": "DEF"}),
    "another type of token": lambda i: i.token({"typ": "logout+jwt"}),
    "expired": lambda i: i.token(iat=int(i.now) - 2000, nbf=int(i.now) - 2000, exp=int(i.now) - 61),
    "not valid yet": lambda i: i.token(nbf=int(i.now) + 61, exp=int(i.now) + 900),
    "issued in the future": lambda i: i.token(iat=int(i.now) + 61, nbf=int(i.now)),
    "no expiry": lambda i: i.token(exp=None),
    "no start": lambda i: i.token(nbf=None),
    "expiry as text": lambda i: i.token(exp=str(int(i.now) + 900)),
    "expiry as a fraction": lambda i: i.token(exp=int(i.now) + 900.5),
    "expiry as truth": lambda i: i.token(exp=True),
    "expiry beyond every calendar": lambda i: i.token(exp=10**30),
    "a life of a year": lambda i: i.token(exp=int(i.now) + 365 * 86400),
    "another issuer": lambda i: i.token(iss="https://evil.example"),
    "our issuer with a slash": lambda i: i.token(iss=ISSUER + "/"),
    "no issuer": lambda i: i.token(iss=None),
    "another audience": lambda i: i.token(aud="payroll"),
    "many audiences": lambda i: i.token(aud=["muster", "evil"]),
    "no audience": lambda i: i.token(aud=None),
    "no tenant": lambda i: i.token(tenant=None),
    "a tenant that is no UUID": lambda i: i.token(tenant="acme"),
    "a tenant that is a list": lambda i: i.token(tenant=[str(ACME)]),
    "a tenant in braces": lambda i: i.token(tenant="{" + str(ACME) + "}"),
    "no subject": lambda i: i.token(sub=None),
    "a subject that is a process": lambda i: i.token(sub="process:pay"),
    "no roles": lambda i: i.token(roles=None),
    "roles as one text": lambda i: i.token(roles="owner"),
    "a role of a process": lambda i: i.token(roles=["process:pay"]),
    "a role that nobody knows": lambda i: i.token(roles=["superuser"]),
    "a limit that nobody knows": lambda i: i.token(roles=["owner@planet:earth"]),
    "more roles than anybody may hold": lambda i: i.token(roles=["owner"] * 33),
    "an employee that is no UUID": lambda i: i.token(employee_id="E0001"),
    "no token id": lambda i: i.token(jti=None),
    "a claim that we never write": lambda i: i.token(on_behalf_of=str(ACCOUNT)),
    "a tenant named twice": doubled_claim,
    "more rights under an old signature": lambda i: changed_payload(i, roles=["owner"]),
    "another tenant under an old signature": lambda i: changed_payload(i, tenant=str(tenant_id_of("other"))),
    "signature cut off": without_signature,
    "signature left out with its dot": lambda i: i.token().rpartition(".")[0],
    "signature cut short": lambda i: i.token()[:-4],
    "signature of zeros": lambda i: i.token(sign=lambda _: bytes(64)),
    "signature of the group order": lambda i: i.token(sign=lambda _: ORDER.to_bytes(32, "big") * 2),
    "signature in DER": der_signed,
    "padding": lambda i: i.token() + "==",
    "a line break at the end": lambda i: i.token() + "\n",
    "a space in front": lambda i: " " + i.token(),
    "five parts": lambda i: i.token() + "." + i.token(),
    "a payload that is no object": lambda i: i.raw({"alg": "ES256", "kid": i.kid}, "[]"),
    "a payload that is no JSON": lambda i: i.raw({"alg": "ES256", "kid": i.kid}, "{"),
    "a payload with NaN": lambda i: i.raw({"alg": "ES256", "kid": i.kid}, '{"exp": NaN}'),
    "a payload that is deep": lambda i: i.raw({"alg": "ES256", "kid": i.kid}, '{"roles":' + "[" * 2000),
    "a header that is a list": lambda i: i.raw("[]", json.dumps(good_claims(i.now))),
    "a header with its algorithm twice": lambda i: i.raw(
        f'{{"alg": "none", "alg": "ES256", "kid": "{i.kid}"}}', json.dumps(good_claims(i.now))
    ),
    "a million characters": lambda i: i.token(jti="a" * 1_000_000),
    "a million dots": lambda _: "." * 1_000_000,
    "letters outside ASCII": lambda i: i.token().replace(".", "．"),
    "half of a letter": lambda _: "\ud800.\ud800.\ud800",
    "nothing": lambda _: "",
}
