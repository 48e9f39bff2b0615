"""Employee facts: what organization and attendance say, as payroll is told it."""

from datetime import date
from uuid import uuid4

from google.type.date_pb2 import Date
from muster.attendance.v1 import day_kind_pb2, timesheet_pb2
from muster.organization.v1 import employee_pb2
from muster.payroll.v1 import employee_facts_pb2

from application.pay.facts import employee_facts

FIRST, END = date(2026, 10, 1), date(2026, 11, 1)
DAY_ONE = (FIRST - date(1970, 1, 1)).days
PLANNED = "1" * 31


def day(number: int, month: int = 10) -> Date:
    """A day of 2026."""
    return Date(year=2026, month=month, day=number)


def a_segment(assignment: str, start: Date, end: Date, wage: str = "9000") -> employee_pb2.PaySegment:
    """Some days of one assignment."""
    work = employee_pb2.WorkFacts(
        assignment=employee_pb2.Assignment(assignment_id=assignment, department="ENG", fte="1"),
        compensation=employee_pb2.Compensation(amount=wage, currency="CNY", unit=employee_pb2.PAY_UNIT_MONTH),
        allowances=[
            employee_pb2.Allowance(code="MEAL", amount="300", currency="CNY", unit=employee_pb2.PAY_UNIT_MONTH)
        ],
        statutory_profiles=[
            employee_pb2.StatutoryProfile(country="CN", values={"social_insurance_city": "KUNMING"}),
            employee_pb2.StatutoryProfile(country="US", values={"filing_status": "SINGLE"}),
        ],
    )
    return employee_pb2.PaySegment(start_date=start, end_date=end, work=work)


def an_employee(*segments: employee_pb2.PaySegment) -> employee_pb2.PaySliceEmployee:
    """Somebody hired in January, still there."""
    return employee_pb2.PaySliceEmployee(
        employee_id=str(uuid4()), segments=segments, employments=[employee_pb2.Employment(hire_date=day(5, month=1))]
    )


def a_timesheet(assignment: str, *lines: timesheet_pb2.TimeLine, locked: bool = True) -> timesheet_pb2.PeriodTotals:
    """The assignment's October."""
    status = timesheet_pb2.TIMESHEET_STATUS_LOCKED if locked else timesheet_pb2.TIMESHEET_STATUS_SUBMITTED
    return timesheet_pb2.PeriodTotals(
        assignment_id=assignment, timesheet_id="sheet", start_date=day(1), end_date=day(31), status=status, etag="3",
        planned_days=PLANNED, standard_day_minutes=480, lines=lines,
    )  # fmt: skip


def a_line(pay_code: str, days: list[int], minutes: list[int]) -> timesheet_pb2.TimeLine:
    """Minutes on workdays."""
    return timesheet_pb2.TimeLine(
        day_kind=day_kind_pb2.DAY_KIND_WORKDAY, pay_code=pay_code, work_days=days, minutes=minutes
    )


def test_a_base_of_none_is_told_as_payroll_says_that_a_contribution_is_not_paid() -> None:
    segment = a_segment(str(uuid4()), day(1), day(1, month=11))
    segment.work.statutory_profiles[0].values.update({"social_insurance_base": "NONE", "housing_fund_base": "8000"})

    facts = employee_facts(an_employee(segment), [], FIRST, END, "CN")

    assert (facts.statutory_values["social_insurance_base"], facts.statutory_values["housing_fund_base"]) == (
        "",
        "8000",
    )


def test_facts_hold_wage_days_time_and_the_profile_of_the_run_s_country() -> None:
    assignment = str(uuid4())
    employee = an_employee(a_segment(assignment, day(1), day(1, month=11)))
    sheet = a_timesheet(assignment, a_line("OVERTIME", [DAY_ONE, DAY_ONE + 3], [60, 90]))

    facts = employee_facts(employee, [sheet], FIRST, END, "CN")

    [segment] = facts.segments
    [line] = facts.time_lines
    assert (segment.compensation_amount, segment.planned_days, segment.standard_day_minutes) == ("9000", PLANNED, 480)
    assert dict(segment.allowances) == {"MEAL": "300"}
    assert (list(line.work_days), list(line.minutes)) == ([DAY_ONE, DAY_ONE + 3], [60, 90])
    assert (facts.statutory_country, dict(facts.statutory_values)) == ("CN", {"social_insurance_city": "KUNMING"})
    assert list(facts.sources) == ["timesheet:sheet:3"]
    assert facts.hire_date == day(5, month=1)
    assert not facts.HasField("termination_date")
    assert not facts.blockers


def test_two_shifts_of_one_work_date_are_paid_as_one_day() -> None:
    assignment = str(uuid4())
    sheet = a_timesheet(assignment, a_line("REGULAR", [DAY_ONE, DAY_ONE, DAY_ONE + 1], [240, 200, 480]))

    facts = employee_facts(an_employee(a_segment(assignment, day(1), day(1, month=11))), [sheet], FIRST, END, "CN")

    [line] = facts.time_lines
    assert (list(line.work_days), list(line.minutes)) == ([DAY_ONE, DAY_ONE + 1], [440, 480])


