"""Assembles the FastAPI application from its services, and runs it."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Protocol
from uuid import uuid4

from fastapi.routing import APIRoute

from application.access.tokens import PublishedKeys, TokenVerifier
from application.edge import document, documentation, health
from application.edge.application import Application
from application.edge.calls import Calls
from application.edge.gate import Gate
from application.edge.hedged import HEDGED
from application.edge.rates import Rates
from application.edge.routes import Routes
from application.edge.tenants import Tenants
from application.events import stream
from application.events.feeds import DATA_SERVICES
from application.events.routes import routes as events_routes
from application.events.use_cases import Events
from application.identity.routes import routes as identity_routes
from application.identity.use_cases import Identity
from application.pay.calculation import RunCalculation
from application.pay.processes import CalculateRuns, calculation_consumer
from application.pay.routes import routes as pay_routes
from application.pay.use_cases import Pay
from application.people.processes import roster_consumer
from application.people.relations import Relations
from application.people.routes import routes as people_routes
from application.people.use_cases import People
from application.self_service.approvals import Approvals
from application.self_service.routes import routes as self_service_routes
from application.self_service.use_cases import SelfService
from application.time.boards import Boards
from application.time.requests import Requests
from application.time.rosters import Rosters
from application.time.routes import routes as time_routes
from application.time.teams import Teams
from application.time.use_cases import Time
from application.webhooks import contract
from application.webhooks.processes import delivery_consumers
from application.webhooks.routes import routes as webhooks_routes
from application.webhooks.use_cases import Webhooks
from chassis.assertion import Signer
from chassis.bus.consumer import Consumer
from chassis.bus.open import fast_path_of
from chassis.bus.port import FastPath
from chassis.health import Readiness
from chassis.lifecycle import Lifecycle, Listener, Running, serve_http
from chassis.rpc.channels import Channels, Client
from chassis.settings import Settings

NAME = "application"
SERVICES: tuple[Routes, ...] = (
    identity_routes,
    self_service_routes,
    people_routes,
    time_routes,
    pay_routes,
    events_routes,
    webhooks_routes,
)
LOOPS_GRACE_S = 2.0


def create_app(settings: Settings, client_of: Callable[[str], Client]) -> Application:
    """The application over the data services that `client_of(name)` reaches."""
    organization, attendance = client_of("organization"), client_of("attendance")
    payroll, identity_client = client_of("payroll"), client_of("identity")
    tenants = Tenants(identity_client)
    relations = Relations(organization, tenants)
    identity = Identity(identity_client, relations)
    keys = PublishedKeys(identity.keys)
    verifier = TokenVerifier(keys, issuer=settings.token_issuer)
    readiness = Readiness()
    readiness.add("keys", keys.check)
    others = [
        *health.routes(readiness),
        *documentation.routes(openapi_document),
    ]
    gate = Gate(
        verifier,
        body_bytes=settings.body_bytes,
        places=settings.http_concurrency,
        late_s=settings.late_s if settings.shedding else None,
        rates=Rates(settings.rates) if settings.rates_at_edge else None,
    )
    app = Application(operations(), others, gate, deadline_s=settings.request_deadline_s)
    app.state.identity = identity
    app.state.people = People(organization, tenants, relations)
    rosters, teams = Rosters(organization, attendance), Teams(organization, relations, tenants)
    app.state.time = Time(attendance, relations, rosters, teams)
    app.state.boards = Boards(attendance, teams)
    app.state.requests = Requests(attendance, relations, rosters, teams)
    app.state.pay = Pay(organization, attendance, payroll, tenants, relations)
    app.state.admission = gate.admission
    app.state.self_service = SelfService(organization, tenants, app.state.time, app.state.pay)
    app.state.webhooks = Webhooks(client_of("delivery"))
    app.state.approvals = Approvals(attendance, payroll, teams)
    app.state.events = Events({name: client_of(name) for name in DATA_SERVICES})
    app.state.readiness = readiness
    return app


def operations() -> list[APIRoute]:
    """Every operation of the published contract, in the order of the API document."""
    return [route for service in SERVICES for route in service.router.routes if isinstance(route, APIRoute)]


def openapi_document() -> dict[str, Any]:
    """The API document (OpenAPI 3.1), the streams of the push hub and what webhooks carry included."""
    described = document.openapi(operations())
    stream.describe(described)
    contract.describe(described)
    return described


class Processes:
    """What follows published events in this process; of many replicas the feeds' leases choose who works."""

    def __init__(
        self, client_of: Callable[[str], Client], fast_path: FastPath, lull: Callable[[float], Awaitable[None]]
    ) -> None:
        """`lull(at_most_s)` waits until this process serves nobody who waits."""
        organization, attendance, payroll = (client_of(name) for name in ("organization", "attendance", "payroll"))
        worker_id = f"pay-{uuid4().hex[:12]}"
        self._runs = CalculateRuns(
            RunCalculation(Calls(organization), Calls(attendance), Calls(payroll), worker_id, lull)
        )
        self._consumers: tuple[Consumer, ...] = (
            roster_consumer(organization, Rosters(organization, attendance), fast_path),
            calculation_consumer(payroll, self._runs, fast_path),
            *delivery_consumers(client_of, DATA_SERVICES, fast_path),
        )
        self._loops = Lifecycle(grace_s=LOOPS_GRACE_S)

    def start(self) -> None:
        """Consume until stopped."""
        for consumer in self._consumers:
            self._loops.spawn(consumer.name, consumer.run)

    async def stop(self) -> None:
        """Stop consuming, then give up runs that are being calculated: another process goes on with them."""
        await self._loops.drain()
        await self._runs.stop()


class Beside(Protocol):
    """An ASGI application that serves something of its own before the operations, in the same process.

    Invariants: `stop` ends what it holds open within `grace_s` seconds.
    """

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one ASGI connection."""

    def start(self) -> None:
        """Begin with what it does by itself."""

    async def stop(self, grace_s: float) -> None:
        """End it."""


Beginning = Callable[[Settings, Callable[[str], Client], FastPath, Any], Beside]


async def serve(settings: Settings, listener: Listener, beside: Beginning | None = None) -> Running:
    """Serve the REST interface until stopped, and what `beside` makes in front of it.

    Raises KeyFileProblem, SettingsProblem, OSError for a port taken.
    """
    channels = Channels(settings, Signer.open(settings), hedged=HEDGED)
    fast_path = fast_path_of(settings)
    app = create_app(settings, channels.to)
    processes = Processes(channels.to, fast_path, app.state.admission.lull)

    async def close() -> None:
        await processes.stop()
        await fast_path.close()
        await channels.close()

    front = None if beside is None else beside(settings, channels.to, fast_path, app)
    try:
        running = await serve_http(
            front or app,
            listener,
            settings,
            name=NAME,
            lifespan=False,
            streams=0 if front is None else settings.push_connections,
            early=app.early,
        )
    except BaseException:
        await close()
        raise
    processes.start()
    if front is not None:
        front.start()
        running = running.preceded_by(front.stop)
    return replace(running, readiness=app.state.readiness).followed_by(close)
