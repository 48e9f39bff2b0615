"""Companies in a running installation, each with a client per role."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.support.deployment import Deployment


@dataclass
class Company:
    """One tenant with a client per role (and employee).

    Invariants: the owner is signed in first.
    """

    code: str
    tenant_id: str
    deployment: Deployment
    clients: dict[str, httpx.AsyncClient] = field(default_factory=dict)

    async def sign_in(self, role: str, employee_id: str = "") -> httpx.AsyncClient:
        """A client with a token of that role (and employee)."""
        key = f"{role}/{employee_id}"
        if key not in self.clients:
            token = await asyncio.to_thread(self.deployment.token, self.code, role, employee_id)
            self.clients[key] = httpx.AsyncClient(
                base_url=self.deployment.base_url, headers={"Authorization": f"Bearer {token}"}, timeout=30.0
            )
        return self.clients[key]

    @property
    def owner(self) -> httpx.AsyncClient:
        """The client of the owner."""
        return self.clients["owner/"]


@asynccontextmanager
async def a_company(deployment: Deployment) -> AsyncIterator[Company]:
    """A new tenant whose owner is signed in; its clients are closed in the end."""
    founded = await asyncio.to_thread(deployment.found_tenant)
    company = Company(founded.code, founded.tenant_id, deployment)
    try:
        await company.sign_in("owner")
        yield company
    finally:
        for client in company.clients.values():
            await client.aclose()


def body_of(response: httpx.Response, status: int | tuple[int, ...] = (200, 201, 202)) -> Any:
    """The answer's JSON, once its status is one of those expected."""
    expected = (status,) if isinstance(status, int) else status
    assert response.status_code in expected, f"{response.request.method} {response.request.url}: {response.text}"
    return response.json()
