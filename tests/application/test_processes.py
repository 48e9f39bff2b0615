"""What follows from events: looked at again, together, once, and never lost with a failure."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from uuid import UUID, uuid4

import pytest
from google.protobuf.message import Message
from muster.attendance.v1 import roster_pb2
from muster.event.v1 import event_feed_pb2
from muster.organization.v1 import employee_pb2, events_pb2, org_chart_pb2
from muster.payroll.v1 import events_pb2 as payroll_events
from muster.payroll.v1 import payroll_run_pb2

from application.edge.wire import to_date
from application.pay.processes import AT_ONCE, CalculateRuns
from application.people.processes import KeepRoster
from application.time.rosters import roster_entry
from application.webhooks.processes import PATIENCE
from chassis.bus.port import Entry
from chassis.rpc.error_map import RemoteError, Trouble
from kernel.ids import TenantId

TENANT = TenantId(UUID(int=7))


def an_entry(event: Message, tenant: UUID = TENANT) -> Entry:
    return event_feed_pb2.Entry(
        event_id=str(uuid4()),
        tenant_id=str(tenant),
        type=event.DESCRIPTOR.full_name,
        payload=event.SerializeToString(),
    )


class RememberedRosters:
    """Rosters that say what they were asked, and refuse or fail as told."""

    def __init__(self) -> None:
        self.asked: list[tuple[TenantId, list[str]]] = []
        self.refused: dict[str, str] = {}
        self.away = False
        self.everybody: list[list[str]] = []

    async def ensure(self, tenant_id: TenantId, employee_ids: Sequence[str]) -> dict[str, roster_pb2.RosterResult]:
        self.asked.append((tenant_id, list(employee_ids)))
        await asyncio.sleep(0)
        if self.away:
            raise RemoteError.of(Trouble.UNAVAILABLE)
        return {
            one: roster_pb2.RosterResult(employee_id=one, applied=True, reason=self.refused.get(one, ""))
            for one in employee_ids
        }

    async def pages(self, tenant_id: TenantId) -> AsyncIterator[list[str]]:
        for page in self.everybody:
            yield page


def hired(employee_id: str) -> events_pb2.EmployeeHiredEvent:
    return events_pb2.EmployeeHiredEvent(employee_id=employee_id)


async def test_employees_of_one_tenant_that_come_together_are_copied_together() -> None:
    rosters = RememberedRosters()
    keep = KeepRoster(rosters)  # type: ignore[arg-type]
    ids = sorted(str(uuid4()) for _ in range(30))

    await asyncio.gather(*(keep(an_entry(hired(one))) for one in [*ids, *ids[:5]]))

    assert rosters.asked == [(TENANT, ids)]


async def test_tenants_are_copied_apart() -> None:
    rosters = RememberedRosters()
    keep = KeepRoster(rosters)  # type: ignore[arg-type]
    other, one = UUID(int=8), str(uuid4())

    await asyncio.gather(keep(an_entry(hired(one))), keep(an_entry(hired(one), other)))

    assert sorted(tenant for tenant, _ in rosters.asked) == [TENANT, other]


async def test_more_than_500_go_in_parts() -> None:
    rosters = RememberedRosters()
    keep = KeepRoster(rosters)  # type: ignore[arg-type]

    await asyncio.gather(*(keep(an_entry(hired(str(uuid4())))) for _ in range(1100)))

    assert [len(ids) for _, ids in rosters.asked] == [500, 500, 100]


async def test_one_refused_employee_does_not_hold_up_the_others() -> None:
    rosters = RememberedRosters()
    keep = KeepRoster(rosters)  # type: ignore[arg-type]
    good, bad = str(uuid4()), str(uuid4())
    rosters.refused[bad] = "TIME_ZONE_UNKNOWN"

    results = await asyncio.gather(keep(an_entry(hired(good))), keep(an_entry(hired(bad))), return_exceptions=True)

    assert results[0] is None
    assert isinstance(results[1], RemoteError)
    assert results[1].reason == "TIME_ZONE_UNKNOWN"


async def test_an_outage_is_told_to_everybody_who_waits_and_the_next_try_works() -> None:
    rosters = RememberedRosters()
    keep = KeepRoster(rosters)  # type: ignore[arg-type]
    ids = [str(uuid4()) for _ in range(3)]
    rosters.away = True

    failed = await asyncio.gather(*(keep(an_entry(hired(one))) for one in ids), return_exceptions=True)
    rosters.away = False
    again = await asyncio.gather(*(keep(an_entry(hired(one))) for one in ids))

    assert all(isinstance(one, RemoteError) for one in failed)
    assert again == [None] * 3


async def test_a_cancelled_copy_fails_who_waits_for_it() -> None:
    rosters = RememberedRosters()
    keep = KeepRoster(rosters)  # type: ignore[arg-type]
    first = asyncio.create_task(keep(an_entry(hired(str(uuid4())))))
    await asyncio.sleep(0)
    second = asyncio.create_task(keep(an_entry(hired(str(uuid4())))))
    await asyncio.sleep(0)

    first.cancel()
    results = await asyncio.wait_for(asyncio.gather(first, second, return_exceptions=True), 5.0)

    assert isinstance(results[0], asyncio.CancelledError)
    assert isinstance(results[1], Exception | asyncio.CancelledError)


@pytest.mark.parametrize(
    ("kind", "copies"), [(org_chart_pb2.ENTRY_KIND_LOCATION, 2), (org_chart_pb2.ENTRY_KIND_DEPARTMENT, 0)]
)
async def test_a_workplace_that_changed_concerns_everybody(
    kind: org_chart_pb2.EntryKind.ValueType, copies: int
) -> None:
    rosters = RememberedRosters()
    rosters.everybody = [["a"], ["b"]]
    event = events_pb2.OrgChartPublishedEvent(entries=[events_pb2.PublishedEntry(kind=kind, code="X")])

    await KeepRoster(rosters)(an_entry(event))  # type: ignore[arg-type]

    assert len(rosters.asked) == copies


def test_a_placement_ends_on_the_last_day_of_its_span() -> None:
    from datetime import date

    facts = employee_pb2.RosterFacts(
        employee_id=str(uuid4()),
        source_version=3,
        spans=[
            employee_pb2.RosterSpan(start_date=to_date(date(2026, 1, 5)), end_date=to_date(date(2026, 11, 1))),
            employee_pb2.RosterSpan(start_date=to_date(date(2026, 11, 1))),
        ],
    )

    entry = roster_entry(facts)

    assert entry.placements[0].end_date == to_date(date(2026, 10, 31))
    assert not entry.placements[1].HasField("end_date")
    assert entry.source_version == 3


class RememberedRuns:
    """A calculation that waits until it is let go."""

    def __init__(self) -> None:
        self.claimed: list[UUID] = []
        self.taken: set[UUID] = set()
        self.finished = 0
        self.go_on = asyncio.Event()
        self.attempt = 1
        self.given_back: list[str] = []

    async def give_back(
        self, tenant_id: TenantId, claim: payroll_run_pb2.ClaimCalculationResponse, reason: str
    ) -> None:
        self.given_back.append(reason)

    async def claim(self, tenant_id: TenantId, run_id: UUID) -> payroll_run_pb2.ClaimCalculationResponse | None:
        self.claimed.append(run_id)
        if run_id in self.taken:
            return None
        return payroll_run_pb2.ClaimCalculationResponse(run_id=str(run_id), attempt=self.attempt)

    async def carry_on(self, tenant_id: TenantId, claim: payroll_run_pb2.ClaimCalculationResponse) -> None:
        await self.go_on.wait()
        if claim.attempt > 1:
            raise RemoteError.of(Trouble.UNAVAILABLE)
        self.finished += 1


def asked(run_id: UUID) -> Entry:
    return an_entry(payroll_events.PayrollRunCalculationRequestedEvent(run_id=str(run_id), attempt=1))


async def test_the_event_is_done_with_the_claim_and_the_work_goes_on() -> None:
    runs = RememberedRuns()
    calculate = CalculateRuns(runs)  # type: ignore[arg-type]

    await asyncio.wait_for(calculate(asked(uuid4())), 1.0)
    before = runs.finished
    runs.go_on.set()
    await asyncio.sleep(0.01)

    assert before == 0
    assert runs.finished == 1


async def test_a_process_takes_no_more_runs_than_it_can_carry() -> None:
    runs = RememberedRuns()
    calculate = CalculateRuns(runs)  # type: ignore[arg-type]

    for _ in range(AT_ONCE + 2):
        await calculate(asked(uuid4()))
    taken = len(runs.claimed)
    runs.go_on.set()
    await asyncio.sleep(0.01)
    await calculate(asked(uuid4()))
    await calculate.stop()

    assert taken == AT_ONCE
    assert len(runs.claimed) == AT_ONCE + 1


async def test_a_run_that_another_worker_has_is_left_to_it() -> None:
    runs, run = RememberedRuns(), uuid4()
    runs.taken.add(run)
    calculate = CalculateRuns(runs)  # type: ignore[arg-type]

    await calculate(asked(run))
    runs.go_on.set()
    await asyncio.sleep(0.01)

    assert runs.finished == 0


async def test_why_a_calculation_could_not_go_on_is_told_to_payroll() -> None:
    runs = RememberedRuns()
    runs.attempt = 2
    calculate = CalculateRuns(runs)  # type: ignore[arg-type]

    await calculate(asked(uuid4()))
    runs.go_on.set()
    await asyncio.sleep(0.01)

    [reason] = runs.given_back
    assert reason.startswith("pay.calculation: UNAVAILABLE: ")
    assert runs.finished == 0


def test_an_hour_without_delivery_is_waited_for_and_its_end_is_noticed_within_ten_seconds() -> None:
    pauses = PATIENCE.pauses_s

    assert sum(pauses) >= 3600
    assert max(pauses) <= 10
