"""Where reports have all the places that a gateway has for the application, punches and approvals find theirs."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx
import pytest
from envoy.config.core.v3.base_pb2 import DEFAULT
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from chassis.settings import Settings
from tests.support.gateway import Mesh, an_application, mesh, ready, started, until
from tests.support.servers import PrivateEnvoy
from tests.support.tokens import ISSUER, Issuer

CONNECTIONS, WAITING = 4, 2
REPORT = "/v1/employees"
URGENT = ("/v1/punches", "/v1/me/punches", "/v1/timesheets/x/approve", "/v1/overtime-requests/x/decline")
pytestmark = pytest.mark.second_process


class Untold(Mesh):
    """The planted bug: gateways are not told what goes first."""

    def routes(self, extra: Mapping[str, Sequence[str]]) -> RouteConfiguration:
        told = super().routes(extra)
        for host in told.virtual_hosts:
            for route in host.routes:
                route.route.priority = DEFAULT
        return told


@dataclass
class Held:
    """An application whose reports are not answered before they are let go; what is urgent is, at once."""

    app: ASGIApp
    reports: int = 0
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in (REPORT, *URGENT):
            await self.app(scope, receive, send)
            return
        if scope["path"] == REPORT:
            self.reports += 1
            await self.go.wait()
        await JSONResponse({})(scope, receive, send)


def waiting(envoy: PrivateEnvoy) -> int:
    """How many requests have no connection yet."""
    return envoy.counter("cluster.application.upstream_rq_pending_active")


def settled(envoy: PrivateEnvoy, held: Held, taken: int) -> bool:
    """Whether each report has its place; the gateway may keep a connection for the issuer's keys."""
    without = waiting(envoy)
    full = not without or envoy.counter("cluster.application.upstream_cx_overflow") > 0
    return full and held.reports + without == taken


@asynccontextmanager
async def full(folder: Path, kind: type[Mesh]) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway, one more report to which is refused, and somebody who may do everything."""
    issuer = Issuer(now=time.time())
    settings = Settings(
        data_dir=folder / "data", token_issuer=ISSUER, request_deadline_s=100.0, gateway_keys_fresh_s=600.0
    )
    headers = {"Authorization": f"Bearer {issuer.token(roles=['hr_admin'])}"}
    async with mesh(folder, settings, kind) as made:
        held = Held(an_application(issuer, made.settings))
        await made.serve(held)
        envoy = await started(made.envoy())
        reports: list[asyncio.Task[httpx.Response]] = []
        try:
            async with httpx.AsyncClient(base_url=envoy.url, timeout=100.0, headers=headers) as http:
                await ready(http)

                async def known() -> bool:
                    return (await http.post(URGENT[0])).status_code == 200

                await until(known)
                while waiting(envoy) < WAITING:  # one by one: who waits until a connection is made waits too
                    reports.append(asyncio.create_task(http.get(REPORT)))
                    await until(partial(settled, envoy, held, len(reports)))
                assert (await http.get(REPORT)).status_code == 503
                yield http
                held.go.set()
                assert {one.status_code for one in await asyncio.gather(*reports)} == {200}
        finally:
            held.go.set()
            for one in reports:
                one.cancel()
            await asyncio.gather(*reports, return_exceptions=True)
            envoy.close()


@pytest.fixture(autouse=True)
def few_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few that a test can fill them."""
    monkeypatch.setattr("chassis.mesh.resources.MOST_CONNECTIONS", CONNECTIONS)
    monkeypatch.setattr("chassis.mesh.resources.MOST_WAITING", WAITING)


async def test_where_reports_have_all_places_punches_and_approvals_find_theirs(tmp_path: Path) -> None:
    async with full(tmp_path, Mesh) as http:
        answers = [(await http.post(path)).status_code for path in URGENT]

    assert answers == [200] * len(URGENT)


async def test_a_gateway_that_is_not_told_what_goes_first_would_be_found(tmp_path: Path) -> None:
    async with full(tmp_path, Untold) as http:
        answers = [(await http.post(path)).status_code for path in URGENT]

    assert answers == [503] * len(URGENT)
