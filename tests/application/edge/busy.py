"""The whole edge in front of something that takes its time, inside this process or as one (arguments MODE SECONDS).

Two connections of a pool, as it were, each busy for SECONDS with a report and for a tenth of that with a punch. MODE is
`guarded`, or for planted bugs `unguarded` (only the places count), `blind` (companies are not told apart) or `level`
(nobody said what goes first).
"""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends
from fastapi.routing import APIRoute
from starlette.requests import Request

from application.edge import health
from application.edge.admission import Admission, Why
from application.edge.application import Application
from application.edge.gate import Authenticator, Gate
from application.edge.operation import Criticality, Operation
from application.edge.routes import Routes
from chassis.health import Readiness
from chassis.lifecycle import Listener, run, serve_http
from chassis.principal import Principal
from chassis.settings import Settings
from kernel.ids import TenantId
from tests.application.edge.test_gate import ThingView
from tests.support.flood import Ask, Flood

CONNECTIONS = 2


class Pool:
    """Its connections, and how long a report keeps one."""

    def __init__(self, report_s: float) -> None:
        self.report_s = report_s
        self._free = asyncio.Semaphore(CONNECTIONS)

    async def work(self, seconds: float) -> ThingView:
        """Wait for a connection, and keep it for so long."""
        async with self._free:
            await asyncio.sleep(seconds)
        return ThingView(name="done")


async def pool_of(request: Request) -> Pool:
    pool: Pool = request.app.state.pool
    return pool


Uses = Annotated[Pool, Depends(pool_of)]


def declared(report: Criticality, punch: Criticality) -> list[APIRoute]:
    """Both operations, each of its criticality."""
    busy = Routes("busy")

    @busy.get("/v1/report", "employee.read", tag="busy", criticality=report)
    async def get_report(pool: Uses) -> ThingView:
        """A report."""
        return await pool.work(pool.report_s)

    @busy.get("/v1/punch", "employee.read", tag="busy", criticality=punch)
    async def get_punch(pool: Uses) -> ThingView:
        """What stands for a punch."""
        return await pool.work(pool.report_s / 10)

    return [route for route in busy.router.routes if isinstance(route, APIRoute)]


SORTED = declared(Criticality.DEFERRABLE, Criticality.CRITICAL)
LEVEL = declared(Criticality.NORMAL, Criticality.NORMAL)


class ByName:
    """Takes the token for the company's number."""

    async def principal(self, token: str) -> Principal:
        return self.remembered(token)

    def remembered(self, token: str) -> Principal:
        return Principal(TenantId(UUID(int=int(token))), "amy", frozenset({"owner"}))


class Blind(Admission):
    """The planted bug: companies are not told apart."""

    def check(self, criticality: Criticality, tenant: TenantId | None) -> None:
        super().check(criticality, None)

    def why_not(self, operation: Operation, tenant: TenantId | None) -> Why | None:
        return super().why_not(operation, None)


def the_edge(mode: str, report_s: float, authenticator: Authenticator | None = None) -> tuple[Application, Settings]:
    """`authenticator`: by name if none is given."""
    settings = Settings(data_dir=Path("nowhere"))
    late_s = None if mode == "unguarded" else settings.late_s
    gate = Gate(authenticator or ByName(), body_bytes=1000, places=settings.http_concurrency, late_s=late_s)
    if mode == "blind":
        gate.admission = Blind(settings.http_concurrency, late_s)
    app = Application(LEVEL if mode == "level" else SORTED, health.routes(Readiness()), gate, deadline_s=10.0)
    app.state.pool = Pool(report_s)
    return app, settings


class FloodInside(Flood):
    """The same load on an application of this process, by no connection; so it takes the time of its event loop."""

    def __init__(self, app: Application) -> None:
        super().__init__("http://inside")
        self._app = app
        self._serving: set[asyncio.Task[None]] = set()

    async def exchange(self, ask: Ask) -> int:
        headers = [(name.lower().encode(), value.encode()) for name, value in ask.headers.items()]
        refused = self._app.early(b"GET", ask.path.encode(), headers)
        if refused is not None:
            return refused[0]
        status, gone = 0, asyncio.Event()
        whole = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> Mapping[str, Any]:
            if whole:
                return whole.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Mapping[str, Any]) -> None:
            nonlocal status
            status = message.get("status", status)

        scope = {
            "type": "http", "method": "GET", "path": ask.path, "raw_path": ask.path.encode(), "query_string": b"",
            "headers": headers,
        }  # fmt: skip
        serving = asyncio.create_task(self._app(scope, receive, send))  # type: ignore[arg-type]
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)
        try:
            await asyncio.shield(serving)
        finally:
            gone.set()
        return status


async def main(mode: str, report_s: float) -> None:
    app, settings = the_edge(mode, report_s)
    running = await serve_http(app, Listener(), settings, lifespan=False, early=app.early)
    print(running.address, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    run(lambda: main(sys.argv[1], float(sys.argv[2])))
