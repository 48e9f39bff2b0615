"""Streams over real processes: two hubs, Redis and MariaDB, killed and restarted while clients listen."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator

import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from tests.e2e.tenants import Company, a_company, body_of
from tests.support.deployment import Deployment, DistributedDeployment
from tests.support.push import Heard, SseClient
from tests.support.servers import PrivateMariaDB, PrivateRedis, free_port

KILLS = int(os.environ.get("PUSH_KILLS", "3"))
HUBS = ("push", "push-2")
PATIENCE_S = 60.0
ORG_CHART = "muster.organization.v1.OrgChartPublishedEvent"

pytestmark = [pytest.mark.second_process, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def redis() -> Iterator[PrivateRedis]:
    with PrivateRedis() as made:
        yield made


@pytest.fixture(scope="module")
def fleet(mariadb: PrivateMariaDB, redis: PrivateRedis) -> Iterator[DistributedDeployment]:
    """Two hubs over one of each data service."""
    with DistributedDeployment(mariadb, redis.url, environment={"MUSTER_REQUEST_DEADLINE_S": "30"}) as made:
        for name in HUBS:
            listen = f"127.0.0.1:{free_port()}"
            made.add(name, ["run", "push"], {"MUSTER_PUSH_LISTEN": listen}, f"http://{listen}")
        yield made


@pytest.fixture(scope="module")
async def company(fleet: DistributedDeployment) -> AsyncIterator[Company]:
    async with a_company(fleet) as made:
        yield made


@pytest.fixture
async def clients() -> AsyncIterator[list[SseClient]]:
    """Those that the test opened; they are closed in the end."""
    made: list[SseClient] = []
    yield made
    for one in made:
        one.close()
    await asyncio.sleep(0.05)


def token_of(company: Company) -> str:
    return company.owner.headers["Authorization"].removeprefix("Bearer ")


class Streams:
    """Opens streams of a company's owner at the hubs of a deployment."""

    def __init__(self, deployment: Deployment, company: Company, clients: list[SseClient]) -> None:
        self._deployment = deployment
        self._token = token_of(company)
        self._clients = clients

    async def open(self, hub: str, last_id: str = "") -> SseClient:
        """A stream that has begun."""
        address = self._deployment.http_of(hub).removeprefix("http://")
        client = await SseClient.open(address, self._token, last_id=last_id)
        self._clients.append(client)
        assert client.status == 200, client.body
        hello = await client.next(PATIENCE_S)
        assert hello is not None
        assert hello.event == "hello"
        return client


@pytest.fixture
def streams(fleet: DistributedDeployment, company: Company, clients: list[SseClient]) -> Streams:
    return Streams(fleet, company, clients)


class Published:
    """Locations told to the company one after the other: what was acknowledged must be heard."""

    def __init__(self, company: Company) -> None:
        self._company = company
        self.codes: list[str] = []
        self._run = os.urandom(3).hex().upper()
        self._ending = False

    async def one(self) -> None:
        """One more location."""
        code = f"L{self._run}-{len(self.codes):04d}"
        body = {"effective_date": "2019-01-01", "name": code, "time_zone": "Asia/Shanghai", "country": "CN"}
        key = {"Idempotency-Key": code}
        for _ in range(5):  # a busy machine may need a second try of the same request
            answer = await self._company.owner.put(f"/v1/locations/{code}", json=body, headers=key)
            if answer.status_code not in (503, 504):
                break
        body_of(answer)
        self.codes.append(code)

    async def steadily(self) -> None:
        """More of them until told to end."""
        while not self._ending:
            await self.one()

    def end(self) -> None:
        """Let `steadily` return."""
        self._ending = True


def codes_in(heard: list[Heard]) -> list[str]:
    """The locations that were heard of."""
    return [entry["code"] for one in heard for entry in one.data["data"]["entries"]]


async def test_an_event_reaches_the_listeners_of_every_hub_and_nobody_elses(
    fleet: DistributedDeployment, company: Company, streams: Streams, clients: list[SseClient]
) -> None:
    async with a_company(fleet) as other:
        foreign = Streams(fleet, other, clients)
        listeners = [await streams.open(hub) for hub in HUBS]
        strangers = [await foreign.open(hub) for hub in HUBS]
        published = Published(company)

        for _ in range(5):
            await published.one()
        heard = [codes_in(await one.events(5, PATIENCE_S, of=ORG_CHART)) for one in listeners]

        assert heard == [published.codes] * 2
        # They may still hear of the accounts of their own company, which was founded a moment ago.
        assert all([await one.nothing(of="muster.organization.") for one in strangers])


