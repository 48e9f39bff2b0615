"""No method of a data service is served without an assertion that our application made for it."""

import asyncio
import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.jwk import ECKey

from chassis import assertion
from chassis.assertion import ALL_TENANTS, AssertionRefused, Signer, Spoken, Verifier
from chassis.principal import Principal
from chassis.rpc.channels import Channels
from chassis.rpc.error_map import RemoteError, Trouble
from tests.chassis.rpc.conftest import Served
from tests.chassis.rpc.probe import a_principal, messages, wire

METHODS: dict[str, Any] = {
    "Do": messages.DoRequest(behaviour="echo"),
    "DoMany": messages.DoManyRequest(behaviour="count", count=2),
}


def _claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    claims = {
        "iss": "application",
        "aud": "probe",
        "iat": now,
        "exp": now + 60,
        "tenant": "0192f0c0-0000-7000-8000-000000000001",
        "sub": "amy",
        "roles": ["hr_admin"],
    }
    return {key: value for key, value in {**claims, **changes}.items() if value is not None}


def _private(served: Served) -> dict[str, Any]:
    return dict(json.loads(Path(served.settings.assertion_key).read_bytes()))


def _signed(served: Served, headers: dict[str, Any] | None = None, **changes: Any) -> str:
    jwk = _private(served)
    key: Any = ec.derive_private_key(int.from_bytes(base64.urlsafe_b64decode(jwk["d"] + "=="), "big"), ec.SECP256R1())
    all_headers = {"kid": jwk["kid"], "typ": "muster+jwt", **(headers or {})}
    return pyjwt.encode(_claims(**changes), key, algorithm="ES256", headers=all_headers)


