"""What changed at the sources is told to payroll with when it was recorded, each source for itself."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp
from muster.attendance.v1 import timesheet_pb2
from muster.organization.v1 import employee_pb2
from muster.payroll.v1 import payroll_run_pb2

from application.pay.changes import Changes
from chassis.principal import Principal
from kernel.ids import TenantId

CALLER = Principal(TenantId(UUID(int=7)), "process:payroll", frozenset())
ANN, BOB = str(UUID(int=1)), str(UUID(int=2))


def at(minute: int) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(datetime(2026, 12, 1, 9, minute, tzinfo=UTC))
    return stamp


class Source:
    """Answers ListChangedSince page by page, and keeps what it was asked."""

    def __init__(self, *pages: Any) -> None:
        self.client = self
        self.pages = list(pages)
        self.asked: list[Any] = []

    def stub(self, _kind: Callable[..., Any]) -> Any:
        return self

    def __getattr__(self, name: str) -> str:
        return name

    async def read_as(self, caller: Principal, method: str, request: Any) -> Any:
        self.asked.append(request)
        return self.pages.pop(0)


def people(*changed: employee_pb2.ChangedEmployee, token: str = "") -> Any:
    return employee_pb2.ListChangedSinceResponse(employees=changed, next_page_token=token)


def sheets(*changed: timesheet_pb2.ChangedEmployee) -> Any:
    return timesheet_pb2.ListChangedSinceResponse(employees=changed)


RAISE = employee_pb2.ChangedEmployee(employee_id=ANN, kinds=[employee_pb2.CHANGE_KIND_COMPENSATION], record_time=at(5))
MOVE = employee_pb2.ChangedEmployee(employee_id=BOB, kinds=[employee_pb2.CHANGE_KIND_TRANSFER])
LOCKED = timesheet_pb2.ChangedEmployee(employee_id=ANN, reason="TIMESHEET_LOCKED", record_time=at(9))


async def test_an_employee_whom_both_sources_name_is_told_twice_each_with_its_own_time() -> None:
    organization, attendance = Source(people(RAISE, token="on"), people(MOVE)), Source(sheets(), sheets(LOCKED))
    run = payroll_run_pb2.PayrollRun(
        period="2026-11",
        time_periods=["2026-10", "2026-11"],
        source_positions=[
            payroll_run_pb2.SourcePosition(source="organization", position=12),
            payroll_run_pb2.SourcePosition(source="attendance", position=34),
        ],
    )

    told = await Changes(organization, attendance).of(CALLER, run)  # type: ignore[arg-type]

    assert [(one.employee_id, one.reason) for one in told] == [
        (ANN, "TIMESHEET_LOCKED"),
        (ANN, "COMPENSATION_CHANGED"),
        (BOB, "TRANSFER_CHANGED"),
    ]
    assert [one.record_time for one in told[:2]] == [at(9), at(5)]
    assert not told[2].HasField("record_time")
    assert [(one.position, one.page_token) for one in organization.asked] == [(12, ""), (12, "on")]
    assert [(one.feed_position, one.period) for one in attendance.asked] == [(34, "2026-10"), (34, "2026-11")]
