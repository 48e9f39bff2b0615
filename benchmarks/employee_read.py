"""GET /v1/employees/{id}: requests per second of the deployment against a handler that does nothing else."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx

from benchmarks.company import Company
from benchmarks.figure import Figure, at_least, interleaved
from benchmarks.load import requests_per_second
from benchmarks.processes import answers, python
from kernel.ids import tenant_id_of
from tests.support.deployment import Deployment, EmbeddedDeployment, private_distributed
from tests.support.servers import free_port

AT_LEAST = 0.7
EMPLOYEES, SECONDS, WARM_UP_S = 1000, 4.0, 1.0


async def employee_reads(*, small: bool = False) -> AsyncIterator[Figure]:
    """The rate as a share of the floor's, embedded and distributed, with the same rows, client and connections."""
    with EmbeddedDeployment() as embedded:
        source = embedded.folder / "data" / "organization.sqlite3"
        with tempfile.TemporaryDirectory() as folder:
            yield await _measured(embedded, source, Path(folder), small)
    if not small:
        with private_distributed() as distributed:
            url = distributed.environment["MUSTER_ORGANIZATION_DATABASE_URL"]
            yield await _measured(distributed, url, None, small)


async def _measured(deployment: Deployment, source: Path | str, folder: Path | None, small: bool) -> Figure:
    async with Company(deployment) as company:
        await company.publish()
        await company.hire(100 if small else EMPLOYEES)
        paths = [f"/v1/employees/{id}" for id in company.ids]
        token = await company.token("hr_admin")
        if folder is None:
            url = str(source)
        else:
            await asyncio.to_thread(_copied, Path(source), folder)
            url = f"sqlite:///{folder / 'organization.sqlite3'}"
        parts = ("data", "edge") if folder is None else ("whole",)
        async with _floor(url, tenant_id_of(company.code).hex, parts) as floor_url:
            await _must_answer_alike(deployment.base_url, floor_url, paths[0], token)
            for base_url in (deployment.base_url, floor_url):
                await requests_per_second(base_url, paths, token, WARM_UP_S)
            seconds = 1.0 if small else SECONDS
            floor, ours = await interleaved(
                lambda: requests_per_second(floor_url, paths, token, seconds),
                lambda: requests_per_second(deployment.base_url, paths, token, seconds),
                1 if small else 5,
            )
    name = f"GET /v1/employees/{{id}}, {deployment.name}"
    return at_least(name, ours, "requests/s", floor=floor, ratio=AT_LEAST)


def _copied(source: Path, folder: Path) -> None:
    for file in source.parent.glob(f"{source.name}*"):
        shutil.copy(file, folder / file.name)


@asynccontextmanager
async def _floor(url: str, tenant: str, parts: tuple[str, ...]) -> AsyncIterator[str]:
    http_port, grpc_port = free_port(), free_port()
    async with AsyncExitStack() as stack:
        for part in parts:
            arguments = ("-m", "benchmarks.floors.employee_read", part, url, tenant, str(http_port), str(grpc_port))
            process = stack.enter_context(python(*arguments))
        await asyncio.to_thread(answers, http_port, "/openapi.json", process)
        yield f"http://127.0.0.1:{http_port}"


async def _must_answer_alike(ours: str, floor: str, path: str, token: str) -> None:
    """Both give the same facts, else the comparison says nothing."""
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=10.0) as client:
        given, least = (await client.get(ours + path)).json(), (await client.get(floor + path)).json()
    differing = {key for key in given if given[key] != least.get(key)}
    for key in differing - {"person", "updated_at"}:
        raise AssertionError(f"{key}: {given[key]!r} is not the floor's {least.get(key)!r}")
    if {key: given["person"][key] for key in ("legal_name", "birth_date")} != {
        key: least["person"][key] for key in ("legal_name", "birth_date")
    }:
        raise AssertionError(f"{given['person']} is not the floor's {least['person']}")
