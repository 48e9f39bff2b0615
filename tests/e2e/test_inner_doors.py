"""No method of any running data service is served to somebody without an assertion of our application for it."""

import importlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import grpc
import muster
import orjson
import pytest
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha import reflection_pb2  # type: ignore[import-untyped]
from joserfc.jwk import ECKey
from muster.identity.v1 import account_pb2, account_pb2_grpc

from chassis.assertion import ALL_TENANTS, METADATA_KEY, Signer
from chassis.principal import Principal
from chassis.settings import Settings
from interfaces.cli.parts import SERVICES
from kernel.ids import TenantId
from tests.support.deployment import Deployment

Metadata = Sequence[tuple[str, str]]

REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
PLUMBING = ("event", "job")  # the packages that every data service serves
SPOOFED = ("x-tenant-id", "x-user-id", "x-roles", "x-forwarded-for", "x-forwarded-user", "x-envoy-internal", "x-jwt")


def services_of_packages() -> Mapping[str, list[ServiceDescriptor]]:
    """Every service that a proto declares, by the part of its package's name that says whose it is."""
    found: dict[str, list[ServiceDescriptor]] = {}
    root = Path(next(iter(muster.__path__)))
    for path in sorted(root.rglob("*_pb2.py")):
        name = ".".join(path.relative_to(root.parent).with_suffix("").parts)
        file = importlib.import_module(name).DESCRIPTOR
        found.setdefault(file.package.split(".")[1], []).extend(file.services_by_name.values())
    return {package: services for package, services in found.items() if services}


def addresses(deployment: Deployment) -> dict[str, str]:
    """The gRPC address of each data service."""
    state = deployment.folder / "data" / "running.json"
    if state.exists():
        return dict(orjson.loads(state.read_bytes())["addresses"])
    return {name: deployment.environment[f"MUSTER_{name.upper()}_ADDRESS"] for name in SERVICES}


async def answered(channel: grpc.aio.Channel, method: MethodDescriptor, metadata: Metadata) -> grpc.StatusCode:
    """What a call with an empty request is answered."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    request = GetMessageClass(method.input_type)().SerializeToString()
    call: Any = (channel.unary_stream if method.server_streaming else channel.unary_unary)(path)
    try:
        running = call(request, metadata=metadata, timeout=10)
        await (running.read() if method.server_streaming else running)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def open_methods(address: str, services: Sequence[ServiceDescriptor], metadata: Metadata) -> list[str]:
    """The methods that do not turn a caller with this metadata away."""
    async with grpc.aio.insecure_channel(address) as channel:
        return [
            f"{method.full_name} answers {code.name}"
            for service in services
            for method in service.methods
            if (code := await answered(channel, method, metadata)) is not grpc.StatusCode.UNAUTHENTICATED
        ]


@dataclass(frozen=True)
class Keys:
    """The key of the deployment's application, and a principal of one of its tenants."""

    path: Path
    tenant: TenantId
    bearer: str

    @property
    def amy(self) -> Principal:
        return Principal(self.tenant, "amy", frozenset({"owner"}))

    def signed(self, audience: str, principal: Principal | None = None, *, seconds_ago: float = 0) -> str:
        """An assertion by the application, made some time ago."""
        key = ECKey.import_key(orjson.loads(self.path.read_bytes()))
        return Signer(key, now_s=lambda: time.time() - seconds_ago).for_read(principal or self.amy, audience)

    def strangers(self, audience: str) -> dict[str, Metadata]:
        """Who must not come in, and what they bring."""
        foreign = Signer(ECKey.generate_key("P-256")).for_read(self.amy, audience)
        other = next(name for name in SERVICES if name != audience)
        everybody = Principal(ALL_TENANTS, "amy", frozenset({"owner"}))
        claims = [(name, str(self.tenant)) for name in SPOOFED]
        claims += [(name.replace("-", "_"), value) for name, value in claims]
        return {
            "nobody": (),
            "nonsense": ((METADATA_KEY, "nonsense"),),
            "signed by another key": ((METADATA_KEY, foreign),),
            "signed an hour ago": ((METADATA_KEY, self.signed(audience, seconds_ago=3600)),),
            "signed for another service": ((METADATA_KEY, self.signed(other)),),
            "a person of all tenants": ((METADATA_KEY, self.signed(audience, everybody)),),
            "a client's own token": ((METADATA_KEY, self.bearer), ("authorization", f"Bearer {self.bearer}")),
            "identity in headers": (*claims, ("authorization", f"Bearer {self.bearer}")),
        }


