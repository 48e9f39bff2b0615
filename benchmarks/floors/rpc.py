"""A method that answers at once: `python -m benchmarks.floors.rpc bare|ours PORT FOLDER`.

`bare` is grpc.aio and nothing else: no assertion, deadline, validation, metrics or error mapping. `ours` is the same
servicer behind the chassis, with the keys in FOLDER.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

import grpc
import uvloop
from muster.identity.v1 import tenant_pb2

from chassis.lifecycle import Listener
from chassis.rpc import server
from chassis.settings import Settings

NAME = "identity"
ANSWER = tenant_pb2.GetTenantResponse(
    tenant=tenant_pb2.Tenant(
        tenant_id="0192f0c0-0000-7000-8000-000000000001",
        code="acme",
        home_zone="Asia/Shanghai",
        currency="CNY",
    )
)


class Servicer:
    """Answers at once."""

    async def GetTenant(self, request: tenant_pb2.GetTenantRequest, context: Any) -> tenant_pb2.GetTenantResponse:
        """Always the same tenant."""
        return ANSWER


SERVICE = tenant_pb2.DESCRIPTOR.services_by_name["TenantService"].full_name
METHODS = {
    "GetTenant": grpc.unary_unary_rpc_method_handler(
        Servicer().GetTenant,
        request_deserializer=tenant_pb2.GetTenantRequest.FromString,
        response_serializer=tenant_pb2.GetTenantResponse.SerializeToString,
    )
}


async def serve(mode: str, port: int, folder: Path) -> None:
    """Serve until killed."""
    if mode == "ours":
        registration = (lambda _servicer, registrar: registrar.add_registered_method_handlers(SERVICE, METHODS), None)
        settings = Settings(data_dir=folder / "data")
        running = await server.start(Listener("127.0.0.1", port), [registration], name=NAME, settings=settings)
        await asyncio.Event().wait()
        await running.stop(0.0)
    bare = grpc.aio.server()
    bare.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, METHODS),))
    bare.add_insecure_port(f"127.0.0.1:{port}")
    await bare.start()
    await bare.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))
