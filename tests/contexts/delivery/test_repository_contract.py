"""What every store of delivery promises, on memory, SQLite and MariaDB."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from chassis.database import Duplicate
from contexts.delivery.domain.delivery import Attempt, AttemptError, Delivery, DeliveryStatus, attempt_of, delivery_id
from contexts.delivery.domain.endpoint import Because, EndpointId, WebhookEndpoint
from contexts.delivery.domain.errors import WebhookDeliveryNotFound, WebhookEndpointNotFound
from contexts.delivery.domain.events import WebhookEndpointCreated, WebhookEndpointDisabled
from contexts.delivery.handlers.deliveries import ensure_deliveries
from contexts.delivery.handlers.endpoints import ChangeStatus, enable_endpoint
from contexts.delivery.handlers.turns import Room, Sent, end_turn, take_turns, tidy
from contexts.delivery.repository.port import Message
from kernel.errors import Stale
from kernel.ids import Version, tenant_id_of
from tests.support.delivery import HIRED, PUNCHED, START, SqlStore, Store, a_message, a_secret, an_endpoint

ACME, OTHER = tenant_id_of("acme"), tenant_id_of("other")
ROOM = Room(32, 8, 4, timedelta(seconds=17))
SCHEDULE = (timedelta(seconds=5), timedelta(minutes=5))


async def added(store: Store, *endpoints: WebhookEndpoint) -> None:
    async with store.work(ACME) as work:
        for endpoint in endpoints:
            await work.endpoints.add(endpoint)


async def ensured(store: Store, *messages: Message) -> int:
    async with store.work(ACME) as work:
        return await ensure_deliveries(messages, work)


async def test_everything_about_an_endpoint_is_read_back(store: Store) -> None:
    endpoint = an_endpoint(HIRED, "muster.payroll.v1.*")
    endpoint.rotate(a_secret(b"t", START + timedelta(microseconds=1)), START, timedelta(hours=24))
    await added(store, endpoint)

    async with store.work(ACME) as work:
        read = await work.endpoints.get(endpoint.state.id)
    async with store.view(ACME) as view:
        shown, lane = await view.endpoint(endpoint.state.id)

    assert read.state == shown == endpoint.state
    assert read.state.version == 1
    assert [one.key[:1] for one in read.state.secrets] == [b"s", b"t"]
    assert lane.due_time is None


async def test_a_saved_change_is_read_back_and_raises_the_version(store: Store) -> None:
    endpoint = an_endpoint()
    await added(store, endpoint)

    async with store.work(ACME) as work:
        changed = await work.endpoints.get(endpoint.state.id, seen=Version(1))
        changed.rotate(a_secret(b"t"), START, timedelta(0))
        changed.disable(Because.GONE)
        await work.endpoints.save(changed)

    async with store.view(ACME) as view:
        read, _ = await view.endpoint(endpoint.state.id)
    assert read == changed.state
    assert (read.version, read.because, [one.key[:1] for one in read.secrets]) == (2, Because.GONE, [b"t"])
    assert [type(one.event) for one in store.saved][-1] is WebhookEndpointDisabled
    assert type(store.saved[0].event) is WebhookEndpointCreated


async def test_the_second_of_two_writers_is_refused(store: Store) -> None:
    endpoint = an_endpoint()
    await added(store, endpoint)
    async with store.work(ACME) as work:
        first = await work.endpoints.get(endpoint.state.id)
        second = await work.endpoints.get(endpoint.state.id)
        first.update(description="first")
        await work.endpoints.save(first)

    second.update(description="second")
    with pytest.raises(Stale):
        async with store.work(ACME) as work:
            await work.endpoints.save(second)
    with pytest.raises(Stale):
        async with store.work(ACME) as work:
            await work.endpoints.get(endpoint.state.id, seen=Version(1))


async def test_a_tenant_does_not_see_what_is_of_another(store: Store) -> None:
    endpoint, message = an_endpoint(), a_message()
    await added(store, endpoint)
    await ensured(store, message)

    async with store.work(OTHER) as work:
        with pytest.raises(WebhookEndpointNotFound):
            await work.endpoints.get(endpoint.state.id)
        with pytest.raises(WebhookDeliveryNotFound):
            await work.deliveries.get(endpoint.state.id, delivery_id(endpoint.state.id, message.event_id))
        assert await work.endpoints.enabled() == []
        assert await take_turns(ROOM, work) == []
        assert await ensure_deliveries([message], work) == 0
    async with store.view(OTHER) as view:
        assert await view.endpoints(None, 10) == []
        with pytest.raises(WebhookEndpointNotFound):
            await view.deliveries(endpoint.state.id, None, None, 10)


async def test_an_event_is_delivered_to_each_endpoint_that_wants_it_and_once_however_often_it_is_ensured(
    store: Store,
) -> None:
    wants_all, wants_hires, wants_none = an_endpoint(), an_endpoint(HIRED), an_endpoint(disabled=True)
    await added(store, wants_all, wants_hires, wants_none)
    hired, punched = a_message(HIRED), a_message(PUNCHED)

    assert await ensured(store, hired, punched) == 3
    assert await ensured(store, hired, punched) == 0
    assert await ensured(store, hired) == 0

    async with store.view(ACME) as view:
        everything = await view.deliveries(wants_all.state.id, None, None, 10)
        hires = await view.deliveries(wants_hires.state.id, DeliveryStatus.PENDING, None, 10)
        assert await view.deliveries(wants_none.state.id, None, None, 10) == []
        assert await view.deliveries(wants_all.state.id, DeliveryStatus.FAILED, None, 10) == []
        assert await view.deliveries(wants_all.state.id, None, punched.event_id, 10) == [everything[1]]
    assert [one.event_id for one in everything] == [punched.event_id, hired.event_id]
    assert [one.event_id for one in hires] == [hired.event_id]


async def test_workers_that_ensure_one_event_at_once_add_it_once(store: Store) -> None:
    endpoint, messages = an_endpoint(), [a_message() for _ in range(3)]
    await added(store, endpoint)

    async def ensure() -> int:
        for _ in range(20):
            try:
                return await ensured(store, *messages)
            except Exception as error:
                if not isinstance(error, Duplicate) and type(error).__name__ != "Contention":
                    raise
        raise AssertionError("never got its turn")

    counts = await asyncio.gather(*(ensure() for _ in range(5)))

    assert sorted(counts) == [0, 0, 0, 0, 3]


async def test_a_delivery_that_exists_is_refused(store: Store) -> None:
    endpoint, message = an_endpoint(), a_message()
    await added(store, endpoint)
    one = Delivery.due(endpoint.state.id, message.event_id, message.event_type, START)
    async with store.work(ACME) as work:
        await work.deliveries.add([message], [one])

    with pytest.raises(Duplicate):
        async with store.work(ACME) as work:
            await work.deliveries.add([message], [one])


async def test_what_is_due_is_taken_by_one_worker_until_its_lease_is_over(store: Store) -> None:
    endpoint = an_endpoint()
    await added(store, endpoint)
    messages = [a_message(body=b'{"n":%d}' % n) for n in range(6)]
    await ensured(store, *messages)

    async with store.work(ACME) as work:
        (turn,) = await take_turns(ROOM, work)
    async with store.work(ACME) as work:
        assert await take_turns(ROOM, work) == []
    store.clock.pass_(seconds=18)
    async with store.work(ACME) as work:
        (after_a_death,) = await take_turns(ROOM, work)

    assert turn.endpoint == endpoint.state
    assert [body for _, body in turn.deliveries] == [b'{"n":0}', b'{"n":1}', b'{"n":2}', b'{"n":3}']
    assert [one for one, _ in after_a_death.deliveries] == [one for one, _ in turn.deliveries]


async def test_workers_that_race_for_an_endpoint_have_one_winner(store: Store) -> None:
    endpoints = [an_endpoint() for _ in range(4)]
    await added(store, *endpoints)
    await ensured(store, a_message())

    async def take() -> list[EndpointId]:
        async with store.work(ACME) as work:
            return [turn.endpoint.id for turn in await take_turns(ROOM, work)]

    taken = [id for ids in await asyncio.gather(*(take() for _ in range(6))) for id in ids]

    assert sorted(taken) == sorted(endpoint.state.id for endpoint in endpoints)


async def test_what_attempts_brought_is_written_down_and_the_lane_is_given_back(store: Store) -> None:
    endpoint = an_endpoint()
    await added(store, endpoint)
    await ensured(store, a_message(), a_message())
    async with store.work(ACME) as work:
        (turn,) = await take_turns(ROOM, work)
    (first, _), (second, _) = turn.deliveries
    at = store.clock.now()
    sent = [Sent(first.id, attempt_of(at, 204, 12, None), 0), Sent(second.id, attempt_of(at, 500, 7, None), -20)]

    async with store.work(ACME) as work:
        await end_turn(turn.endpoint.id, turn.lease_id, sent, SCHEDULE, work)

    async with store.view(ACME) as view:
        done, log = await view.delivery(endpoint.state.id, first.id, 10)
        waits, _ = await view.delivery(endpoint.state.id, second.id, 10)
        _, lane = await view.endpoint(endpoint.state.id)
    assert (done.status, done.tries, done.due_time) == (DeliveryStatus.DELIVERED, 1, None)
    assert log == [Attempt(at, 204, None, 12)]
    assert (waits.status, waits.due_time) == (DeliveryStatus.PENDING, at + timedelta(seconds=4))
    assert waits.last == Attempt(at, 500, AttemptError.HTTP_STATUS, 7)
    assert (lane.lease_id, lane.due_time, lane.failed_turns) == (None, waits.due_time, 0)


async def test_the_outcome_of_a_lost_lease_is_kept_and_the_lane_stays_with_its_new_worker(store: Store) -> None:
    endpoint = an_endpoint()
    await added(store, endpoint)
    await ensured(store, a_message())
    async with store.work(ACME) as work:
        (slow,) = await take_turns(ROOM, work)
    store.clock.pass_(seconds=18)
    async with store.work(ACME) as work:
        (quick,) = await take_turns(ROOM, work)

    attempt = attempt_of(store.clock.now(), 200, 1, None)
    async with store.work(ACME) as work:
        await end_turn(slow.endpoint.id, slow.lease_id, [Sent(slow.deliveries[0][0].id, attempt, 0)], SCHEDULE, work)

    async with store.view(ACME) as view:
        delivered, _ = await view.delivery(endpoint.state.id, slow.deliveries[0][0].id, 10)
        _, lane = await view.endpoint(endpoint.state.id)
    assert delivered.status is DeliveryStatus.DELIVERED
    assert lane.lease_id == quick.lease_id


async def test_what_comes_while_a_turn_runs_is_found_when_it_ends(store: Store) -> None:
    endpoint = an_endpoint()
    await added(store, endpoint)
    await ensured(store, a_message())
    async with store.work(ACME) as work:
        (turn,) = await take_turns(ROOM, work)
    await ensured(store, a_message())

    sent = [Sent(turn.deliveries[0][0].id, attempt_of(store.clock.now(), 200, 1, None), 0)]
    async with store.work(ACME) as work:
        await end_turn(turn.endpoint.id, turn.lease_id, sent, SCHEDULE, work)
    async with store.work(ACME) as work:
        (following,) = await take_turns(ROOM, work)

    assert len(following.deliveries) == 1


async def test_an_endpoint_that_is_gone_is_disabled_and_what_waits_for_it_waits_on(store: Store) -> None:
    endpoint = an_endpoint()
    await added(store, endpoint)
    await ensured(store, a_message(), a_message())
    async with store.work(ACME) as work:
        (turn,) = await take_turns(Room(1, 1, 1, ROOM.lease), work)

    sent = [Sent(turn.deliveries[0][0].id, attempt_of(store.clock.now(), 410, 1, None), 0)]
    async with store.work(ACME) as work:
        await end_turn(turn.endpoint.id, turn.lease_id, sent, SCHEDULE, work)

    async with store.view(ACME) as view:
        state, lane = await view.endpoint(endpoint.state.id)
        found = await view.deliveries(endpoint.state.id, None, None, 10)
    assert (state.because, lane.due_time) == (Because.GONE, None)
    assert sorted(one.status.value for one in found) == ["FAILED", "PENDING"]
    assert store.saved[-1].event == WebhookEndpointDisabled(endpoint.state.id, "GONE")


async def test_an_endpoint_where_nothing_arrives_for_five_days_is_disabled_and_starts_afresh_when_enabled(
    store: Store,
) -> None:
    endpoint = an_endpoint()
    await added(store, endpoint)

    async def fail_once() -> None:
        await ensured(store, a_message())
        async with store.work(ACME) as work:
            (turn,) = await take_turns(ROOM, work)
        assert len(turn.deliveries) == 1
        sent = [Sent(turn.deliveries[0][0].id, attempt_of(store.clock.now(), 500, 1, None), 0)]
        async with store.work(ACME) as work:
            await end_turn(turn.endpoint.id, turn.lease_id, sent, SCHEDULE, work)

    await fail_once()
    store.clock.pass_(days=4)
    await fail_once()
    async with store.view(ACME) as view:
        failing, lane = await view.endpoint(endpoint.state.id)
    store.clock.pass_(days=1)
    await fail_once()
    async with store.view(ACME) as view:
        failed, _ = await view.endpoint(endpoint.state.id)
    async with store.work(ACME) as work:
        _, fresh = await enable_endpoint(ChangeStatus(endpoint.state.id, None), work)
        waiting = await take_turns(ROOM, work)

    assert (failing.because, lane.failing_since) == (None, START)
    assert failed.because is Because.FAILING
    assert (fresh.failing_since, fresh.due_time) == (None, store.clock.now())
    assert len(waiting[0].deliveries) == 2  # the oldest was tried each time, and given up
    assert [type(one.event).__name__ for one in store.saved][-2:] == [
        "WebhookEndpointDisabled",
        "WebhookEndpointEnabled",
    ]


async def test_what_is_old_or_of_a_deleted_endpoint_is_dropped_and_nothing_else(store: Store) -> None:
    old, deleted = an_endpoint(), an_endpoint()
    await added(store, old, deleted)
    await ensured(store, a_message())
    store.clock.pass_(days=31)
    fresh = a_message()
    await ensured(store, fresh)
    async with store.work(ACME) as work:
        gone = await work.endpoints.get(deleted.state.id)
        gone.delete()
        await work.endpoints.save(gone)

    async with store.work(ACME) as work:
        assert await tidy(store.clock.now() - timedelta(days=30), work) == 3

    async with store.view(ACME) as view:
        assert [one.event_id for one in await view.deliveries(old.state.id, None, None, 10)] == [fresh.event_id]
        assert [state.id for state, _ in await view.endpoints(None, 10)] == [old.state.id]
        with pytest.raises(WebhookEndpointNotFound):
            await view.endpoint(deleted.state.id)
    async with store.work(ACME) as work:
        assert await work.endpoints.count() == 1
        assert await work.endpoints.forget_deleted() == 0


async def test_neither_secret_nor_address_stands_in_the_database_in_clear(store: Store) -> None:
    if not isinstance(store, SqlStore):
        pytest.skip("memory holds no rows")
    endpoint = an_endpoint(host="canary.example.com", secret=a_secret(b"C"))
    await added(store, endpoint)

    async with store.database.read(ACME) as tx:
        for name in ("webhook_endpoint", "webhook_secret"):
            table = store.database.metadata.tables[name]
            for row in await tx.rows(tx.select(table)):
                text = b"|".join(bytes(value) for value in row.values() if isinstance(value, bytes))
                assert b"canary" not in text
                assert endpoint.state.secrets[0].key not in text


async def test_pages_follow_one_another(store: Store) -> None:
    endpoints = [an_endpoint() for _ in range(3)]
    await added(store, *endpoints)

    async with store.view(ACME) as view:
        first = await view.endpoints(None, 2)
        second = await view.endpoints(first[-1][0].id, 2)

    assert [state.id for state, _ in (*first, *second)] == sorted(one.state.id for one in endpoints)


async def test_an_unknown_delivery_is_not_found(store: Store) -> None:
    endpoint = an_endpoint()
    await added(store, endpoint)

    async with store.view(ACME) as view:
        with pytest.raises(WebhookDeliveryNotFound):
            await view.delivery(endpoint.state.id, delivery_id(endpoint.state.id, UUID(int=1)), 10)