async def test_a_killed_hub_costs_nothing_but_the_connection(
    fleet: DistributedDeployment, company: Company, streams: Streams
) -> None:
    published = Published(company)
    client = await streams.open(HUBS[0])
    publishing = asyncio.create_task(published.steadily())
    heard: list[Heard] = []

    for number in range(KILLS):
        dying, living = HUBS[number % 2], HUBS[(number + 1) % 2]
        heard += await client.events(3, PATIENCE_S)
        fleet.parts[dying].kill()
        heard += await drained(client)
        client = await streams.open(living, client.last_id)
        await asyncio.to_thread(fleet.restart, dying)
    published.end()
    await publishing
    heard += await client.events(len(published.codes) - len(heard), PATIENCE_S)

    assert codes_in(heard) == published.codes
    assert await client.nothing()


async def test_redis_may_die_and_forget(company: Company, streams: Streams, redis: PrivateRedis) -> None:
    published = Published(company)
    listeners = [await streams.open(hub) for hub in HUBS]
    publishing = asyncio.create_task(published.steadily())

    for _ in range(2):
        await asyncio.sleep(0.3)
        redis.flush()
        await asyncio.sleep(0.3)
        redis.kill()
        await asyncio.sleep(0.5)
        redis.start()
    published.end()
    await publishing
    heard = [codes_in(await one.events(len(published.codes), PATIENCE_S)) for one in listeners]

    assert heard == [published.codes] * 2
    assert all([await one.nothing() for one in listeners])


async def test_a_hub_that_is_told_to_stop_ends_its_streams_first(
    fleet: DistributedDeployment, company: Company, streams: Streams
) -> None:
    listeners = [await streams.open(HUBS[1]) for _ in range(10)]

    fleet.parts[HUBS[1]].signal(signal.SIGTERM)
    ends = [await one.next(PATIENCE_S) for one in listeners]
    code = await asyncio.to_thread(fleet.parts[HUBS[1]].ended, PATIENCE_S)
    back = await streams.open(HUBS[0], listeners[0].last_id)
    published = Published(company)
    await published.one()

    assert {(one.event, one.data["reason"]) for one in ends if one} == {("end", "DRAINING")}
    assert len({one.retry_ms for one in ends if one}) > 3
    assert code == 0
    assert codes_in(await back.events(1, PATIENCE_S)) == published.codes
    await asyncio.to_thread(fleet.restart, HUBS[1])


@pytest.mark.parametrize("form", ["embedded", "mesh"])
async def test_both_forms_serve_the_streams(
    form: str, request: pytest.FixtureRequest, clients: list[SseClient]
) -> None:
    deployment: Deployment = request.getfixturevalue(form)  # the latter through its gateway
    async with a_company(deployment) as company:
        token, address = token_of(company), deployment.base_url.removeprefix("http://")
        client = await SseClient.open(address, token)
        clients.append(client)
        offered = [Subprotocol("muster.v1"), Subprotocol(f"muster.bearer.{token}")]
        async with connect(f"ws://{address}/v1/ws", subprotocols=offered, proxy=None) as socket:
            hello = await socket.recv()
            published = Published(company)
            await published.one()
            message = ""
            while ORG_CHART not in message:
                message = str(await asyncio.wait_for(socket.recv(), PATIENCE_S))

        heard = await client.events(1, PATIENCE_S, of=ORG_CHART)  # what made the company may come just now

        assert client.status == 200
        assert codes_in(heard) == published.codes
        assert "hello" in str(hello)
        assert published.codes[0] in message


async def drained(client: SseClient) -> list[Heard]:
    """What a killed hub had sent already."""
    found: list[Heard] = []
    try:
        while (message := await client.next(PATIENCE_S)) is not None:
            if not message.event:
                found.append(message)
    except (OSError, asyncio.IncompleteReadError, ValueError):
        pass
    return found
