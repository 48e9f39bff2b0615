"""A refusal by the head of the request alone says what the gate would have said, and costs next to nothing."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from uuid import UUID

import pytest
from fastapi.routing import APIRoute
from prometheus_client import REGISTRY

from application.edge.admission import LEAST, Admission, Why
from application.edge.application import Application
from application.edge.early import FEW
from application.edge.gate import Gate
from application.edge.operation import Criticality, Operation
from application.edge.refusal import Unauthenticated
from application.edge.routes import Routes
from chassis.lifecycle import Listener, serve_http
from chassis.principal import Principal
from chassis.settings import Settings
from kernel.ids import TenantId
from tests.application.edge.test_gate import ThingBody, ThingView

PLACES = 16
WORK = Operation("early.work", "employee.read", Criticality.DEFERRABLE)
early = Routes("early")


@early.get("/v1/lists", "employee.read", tag="early", criticality=Criticality.DEFERRABLE)
async def get_list() -> ThingView:
    """What can wait."""
    return ThingView(name="list")


@early.post("/v1/lists/{code}", "employee.hire", tag="early", criticality=Criticality.DEFERRABLE)
async def post_list(code: str, body: ThingBody) -> ThingView:
    """The same with a body."""
    return ThingView(name=body.name)


@early.get("/v1/urgent", "employee.read", tag="early", criticality=Criticality.CRITICAL)
async def get_urgent() -> ThingView:
    """What cannot."""
    return ThingView(name="urgent")


class Companies:
    """Takes the token for the company's number; 0 must be verified anew and is then refused."""

    async def principal(self, token: str) -> Principal:
        principal = self.remembered(token)
        if principal is None:
            raise Unauthenticated("sign in again")
        return principal

    def remembered(self, token: str) -> Principal | None:
        return Principal(tenant(int(token)), "amy", frozenset({"owner"})) if int(token) else None


def tenant(number: int) -> TenantId:
    return TenantId(UUID(int=number))


