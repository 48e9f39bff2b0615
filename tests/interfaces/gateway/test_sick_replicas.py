"""A replica that is up and answers 500 is put out by the gateway and comes back; one that only sheds load stays."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from application.edge.admission import RETRY, SHED
from tests.interfaces.gateway.conftest import Edge
from tests.support.gateway import until

pytestmark = pytest.mark.second_process

SERVICE, PATH = "ward", "/v1/ward"
CALLERS, PAUSE_S = 6, 0.02
EVERY_5XX = ("consecutive_5xx", "consecutive_gateway_failure", "consecutive_local_origin_failure")


class Patient:
    """A replica whose health check is always in order."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: Callable[[], Response] = well

    async def serve(self, request: Request) -> Response:
        """As it feels."""
        self.asked += 1
        return self.answer()

    @property
    def app(self) -> Starlette:
        """What serves it."""

        async def ready(request: Request) -> Response:
            return Response()

        return Starlette(routes=[Route("/readyz", ready), Route(PATH, self.serve)])


def well() -> Response:
    """Nothing is wrong with it."""
    return Response("well")


def sick() -> Response:
    """Everything is."""
    return Response(status_code=500)


def busy() -> Response:
    """It turns away what it has no place for, as `application/edge/admission.py` does."""
    return Response(status_code=503, headers=SHED)


def gone() -> Response:
    """What it needs is away."""
    return Response(status_code=503, headers=RETRY)


@asynccontextmanager
async def a_ward(edge: Edge) -> AsyncIterator[tuple[Patient, Patient]]:
    """Two replicas behind the gateway."""
    patients = Patient(), Patient()
    registered = [await edge.mesh.serve(patient.app, SERVICE, (PATH,)) for patient in patients]
    try:
        await until(lambda: edge.envoy.counter(f"cluster.{SERVICE}.membership_healthy") == 2)
        await until(lambda: get(edge))
        yield patients
    finally:
        for one in registered:
            await one.close()
        await until(lambda: edge.envoy.counter(f"cluster.{SERVICE}.membership_total") == 0)


async def get(edge: Edge) -> bool:
    """Whether one request is answered well."""
    return (await edge.http.get(PATH, headers=edge.bearer())).status_code == 200


def for_seconds(seconds: float) -> Callable[[], bool]:
    """Whether they are over."""
    ends = time.monotonic() + seconds
    return lambda: time.monotonic() > ends


async def load(edge: Edge, over: Callable[[], bool]) -> Counter[int]:
    """What steady callers were answered."""
    found, headers = Counter[int](), edge.bearer()

    async def caller() -> None:
        while not over():
            found[(await edge.http.get(PATH, headers=headers)).status_code] += 1
            await asyncio.sleep(PAUSE_S)

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return found


def ejected(edge: Edge) -> int:
    """How many replicas are put out now."""
    return edge.envoy.counter(f"cluster.{SERVICE}.outlier_detection.ejections_active")


async def test_a_replica_that_answers_500_is_put_out_and_comes_back(edge: Edge) -> None:
    async with a_ward(edge) as (one, other):
        one.answer = sick
        noticing = asyncio.create_task(until(lambda: ejected(edge) == 1))
        before = await load(edge, noticing.done)
        asked = one.asked
        found = await load(edge, for_seconds(2.0))

        assert before[500] > 0
        assert set(found) == {200}
        assert one.asked == asked  # its health check, which is in order all the while, brings it nothing

        other.answer = sick
        started = time.monotonic()
        assert set(await load(edge, for_seconds(0.5))) == {500}
        assert time.monotonic() - started < 5.0  # nobody waits where all are sick

        one.answer = other.answer = well
        back = asyncio.create_task(until(lambda: one.asked > asked))
        found = await load(edge, back.done)
        assert set(found) == {200}


async def test_a_replica_that_only_sheds_load_is_not_put_out(edge: Edge) -> None:
    async with a_ward(edge) as (one, _):
        one.answer = busy
        found = await load(edge, for_seconds(1.0))

        assert ejected(edge) == 0
        assert found[503] > 0.3 * found.total()
        one.answer = gone
        noticing = asyncio.create_task(until(lambda: ejected(edge) == 1))
        await load(edge, noticing.done)  # the same status, without that word: this one has something


async def test_a_gateway_that_puts_nobody_out_would_go_on_asking_it(edge: Edge) -> None:
    async with a_ward(edge) as (one, _), not_ejecting(edge):
        one.answer = sick
        await load(edge, for_seconds(1.0))
        found = await load(edge, for_seconds(1.0))

    assert found[500] > 0.3 * found.total()


@asynccontextmanager
async def not_ejecting(edge: Edge) -> AsyncIterator[None]:
    """The planted bug: it sees who is sick and does nothing."""
    async with httpx.AsyncClient(base_url=edge.envoy.admin_url) as admin:
        for what in EVERY_5XX:
            (await admin.post(f"/runtime_modify?outlier_detection.enforcing_{what}=0")).raise_for_status()
        try:
            yield
        finally:
            for what in EVERY_5XX:
                (await admin.post(f"/runtime_modify?outlier_detection.enforcing_{what}=")).raise_for_status()
