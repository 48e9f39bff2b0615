"""A steady load of reads and keyed writes on one address, each request sent once, and what became of each."""

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from uuid import uuid4

import httpx

from tests.support.deployment import MeshDeployment
from tests.support.scenario import Company, Json, a_hire

RATE = 25.0  # requests per second: little next to what two cores serve, and one every 40 ms meets every fault
IN_FLIGHT = 400
PATIENCE_S = 15.0
PUNCH_DAYS = 28
FROZEN_S = 3.0
_numbers = count(1)


@dataclass(frozen=True)
class Answer:
    """One request: when it was sent, how long it took, what came. Status 0: the connection broke or nothing came."""

    asked: str
    at: float
    took_s: float
    status: int
    reason: str = ""

    @property
    def failed(self) -> bool:
        """Whether a client would call it a failure: nothing, an error of the server, or a refusal."""
        return not 200 <= self.status < 300


@dataclass
class Pressure:
    """What was asked and answered while the load ran.

    Invariants: at most 400 requests are in flight; what was hired is known by its number.
    """

    answers: list[Answer] = field(default_factory=list)
    hired: dict[str, str] = field(default_factory=dict)  # id by number, of the acknowledged hires

    @property
    def failures(self) -> list[Answer]:
        """The requests that failed."""
        return [answer for answer in self.answers if answer.failed]

    @property
    def slowest_s(self) -> float:
        """The longest that a request took."""
        return max(answer.took_s for answer in self.answers)

    def told(self) -> str:
        """In short, for the messages of assertions."""
        by_kind = Counter(f"{answer.asked}: {answer.status} {answer.reason}" for answer in self.failures)
        return f"{len(self.failures)} of {len(self.answers)} failed, slowest {self.slowest_s:.2f} s: {dict(by_kind)}"


@asynccontextmanager
async def pressed(company: Company, *base_urls: str, rate: float = RATE, seed: int = 1) -> AsyncIterator[Pressure]:
    """Ask the addresses (the deployment's, if none is given) in turns while the block runs, then wait for answers.

    Each request is sent once; only an address that refuses the connection is passed over for the next one.
    """
    urls = base_urls or (company.deployment.base_url,)
    headers = await asyncio.to_thread(company.hr.headers)
    pressure, running, choice = Pressure(), set[asyncio.Task[None]](), random.Random(seed)
    limits = httpx.Limits(max_connections=IN_FLIGHT, max_keepalive_connections=20)
    async with httpx.AsyncClient(headers=headers, timeout=PATIENCE_S, limits=limits) as http:

        async def keep_asking() -> None:
            for number in count():
                if len(running) < IN_FLIGHT:
                    ask = choice.choice(ASKED)
                    turn = number % len(urls)
                    task = asyncio.create_task(_one(http, urls[turn:] + urls[:turn], ask, company, pressure))
                    running.add(task)
                    task.add_done_callback(running.discard)
                await asyncio.sleep(1 / rate)

        asking = asyncio.create_task(keep_asking())
        try:
            yield pressure
        finally:
            asking.cancel()
            await asyncio.gather(*running)


async def _one(
    http: httpx.AsyncClient,
    urls: Sequence[str],
    ask: "Callable[[Company], Request]",
    company: Company,
    pressure: Pressure,
) -> None:
    request, began = ask(company), time.monotonic()
    headers = {"Idempotency-Key": str(uuid4())} if request.method != "GET" else {}
    name = f"{request.method} {request.path.split('?')[0]}"
    for url in urls:
        try:
            answer = await http.request(request.method, url + request.path, json=request.body, headers=headers)
            break
        except httpx.ConnectError:  # nothing was sent: every client goes on to the next address of a name
            failed = Answer(name, began, time.monotonic() - began, 0, "ConnectError")
        except httpx.HTTPError as error:
            pressure.answers.append(Answer(name, began, time.monotonic() - began, 0, type(error).__name__))
            return
    else:
        pressure.answers.append(failed)
        return
    told = answer.json() if answer.content else {}
    reason = told.get("reason", "") if answer.is_error else ""
    pressure.answers.append(Answer(name, began, time.monotonic() - began, answer.status_code, reason))
    if request.path == "/v1/employees" and answer.status_code == 201:
        pressure.hired[told["employee_number"]] = told["id"]


# ---- what is done to the deployment meanwhile ----


async def killed(mesh: MeshDeployment, program: str) -> None:
    """SIGKILL, and wait until the supervisor started it again and it serves."""
    starts = mesh.state["starts"][program]
    mesh.send(program, signal.SIGKILL)
    await asyncio.to_thread(mesh.wait_started, program, starts + 1)


async def frozen(mesh: MeshDeployment, program: str, seconds: float = FROZEN_S) -> None:
    """SIGSTOP: its connections stay open and nothing answers; then SIGCONT."""
    mesh.send(program, signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        mesh.send(program, signal.SIGCONT)


# ---- what is asked ----


@dataclass(frozen=True)
class Request:
    """One request of the load."""

    method: str
    path: str
    body: Any = None


def _read(company: Company) -> Request:
    return Request("GET", f"/v1/employees/{random.choice(list(company.people.values()))}")


def _list(company: Company) -> Request:
    return Request("GET", "/v1/employees?limit=5")


def _accounts(company: Company) -> Request:
    return Request("GET", "/v1/accounts?limit=5")


def _timesheets(company: Company) -> Request:
    return Request("GET", f"/v1/timesheets?period=2026-03&employee_id={random.choice(list(company.people.values()))}")


def _hire(company: Company) -> Request:
    return Request("POST", "/v1/employees", a_hire(f"L{next(_numbers):06}"))


def _punch(company: Company) -> Request:
    day, minute = divmod(next(_numbers) * 7, 24 * 60)
    instant = f"2026-03-{day % PUNCH_DAYS + 1:02}T{minute // 60:02}:{minute % 60:02}:00+08:00"
    body: Json = {
        "punch_id": str(uuid4()),
        "employee_id": random.choice(list(company.people.values())),
        "punched_at": instant,
        "source": "WEB",
    }
    return Request("POST", "/v1/punches", body)


ASKED: tuple[Callable[[Company], Request], ...] = (_read, _read, _list, _accounts, _timesheets, _hire, _punch, _punch)
