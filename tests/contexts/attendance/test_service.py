"""The attendance service over gRPC, on SQLite and MariaDB: catalog, roster, punches, closing, totals."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from muster.attendance.v1 import (
    day_kind_pb2,
    roster_pb2,
    roster_pb2_grpc,
    time_catalog_pb2,
    time_catalog_pb2_grpc,
    timesheet_pb2_grpc,
)
from muster.attendance.v1 import timesheet_pb2 as pb
from muster.event.v1 import event_feed_pb2, event_feed_pb2_grpc

from chassis import migrations
from chassis.assertion import ALL_TENANTS, Signer, prepare_keys
from chassis.database import Database
from chassis.lifecycle import Listener
from chassis.principal import Principal
from chassis.rpc.channels import Channels, Client
from chassis.rpc.error_map import RemoteError
from chassis.settings import Settings
from contexts.attendance.main import SERVICE, serve
from contexts.attendance.repository.tables import metadata
from kernel.ids import EmployeeId, TenantId, tenant_id_of
from tests.support.attendance import CN_2026, at

NAME, VERSIONS = SERVICE.name, SERVICE.versions
ACME, OTHER = tenant_id_of("acme"), tenant_id_of("other")
FIRST = Date(year=2020, month=1, day=1)
LI, WANG = EmployeeId(UUID(int=0x11)), EmployeeId(UUID(int=0x22))


def hr(tenant_id: TenantId = ACME, employee_id: EmployeeId | None = None) -> Principal:
    return Principal(tenant_id, str(UUID(int=1)), frozenset({"hr_admin"}), employee_id)


def day(text: str) -> Date:
    found = date.fromisoformat(text)
    return Date(year=found.year, month=found.month, day=found.day)


def instant(moment: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(moment)
    return message


@dataclass(frozen=True, slots=True)
class Attendance:
    """A running service and its client."""

    client: Client
    database_url: str

    async def __call__(
        self, stub: Any, method: str, request: Any, principal: Principal | None = None, request_id: UUID | None = None
    ) -> Any:
        """A call by HR of acme, unless somebody else is named."""
        if "request_id" in request.DESCRIPTOR.fields_by_name:
            request_id = request_id or uuid4()
            request.request_id = str(request_id)
        call = getattr(self.client.stub(stub), method)
        return await self.client.call(call, request, principal=principal or hr(), request_id=request_id)

    async def sheets(self, method: str, request: Any, principal: Principal | None = None, **more: Any) -> Any:
        return await self(timesheet_pb2_grpc.TimesheetServiceStub, method, request, principal, **more)

    async def roster(self, method: str, request: Any, principal: Principal | None = None) -> Any:
        return await self(roster_pb2_grpc.RosterServiceStub, method, request, principal)

    async def catalog(self, method: str, request: Any, principal: Principal | None = None) -> Any:
        return await self(time_catalog_pb2_grpc.TimeCatalogServiceStub, method, request, principal)

    async def publish(self, tenant_id: TenantId = ACME) -> None:
        """The time catalog of a company in China."""
        c = time_catalog_pb2
        span = c.ShiftInterval
        statutory = set(CN_2026["statutory_holidays"])
        days = [
            c.CalendarDay(
                date=day(text),
                day_kind=day_kind_pb2.DAY_KIND_HOLIDAY if text in statutory else day_kind_pb2.DAY_KIND_REST_DAY,
            )
            for text in CN_2026["days_off"]
        ]
        made_up = day_kind_pb2.DAY_KIND_WORKDAY
        days += [c.CalendarDay(date=day(text), day_kind=made_up) for text in CN_2026["weekend_working_days"]]
        for method, field, value in (
            ("PutTimeCalendar", "time_calendar", c.TimeCalendar(
                code="CN-MONTH", frequency=c.PERIOD_FREQUENCY_MONTHLY, work_week_start=1, debounce_seconds=60)),
            ("PutShift", "shift", c.Shift(
                code="DAY", intervals=[span(start_time="09:00", end_time="18:00")],
                breaks=[span(start_time="12:00", end_time="13:00")], late_grace_minutes=5)),
            ("PutShift", "shift", c.Shift(
                code="NIGHT", intervals=[span(start_time="22:00", end_time="06:00")],
                breaks=[span(start_time="02:00", end_time="02:30")], late_grace_minutes=5)),
            ("PutHolidayCalendar", "holiday_calendar", c.HolidayCalendar(
                code="CN", days=days, source=CN_2026["source"])),
            ("PutOvertimePolicy", "overtime_policy", c.OvertimePolicy(
                code="CN", rules=[
                    c.OvertimeRule(day_kind=kind, rate_reference=f"X{kind}", min_minutes=30, step_minutes=30)
                    for kind in day_kind_pb2.DayKind.values()[1:]
                ], night_start_time="22:00", night_end_time="06:00")),
            ("PutWorkSchedule", "work_schedule", c.WorkSchedule(
                code="STANDARD-5X8", days=[c.ScheduleDay(shift=code) for code in ["DAY"] * 5 + [""] * 2],
                holiday_calendar="CN", overtime_policy="CN")),
            ("PutWorkSchedule", "work_schedule", c.WorkSchedule(
                code="NIGHT-5X8", days=[c.ScheduleDay(shift=code) for code in ["NIGHT"] * 5 + [""] * 2],
                holiday_calendar="CN", overtime_policy="CN")),
        ):  # fmt: skip
            request = getattr(c, f"{method}Request")(effective_date=FIRST, **{field: value})
            await self.catalog(method, request, hr(tenant_id))

    async def enrol(self, *people: EmployeeId, schedule: str = "STANDARD-5X8", **placed: Any) -> None:
        entries = [entry_of(person, schedule, **placed) for person in people]
        await self.roster("EnsureRosters", roster_pb2.EnsureRostersRequest(entries=entries))

    async def work(self, person: EmployeeId, *texts: str) -> Any:
        """Days of punches: "2026-10-09 09:00 18:00"."""
        punches = []
        for text in texts:
            on, start, end = text.split()
            out = on if end > start else str(date.fromisoformat(on) + timedelta(days=1))
            punches += [a_punch(person, f"{on} {start}", pb.PUNCH_DIRECTION_IN)]
            punches += [a_punch(person, f"{out} {end}", pb.PUNCH_DIRECTION_OUT)]
        return await self.sheets("ImportPunches", pb.ImportPunchesRequest(punches=punches))

    async def find(self, person: EmployeeId, period: str = "2026-10", principal: Principal | None = None) -> Any:
        request = pb.FindTimesheetRequest(employee_id=str(person), period=period)
        return (await self.sheets("FindTimesheet", request, principal)).timesheet

    async def close(self, target: Any = pb.TIMESHEET_STATUS_LOCKED, **more: Any) -> Any:
        request = pb.CloseTimesheetsRequest(pay_group="CN-MONTHLY", period="2026-10", target_status=target, **more)
        return await self.sheets("CloseTimesheets", request)

    async def totals(self, *people: EmployeeId, known_at: datetime | None = None) -> Any:
        request = pb.BatchGetPeriodTotalsRequest(employee_ids=[str(one) for one in people], period="2026-10")
        if known_at is not None:
            request.known_at.CopyFrom(instant(known_at))
        return await self.sheets("BatchGetPeriodTotals", request)


def entry_of(person: EmployeeId, schedule: str = "STANDARD-5X8", version: int = 1, **placed: Any) -> Any:
    placement = roster_pb2.Placement(
        start_date=FIRST,
        assignment_id=str(UUID(int=person.int + 1)),
        work_schedule=schedule,
        time_zone=placed.pop("time_zone", "Asia/Shanghai"),
        department="ENG",
        pay_group="CN-MONTHLY",
        time_calendar="CN-MONTH",
        **placed,
    )
    return roster_pb2.RosterEntry(employee_id=str(person), source_version=version, placements=[placement])


def a_punch(person: EmployeeId | str, text: str, direction: Any = pb.PUNCH_DIRECTION_IN, **more: Any) -> pb.Punch:
    return pb.Punch(
        punch_id=more.pop("punch_id", str(uuid4())),
        employee_id=str(person),
        punched_at=instant(at(text)),
        direction=direction,
        source=pb.PUNCH_SOURCE_DEVICE,
        **more,
    )


async def refused(work: Any) -> str:
    with pytest.raises(RemoteError) as error:
        await work
    return error.value.reason


@pytest.fixture(params=["sqlite", "mariadb"])
async def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    made = Settings.embedded(tmp_path / "data")
    made.data_dir.mkdir()
    prepare_keys(made)
    if request.param == "mariadb":
        url = request.getfixturevalue("mariadb").create_database(f"attendance_{uuid4().hex[:12]}")
        made = Settings.embedded(made.data_dir, database_urls={NAME: url})
        database = Database(url, metadata)
        await migrations.upgrade(database, NAME, VERSIONS)
        await database.close()
    return made


@pytest.fixture
async def attendance(settings: Settings) -> AsyncIterator[Attendance]:
    running = await serve(settings, Listener())
    channels = Channels(settings, Signer.open(settings), {NAME: running.address})
    made = Attendance(channels.to(NAME), settings.database_url(NAME))
    await made.publish()
    yield made
    await channels.close()
    await running.stop(1.0)


async def test_the_migrated_schema_is_that_of_the_tables(settings: Settings) -> None:
    database = Database(settings.database_url(NAME), metadata)
    await migrations.upgrade(database, NAME, VERSIONS)

    assert await migrations.differences(database, NAME) == []
    await database.close()


async def test_a_month_from_punches_to_locked_totals(attendance: Attendance) -> None:
    await attendance.enrol(LI)
    await attendance.enrol(WANG, schedule="NIGHT-5X8")
    workdays = [9, 12, 13, 14, 15, 16, 19, 20, 21, 22, 23, 26, 27, 28, 29, 30, 10]
    await attendance.work(
        LI,
        "2026-10-01 09:00 17:00",
        "2026-10-06 09:00 13:00",
        "2026-10-08 09:20 20:00",
        *(f"2026-10-{number:02} 08:55 18:05" for number in workdays),
    )
    await attendance.work(WANG, *(f"2026-10-{number:02} 21:55 06:05" for number in [8, *workdays]))

    open_sheet = await attendance.find(LI)
    closed = await attendance.close()
    totals = await attendance.totals(LI, WANG)

    assert open_sheet.status == pb.TIMESHEET_STATUS_OPEN
    assert len(open_sheet.occurrences) == 31
    assert [(result.status, result.changed) for result in closed.results] == [(pb.TIMESHEET_STATUS_LOCKED, True)] * 2
    li, wang = totals.totals
    assert li.sums.planned_days == 18
    assert li.sums.late_minutes == 20
    assert li.sums.regular_minutes == 17 * 480 + 460
    assert li.sums.overtime_holiday_minutes == 480
    assert li.sums.overtime_rest_day_minutes == 240
    assert li.sums.overtime_workday_minutes == 120
    assert wang.sums.regular_minutes == 18 * 450
    assert wang.sums.night_minutes == 18 * 450
    assert sum(sum(line.minutes) for line in li.lines if line.pay_code in ("REGULAR", "OVERTIME")) == (
        li.sums.worked_minutes
    )
    locked = await attendance.find(LI)
    assert locked.sums == li.sums
    assert locked.etag == li.etag


async def test_totals_name_who_is_missing(attendance: Attendance) -> None:
    await attendance.enrol(LI)
    await attendance.close()

    found = await attendance.totals(LI, WANG)

    assert [row.employee_id for row in found.totals] == [str(LI)]
    assert list(found.missing_employee_ids) == [str(WANG)]


async def test_totals_of_an_instant_that_may_still_change_are_refused(attendance: Attendance) -> None:
    await attendance.enrol(LI)
    await attendance.close()
    frontier = await attendance.sheets("GetFrontier", pb.GetFrontierRequest(pay_group="CN-MONTHLY"))
    then = frontier.latest_record_time.ToDatetime(tzinfo=at("2026-01-01 00:00").tzinfo)

    assert await refused(attendance.totals(LI, known_at=then + timedelta(minutes=10))) == "NOT_SETTLED"
    if attendance.database_url.startswith("sqlite"):
        assert len((await attendance.totals(LI, known_at=then)).totals) == 1
    else:
        assert await refused(attendance.totals(LI, known_at=then)) == "NOT_SETTLED"
    assert not (await attendance.totals(LI, known_at=then - timedelta(hours=1))).totals


async def test_one_key_gives_one_punch_and_equal_answers(attendance: Attendance) -> None:
    await attendance.enrol(LI)
    punch, key = a_punch(LI, "2026-10-09 09:00"), uuid4()

    answers = await asyncio.gather(
        *(attendance.sheets("RecordPunch", pb.RecordPunchRequest(punch=punch), request_id=key) for _ in range(5)),
        return_exceptions=True,
    )

    served = [answer for answer in answers if not isinstance(answer, BaseException)]
    assert served
    assert all(answer == served[0] for answer in served)
    assert (await attendance.find(LI)).etag == "1"


async def test_many_first_punches_at_once_open_one_timesheet(attendance: Attendance) -> None:
    await attendance.enrol(LI)

    answers = await asyncio.gather(
        *(
            attendance.sheets("RecordPunch", pb.RecordPunchRequest(punch=a_punch(LI, f"2026-10-{number:02} 09:00")))
            for number in range(10, 26)
        )
    )

    sheet = await attendance.find(LI)
    assert {answer.result.timesheet_id for answer in answers} == {sheet.timesheet_id}
    assert sheet.etag == "16"
    assert sorted(int(answer.result.etag) for answer in answers) == list(range(1, 17))


async def test_one_punch_id_sent_by_many_is_recorded_once(attendance: Attendance) -> None:
    await attendance.enrol(LI)
    punch = a_punch(LI, "2026-10-09 09:00")

    answers = await asyncio.gather(
        *(attendance.sheets("RecordPunch", pb.RecordPunchRequest(punch=punch)) for _ in range(6))
    )

    outcomes = sorted(answer.result.outcome for answer in answers)
    assert outcomes == [pb.PUNCH_OUTCOME_RECORDED] + [pb.PUNCH_OUTCOME_REPLAYED] * 5


async def test_closing_and_punching_at_once_lose_nothing(attendance: Attendance) -> None:
    people = [EmployeeId(uuid4()) for _ in range(5)]
    await attendance.enrol(*people)

    results = await asyncio.gather(
        attendance.close(pb.TIMESHEET_STATUS_SUBMITTED),
        *(attendance.work(person, "2026-10-09 09:00 18:00") for person in people),
    )

    submitted = {result.employee_id: result for result in results[0].results}
    totals = {row.employee_id: row for row in (await attendance.totals(*people)).totals}
    for person, imported in zip(people, results[1:], strict=True):
        taken = all(result.outcome == pb.PUNCH_OUTCOME_RECORDED for result in imported.results)
        assert submitted[str(person)].status == pb.TIMESHEET_STATUS_SUBMITTED
        assert totals[str(person)].sums.regular_minutes == (480 if taken else 0)
        assert taken or {result.reason for result in imported.results} == {"TIMESHEET_NOT_OPEN"}


async def test_refusals_say_which_field_and_why(attendance: Attendance) -> None:
    await attendance.enrol(LI)
    unknown = a_punch(EmployeeId(uuid4()), "2026-10-09 09:00")
    nobody = a_punch("", "2026-10-09 09:00")
    elsewhere = a_punch(LI, "2026-10-09 09:00", time_zone="Moon/Base")

    assert await refused(attendance.sheets("RecordPunch", pb.RecordPunchRequest(punch=unknown))) == "ROSTER_UNKNOWN"
    assert await refused(attendance.sheets("RecordPunch", pb.RecordPunchRequest(punch=nobody))) == "INVALID_VALUE"
    assert (
        await refused(attendance.sheets("RecordPunch", pb.RecordPunchRequest(punch=elsewhere))) == "TIME_ZONE_UNKNOWN"
    )
    assert await refused(attendance.find(WANG)) == "TIMESHEET_NOT_FOUND"
    week = pb.CloseTimesheetsRequest(
        pay_group="CN-MONTHLY", period="2026-W99", target_status=pb.TIMESHEET_STATUS_SUBMITTED
    )
    assert await refused(attendance.sheets("CloseTimesheets", week)) != ""
    imported = await attendance.sheets(
        "ImportPunches", pb.ImportPunchesRequest(punches=[nobody, elsewhere, a_punch(LI, "2026-10-09 09:00")])
    )
    assert [result.reason for result in imported.results] == ["INVALID_VALUE", "TIME_ZONE_UNKNOWN", ""]


async def test_a_batch_of_refused_items_only_changes_nothing(attendance: Attendance) -> None:
    punches = pb.ImportPunchesRequest(punches=[a_punch("", "2026-10-09 09:00")])
    entries = roster_pb2.EnsureRostersRequest(entries=[entry_of(LI, time_zone="Moon/Base")])

    imported = await attendance.sheets("ImportPunches", punches)
    ensured = await attendance.roster("EnsureRosters", entries)

    assert [result.outcome for result in imported.results] == [pb.PUNCH_OUTCOME_REFUSED]
    assert [result.applied for result in ensured.results] == [False]


async def test_a_roster_entry_in_a_zone_that_is_not_there_is_refused_alone(attendance: Attendance) -> None:
    request = roster_pb2.EnsureRostersRequest(entries=[entry_of(LI, time_zone="Moon/Base"), entry_of(WANG)])

    answer = await attendance.roster("EnsureRosters", request)

    assert [(result.applied, result.reason) for result in answer.results] == [(False, "TIME_ZONE_UNKNOWN"), (True, "")]
    kept = await attendance.roster("GetRoster", roster_pb2.GetRosterRequest(employee_id=str(WANG)))
    assert kept.entry == entry_of(WANG)
    assert await refused(attendance.roster("GetRoster", roster_pb2.GetRosterRequest(employee_id=str(LI))))


async def test_each_step_has_its_etag_and_the_approver_is_somebody_else(attendance: Attendance) -> None:
    await attendance.enrol(LI)
    await attendance.work(LI, "2026-10-09 09:00 18:00")
    sheet = await attendance.find(LI)
    id = sheet.timesheet_id

    assert await refused(
        attendance.sheets("SubmitTimesheet", pb.SubmitTimesheetRequest(timesheet_id=id, etag="7"))
    ) == ("STALE_VERSION")
    entered = await attendance.sheets(
        "EnterAbsence",
        pb.EnterAbsenceRequest(
            timesheet_id=id, etag=sheet.etag, code="UNPAID", start_date=day("2026-10-22"), paid_share="0"
        ),
    )
    submitted = await attendance.sheets("SubmitTimesheet", pb.SubmitTimesheetRequest(timesheet_id=id))
    assert await refused(
        attendance.sheets("ApproveTimesheet", pb.ApproveTimesheetRequest(timesheet_id=id), hr(employee_id=LI))
    ) == ("SELF_APPROVAL")
    approved = await attendance.sheets(
        "ApproveTimesheet", pb.ApproveTimesheetRequest(timesheet_id=id, etag=submitted.timesheet.etag)
    )
    locked = await attendance.sheets("LockTimesheet", pb.LockTimesheetRequest(timesheet_id=id))

    assert entered.timesheet.absences[0].absence_id == entered.absence_id
    assert submitted.timesheet.sums.absence_minutes == 480
    assert approved.timesheet.approved_by == hr().subject
    assert locked.timesheet.status == pb.TIMESHEET_STATUS_LOCKED
    assert await refused(attendance.sheets("ReopenTimesheet", pb.ReopenTimesheetRequest(timesheet_id=id))) == (
        "TIMESHEET_NOT_READY"
    )


async def test_another_tenant_sees_and_changes_nothing(attendance: Attendance) -> None:
    await attendance.enrol(LI)
    await attendance.work(LI, "2026-10-09 09:00 18:00")
    sheet = await attendance.find(LI)
    stranger = hr(OTHER)

    assert await refused(attendance.find(LI, principal=stranger)) == "TIMESHEET_NOT_FOUND"
    for method, request in (
        ("GetTimesheet", pb.GetTimesheetRequest(timesheet_id=sheet.timesheet_id)),
        ("SubmitTimesheet", pb.SubmitTimesheetRequest(timesheet_id=sheet.timesheet_id)),
        ("LockTimesheet", pb.LockTimesheetRequest(timesheet_id=sheet.timesheet_id)),
    ):
        assert await refused(attendance.sheets(method, request, stranger)) == "TIMESHEET_NOT_FOUND"
    listed = await attendance.sheets("ListTimesheets", pb.ListTimesheetsRequest(period="2026-10"), stranger)
    shifts = await attendance.catalog("ListShifts", time_catalog_pb2.ListShiftsRequest(), stranger)
    assert not listed.timesheets
    assert not shifts.shifts
    assert (await attendance.find(LI)).etag == sheet.etag


async def test_lists_and_closings_go_page_by_page(attendance: Attendance) -> None:
    people = sorted(EmployeeId(uuid4()) for _ in range(5))
    await attendance.enrol(*people)

    seen, token = [], ""
    for _ in range(3):
        page = await attendance.close(page_size=2, page_token=token)
        seen += [result.employee_id for result in page.results]
        token = page.next_page_token
    listed, after = [], ""
    for _ in range(3):
        request = pb.ListTimesheetsRequest(period="2026-10", page_size=2, page_token=after)
        found = await attendance.sheets("ListTimesheets", request)
        listed += [sheet.employee_id for sheet in found.timesheets]
        after = found.next_page_token

    assert token == after == ""
    assert seen == listed == [str(person) for person in people]


async def test_definitions_are_answered_as_they_were_put(attendance: Attendance) -> None:
    c = time_catalog_pb2
    turns = c.WorkSchedule(
        code="TURNS", days=[c.ScheduleDay(shift="DAY"), c.ScheduleDay()], cycle_start_date=day("2026-01-01")
    )
    weeks = c.TimeCalendar(code="WEEKS", frequency=c.PERIOD_FREQUENCY_WEEKLY, work_week_start=7, debounce_seconds=30)
    await attendance.catalog("PutWorkSchedule", c.PutWorkScheduleRequest(effective_date=FIRST, work_schedule=turns))
    put = await attendance.catalog(
        "PutTimeCalendar", c.PutTimeCalendarRequest(effective_date=FIRST, time_calendar=weeks)
    )

    found = await attendance.catalog("GetWorkSchedule", c.GetWorkScheduleRequest(code="TURNS", as_of=day("2026-02-01")))
    calendar = await attendance.catalog("GetTimeCalendar", c.GetTimeCalendarRequest(code="WEEKS"))
    holidays = await attendance.catalog("GetHolidayCalendar", c.GetHolidayCalendarRequest(code="CN"))
    policies = await attendance.catalog("ListOvertimePolicies", c.ListOvertimePoliciesRequest())
    shifts = await attendance.catalog("ListShifts", c.ListShiftsRequest(page_size=1))
    rest = await attendance.catalog("ListShifts", c.ListShiftsRequest(page_token=shifts.next_page_token))

    assert found.entry.work_schedule == turns
    assert calendar.entry.time_calendar == weeks
    assert calendar.entry == put.entry
    assert len(holidays.entry.holiday_calendar.days) == len(CN_2026["days_off"] + CN_2026["weekend_working_days"])
    assert policies.overtime_policies[0].overtime_policy.night_end_time == "06:00"
    assert [shifts.shifts[0].shift.code, rest.shifts[0].shift.code] == ["DAY", "NIGHT"]
    assert shifts.shifts[0].shift.intervals[0] == c.ShiftInterval(start_time="09:00", end_time="18:00")
    missing = attendance.catalog("GetShift", c.GetShiftRequest(code="DAY", as_of=day("2019-12-31")))
    assert await refused(missing) == "CATALOG_ENTRY_NOT_FOUND"
    stale = c.PutTimeCalendarRequest(effective_date=FIRST, time_calendar=weeks, etag="1")
    assert await refused(attendance.catalog("PutTimeCalendar", stale)) == "STALE_VERSION"


async def test_events_are_published_and_changes_are_found_by_position(attendance: Attendance) -> None:
    await attendance.enrol(LI, WANG)
    await attendance.work(LI, "2026-10-09 09:00 18:00")
    await attendance.close()
    reader = Principal(ALL_TENANTS, "process:feed", frozenset({"process:feed"}))
    stub = event_feed_pb2_grpc.EventFeedServiceStub
    entries: list[Any] = []
    for _ in range(50):
        request = event_feed_pb2.ReadRequest(consumer="test", worker_id="w", limit=500)
        entries = list((await attendance(stub, "Read", request, reader)).entries)
        if len([entry for entry in entries if entry.type.endswith("TimesheetLockedEvent")]) == 2:
            break
        await asyncio.sleep(0.05)
    frontier = await attendance.sheets("GetFrontier", pb.GetFrontierRequest(pay_group="CN-MONTHLY"))

    def since(position: int) -> Any:
        request = pb.ListChangedSinceRequest(pay_group="CN-MONTHLY", period="2026-10", feed_position=position)
        return attendance.sheets("ListChangedSince", request)

    assert "muster.attendance.v1.PunchesImportedEvent" in {entry.type for entry in entries}
    assert frontier.feed_position == entries[-1].position
    assert not (await since(frontier.feed_position)).employees
    changed = (await since(0)).employees
    assert [(one.employee_id, one.reason) for one in changed] == [
        (str(LI), "TIMESHEET_LOCKED"),
        (str(WANG), "TIMESHEET_LOCKED"),
    ]


async def test_a_late_change_of_a_locked_timesheet_is_told_to_payroll_as_an_adjustment(attendance: Attendance) -> None:
    await attendance.enrol(LI, WANG)
    await attendance.work(LI, "2026-10-09 09:00 15:00")
    await attendance.close()
    before = (await attendance.totals(LI)).totals[0]
    sheet = await attendance.find(LI)
    asked = await attendance.sheets(
        "RequestCorrection",
        pb.RequestCorrectionRequest(
            timesheet_id=sheet.timesheet_id,
            punched_at=instant(at("2026-10-09 18:00")),
            direction=pb.PUNCH_DIRECTION_OUT,
            punch_id=sheet.occurrences[8].punches[1].punch_id,
            reason="the gate was out of order",
        ),
    )
    approve = pb.ApproveCorrectionRequest(correction_id=asked.correction.correction_id)
    key = uuid4()

    own = await refused(attendance.sheets("ApproveCorrection", approve, hr(employee_id=LI)))
    first = await attendance.sheets("ApproveCorrection", approve, request_id=key)
    again = await attendance.sheets("ApproveCorrection", approve, request_id=key)

    request = pb.ListChangedSinceRequest(pay_group="CN-MONTHLY", period="2026-10")
    changed = (await attendance.sheets("ListChangedSince", request)).employees
    after = (await attendance.totals(LI)).totals[0]
    assert own == "SELF_APPROVAL"
    assert first == again
    assert first.correction.record.status == pb.REQUEST_STATUS_APPROVED
    assert [(one.employee_id, one.reason) for one in changed] == [
        (str(LI), "TIMESHEET_ADJUSTED"),
        (str(WANG), "TIMESHEET_LOCKED"),
    ]
    assert after.sums.regular_minutes - before.sums.regular_minutes == 180
    assert (before.sums.early_leave_minutes, after.sums.early_leave_minutes) == (180, 0)
    assert after.status == pb.TIMESHEET_STATUS_LOCKED
