"""`python -m tests.application.edge.busy MODE SECONDS`: the whole edge in front of something that takes its time.

Two connections of a pool, as it were, each busy for SECONDS with a report and for a tenth of that with a punch. MODE is
`guarded`, or for planted bugs `unguarded` (only the places count) or `blind` (companies are not told apart).
"""

import asyncio
import sys
from pathlib import Path
from uuid import UUID

from fastapi.routing import APIRoute

from application.edge.admission import Admission, Why
from application.edge.application import Application
from application.edge.gate import Gate
from application.edge.operation import Criticality, Operation
from application.edge.routes import Routes
from chassis.lifecycle import Listener, run, serve_http
from chassis.principal import Principal
from chassis.settings import Settings
from kernel.ids import TenantId
from tests.application.edge.test_gate import ThingView

CONNECTIONS = 2
REPORT_S = float(sys.argv[2]) if __name__ == "__main__" else 0.0

busy = Routes("busy")
connections = asyncio.Semaphore(CONNECTIONS)


async def work(seconds: float) -> ThingView:
    """Wait for a connection, and keep it for so long."""
    async with connections:
        await asyncio.sleep(seconds)
    return ThingView(name="done")


@busy.get("/v1/report", "employee.read", tag="busy", criticality=Criticality.DEFERRABLE)
async def get_report() -> ThingView:
    """A report."""
    return await work(REPORT_S)


@busy.get("/v1/punch", "employee.read", tag="busy", criticality=Criticality.CRITICAL)
async def get_punch() -> ThingView:
    """What stands for a punch."""
    return await work(REPORT_S / 10)


@busy.get("/v1/beat", "employee.read", tag="busy", criticality=Criticality.CRITICAL)
async def get_beat() -> ThingView:
    """Nothing: how long that takes is the machine's own."""
    return ThingView(name="beat")


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


async def main(mode: str) -> None:
    settings = Settings(data_dir=Path("nowhere"))
    late_s = None if mode == "unguarded" else settings.late_s
    gate = Gate(ByName(), body_bytes=1000, places=settings.http_concurrency, late_s=late_s)
    if mode == "blind":
        gate.admission = Blind(settings.http_concurrency, late_s)
    operations = [route for route in busy.router.routes if isinstance(route, APIRoute)]
    app = Application(operations, [], gate, deadline_s=10.0)
    running = await serve_http(app, Listener(), settings, lifespan=False, early=app.early)
    print(running.address, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    run(lambda: main(sys.argv[1]))
