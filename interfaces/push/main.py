"""Runs the hub: beside the application in its process, or as a process of its own."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from starlette.routing import Router

from application.access.tokens import PublishedKeys, TokenVerifier
from application.edge import health
from application.edge.tenants import Tenants
from application.events.feeds import DATA_SERVICES, Feeds
from application.events.stream_paths import PATHS
from application.identity.use_cases import Identity
from application.people.relations import Relations
from chassis.assertion import Signer
from chassis.bus.open import fast_path_of
from chassis.bus.port import FastPath
from chassis.health import Readiness
from chassis.lifecycle import Lifecycle, Listener, Running, serve_http
from chassis.rpc.channels import Channels, Client
from chassis.settings import Settings
from interfaces.push.hub import Hub, Limits
from interfaces.push.progress import Progress
from interfaces.push.sources import Sources
from interfaces.push.streams import Receive, Scope, Streams
from interfaces.push.wires import Send

NAME = "push"
LOOPS_GRACE_S = 1.0

Asgi = Callable[[Scope, Receive, Send], Any]


class Push:
    """A hub with its loops, and the ASGI application that serves its streams before another one.

    Invariants: `stop` ends every stream within its grace, then the loops.
    """

    def __init__(
        self, settings: Settings, client_of: Callable[[str], Client], fast_path: FastPath, behind: Asgi
    ) -> None:
        """`behind` serves what is no stream."""
        self._behind = behind
        self.hub = Hub(
            Limits(settings.push_connections, settings.push_tenant_connections, settings.push_principal_connections)
        )
        self._progress = Progress(client_of("payroll"), self.hub)
        clients = {name: client_of(name) for name in DATA_SERVICES}
        self.sources = Sources(clients, fast_path, self.hub, self._progress.heard)
        organization, identity = client_of("organization"), client_of("identity")
        self.keys = PublishedKeys(Identity(identity, Relations(organization, Tenants(identity))).keys)
        verifier = TokenVerifier(self.keys, issuer=settings.token_issuer)
        self._streams = Streams(self.hub, self.sources, Feeds(clients), verifier)
        self._loops = Lifecycle(grace_s=LOOPS_GRACE_S)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        streamed = scope["type"] in ("http", "websocket") and scope["path"] in PATHS
        await (self._streams if streamed else self._behind)(scope, receive, send)

    def start(self) -> None:
        """Read the feeds and look after the connections until stopped."""
        for service in DATA_SERVICES:
            self._loops.spawn(f"push {service}", lambda service=service: self.sources.read(service))  # type: ignore[misc]
        self._loops.spawn("push connections", self.hub.watch)
        self._loops.spawn("push progress", self._progress.watch)

    async def stop(self, grace_s: float) -> None:
        """End all streams, then the loops."""
        await self.hub.drain(grace_s)
        await self._loops.drain()


async def serve(settings: Settings, listener: Listener) -> Running:
    """Serve the streams alone. Raises KeyFileProblem, SettingsProblem, OSError for a port taken."""
    channels = Channels(settings, Signer.open(settings))
    fast_path = fast_path_of(settings)

    async def close() -> None:
        await fast_path.close()
        await channels.close()

    readiness = Readiness()
    push = Push(settings, channels.to, fast_path, Router(routes=health.routes(readiness), redirect_slashes=False))
    readiness.add("feeds", push.sources.check_begun)
    readiness.add("keys", push.keys.check)
    try:
        running = await serve_http(
            push, listener, settings, name=NAME, lifespan=False, streams=settings.push_connections
        )
    except BaseException:
        await close()
        raise
    push.start()
    return replace(running, readiness=readiness).preceded_by(push.stop).followed_by(close)