class Wire:
    """One connection, on which everything is sent at once."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, *requests: bytes) -> list[tuple[int, bytes, bytes]]:
        """Status, headers and body of each answer."""
        self._writer.write(b"".join(requests))
        return [await self._answer() for _ in requests]

    async def count(self, request: bytes, times: int, status: int) -> int:
        """Ask so many times; how many of the answers have that status. Nothing else of them is looked at."""
        self._writer.write(request * times)
        text = b""
        while text.count(b"HTTP/1.1 ") < times:
            text += await self._reader.read(1_000_000)
        return text.count(b"HTTP/1.1 %d " % status)

    async def _answer(self) -> tuple[int, bytes, bytes]:
        head = await self._reader.readuntil(b"\r\n\r\n")
        [length] = re.findall(rb"content-length: ([0-9]+)", head)
        return int(head[9:12]), head, await self._reader.readexactly(int(length))


def get(path: str, company: int | None = 1, more: str = "") -> bytes:
    token = "" if company is None else f"Authorization: Bearer {company}\r\n"
    return f"GET {path} HTTP/1.1\r\nHost: muster\r\n{token}{more}\r\n".encode()


def post(path: str, body: bytes) -> bytes:
    head = "Host: muster\r\nAuthorization: Bearer 1\r\nContent-Type: application/json\r\n"
    return f"POST {path} HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def still() -> float:
    """A time that stands still."""
    return 1000.0


def the_edge(clock: Callable[[], float] = still) -> tuple[Gate, Application]:
    gate = Gate(Companies(), body_bytes=100_000, places=PLACES)
    gate.admission = Admission(PLACES, 60.0, clock)
    operations = [route for route in early.router.routes if isinstance(route, APIRoute)]
    return gate, Application(operations, [], gate, deadline_s=10.0)


@asynccontextmanager
async def served(*, by_head: bool = True, clock: Callable[[], float] = still) -> AsyncIterator[tuple[Gate, Wire]]:
    """The edge with a connection to it; `by_head` False: without what is tried. While time stands, so do limits."""
    settings = Settings(data_dir=Path("nowhere"))
    gate, app = the_edge(clock)
    running = await serve_http(app, Listener(), settings, lifespan=False, early=app.early if by_head else None)
    host, _, port = running.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield gate, Wire(reader, writer)
    finally:
        writer.close()
        await running.stop(1.0)


@contextmanager
def crowd(gate: Gate, *companies: int) -> Iterator[None]:
    """One list of each of these companies is being made."""
    with ExitStack() as stack:
        for company in companies:
            stack.enter_context(gate.admission.working(WORK, tenant(company)))
        yield


def said(answers: list[tuple[int, bytes, bytes]]) -> list[tuple[int, bytes, bytes]]:
    """The same without what differs from time to time."""
    ids = re.compile(rb"[0-9a-f]{32}")
    return [
        (status, ids.sub(b"ID", re.sub(rb"date: [^\r]*", b"date", head)), ids.sub(b"ID", body))
        for status, head, body in answers
    ]


FULL = [1] * LEAST[Criticality.DEFERRABLE]
TRIALS = {
    "late": (FULL, get("/v1/lists")),
    "late, with an id of its own": (FULL, get("/v1/lists?limit=1", more="X-Request-Id: a-1\r\n")),
    "beyond its share": ([1, 1, 2], get("/v1/lists")),
    "a company that has its share": ([1, 1, 2], get("/v1/lists", 3)),
    "something that cannot wait": (FULL, get("/v1/urgent")),
    "a body": (FULL, post("/v1/lists/a", b'{"name": "a", "since": "2026-01-01"}')),
    "a token that is not known": (FULL, get("/v1/lists", 0)),
    "no token": (FULL, get("/v1/lists", None)),
    "nothing there": (FULL, get("/v1/nothing")),
    "another method": (FULL, get("/v1/lists").replace(b"GET", b"PUT")),
}


@pytest.mark.parametrize(("working", "request_"), TRIALS.values(), ids=TRIALS.keys())
async def test_the_answer_is_that_of_the_gate(working: list[int], request_: bytes) -> None:
    answers = []
    for by_head in (True, False):
        async with served(by_head=by_head) as (gate, wire):
            with crowd(gate, *working):
                answers.append(said(await wire.ask(request_, get("/v1/urgent"))))

    assert answers[0] == answers[1]


async def test_where_no_place_is_left_the_answer_is_that_of_the_gate() -> None:
    answers = []
    for by_head in (True, False):
        async with served(by_head=by_head) as (gate, wire):
            for _ in range(PLACES // 2):
                gate.admission.enter(Criticality.DEFERRABLE)
            answers.append(said(await wire.ask(get("/v1/lists"), get("/v1/lists", None), get("/v1/urgent"))))

    assert answers[0] == answers[1]
    assert [status for status, _, _ in answers[0]] == [503, 503, 200]


async def test_what_is_still_sent_of_a_refused_request_is_dropped() -> None:
    body = b'{"name": "' + b"a" * 90_000 + b'"}'
    async with served() as (gate, wire):
        with crowd(gate, *FULL):
            refused = await wire.ask(post("/v1/lists/a", body), get("/v1/urgent"), post("/v1/lists/b", body))
        after = await wire.ask(get("/v1/lists"))

    assert [status for status, _, _ in (*refused, *after)] == [503, 200, 503, 200]


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_what_is_refused_is_counted() -> None:
    def counts() -> tuple[float, float]:
        return (
            counted("muster_http_refused_total", criticality="DEFERRABLE", why=Why.LATE.value),
            counted("muster_http_seconds_count", operation="early.get_list", status="503"),
        )

    async with served() as (gate, wire):
        before = counts()
        with crowd(gate, *FULL):
            await wire.ask(*[get("/v1/lists")] * 5)
        after = counts()

    assert (after[0] - before[0], after[1] - before[1]) == (5, 5)


async def test_of_many_that_come_at_once_no_more_are_let_in_than_there_is_room_for() -> None:
    gate, app = the_edge()
    head = (b"GET", b"/v1/lists", [(b"authorization", b"Bearer 1")])

    at_once = [app.early(*head) for _ in range(50)]
    await asyncio.sleep(0)
    later = app.early(*head)

    assert at_once.count(None) <= gate.admission.limit(Criticality.DEFERRABLE) + FEW
    assert later is None


async def test_a_limit_rises_though_everybody_is_refused_early() -> None:
    now = 1000.0
    async with served(clock=lambda: now) as (gate, wire):
        with crowd(gate, *FULL):
            await wire.ask(get("/v1/lists"))
            before = gate.admission.limit(Criticality.DEFERRABLE)
            now += 1.0
            await wire.ask(get("/v1/lists"))
            after = gate.admission.limit(Criticality.DEFERRABLE)

    assert after > before


async def cost_s(*, by_head: bool) -> float:
    """Seconds of CPU for some hundred refusals."""
    async with served(by_head=by_head) as (gate, wire):
        with crowd(gate, *FULL):
            await wire.count(get("/v1/lists"), 20, 503)
            before = time.process_time()
            assert await wire.count(get("/v1/lists"), 400, 503) == 400
            return time.process_time() - before


async def test_it_costs_less_than_half_of_what_the_gate_would() -> None:
    by_head = min([await cost_s(by_head=True) for _ in range(5)])
    by_gate = min([await cost_s(by_head=False) for _ in range(5)])

    assert by_head < 0.5 * by_gate
