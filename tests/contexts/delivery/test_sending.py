"""What the sender promises, against a receiver that verifies by itself and misbehaves."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from chassis.clock import SystemClock
from chassis.crypto import FieldCipher
from chassis.database import Database
from chassis.keyring import FileKeyring
from chassis.unit_of_work import OwnWork
from contexts.delivery.adapters import sending
from contexts.delivery.adapters.dialling import CheckedNetwork, Post, Resolver
from contexts.delivery.adapters.published import published
from contexts.delivery.adapters.sending import Sender
from contexts.delivery.domain.addresses import AddressRule, networks
from contexts.delivery.domain.delivery import AttemptError, Delivery, DeliveryStatus
from contexts.delivery.domain.destination import DialRule, destination
from contexts.delivery.domain.endpoint import Because, EndpointId, EndpointState, WebhookEndpoint
from contexts.delivery.domain.secret import Secret, SecretId
from contexts.delivery.handlers import turns
from contexts.delivery.handlers.deliveries import ensure_deliveries
from contexts.delivery.handlers.turns import Room, Turn
from contexts.delivery.repository.port import DeliveryWork, Message
from contexts.delivery.repository.sql import SqlDeliveryLog, sql_work, tenants_to_tidy, tenants_waiting
from contexts.delivery.repository.tables import metadata
from kernel.ids import TenantId, tenant_id_of
from tests.support.delivery import HIRED
from tests.support.receiver import ENDLESS, HANG, Receiver, a_receiver

ACME = tenant_id_of("acme")
LOCAL = DialRule(AddressRule(networks(["127.0.0.1/32"])), plain=True)
SOON = (timedelta(seconds=0.1),) * 4


@dataclass
class Office:
    """Delivery as its service wires it, over one database; a worker can be killed and another one started."""

    database: Database
    rule: DialRule = LOCAL
    timeout_s: float = 0.6
    clock: SystemClock = field(default_factory=SystemClock)
    cipher: FieldCipher = field(default_factory=lambda: FieldCipher(FileKeyring(1, {1: b"f" * 32}, b"i" * 32)))
    workers: list[asyncio.Task[None]] = field(default_factory=list)

    def own(self) -> "OwnWork[Any]":
        return OwnWork("process:test", self.database, sql_work(self.cipher), published, self.clock)

    def sender(self, schedule: Sequence[timedelta] = SOON) -> Sender:
        def receivers() -> Post:
            network = CheckedNetwork(self.rule, Resolver())
            return Post(network, self.clock, timeout_s=self.timeout_s, connections=200)

        return Sender(
            self.database,
            self.own(),
            tenants_waiting,
            tenants_to_tidy,
            receivers,
            self.clock,
            timeout_s=self.timeout_s,
            schedule=schedule,
        )

    def work_on(self, sender: Sender | None = None) -> asyncio.Task[None]:
        task = asyncio.create_task((sender or self.sender()).run())
        self.workers.append(task)
        return task

    async def an_endpoint(self, url: str, tenant_id: TenantId = ACME) -> WebhookEndpoint:
        number = iter(range(1 << 20))

        async def add(work: DeliveryWork) -> WebhookEndpoint:
            secret = Secret(SecretId(work.new_id()), next(number).to_bytes(32, "big"), work.now())
            place = destination(url, self.rule)
            endpoint = WebhookEndpoint.create(EndpointId(work.new_id()), place, secret, work.now())
            await work.endpoints.add(endpoint)
            return endpoint

        return await self.own().run(tenant_id, "test", add)

    async def publish(self, count: int = 1, tenant_id: TenantId = ACME) -> list[UUID]:
        async def ensure(work: DeliveryWork) -> list[UUID]:
            messages = [Message(work.new_id(), HIRED, b'{"n":%d}' % n) for n in range(count)]
            await ensure_deliveries(messages, work)
            return [one.event_id for one in messages]

        return await self.own().run(tenant_id, "test", ensure)

    async def state(self, id: EndpointId) -> EndpointState:
        async with self.database.read(ACME) as tx:
            return (await SqlDeliveryLog(tx, self.cipher).endpoint(id))[0]

    async def log(self, id: EndpointId) -> Sequence[Delivery]:
        async with self.database.read(ACME) as tx:
            return await SqlDeliveryLog(tx, self.cipher).deliveries(id, None, None, 1000)

    async def settled(self, id: EndpointId, wanted: DeliveryStatus, count: int = 1) -> Sequence[Delivery]:
        """The deliveries once so many are so far."""
        async with asyncio.timeout(40):
            while True:
                found = await self.log(id)
                if sum(one.status is wanted for one in found) >= count:
                    return found
                await asyncio.sleep(0.02)


@asynccontextmanager
async def an_office(url: str) -> AsyncIterator[Office]:
    database = Database(url, metadata, synchronous="OFF")
    office = Office(database)
    try:
        await database.create_tables()
        yield office
    finally:
        for worker in office.workers:
            worker.cancel()
        if office.workers:
            await asyncio.wait(office.workers, timeout=5)
        await database.close()


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with an_office(f"sqlite:///{tmp_path / 'delivery.sqlite3'}") as made:
        yield made


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with a_receiver() as made:
        yield made


async def test_a_message_arrives_signed_and_is_written_down(office: Office, receiver: Receiver) -> None:
    endpoint = await office.an_endpoint(receiver.url())
    office.work_on()

    await office.publish()
    (delivered,) = await office.settled(endpoint.state.id, DeliveryStatus.DELIVERED)

    (came,) = receiver.received
    assert came.id == str(delivered.id)
    assert came.verified_by(endpoint.state.secrets[0].text)
    assert not came.verified_by(Secret(SecretId(UUID(int=1)), b"x" * 32, endpoint.state.created_time).text)
    assert came.headers["content-type"] == "application/cloudevents+json"
    assert delivered.last is not None
    assert (delivered.last.status_code, delivered.tries) == (200, 1)


async def test_what_failed_is_tried_again_under_the_same_id(office: Office, receiver: Receiver) -> None:
    receiver.answers["/hook"] = [500, 503, 200]
    endpoint = await office.an_endpoint(receiver.url())
    office.work_on()

    await office.publish()
    (delivered,) = await office.settled(endpoint.state.id, DeliveryStatus.DELIVERED)

    assert len(receiver.received) == delivered.tries == 3
    assert len({one.id for one in receiver.received}) == 1
    assert all(one.verified_by(endpoint.state.secrets[0].text) for one in receiver.received)


async def test_what_is_never_taken_is_given_up_and_the_others_arrive(office: Office, receiver: Receiver) -> None:
    receiver.answers["/bad"] = [500]
    bad, good = await office.an_endpoint(receiver.url("/bad")), await office.an_endpoint(receiver.url("/good"))
    office.work_on(office.sender(SOON[:1]))

    await office.publish()

    (failed,) = await office.settled(bad.state.id, DeliveryStatus.FAILED)
    await office.settled(good.state.id, DeliveryStatus.DELIVERED)
    assert (failed.tries, failed.due_time) == (2, None)


async def test_a_receiver_that_asks_for_time_gets_it(office: Office, receiver: Receiver) -> None:
    receiver.answers["/hook"] = [(429, {"Retry-After": "2"}), 200]
    endpoint = await office.an_endpoint(receiver.url())
    office.work_on()

    await office.publish()
    await office.settled(endpoint.state.id, DeliveryStatus.DELIVERED)

    first, second = receiver.received
    assert second.at - first.at >= 2


async def test_a_receiver_that_is_gone_is_disabled(office: Office, receiver: Receiver) -> None:
    receiver.answers["/hook"] = [410]
    endpoint = await office.an_endpoint(receiver.url())
    office.work_on()

    await office.publish()
    await office.settled(endpoint.state.id, DeliveryStatus.FAILED)
    await office.publish()
    await asyncio.sleep(0.3)

    assert (await office.state(endpoint.state.id)).because is Because.GONE
    assert len(receiver.received) == 1
    assert len(await office.log(endpoint.state.id)) == 1


async def test_a_redirect_is_a_failure_and_is_not_followed(office: Office, receiver: Receiver) -> None:
    receiver.answers["/hook"] = [(307, {"Location": receiver.url("/canary")})]
    endpoint = await office.an_endpoint(receiver.url())
    office.work_on(office.sender(()))

    await office.publish()
    (failed,) = await office.settled(endpoint.state.id, DeliveryStatus.FAILED)

    assert failed.last is not None
    assert failed.last.error is AttemptError.REDIRECT
    assert receiver.at("/canary") == []


async def test_both_secrets_sign_while_they_rotate(office: Office, receiver: Receiver) -> None:
    endpoint = await office.an_endpoint(receiver.url())

    async def rotate(work: DeliveryWork) -> Secret:
        changed = await work.endpoints.get(endpoint.state.id)
        secret = Secret(SecretId(work.new_id()), b"n" * 32, work.now())
        changed.rotate(secret, work.now(), timedelta(hours=24))
        await work.endpoints.save(changed)
        return secret

    new = await office.own().run(ACME, "test", rotate)
    office.work_on()
    await office.publish()
    await office.settled(endpoint.state.id, DeliveryStatus.DELIVERED)

    (came,) = receiver.received
    assert came.verified_by(new.text)
    assert came.verified_by(endpoint.state.secrets[0].text)


async def test_an_endless_answer_is_read_for_a_few_kilobytes(office: Office, receiver: Receiver) -> None:
    receiver.answers["/hook"] = [ENDLESS]
    endpoint = await office.an_endpoint(receiver.url())
    office.work_on()

    await office.publish()

    (delivered,) = await office.settled(endpoint.state.id, DeliveryStatus.DELIVERED)
    assert delivered.tries == 1


async def test_a_proxy_of_the_environment_is_not_used(
    office: Office, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_receiver() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        endpoint = await office.an_endpoint(receiver.url())
        office.work_on()
        await office.publish()
        await office.settled(endpoint.state.id, DeliveryStatus.DELIVERED)

    assert proxy.connections == 0


@pytest.mark.parametrize("ailing", [2, 4], ids=["bounded", "unbounded"])
async def test_receivers_that_hang_do_not_delay_the_others(
    office: Office, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, ailing: int
) -> None:
    """Without a bound on the turns of those that are known to fail, they would hold all turns: the planted bug."""
    monkeypatch.setattr(sending, "TURNS", 4)
    monkeypatch.setattr(sending, "AILING_TURNS", ailing)
    office.timeout_s = 5.0
    for n in range(8):
        receiver.answers[f"/hanging/{n}"] = [HANG]
        await office.an_endpoint(receiver.url(f"/hanging/{n}"))
    await office.publish()
    await office.own().run(ACME, "test", _ail)
    good = await office.an_endpoint(receiver.url("/good"))
    office.work_on()
    await receiver.until(lambda: len(receiver.received) >= ailing)

    started = asyncio.get_running_loop().time()
    await office.publish(5)
    await office.settled(good.state.id, DeliveryStatus.DELIVERED, 5)
    waited = max(one.at for one in receiver.at("/good")) - started

    assert (waited < 2.5) is (ailing == 2), f"waited {waited:.2f} s"


async def _ail(work: DeliveryWork) -> None:
    """As after a turn that failed."""
    for state in await work.endpoints.enabled():
        for lane in await work.lanes.locked([state.id]):
            await work.lanes.save(replace(lane, failed_turns=1, due_time=work.now()))


async def test_a_receiver_that_begins_to_hang_delays_nobody_else(office: Office, receiver: Receiver) -> None:
    receiver.answers["/hook"] = [HANG]
    await office.an_endpoint(receiver.url())
    others = [await office.an_endpoint(receiver.url(f"/{n}")) for n in range(5)]
    office.timeout_s = 10.0
    office.work_on()

    await office.publish(4)
    for other in others:
        await office.settled(other.state.id, DeliveryStatus.DELIVERED, 4)

    latest = max(one.at for one in receiver.received if one.path != "/hook")
    first = min(one.at for one in receiver.received)
    assert latest - first < 5
    assert len(receiver.at("/hook")) == 4


async def _take_and_mark(room: Room, work: DeliveryWork) -> Sequence[Turn]:
    """The planted bug: what is about to be sent counts as sent."""
    taken = await turns.take_turns(room, work)
    for turn in taken:
        for one, _ in turn.deliveries:
            await work.deliveries.save(replace(one, status=DeliveryStatus.DELIVERED, due_time=None))
    return taken


@pytest.mark.parametrize("take", [turns.take_turns, _take_and_mark], ids=["whole", "marks before it sends"])
async def test_nothing_is_lost_when_a_worker_dies_while_it_sends(
    office: Office, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, take: Any
) -> None:
    monkeypatch.setattr(sending, "take_turns", take)
    endpoint = await office.an_endpoint(receiver.url())
    receiver.answers["/hook"] = [HANG]
    await office.publish(6)
    dying = office.sender()
    dying._lease = timedelta(seconds=0.3)
    dying._stop = _nothing  # type: ignore[method-assign]
    worker = office.work_on(dying)
    await receiver.until(lambda: len(receiver.received) == 4)

    for task in (worker, *dying._turns):
        task.cancel()
    receiver.answers["/hook"] = [200]
    office.work_on()
    lost = take is _take_and_mark
    await receiver.until(lambda: len(receiver.received) == (6 if lost else 10))
    await asyncio.sleep(0.5)

    taken = {one.id for one in receiver.received[4:]}
    assert len(taken) == (2 if lost else 6)
    if not lost:
        assert {one.id for one in receiver.received[:4]} < taken
        await office.settled(endpoint.state.id, DeliveryStatus.DELIVERED, 6)


async def _nothing() -> None:
    """A worker that is killed does nothing at its end."""
