"""GET /v1/employees/{id} through the gateway: its rate against the application asked directly, and Envoy's work."""

import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx

from benchmarks.company import Company
from benchmarks.figure import Figure, at_least, at_most, interleaved
from benchmarks.load import requests_per_second
from benchmarks.processes import cpu_s
from chassis.rate_limit import Limit
from chassis.settings import Settings
from tests.support.deployment import EmbeddedDeployment
from tests.support.gateway import mesh, ready, started, until
from tests.support.servers import PrivateEnvoy

AT_LEAST = 0.4  # both and the load share two cores
MOST_CPU = 0.5  # of the application's
EMPLOYEES, SECONDS, WARM_UP_S = 1000, 4.0, 1.0


async def gateways(*, small: bool = False) -> AsyncIterator[Figure]:
    """One Envoy worker with the whole configuration, token and counts included, before one embedded process."""
    patient = {"MUSTER_SHEDDING": "off"}  # all that a machine can do is asked for, however late it answers
    with EmbeddedDeployment(environment=patient) as deployment, tempfile.TemporaryDirectory() as folder:
        async with Company(deployment) as company:
            await company.publish()
            await company.hire(100 if small else EMPLOYEES)
            paths = [f"/v1/employees/{id}" for id in company.ids]
            token = await company.token("hr_admin")
            settings = Settings()
            settings = replace(settings, rates={**settings.rates, "TENANT": Limit(1_000_000, 1)})
            async with mesh(Path(folder), settings) as made:
                made.register("application", deployment.base_url.removeprefix("http://"), "http")
                envoy = await started(made.envoy())
                try:
                    async for figure in _measured(deployment, envoy, paths, token, small):
                        yield figure
                finally:
                    envoy.close()


async def _measured(
    deployment: EmbeddedDeployment, envoy: PrivateEnvoy, paths: list[str], token: str, small: bool
) -> AsyncIterator[Figure]:
    async with httpx.AsyncClient(base_url=envoy.url, headers={"Authorization": f"Bearer {token}"}) as http:
        await ready(http)

        async def let_in() -> bool:
            return (await http.get(paths[0])).status_code == 200

        await until(let_in)
    for base_url in (deployment.base_url, envoy.url):
        await requests_per_second(base_url, paths, token, WARM_UP_S)
    seconds = 1.0 if small else SECONDS
    direct, through = await interleaved(
        lambda: requests_per_second(deployment.base_url, paths, token, seconds),
        lambda: requests_per_second(envoy.url, paths, token, seconds),
        1 if small else 5,
    )
    yield at_least("GET /v1/employees/{id} through the gateway", through, "requests/s", floor=direct, ratio=AT_LEAST)
    pids = [envoy.pid], [deployment.parts["serve"].pid]
    before, counted = [cpu_s(one) for one in pids], envoy.counter("http.edge.downstream_rq_total")
    await requests_per_second(envoy.url, paths, token, seconds)
    requests = envoy.counter("http.edge.downstream_rq_total") - counted
    spent = [(cpu_s(one) - was) / requests * 1e6 for one, was in zip(pids, before, strict=True)]
    yield at_most("CPU of the gateway per request", spent[0], "us", floor=spent[1], ratio=MOST_CPU)
