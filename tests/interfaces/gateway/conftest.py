"""One gateway for the tests that do not hurt it: real Envoy, real control plane, the product's edge behind it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from chassis.settings import Settings
from tests.support.gateway import Mesh, an_application, mesh, ready, started, until
from tests.support.servers import PrivateEnvoy
from tests.support.tokens import ISSUER, Issuer


@dataclass
class Edge:
    """A running gateway and how to speak to it."""

    mesh: Mesh
    envoy: PrivateEnvoy
    issuer: Issuer
    http: httpx.AsyncClient

    def bearer(self, **claims: Any) -> dict[str, str]:
        """The header of somebody who may come in."""
        self.issuer.now = time.time()
        return {"Authorization": f"Bearer {self.issuer.token(**claims)}"}

    def logged(self) -> list[dict[str, Any]]:
        """The access log so far."""
        lines = (self.envoy.folder / "log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


def echo() -> Starlette:
    """A service that answers with the request as it arrived."""

    async def show(request: Request) -> JSONResponse:
        return JSONResponse({"path": request.url.path, "headers": request.headers.items()})

    return Starlette(routes=[Route("/{rest:path}", show, methods=["GET", "POST", "PUT", "DELETE"])])


def hub() -> Starlette:
    """The shape of the push hub: a WebSocket that repeats, and events that come one by one."""

    async def talk(socket: WebSocket) -> None:
        offered = socket.scope["subprotocols"]
        await socket.accept(subprotocol=offered[0] if offered else None)
        async for text in socket.iter_text():
            await socket.send_text(text)

    async def stream(request: Request) -> StreamingResponse:
        async def events() -> AsyncIterator[str]:
            for number in range(3):
                yield f"id: {number}\ndata: {time.monotonic()}\n\n"
                await asyncio.sleep(0.3)

        return StreamingResponse(events(), media_type="text/event-stream")

    async def fine(request: Request) -> JSONResponse:
        return JSONResponse({})

    return Starlette(routes=[WebSocketRoute("/v1/ws", talk), Route("/v1/stream", stream), Route("/readyz", fine)])


@pytest.fixture(scope="session")
async def edge(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Edge]:
    """Not to be hurt."""
    folder: Path = tmp_path_factory.mktemp("gateway")
    issuer = Issuer(now=time.time())
    settings = Settings(data_dir=folder / "data", token_issuer=ISSUER, gateway_keys_fresh_s=1.0)
    async with mesh(folder, settings) as made:
        await made.serve(an_application(issuer, settings))
        await made.serve(echo(), "echo", ("/v1/echo",))
        await made.serve(hub(), "push", streams=100)
        envoy = await started(made.envoy())
        try:
            async with httpx.AsyncClient(base_url=envoy.url, timeout=20.0) as http:
                found = Edge(made, envoy, issuer, http)
                await ready(http)
                await knows_the_keys(found)
                yield found
        finally:
            envoy.close()


async def knows_the_keys(edge: Edge) -> None:
    """Until a good token is let in, and all services are there."""

    async def both() -> bool:
        echoed = await edge.http.get("/v1/echo/x", headers=edge.bearer())
        pushed = await edge.http.get("/v1/stream", headers=edge.bearer())
        return echoed.status_code == pushed.status_code == 200

    await until(both)
