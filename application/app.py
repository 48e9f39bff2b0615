"""Assembles the FastAPI application from its services, and runs it."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import uvicorn
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from application.access.tokens import PublishedKeys, TokenVerifier
from application.edge import answers, document, documentation
from application.edge.gate import Gate
from application.edge.middleware import Edge
from application.edge.routes import Routes
from application.edge.tenants import Tenants
from application.identity.routes import routes as identity_routes
from application.identity.use_cases import Identity
from application.people.relations import Relations
from application.people.routes import routes as people_routes
from application.people.use_cases import People
from chassis.assertion import Signer
from chassis.health import NotReady, Readiness
from chassis.lifecycle import Listener, Running
from chassis.rpc.channels import Channels, Client
from chassis.settings import Settings

NAME = "application"
SERVICES: tuple[Routes, ...] = (identity_routes, people_routes)
KEEP_ALIVE_S = 75


def create_app(settings: Settings, client_of: Callable[[str], Client]) -> FastAPI:
    """The application over the data services that `client_of(name)` reaches."""
    organization, identity_client = client_of("organization"), client_of("identity")
    app = FastAPI(title="Muster", version="1.0.0", openapi_url=None, docs_url=None, redoc_url=None)
    tenants = Tenants(identity_client)
    relations = Relations(organization, tenants)
    app.state.identity = identity = Identity(identity_client, tenants, relations)
    app.state.people = People(organization, tenants, relations)
    keys = PublishedKeys(identity.keys)
    verifier = TokenVerifier(keys, issuer=settings.token_issuer)
    app.state.gate = Gate(verifier, body_bytes=settings.body_bytes, places=settings.http_concurrency)
    app.state.readiness = Readiness()
    app.state.readiness.add("keys", _knows_keys(keys))
    app.add_middleware(Edge, deadline_s=settings.request_deadline_s)
    answers.install(app)
    operations = [route for service in SERVICES for route in service.router.routes if isinstance(route, APIRoute)]
    # One flat list: an included router would be asked for its own match first.
    app.router.redirect_slashes = False
    app.router.routes[:] = [
        *operations,
        Route("/livez", _alive, methods=["GET"]),
        Route("/readyz", _ready, methods=["GET"]),
        *documentation.routes(app),
    ]
    app.state.document = lambda: document.openapi(app, operations)
    return app


def _knows_keys(keys: PublishedKeys) -> Callable[[], Any]:
    async def check() -> None:
        if not await keys.known():
            raise NotReady("no signing key of the issuer is known")

    return check


async def _alive(request: Request) -> Response:
    return Response(b'{"status":"alive"}', media_type="application/json")


async def _ready(request: Request) -> Response:
    report = await request.app.state.readiness.report()
    return Response(
        orjson.dumps({"ready": report.ready, "checks": report.findings}),
        status_code=200 if report.ready else 503,
        media_type="application/json",
        headers={} if report.ready else {"Retry-After": "1"},
    )


class _Server(uvicorn.Server):
    """uvicorn without signal handlers: the process's Lifecycle has the only ones."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(settings: Settings, listener: Listener) -> Running:
    """Serve the REST interface until stopped. Raises KeyFileProblem, SettingsProblem, OSError for a port taken."""
    channels = Channels(settings, Signer.open(settings))
    app = create_app(settings, channels.to)
    bound = listener.bind()
    config = uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[bound]), name=NAME)
    while not server.started:
        if serving.done():
            await serving
        await asyncio.sleep(0.005)

    async def stop(grace_s: float) -> None:
        config.timeout_graceful_shutdown = max(int(grace_s), 1)
        server.should_exit = True
        with contextlib.suppress(asyncio.CancelledError):
            await serving

    host = Listener(listener.host, bound.getsockname()[1]) if not listener.path else listener
    return Running(NAME, host.target, stop).followed_by(channels.close)