def test_pieces_that_differ_in_nothing_that_is_paid_are_one() -> None:
    assignment = str(uuid4())
    moved = a_segment(assignment, day(16), day(1, month=11))
    moved.work.assignment.position = "LEAD"

    facts = employee_facts(
        an_employee(a_segment(assignment, day(1), day(16)), moved), [a_timesheet(assignment)], FIRST, END, "CN"
    )

    assert [(one.start_date, one.end_date) for one in facts.segments] == [(day(1), day(1, month=11))]


def test_a_timesheet_that_is_missing_or_not_locked_blocks_and_is_never_a_gap() -> None:
    with_none, unlocked = str(uuid4()), str(uuid4())
    employee = an_employee(a_segment(with_none, day(1), day(16)), a_segment(unlocked, day(16), day(1, month=11)))

    facts = employee_facts(employee, [a_timesheet(unlocked, locked=False)], FIRST, END, "CN")

    assert [(blocker.reason, blocker.subject) for blocker in facts.blockers] == [
        ("TIMESHEET_MISSING", with_none),
        ("TIMESHEET_NOT_LOCKED", "sheet"),
    ]
    assert not facts.time_lines


def of_entity(segment: employee_pb2.PaySegment, legal_entity: str) -> employee_pb2.PaySegment:
    """The same days with that employer."""
    segment.work.assignment.legal_entity = legal_entity
    return segment


def test_days_with_another_employer_than_the_withholder_block_and_are_not_paid_by_it() -> None:
    assignment = str(uuid4())
    before = of_entity(a_segment(assignment, day(1), day(16)), "ACME-CN")
    after = of_entity(a_segment(assignment, day(16), day(1, month=11)), "ACME-HK")
    employee, sheets = an_employee(before, after), [a_timesheet(assignment)]

    facts = employee_facts(employee, sheets, FIRST, END, "CN", "ACME-CN")
    nobody_knows = employee_facts(employee, sheets, FIRST, END, "CN")
    right = employee_facts(an_employee(before), sheets, FIRST, END, "CN", "ACME-CN")

    assert [(blocker.reason, blocker.subject) for blocker in facts.blockers] == [("WITHHOLDER_MISMATCH", "ACME-HK")]
    assert [blocker.subject for blocker in nobody_knows.blockers] == ["ACME-CN", "ACME-HK"]
    assert not right.blockers


def test_a_pay_group_pays_the_time_of_its_own_days_alone() -> None:
    assignment = str(uuid4())
    line = a_line("OVERTIME", [DAY_ONE, DAY_ONE + 14, DAY_ONE + 15, DAY_ONE + 20], [60, 30, 90, 15])
    sheets = [a_timesheet(assignment, line, a_line("NIGHT", [DAY_ONE + 20], [45]))]

    first = employee_facts(an_employee(a_segment(assignment, day(1), day(16))), sheets, FIRST, END, "CN")
    second = employee_facts(an_employee(a_segment(assignment, day(16), day(1, month=11))), sheets, FIRST, END, "CN")

    told = [[(one.pay_code, list(one.minutes)) for one in facts.time_lines] for facts in (first, second)]
    assert told == [[("OVERTIME", [60, 30])], [("OVERTIME", [90, 15]), ("NIGHT", [45])]]


def test_time_after_the_employment_is_not_left_out_unseen() -> None:
    assignment = str(uuid4())
    leaver = an_employee(a_segment(assignment, day(1), day(16)))
    leaver.employments[0].end_date.CopyFrom(day(15))
    sheet = a_timesheet(assignment, a_line("OVERTIME", [DAY_ONE, DAY_ONE + 20], [60, 15]))

    facts = employee_facts(leaver, [sheet], FIRST, END, "CN")

    assert [list(line.minutes) for line in facts.time_lines] == [[60, 15]]


def test_an_allowance_that_is_not_monthly_blocks() -> None:
    assignment = str(uuid4())
    segment = a_segment(assignment, day(1), day(1, month=11))
    segment.work.allowances[0].unit = employee_pb2.PAY_UNIT_DAY

    facts = employee_facts(an_employee(segment), [a_timesheet(assignment)], FIRST, END, "CN")

    assert [(blocker.reason, blocker.subject) for blocker in facts.blockers] == [("ALLOWANCE_NOT_MONTHLY", "MEAL")]


def test_kinds_of_day_and_units_have_the_same_numbers_on_both_sides() -> None:
    kinds = {int(number): name for name, number in day_kind_pb2.DayKind.items()}
    units = {int(number): name.removeprefix("PAY_") for name, number in employee_pb2.PayUnit.items()}

    told_kinds = {int(number): name for name, number in employee_facts_pb2.DayKind.items()}
    told_units = {
        int(number): name.removeprefix("COMPENSATION_") for name, number in employee_facts_pb2.CompensationUnit.items()
    }

    assert told_kinds == kinds
    assert told_units == units
