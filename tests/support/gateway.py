"""A gateway as it runs: real Envoys, the real control plane over a folder, and applications of this process."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from fastapi import FastAPI

from application.access.tokens import PublishedKeys, TokenVerifier
from application.app import operations
from application.edge import health
from application.edge.application import Application
from application.edge.gate import Gate
from application.edge.rates import Rates
from application.edge.refusal import NOTHING_THERE, NotThere
from application.identity.schemas import JwksView, JwkView
from chassis.health import Readiness
from chassis.lifecycle import Lifecycle, Listener, Running, serve_http
from chassis.mesh.control_plane import serve as serve_control_plane
from chassis.mesh.registry import Instance, Registration, Registry, open_registry
from chassis.settings import Settings
from interfaces.gateway.bootstrap import bootstrap
from interfaces.gateway.routes import route_configuration
from tests.support.servers import PrivateEnvoy, free_port
from tests.support.tokens import ISSUER, Issuer

READY_S = 30.0


class Nothing:
    """Use cases that find nothing, whatever they are asked."""

    def __getattr__(self, name: str) -> "Nothing":
        return self

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Raises NotThere."""
        raise NotThere(NOTHING_THERE)


class IssuerKeys(Nothing):
    """What `/.well-known/jwks.json` answers from."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer

    async def jwks(self) -> JwksView:
        """The issuer's keys."""
        keys = await self._issuer.keys()
        return JwksView.model_construct(
            keys=[JwkView.model_construct(kid=key["kid"], x=key["x"], y=key["y"]) for key in keys]
        )


def an_application(issuer: Issuer, settings: Settings) -> FastAPI:
    """The product's edge with all its operations, but nothing behind it: who passes the gate finds nothing."""
    verifier = TokenVerifier(PublishedKeys(issuer.keys), issuer=ISSUER)
    rates = Rates(settings.rates) if settings.rates_at_edge else None
    gate = Gate(verifier, body_bytes=settings.body_bytes, places=settings.http_concurrency, rates=rates)
    app = Application(operations(), health.routes(Readiness()), gate, deadline_s=settings.request_deadline_s)
    for name in ("people", "time", "boards", "requests", "pay", "self_service", "approvals", "events", "webhooks"):
        setattr(app.state, name, Nothing())
    app.state.identity = IssuerKeys(issuer)
    return app


class Mesh:
    """A control plane over a registry in a folder, and what the test registers in it."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        """The control plane starts with `start_control_plane`."""
        self.folder = folder
        (folder / "registry").mkdir(parents=True, exist_ok=True)  # a registry that is not there is waited for
        self.address = f"127.0.0.1:{free_port()}"
        self.settings = replace(
            settings, registry_url=f"file://{folder}/registry", control_plane_addresses=(self.address,)
        )
        assert self.settings.registry_url is not None
        self.registry: Registry = open_registry(self.settings.registry_url)
        self._lifecycle = Lifecycle(grace_s=1.0)
        self._plane: Running | None = None

    async def start_control_plane(self) -> None:
        """As `muster run control-plane` does."""
        self._plane = await serve_control_plane(self.settings, Listener.parse(self.address), self.routes)

    def routes(self, extra: Mapping[str, Sequence[str]]) -> RouteConfiguration:
        """What gateways are told."""
        return route_configuration(extra, self.settings)

    async def stop_control_plane(self) -> None:
        """End it; gateways go on with what they know."""
        if self._plane is not None:
            await self._plane.stop(0.0)
            self._plane = None

    async def serve(
        self, app: Any, service: str = "application", prefixes: tuple[str, ...] = (), *, streams: int = 0
    ) -> Registration:
        """Serve an ASGI application from this process and register it; `streams` as `serve_http` takes them."""
        early = app.early if isinstance(app, Application) else None
        running = await self._lifecycle.start(
            serve_http(app, Listener(), self.settings, name=service, lifespan=False, streams=streams, early=early)
        )
        return self.register(service, running.address, "http", prefixes)

    def register(self, service: str, address: str, protocol: Any, prefixes: tuple[str, ...] = ()) -> Registration:
        """Enter something that runs already."""
        return self.registry.register(Instance(service, address, protocol, address, prefixes))

    def envoy(self, *, workers: int = 1) -> PrivateEnvoy:
        """A gateway, not started."""

        def configure(port: int, admin_port: int) -> dict[str, Any]:
            own = replace(
                self.settings,
                listeners={"gateway": Listener("127.0.0.1", port)},
                gateway_admin_listener=Listener("127.0.0.1", admin_port),
            )
            return bootstrap(own)

        return PrivateEnvoy(configure, workers=workers)

    async def close(self) -> None:
        """End everything of this process."""
        await self.stop_control_plane()
        await self.registry.close()
        await self._lifecycle.drain()


@asynccontextmanager
async def mesh(folder: Path, settings: Settings, kind: type[Mesh] = Mesh) -> AsyncIterator[Mesh]:
    """A mesh with its control plane, until the block ends."""
    made = kind(folder, settings)
    try:
        await made.start_control_plane()
        yield made
    finally:
        await made.close()


async def started(envoy: PrivateEnvoy) -> PrivateEnvoy:
    """Start it beside the loop, which serves its control plane, until it listens: it waits a while for its routes."""
    await asyncio.to_thread(envoy.__enter__)

    async def listens() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", envoy.port)
        except OSError:
            return False
        writer.close()
        return True

    await until(listens)
    return envoy


async def until(what: Callable[[], Any], *, seconds: float = READY_S, every_s: float = 0.02) -> Any:
    """Wait until `what()` (awaited if need be) is true; answers it. Raises TimeoutError."""
    ends = time.monotonic() + seconds
    while True:
        found = what()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        if time.monotonic() > ends:
            raise TimeoutError(f"not within {seconds:.0f} s")
        await asyncio.sleep(every_s)


async def ready(client: httpx.AsyncClient) -> None:
    """Until the gateway lets the application answer, and knows the issuer's keys."""

    async def answers() -> bool:
        try:
            return (await client.get("/readyz")).status_code == 200
        except httpx.HTTPError:
            return False

    await until(answers)
