"""Too much at once behind a gateway: what an application refuses reaches the client as it is, and nobody asks again."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from envoy.config.route.v3.route_pb2 import RouteConfiguration

from application.access.tokens import PublishedKeys, TokenVerifier
from chassis.settings import Settings
from tests.application.edge.busy import CONNECTIONS, the_edge
from tests.support.flood import Answer, Ask, Flood, good
from tests.support.gateway import Mesh, an_application, mesh, started, until
from tests.support.servers import PrivateEnvoy
from tests.support.tokens import ISSUER, Issuer

FLOOD_S, REPORT_S, PUNCHES = 4.0, 0.1, 20.0
REPORTS = 10 * CONNECTIONS / REPORT_S
pytestmark = pytest.mark.second_process


class Storming(Mesh):
    """The planted bug: a gateway that asks again whatever was answered 503."""

    def routes(self, extra: Mapping[str, Sequence[str]]) -> RouteConfiguration:
        told = super().routes(extra)
        for host in told.virtual_hosts:
            for route in host.routes:
                route.route.retry_policy.retry_on = "5xx"
        return told


@dataclass(frozen=True)
class Seen:
    """What became of a flood: its answers after the first second, one refusal, requests that were repeated."""

    answers: list[Answer]
    refusal: httpx.Response
    repeated: int

    def of(self, name: str, *statuses: int) -> int:
        """How many of that name were answered so."""
        return sum(answer.name == name and answer.status in statuses for answer in self.answers)


async def one_refusal(envoy: PrivateEnvoy, path: str, headers: Mapping[str, str]) -> httpx.Response:
    """The first answer that is one."""
    async with httpx.AsyncClient(base_url=envoy.url, timeout=20.0) as http:

        async def refused() -> httpx.Response | None:
            answer = await http.get(path, headers=headers)
            return answer if answer.status_code == 503 else None

        found: httpx.Response = await until(refused)
        return found


async def flooded(folder: Path, kind: type[Mesh], mode: str = "guarded") -> Seen:
    """Ten times as many reports as can be made, and some punches, through a gateway of its own; `mode` as of `busy`."""
    issuer = Issuer(now=time.time())
    settings = Settings(data_dir=folder / "data", token_issuer=ISSUER, gateway_keys_fresh_s=1.0)
    headers = {"Authorization": f"Bearer {issuer.token(roles=['hr_admin'])}"}
    report, punch = Ask("report", "/v1/report", headers), Ask("punch", "/v1/punch", headers)
    async with mesh(folder, settings, kind) as made:
        app, _ = the_edge(mode, REPORT_S, TokenVerifier(PublishedKeys(issuer.keys), issuer=ISSUER))
        await made.serve(an_application(issuer, settings))
        await made.serve(app, "busy", (report.path, punch.path))
        envoy = await started(made.envoy())
        flood = Flood(envoy.url)
        try:

            async def served() -> bool:
                return good(await flood.in_turns(punch, 1, 0.01), "punch") > 0

            await until(served)
            before = envoy.counter("cluster.busy.upstream_rq_retry")
            answers = await flood.steadily([(report, REPORTS), (punch, PUNCHES)], FLOOD_S)
            repeated = envoy.counter("cluster.busy.upstream_rq_retry") - before
            working = flood.steadily([(report, REPORTS)], 1.0)
            [refusal, _] = await asyncio.gather(one_refusal(envoy, report.path, headers), working)
        finally:
            flood.close()
            envoy.close()
    return Seen([answer for answer in answers if answer.at_s > 1.0], refusal, repeated)


def holds(seen: Seen) -> None:
    """Punches are let in, reports give way, most of what is served comes in time, nothing is asked twice."""
    assert seen.of("punch", 429, 503) == 0
    assert seen.of("punch", 200) >= 0.9 * seen.of("punch", 0, 200)
    assert seen.of("report", 503) > seen.of("report", 0, 200)
    assert good(seen.answers, "report") > 0.5 * seen.of("report", 0, 200)
    assert seen.repeated == 0


async def test_punches_come_first_and_refusals_are_passed_on_and_not_repeated(tmp_path: Path) -> None:
    seen = await flooded(tmp_path, Mesh)

    holds(seen)
    assert seen.refusal.headers["content-type"] == "application/problem+json"
    assert seen.refusal.headers["retry-after"] == "1"
    assert seen.refusal.json()["reason"] == "OVERLOADED"


async def test_a_gateway_that_asks_again_after_a_refusal_would_be_found(tmp_path: Path) -> None:
    seen = await flooded(tmp_path, Storming)

    with pytest.raises(AssertionError):
        holds(seen)
    assert seen.repeated > 0


async def test_an_application_whose_operations_are_of_one_class_would_be_found(tmp_path: Path) -> None:
    seen = await flooded(tmp_path, Mesh, "level")

    assert seen.of("report", 503) > seen.of("report", 0, 200)  # it guards itself as well, but knows no order
    assert seen.of("punch", 429, 503) > 0
    with pytest.raises(AssertionError):
        holds(seen)
