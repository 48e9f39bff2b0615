"""Muster as its users meet it, in both forms, and companies in it; nothing here looks behind the REST interface."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from chassis.assertion import Signer
from chassis.lifecycle import Listener
from chassis.rpc.channels import Channels
from chassis.settings import Settings
from interfaces.cli.embedded import embedded, prepare_secrets
from interfaces.cli.operator import create_tenant, issue_token
from interfaces.cli.run import SERVICES
from tests.support.servers import PrivateMariaDB, PrivateRedis, free_port

ROOT = Path(__file__).resolve().parents[2]
READY_S = 60.0
ROLES = ("owner", "hr_admin", "payroll_admin", "payroll_approver", "manager", "employee", "device", "auditor")


@dataclass
class Company:
    """One tenant with a client per role."""

    code: str
    tenant_id: str
    deployment: "Deployment"
    clients: dict[str, httpx.AsyncClient] = field(default_factory=dict)

    async def sign_in(self, role: str, employee_id: str = "") -> httpx.AsyncClient:
        """A client with a token of that role (and employee)."""
        key = f"{role}/{employee_id}"
        if key not in self.clients:
            token = await self.deployment.token(self.code, role, employee_id)
            self.clients[key] = httpx.AsyncClient(
                base_url=self.deployment.base_url, headers={"Authorization": f"Bearer {token}"}, timeout=30.0
            )
        return self.clients[key]

    @property
    def owner(self) -> httpx.AsyncClient:
        """The client of the owner, who was signed in first."""
        return self.clients["owner/"]


@dataclass
class Deployment:
    """A running installation.

    Invariants: `settings` hold what the operator of the installation has: the addresses and the signing key.
    """

    form: str
    base_url: str
    settings: Settings
    parts: dict[str, "subprocess.Popen[str]"] = field(default_factory=dict)
    companies: list[Company] = field(default_factory=list)

    async def company(self, code: str) -> Company:
        """A new tenant whose owner is signed in."""
        channels = Channels(self.settings, Signer.open(self.settings))
        try:
            made = await create_tenant(channels.to("identity"), code, code, "Asia/Shanghai", "CNY", "owner")
        finally:
            await channels.close()
        company = Company(code, made["tenant_id"], self)
        self.companies.append(company)
        await company.sign_in("owner")
        return company

    async def token(self, code: str, role: str, employee_id: str = "") -> str:
        """An access token of that role."""
        channels = Channels(self.settings, Signer.open(self.settings))
        try:
            issued = await issue_token(channels.to("identity"), code, role, employee_id)
        finally:
            await channels.close()
        return str(issued["access_token"])

    async def close_clients(self) -> None:
        """Close what the companies opened."""
        for company in self.companies:
            for client in company.clients.values():
                await client.aclose()


def cheap_passwords(settings: Settings) -> Settings:
    """Settings whose password hashes cost next to nothing."""
    return replace(settings, password_rounds=1, password_memory_kib=64)


@asynccontextmanager
async def embedded_form(folder: Path) -> AsyncIterator[Deployment]:
    """Everything in this process, on SQLite."""
    settings = cheap_passwords(Settings.embedded(folder / "data"))
    async with embedded(settings, Listener()) as running:
        deployment = Deployment("embedded", running.base_url, running.settings)
        try:
            yield deployment
        finally:
            await deployment.close_clients()


@asynccontextmanager
async def distributed_form(folder: Path, mariadb: PrivateMariaDB, redis: PrivateRedis) -> AsyncIterator[Deployment]:
    """Each part a process of its own, on MariaDB and Redis."""
    urls = {name: mariadb.create_database(f"e2e_{name}") for name in SERVICES}
    addresses = {name: f"127.0.0.1:{free_port()}" for name in SERVICES}
    http = f"127.0.0.1:{free_port()}"
    data = folder / "data"
    settings = cheap_passwords(
        Settings(
            data_dir=data,
            database_urls=urls,
            addresses=addresses,
            redis_url=redis.url,
            keyring_path=folder / "keyring",
            assertion_key_path=folder / "assertion.jwk",
            assertion_jwks_path=folder / "assertion.jwks",
        )
    )
    prepare_secrets(settings)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")},
        "MUSTER_DATA_DIR": str(data),
        "MUSTER_REDIS_URL": redis.url,
        "MUSTER_KEYRING_PATH": str(settings.keyring),
        "MUSTER_ASSERTION_KEY_PATH": str(settings.assertion_key),
        "MUSTER_ASSERTION_JWKS_PATH": str(settings.assertion_jwks),
        "MUSTER_PASSWORD_ROUNDS": "1",
        "MUSTER_PASSWORD_MEMORY_KIB": "64",
        "MUSTER_HTTP_LISTEN": http,
        "MUSTER_SETTLE_MARGIN_S": "1",
        "MUSTER_LOG_LEVEL": "WARNING",
        **{f"MUSTER_{name.upper()}_DATABASE_URL": url for name, url in urls.items()},
        **{f"MUSTER_{name.upper()}_ADDRESS": address for name, address in addresses.items()},
        **{f"MUSTER_{name.upper()}_LISTEN": address for name, address in addresses.items()},
    }
    command = [sys.executable, "-m", "interfaces.cli.main"]
    await _finished([*command, "migrate"], environment)
    parts: dict[str, subprocess.Popen[str]] = {}
    async with AsyncExitStack() as stack:
        for name in (*SERVICES, "application"):
            log = stack.enter_context((folder / f"{name}.log").open("w"))
            parts[name] = subprocess.Popen(  # noqa: ASYNC220 - returns at once
                [*command, "run", name], env=environment, cwd=ROOT, stdout=log, stderr=log, text=True
            )
            stack.callback(_end, parts[name])
        deployment = Deployment("distributed", f"http://{http}", settings, parts)
        await _answers(deployment, folder)
        try:
            yield deployment
        finally:
            await deployment.close_clients()


async def _finished(command: list[str], environment: dict[str, str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()[-3000:]


async def _answers(deployment: Deployment, folder: Path) -> None:
    """Wait until the edge is ready and every service answers."""
    clock = asyncio.get_running_loop()
    deadline = clock.time() + READY_S
    async with httpx.AsyncClient(base_url=deployment.base_url) as client:
        while clock.time() < deadline:
            for name, part in deployment.parts.items():
                assert part.poll() is None, f"{name} ended: {(folder / f'{name}.log').read_text()[-3000:]}"
            try:
                if (await client.get("/readyz")).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.1)
    logs = {name: (folder / f"{name}.log").read_text()[-1000:] for name in deployment.parts}
    raise AssertionError(f"not ready within {READY_S} s: {json.dumps(logs, indent=1)}")


def _end(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def body_of(response: httpx.Response, status: int | tuple[int, ...] = (200, 201, 202)) -> Any:
    """The answer's JSON, once its status is one of those expected."""
    expected = (status,) if isinstance(status, int) else status
    assert response.status_code in expected, f"{response.request.method} {response.request.url}: {response.text}"
    return response.json()