@pytest.fixture(scope="module")
def keys(deployment: Deployment) -> Keys:
    founded = deployment.found_tenant()
    settings = Settings.read(deployment.environment)
    bearer = deployment.token(founded.code, "owner")
    return Keys(settings.assertion_key, TenantId(UUID(founded.tenant_id)), bearer)


def test_every_package_with_services_is_a_data_service() -> None:
    assert set(services_of_packages()) == {*SERVICES, *PLUMBING}


@pytest.mark.parametrize("part", SERVICES)
async def test_no_method_is_served_without_an_assertion_for_it(deployment: Deployment, keys: Keys, part: str) -> None:
    packages = services_of_packages()
    services = [service for name in (part, *PLUMBING) for service in packages[name]]
    address = addresses(deployment)[part]

    found = {who: await open_methods(address, services, metadata) for who, metadata in keys.strangers(part).items()}

    assert {who: methods for who, methods in found.items() if methods} == {}


@pytest.mark.parametrize("part", SERVICES)
async def test_with_an_assertion_for_it_the_same_methods_are_served(
    deployment: Deployment, keys: Keys, part: str
) -> None:
    services = services_of_packages()[part]

    served = await open_methods(addresses(deployment)[part], services, ((METADATA_KEY, keys.signed(part)),))

    assert len(served) == sum(len(service.methods) for service in services)
    assert not [line for line in served if "UNIMPLEMENTED" in line]


async def test_what_headers_say_of_the_caller_has_no_effect(deployment: Deployment, keys: Keys) -> None:
    spoofed = [(name, str(uuid4())) for name in SPOOFED]
    token = (METADATA_KEY, keys.signed("identity"))

    answers = []
    async with grpc.aio.insecure_channel(addresses(deployment)["identity"]) as channel:
        stub = account_pb2_grpc.AccountServiceStub(channel)
        for metadata in ((token,), (token, *spoofed)):
            request = account_pb2.ListAccountsRequest(page_size=10)
            answers.append(await stub.ListAccounts(request, metadata=metadata, timeout=10))

    assert [account.login for account in answers[0].accounts]
    assert answers[0] == answers[1]


@pytest.mark.parametrize("part", SERVICES)
async def test_nobody_is_told_what_methods_there_are(deployment: Deployment, part: str) -> None:
    async with grpc.aio.insecure_channel(addresses(deployment)[part]) as channel:
        # As one message: a stream may end before its first message is sent, which the client takes for its own fault.
        ask: Any = channel.unary_unary(REFLECTION, reflection_pb2.ServerReflectionRequest.SerializeToString)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ask(reflection_pb2.ServerReflectionRequest(list_services=""), wait_for_ready=True, timeout=20)

    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_method_that_nothing_stands_round_would_be_seen() -> None:
    async def open_door(request: bytes, context: Any) -> bytes:
        return b""

    (service,) = (one for one in services_of_packages()["organization"] if one.name == "EmployeeService")
    handlers: dict[str, Any] = {
        method.name: grpc.unary_unary_rpc_method_handler(open_door) for method in service.methods
    }
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.full_name, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()

    found = await open_methods(f"127.0.0.1:{port}", [service], ())

    await server.stop(None)
    assert len(found) == len(service.methods)
