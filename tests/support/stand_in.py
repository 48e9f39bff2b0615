"""A service that only says where it is, and a control plane without a gateway: started in half a second."""

import asyncio
import json
import sys
import time

import grpc
from google.protobuf.wrappers_pb2 import StringValue

from chassis.health import Readiness
from chassis.lifecycle import Lifecycle, Listener, Running, run
from chassis.mesh import control_plane
from chassis.mesh.membership import join
from chassis.mesh.resources import no_routes
from chassis.settings import Settings
from chassis.telemetry import configure_logging

METHOD = "/muster.test.StandIn/Where"
WORK_S = 0.05


async def where(request: StringValue, context: "grpc.aio.ServicerContext[StringValue, StringValue]") -> StringValue:
    """The address of the process that answers. "block" makes the process's loop hang for 5 s."""
    if request.value == "block":
        time.sleep(5.0)  # noqa: ASYNC251
    await asyncio.sleep(WORK_S)
    return StringValue(value=request.value and f"{request.value}@{_here}")


_here = ""


async def serve(name: str, listener: Listener) -> Running:
    """Serve the one method."""
    global _here
    server = grpc.aio.server(
        options=[("grpc.so_reuseport", 0), ("grpc.http2.min_ping_interval_without_data_ms", 1_000)]
    )
    service, _, method = METHOD[1:].partition("/")
    handler = grpc.unary_unary_rpc_method_handler(where, StringValue.FromString, StringValue.SerializeToString)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
    port = server.add_insecure_port(listener.target)
    await server.start()
    _here = Listener(listener.host, port).target

    async def stop(grace_s: float) -> None:
        await server.stop(grace_s)

    return Running(name, _here, stop, Readiness())


async def main(name: str, listener: Listener) -> None:
    """As `run_part` does it."""
    settings = Settings.read(services=("control-plane",))
    configure_logging(json=False)
    async with Lifecycle(grace_s=5.0) as lifecycle:
        lifecycle.handle_signals()
        if name == control_plane.NAME:
            await lifecycle.start(control_plane.serve(settings, listener, no_routes))
        else:
            lifecycle.add(join(settings, await lifecycle.start(serve(name, listener)), "grpc"))
        print(json.dumps({"ready": time.monotonic()}), flush=True)
        await lifecycle.run_until_stopped()


if __name__ == "__main__":
    run(lambda: main(sys.argv[1], Listener("127.0.0.1", int(sys.argv[2]))))