def _part(content: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


def _unsigned(alg: str) -> Callable[[Served], str]:
    def forge(served: Served) -> str:
        kid = _private(served)["kid"]
        return f"{_part({'alg': alg, 'kid': kid, 'typ': 'muster+jwt'})}.{_part(_claims())}."

    return forge


def _hmac_with_public_key(served: Served) -> str:
    import hashlib
    import hmac

    jwk = _private(served)
    public = ECKey.import_key({k: jwk[k] for k in ("kty", "crv", "x", "y")}).public_key
    secret = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    body = f"{_part({'alg': 'HS256', 'kid': jwk['kid'], 'typ': 'muster+jwt'})}.{_part(_claims())}"
    tag = hmac.new(secret, body.encode(), hashlib.sha256).digest()
    return f"{body}.{base64.urlsafe_b64encode(tag).rstrip(b'=').decode()}"


def _own_key_in_header(served: Served) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    public = ECKey.import_key(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    headers = {"kid": _private(served)["kid"], "typ": "muster+jwt", "jwk": public.as_dict(private=False)}
    return pyjwt.encode(_claims(), key, algorithm="ES256", headers=headers)


def _stranger(served: Served) -> str:
    headers = {"kid": _private(served)["kid"], "typ": "muster+jwt"}
    return pyjwt.encode(_claims(), ec.generate_private_key(ec.SECP256R1()), algorithm="ES256", headers=headers)


def _altered(served: Served) -> str:
    header, _, signature = _signed(served).split(".")
    return f"{header}.{_part(_claims(roles=['owner']))}.{signature}"


def _cut(served: Served) -> str:
    return _signed(served)[:-10]


FORGERIES: dict[str, Callable[[Served], str | None]] = {
    "missing": lambda served: None,
    "empty": lambda served: "",
    "garbage": lambda served: "a.b.c",
    "one megabyte's little brother": lambda served: "a" * 8000 + ".b.c",
    "alg none": _unsigned("none"),
    "alg nOnE": _unsigned("nOnE"),
    "alg empty": _unsigned(""),
    "HS256 with the public key": _hmac_with_public_key,
    "a key of its own in the header": _own_key_in_header,
    "signed by a stranger": _stranger,
    "altered": _altered,
    "cut": _cut,
    "unknown kid": lambda served: _signed(served, {"kid": "../../keys"}),
    "kid of SQL": lambda served: _signed(served, {"kid": "' OR 1=1 --"}),
    "no kid": lambda served: _signed(served, {"kid": ""}),
    "typ of another token": lambda served: _signed(served, {"typ": "JWT"}),
    "unknown crit": lambda served: _signed(served, {"crit": ["x"], "x": 1}),
    "jku": lambda served: _signed(served, {"jku": "https://evil.example/keys"}),
    "wrong audience": lambda served: _signed(served, aud="organization"),
    "audience list": lambda served: _signed(served, aud=["probe", "organization"]),
    "wrong issuer": lambda served: _signed(served, iss="somebody"),
    "expired": lambda served: _signed(served, iat=int(time.time()) - 120, exp=int(time.time()) - 60),
    "from the future": lambda served: _signed(served, iat=int(time.time()) + 60, exp=int(time.time()) + 100),
    "valid for a year": lambda served: _signed(served, exp=int(time.time()) + 365 * 86400),
    "no exp": lambda served: _signed(served, exp=None),
    "exp as text": lambda served: _signed(served, exp="tomorrow"),
    "no signature": _unsigned("ES256"),
    "no tenant": lambda served: _signed(served, tenant=None),
    "tenant of nonsense": lambda served: _signed(served, tenant="*"),
    "tenant as a list": lambda served: _signed(served, tenant=["0192f0c0-0000-7000-8000-000000000001"]),
    "all tenants for a person": lambda served: _signed(served, tenant=str(ALL_TENANTS)),
    "all tenants for a process here": lambda served: _signed(served, tenant=str(ALL_TENANTS), sub="process:pay"),
    "no subject": lambda served: _signed(served, sub=None),
    "roles as text": lambda served: _signed(served, roles="hr_admin"),
    "no roles": lambda served: _signed(served, roles=None),
    "request id without fingerprint": lambda served: _signed(served, request_id=str(ALL_TENANTS)),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", FORGERIES)
async def test_a_forged_assertion_is_refused_on_every_method(served: Served, name: str, method: str) -> None:
    token = FORGERIES[name](served)
    metadata = () if token is None else (("muster-assertion", token),)

    async with grpc.aio.insecure_channel(served.address) as channel:
        call = getattr(wire.ProbeServiceStub(channel), method)(METHODS[method], metadata=metadata, timeout=5)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await (call if method == "Do" else call.read())

    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert not served.probe.started


async def test_the_genuine_one_that_the_forgeries_start_from_is_accepted(served: Served) -> None:
    async with grpc.aio.insecure_channel(served.address) as channel:
        answer = await wire.ProbeServiceStub(channel).Do(
            METHODS["Do"], metadata=(("muster-assertion", _signed(served)),), timeout=5
        )

    assert answer.text == "amy"


async def test_identity_headers_of_other_systems_mean_nothing(served: Served) -> None:
    spoofed = (("x-tenant-id", "1"), ("x-user-id", "owner"), ("authorization", "Bearer x"))

    async with grpc.aio.insecure_channel(served.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await wire.ProbeServiceStub(channel).Do(METHODS["Do"], metadata=spoofed, timeout=5)

    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_refused_caller_is_told_nothing(served: Served) -> None:
    channels = Channels(served.settings, Signer(ECKey.generate_key("P-256")), {"probe": served.address})
    client = channels.to("probe")

    with pytest.raises(RemoteError) as caught:
        await client.call(client.stub(wire.ProbeServiceStub).Do, METHODS["Do"], principal=a_principal())

    await channels.close()
    assert caught.value.kind is Trouble.UNAUTHENTICATED
    assert (caught.value.message, dict(caught.value.facts)) == ("sign in again", {})


async def test_reflection_is_off_unless_asked_for(served: Served) -> None:
    import dataclasses

    from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc  # type: ignore[import-untyped]

    from chassis.lifecycle import Listener
    from chassis.rpc import server

    closed = dataclasses.replace(served.settings, reflection=False)
    running = await server.start(Listener(), [], name="closed", settings=closed)
    codes: list[Any] = []
    for address in (served.address, running.address):
        async with grpc.aio.insecure_channel(address) as channel:
            stub = reflection_pb2_grpc.ServerReflectionStub(channel)
            call = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
            try:
                answer = await call.read()
                codes.append("probe.v1.ProbeService" in [one.name for one in answer.list_services_response.service])
            except grpc.aio.AioRpcError as error:
                codes.append(error.code())
    await running.stop(0.5)

    assert codes == [True, grpc.StatusCode.UNIMPLEMENTED]


def _at(now: list[float]) -> tuple[Signer, Verifier]:
    signer = Signer(ECKey.generate_key("P-256"), now_s=lambda: now[0])
    return signer, Verifier(signer.public_keys(), "probe", now_s=lambda: now[0])


def test_an_assertion_says_who_calls() -> None:
    signer, verifier = _at([1_000_000.0])
    principal = Principal(a_principal().tenant_id, "process:pay", frozenset({"process"}), None, "amy")

    verified = verifier.verify(signer.for_write(principal, "probe", ALL_TENANTS, b"f" * 32))

    assert verified.principal == principal
    assert (verified.request_id, verified.fingerprint) == (ALL_TENANTS, b"f" * 32)


def test_a_read_uses_its_assertion_again_for_half_a_minute() -> None:
    now = [1_000_000.0]
    signer, _ = _at(now)
    first = signer.for_read(a_principal(), "probe")
    now[0] += 29

    assert signer.for_read(a_principal(), "probe") == first
    assert signer.for_read(a_principal(), "other") != first
    assert signer.for_read(a_principal(2), "probe") != first
    now[0] += 2
    assert signer.for_read(a_principal(), "probe") != first


def test_a_write_is_signed_anew_each_time() -> None:
    signer, _ = _at([1_000_000.0])

    tokens = {signer.for_write(a_principal(), "probe", ALL_TENANTS, b"f" * 32) for _ in range(3)}

    assert len(tokens) == 3


def test_an_accepted_assertion_ends_at_its_expiry_although_remembered() -> None:
    now = [1_000_000.0]
    signer, verifier = _at(now)
    token = signer.for_read(a_principal(), "probe")
    verifier.verify(token)
    now[0] += 64
    verifier.verify(token)
    now[0] += 2

    with pytest.raises(Exception, match="expired"):
        verifier.verify(token)


def test_an_assertion_of_another_tenant_is_another_principal() -> None:
    signer, verifier = _at([1_000_000.0])

    first = verifier.verify(signer.for_read(a_principal(1), "probe"))
    second = verifier.verify(signer.for_read(a_principal(2), "probe"))

    assert first.principal.tenant_id != second.principal.tenant_id


def _within_process() -> tuple[Spoken, Verifier]:
    signer = Signer(ECKey.generate_key("P-256"))
    return signer.within_process(), Verifier(signer.public_keys(), "probe")


def test_within_a_process_the_same_is_said_as_by_a_signature() -> None:
    spoken, verifier = _within_process()

    read = verifier.verify(spoken.for_read(a_principal(), "probe"))
    write = verifier.verify(spoken.for_write(a_principal(), "probe", ALL_TENANTS, b"f" * 32))

    assert (read.principal, read.request_id, read.fingerprint) == (a_principal(), None, None)
    assert (write.principal, write.request_id, write.fingerprint) == (a_principal(), ALL_TENANTS, b"f" * 32)


def test_what_was_said_within_a_process_is_forgotten_when_its_call_has_ended() -> None:
    spoken, verifier = _within_process()
    token = spoken.for_read(a_principal(), "probe")
    verifier.verify(token)

    spoken.ended(token)

    with pytest.raises(AssertionRefused):
        verifier.verify(token)


def test_within_a_process_too_only_our_own_key_is_believed_and_only_for_its_audience() -> None:
    spoken, verifier = _within_process()
    stranger, _ = _within_process()

    for token in (stranger.for_read(a_principal(), "probe"), spoken.for_read(a_principal(), "payroll"), "0" * 32):
        with pytest.raises(AssertionRefused):
            verifier.verify(token)


def test_within_a_process_too_nobody_but_a_process_acts_for_all_tenants() -> None:
    spoken, verifier = _within_process()

    with pytest.raises(AssertionRefused, match="claims"):
        verifier.verify(spoken.for_read(Principal(ALL_TENANTS, "amy", frozenset()), "probe"))
    assert verifier.verify(spoken.for_read(Principal(ALL_TENANTS, "process:pay", frozenset()), "probe"))


async def test_however_calls_end_nothing_of_them_is_remembered(served: Served) -> None:
    before = dict(assertion._spoken)
    channels = Channels(served.settings, served.signer, {"probe": served.address})
    client = channels.to("probe")
    do = client.stub(wire.ProbeServiceStub).Do

    await client.call(do, METHODS["Do"], principal=a_principal())
    with pytest.raises(RemoteError):
        await client.call(do, messages.DoRequest(behaviour="refuse"), principal=a_principal())
    with pytest.raises(RemoteError):
        await client.call(
            do, messages.DoRequest(behaviour="sleep", sleep_ms=1000), principal=a_principal(), timeout_s=0.05
        )
    waiting = asyncio.ensure_future(
        client.call(do, messages.DoRequest(behaviour="sleep", sleep_ms=1000), principal=a_principal())
    )
    await asyncio.sleep(0.05)
    waiting.cancel()
    await asyncio.wait({waiting})
    async for _ in client.stream(client.stub(wire.ProbeServiceStub).DoMany, METHODS["DoMany"], principal=a_principal()):
        pass

    await channels.close()
    assert assertion._spoken == before
