"""The hub over a real feed and real sockets: who hears what, what is replayed, and how a stream ends."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from muster.attendance.v1 import events_pb2 as attendance
from muster.identity.v1 import events_pb2 as identity
from muster.organization.v1 import events_pb2 as organization
from muster.payroll.v1 import events_pb2 as payroll

from application.events.cursor import Cursor
from chassis.bus.in_process import InProcessFastPath
from chassis.bus.port import Entry
from chassis.feed import purge
from chassis.rpc.channels import Client
from interfaces.push import hub as hub_module
from interfaces.push import message as message_module
from interfaces.push import streams as streams_module
from interfaces.push.catch_up import CatchUp
from interfaces.push.hub import Hub, Limits
from interfaces.push.sources import Sources
from kernel.ids import TenantId
from tests.chassis.bus.publisher import TENANT, Publisher, a_publisher, served
from tests.support import push as push_support
from tests.support.push import RunningHub, Tokens, a_hub, an_employee, until

OTHER = TenantId(UUID(int=2))
SERVICE = "probe"


@pytest.fixture
async def fast_path() -> InProcessFastPath:
    return InProcessFastPath()


@pytest.fixture
async def publisher(fast_path: InProcessFastPath, tmp_path: Path) -> AsyncIterator[Publisher]:
    async with a_publisher(f"sqlite:///{tmp_path}/probe.sqlite3", fast_path) as made:
        yield made


@pytest.fixture
async def client(publisher: Publisher, tmp_path: Path) -> AsyncIterator[Client]:
    async with served(publisher, tmp_path) as made:
        yield made


@pytest.fixture
async def running(client: Client, fast_path: InProcessFastPath) -> AsyncIterator[RunningHub]:
    async with a_hub({SERVICE: client}, fast_path, Tokens()) as made:
        yield made


async def hire(publisher: Publisher, employee: UUID | None = None, tenant: TenantId = TENANT) -> UUID:
    one = employee or an_employee()
    await publisher.publish(
        "employee", one, 1, organization.EmployeeHiredEvent(employee_id=str(one), employee_number="E1"), tenant=tenant
    )
    return one


async def test_an_event_reaches_those_who_may_hear_it(publisher: Publisher, running: RunningHub) -> None:
    owner = await running.listen(running.tokens.token(TENANT, "owner"))

    employee = await hire(publisher)
    [heard] = await owner.events(1)

    assert heard.data["type"] == "muster.organization.v1.EmployeeHiredEvent"
    assert heard.data["subject"] == f"employee/{employee}"
    assert Cursor.parse(heard.id).at(SERVICE) == heard.sequence == 1
    assert owner.headers["content-type"].startswith("text/event-stream")
    assert owner.headers["cache-control"] == "no-store"


async def test_nothing_of_another_tenant_arrives(publisher: Publisher, running: RunningHub) -> None:
    stranger = await running.listen(running.tokens.token(OTHER, "owner"))
    owner = await running.listen(running.tokens.token(TENANT, "owner"))

    for _ in range(20):
        await hire(publisher)
    await owner.events(20)
    own = await hire(publisher, tenant=OTHER)
    [heard] = await stranger.events(1)

    assert heard.data["subject"] == f"employee/{own}"
    assert await stranger.nothing()


async def test_nothing_of_another_tenant_is_replayed(publisher: Publisher, running: RunningHub) -> None:
    place = str(running.hub.cursor.moved(SERVICE, 1))
    for _ in range(3):
        await hire(publisher)
    owner = await running.listen(running.tokens.token(TENANT, "owner"), last_id=place)
    await owner.events(2)

    stranger = await running.listen(running.tokens.token(OTHER, "owner"), last_id=place)

    assert await stranger.nothing()


async def test_an_employee_hears_of_themselves_only(publisher: Publisher, running: RunningHub) -> None:
    me, other = an_employee(), an_employee()
    listener = await running.listen(running.tokens.token(TENANT, "employee", employee=me))

    await hire(publisher, other)
    await publisher.publish("payroll_run", an_employee(), 1, payroll.PayrollRunVoidedEvent(run_id=str(other)))
    await publisher.publish("timesheet", an_employee(), 1, attendance.TimesheetLockedEvent(employee_id=str(other)))
    await publisher.publish("timesheet", an_employee(), 1, attendance.TimesheetLockedEvent(employee_id=str(me)))
    await hire(publisher, me)
    heard = await listener.events(2)

    assert [one.data["data"]["employee_id"] for one in heard] == [str(me), str(me)]
    assert await listener.nothing()


async def test_a_client_narrows_by_type_and_topic(publisher: Publisher, running: RunningHub) -> None:
    tokens = running.tokens
    by_topic = await running.listen(tokens.token(TENANT, "owner"), query="?topics=payroll")
    by_type = await running.listen(
        tokens.token(TENANT, "owner"), query="?types=muster.organization.v1.EmployeeHiredEvent"
    )

    await publisher.publish("payroll_run", an_employee(), 1, payroll.PayrollRunVoidedEvent(run_id="x"))
    await hire(publisher)
    [run], [hired] = await by_topic.events(1), await by_type.events(1)

    assert run.data["type"] == "muster.payroll.v1.PayrollRunVoidedEvent"
    assert hired.data["type"] == "muster.organization.v1.EmployeeHiredEvent"
    assert await by_topic.nothing()
    assert await by_type.nothing()


@pytest.mark.parametrize(
    ("roles", "query", "status", "reason"),
    [
        (["employee"], "?topics=payroll", 403, "FORBIDDEN"),
        (["owner"], f"?topics={OTHER}", 422, "TOPIC_UNKNOWN"),
        (["owner"], "?topics=tenant:other", 422, "TOPIC_UNKNOWN"),
        (["owner"], "?tenant=other", 422, "INVALID_REQUEST"),
        (["owner"], "?types=*", 422, "INVALID_REQUEST"),
        (["hr_admin@department:ENG"], "?topics=tenant", 403, "FORBIDDEN"),
    ],
)
async def test_nobody_widens_what_they_hear(
    running: RunningHub, roles: list[str], query: str, status: int, reason: str
) -> None:
    refused = await running.listen(running.tokens.token(TENANT, *roles), query=query)

    assert refused.status == status
    assert reason.encode() in refused.body
    assert running.hub._taken == 0


async def test_without_a_token_nothing_is_streamed(running: RunningHub) -> None:
    forged = Tokens().token(TENANT, "owner")

    assert (await running.listen("")).status == 401
    assert (await running.listen(forged)).status == 401
    assert (await running.listen(running.tokens.token(TENANT, "owner", seconds=-100))).status == 401


async def test_who_comes_back_gets_exactly_what_was_missed(publisher: Publisher, running: RunningHub) -> None:
    token = running.tokens.token(TENANT, "owner")
    first = await running.listen(token)
    for _ in range(5):
        await hire(publisher)
    seen = [one.sequence for one in await first.events(3)]
    first.close()
    for _ in range(5):
        await hire(publisher)

    second = await running.listen(token, last_id=first.last_id)
    rest = [one.sequence for one in await second.events(7)]
    await hire(publisher)
    rest += [one.sequence for one in await second.events(1)]

    assert seen + rest == list(range(1, 12))
    assert await second.nothing()


async def test_what_the_hub_forgot_comes_from_the_feed(
    publisher: Publisher, client: Client, fast_path: InProcessFastPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "REMEMBERED", 10)
    async with a_hub({SERVICE: client}, fast_path, Tokens()) as running:
        token = running.tokens.token(TENANT, "owner")
        first = await running.listen(token)
        await hire(publisher)
        await first.events(1)
        first.close()
        for number in range(250):
            await hire(publisher, tenant=OTHER if number % 5 == 0 else TENANT)
        await until_at(running, 251)

        second = await running.listen(token, last_id=first.last_id)
        await hire(publisher)
        heard = [one.sequence for one in await second.events(201)]

        rows = [row for row in await publisher.rows() if row["tenant_id"] == TENANT]
        assert heard == [row["position"] for row in rows if row["position"] > 1]
        assert await second.nothing()


async def test_a_hub_that_has_just_started_replays_from_the_feed(
    publisher: Publisher, client: Client, fast_path: InProcessFastPath
) -> None:
    tokens = Tokens()
    token = tokens.token(TENANT, "owner")
    async with a_hub({SERVICE: client}, fast_path, tokens) as before:
        first = await before.listen(token)
        await hire(publisher)
        await first.events(1)
    for _ in range(3):
        await hire(publisher)
    await until_sequenced(publisher, 4)

    async with a_hub({SERVICE: client}, fast_path, tokens) as after:
        second = await after.listen(token, last_id=first.last_id)
        heard = [one.sequence for one in await second.events(3)]

    assert heard == [2, 3, 4]


async def seen_by_those_who_come_and_go(publisher: Publisher, running: RunningHub, total: int = 200) -> list[list[int]]:
    """What four clients saw who read so many events at a time, while events are published."""
    token = running.tokens.token(TENANT, "owner")

    async def reconnecting(at_a_time: int) -> list[int]:
        seen: list[int] = []
        last_id = str(Cursor({SERVICE: 1}))
        while not seen or seen[-1] < total:
            client = await running.listen(token, last_id=last_id)
            seen += [one.sequence for one in await client.events(min(at_a_time, total - (seen[-1] if seen else 1)))]
            last_id = client.last_id
            client.close()
        return seen

    async def publishing() -> None:
        for _ in range(total - 1):
            await hire(publisher)

    await hire(publisher)
    await until_at(running, 1)
    publishing_task = asyncio.create_task(publishing())
    seen = await asyncio.gather(*(reconnecting(at_a_time) for at_a_time in (1, 7, 40, total - 1)))
    await publishing_task
    return list(seen)


async def test_events_come_once_each_while_listeners_come_and_go(publisher: Publisher, running: RunningHub) -> None:
    assert await seen_by_those_who_come_and_go(publisher, running) == [list(range(2, 201))] * 4


async def test_hearing_live_events_first_would_be_found(
    publisher: Publisher, running: RunningHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    class LiveFirst(CatchUp):
        joined = False

        async def _step(self) -> bool:
            if not self.joined:
                self.joined = True
                self._hub.join(self._listener)
                reached = self._hub.reached
                await hire(publisher)
                async with asyncio.timeout(10.0):
                    await reached.wait()
            return await super()._step()

    monkeypatch.setattr(streams_module, "CatchUp", LiveFirst)

    assert await seen_by_those_who_come_and_go(publisher, running) != [list(range(2, 201))] * 4


class Lossy(InProcessFastPath):
    """Loses every third event."""

    def head_of(self, context: str) -> int | None:
        return None

    async def publish(self, context: str, entries: Sequence[Entry]) -> None:
        await super().publish(context, [entry for entry in entries if entry.position % 3])


class Deaf(InProcessFastPath):
    """Hears nothing."""

    async def read(self, context: str, after: int, limit: int, wait_s: float) -> Sequence[Entry]:
        await asyncio.sleep(wait_s)
        return []

    def head_of(self, context: str) -> int | None:
        return None


class Trusting(Sources):
    """Takes what the fast path tells for everything there is."""

    async def _follow(self, service: str, at: int) -> int:
        heard = await self._fast_path.read(service, at, 500, 0.2)
        await self._hub.publish(service, heard)
        return heard[-1].position if heard else at


async def heard_over_a_lossy_path(tmp_path: Path, count: int = 20) -> list[int]:
    fast_path = Lossy()
    async with (
        a_publisher(f"sqlite:///{tmp_path}/probe.sqlite3", fast_path) as publisher,
        served(publisher, tmp_path) as client,
        a_hub({SERVICE: client}, fast_path, Tokens()) as running,
    ):
        listener = await running.listen(running.tokens.token(TENANT, "owner"))
        for _ in range(count):
            await hire(publisher)
        await until_sequenced(publisher, count)
        await hire(publisher)
        await hire(publisher)
        await until_at(running, count)
        found: list[int] = []
        while not found or found[-1] < count:
            found += [one.sequence for one in await listener.events(1)]
        return found


async def test_what_the_fast_path_loses_comes_from_the_feed(tmp_path: Path) -> None:
    assert await heard_over_a_lossy_path(tmp_path) == list(range(1, 21))


async def test_trusting_the_fast_path_would_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push_support, "Sources", Trusting)

    assert await heard_over_a_lossy_path(tmp_path) != list(range(1, 21))


async def test_a_source_that_failed_goes_on_where_the_hub_stands(
    publisher: Publisher, client: Client, fast_path: InProcessFastPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(Sources):
        failures = 0

        async def read(self, service: str) -> None:
            while True:
                try:
                    await super().read(service)
                except ZeroDivisionError:
                    self.failures += 1

        async def _follow(self, service: str, at: int) -> int:
            await super()._follow(service, at)
            raise ZeroDivisionError

    monkeypatch.setattr(push_support, "Sources", Failing)
    async with a_hub({SERVICE: client}, fast_path, Tokens()) as running:
        listener = await running.listen(running.tokens.token(TENANT, "owner"))
        for _ in range(20):
            await hire(publisher)
        heard = [one.sequence for one in await listener.events(20)]

    assert heard == list(range(1, 21))


async def test_the_memory_of_a_hub_has_an_end_in_bytes_too(
    publisher: Publisher, running: RunningHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "REMEMBERED_BYTES", 5000)

    for _ in range(50):
        await hire(publisher)
    await until_at(running, 50)

    assert 0 < len(running.hub._newest) < 50
    assert running.hub._newest_bytes <= 5000
    assert running.hub.missed(Cursor({SERVICE: 1})) is None
    assert len(running.hub.missed(Cursor({SERVICE: 48})) or ()) == 2


async def heard_from_a_hub_that_is_behind(
    publisher: Publisher, client: Client, fast_path: InProcessFastPath
) -> list[int]:
    tokens = Tokens()
    token = tokens.token(TENANT, "owner")
    async with (
        a_hub({SERVICE: client}, fast_path, tokens) as ahead,
        a_hub({SERVICE: client}, Deaf(), tokens) as behind,
    ):
        first = await ahead.listen(token)
        await hire(publisher)
        [seen] = await first.events(1)
        second = await behind.listen(token, last_id=first.last_id)
        await hire(publisher)
        heard = [seen.sequence, *(one.sequence for one in await second.events(1))]
        return [*heard, *([] if await second.nothing(1.5) else [-1])]


async def test_a_hub_that_is_behind_repeats_nothing(
    publisher: Publisher, client: Client, fast_path: InProcessFastPath
) -> None:
    assert await heard_from_a_hub_that_is_behind(publisher, client, fast_path) == [1, 2]


async def test_repeating_what_another_hub_told_would_be_found(
    publisher: Publisher, client: Client, fast_path: InProcessFastPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Hub, "is_behind", lambda self, cursor: False)

    assert await heard_from_a_hub_that_is_behind(publisher, client, fast_path) != [1, 2]


async def test_telling_another_tenant_would_be_found(
    publisher: Publisher, running: RunningHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(message_module, "keys_of_event", lambda entry: ((str(OTHER), "tenant"),))
    stranger = await running.listen(running.tokens.token(OTHER, "owner"))

    await hire(publisher)

    assert not await stranger.nothing(5.0)


@pytest.mark.parametrize(
    ("last_id", "reason"),
    [
        ("nonsense", "CURSOR_UNKNOWN"),
        ("WzEse30", "CURSOR_UNKNOWN"),
        (str(Cursor({SERVICE: 10**9})), "CURSOR_EXPIRED"),
    ],
)
async def test_an_id_that_never_was_is_answered_with_reset(
    publisher: Publisher, running: RunningHub, last_id: str, reason: str
) -> None:
    listener = await running.listen(running.tokens.token(TENANT, "owner"), last_id=last_id)

    reset = await listener.next()
    await hire(publisher)
    [heard] = await listener.events(1)

    assert reset is not None
    assert (reset.event, reset.data["reason"]) == ("reset", reason)
    assert heard.sequence == 1


async def test_beginning_again_without_a_word_would_be_found(
    publisher: Publisher, running: RunningHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CatchUp, "_start_over", lambda self, reason: self._hub.join(self._listener))
    monkeypatch.setattr(push_support.SseClient.next, "__defaults__", (2.0,))
    with pytest.raises(TimeoutError):
        await test_an_id_that_never_was_is_answered_with_reset(publisher, running, "nonsense", "CURSOR_UNKNOWN")


async def test_an_id_older_than_what_is_kept_is_answered_with_reset(
    publisher: Publisher, client: Client, fast_path: InProcessFastPath
) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=40)
    for version in range(1, 4):
        await publisher.commit(1, version, at=long_ago)
    await until_sequenced(publisher, 3)
    await purge(publisher.database, datetime.now(UTC))
    async with a_hub({SERVICE: client}, fast_path, Tokens()) as running:
        listener = await running.listen(running.tokens.token(TENANT, "owner"), last_id=str(Cursor({SERVICE: 1})))

        reset = await listener.next()
        await hire(publisher)
        [heard] = await listener.events(1)

    assert reset is not None
    assert (reset.event, reset.data["reason"]) == ("reset", "CURSOR_EXPIRED")
    assert Cursor.parse(reset.id).at(SERVICE) == 3
    assert heard.sequence == 4


async def test_disabling_an_account_ends_its_streams(publisher: Publisher, running: RunningHub) -> None:
    account = an_employee()
    mine = await running.listen(running.tokens.token(TENANT, "owner", account=account))
    namesake = await running.listen(running.tokens.token(OTHER, "owner", account=account))

    await publisher.publish("account", account, 2, identity.AccountDisabledEvent(account_id=str(account)))
    [event] = await mine.events(1)
    end = await mine.next()

    assert event.data["type"] == "muster.identity.v1.AccountDisabledEvent"
    assert end is not None
    assert (end.event, end.data) == ("end", {"reason": "ACCOUNT_DISABLED"})
    assert await mine.next() is None
    assert await namesake.nothing()


async def test_a_stream_ends_with_its_token(running: RunningHub) -> None:
    listener = await running.listen(running.tokens.token(TENANT, "owner", seconds=2))

    end = await listener.next()

    assert end is not None
    assert (end.event, end.data) == ("end", {"reason": "TOKEN_EXPIRED"})
    assert await listener.next() is None


@pytest.mark.parametrize("proof", ["its token", "its account"])
async def test_a_hub_that_looks_at_nobody_would_be_found(
    publisher: Publisher, running: RunningHub, monkeypatch: pytest.MonkeyPatch, proof: str
) -> None:
    monkeypatch.setattr(Hub, "look", lambda self, tick: None)
    monkeypatch.setattr(hub_module, "ENDS_ACCOUNT", {})
    monkeypatch.setattr(push_support.SseClient.next, "__defaults__", (4.0,))  # how long a client waits for the end
    proofs = {
        "its token": lambda: test_a_stream_ends_with_its_token(running),
        "its account": lambda: test_disabling_an_account_ends_its_streams(publisher, running),
    }
    with pytest.raises(TimeoutError):
        await proofs[proof]()


async def test_streams_are_counted(client: Client, fast_path: InProcessFastPath) -> None:
    limits = Limits(in_all=4, of_tenant=3, of_principal=2)
    async with a_hub({SERVICE: client}, fast_path, Tokens(), limits=limits) as running:
        tokens = running.tokens
        me = tokens.token(TENANT, "owner", account=an_employee())
        held = [await running.listen(me), await running.listen(me)]
        own = await running.listen(me)
        held.append(await running.listen(tokens.token(TENANT, "owner")))
        tenants = await running.listen(tokens.token(TENANT, "owner"))
        held.append(await running.listen(tokens.token(OTHER, "owner")))
        whole = await running.listen(tokens.token(OTHER, "owner"))
        held[0].close()
        await until(lambda: running.hub._taken == 3)
        again = await running.listen(me)

    assert [one.status for one in held] == [200] * 4
    assert (own.status, tenants.status, whole.status) == (429, 429, 503)
    assert b"TOO_MANY_STREAMS" in own.body
    assert 1 <= int(whole.headers["retry-after"]) <= 5
    assert again.status == 200


async def test_a_hub_that_stops_tells_its_clients_to_come_back(running: RunningHub) -> None:
    listeners = [await running.listen(running.tokens.token(TENANT, "owner")) for _ in range(30)]

    started = asyncio.get_running_loop().time()
    await running.stop(4.0)
    took = asyncio.get_running_loop().time() - started
    ends = [await one.next() for one in listeners]

    assert {(one.event, one.data["reason"]) for one in ends if one} == {("end", "DRAINING")}
    assert len({one.retry_ms for one in ends if one}) > 10
    assert took < 4.0


async def test_clients_who_are_all_sent_back_at_one_moment_would_be_found(
    running: RunningHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "retry_ms", lambda: 1000)
    with pytest.raises(AssertionError):
        await test_a_hub_that_stops_tells_its_clients_to_come_back(running)


async def until_at(running: RunningHub, position: int) -> None:
    await until(lambda: running.hub.cursor.at(SERVICE) >= position)


async def until_sequenced(publisher: Publisher, position: int) -> None:
    for _ in range(1000):
        if any(row["position"] == position for row in await publisher.rows()):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it was not sequenced in time")
