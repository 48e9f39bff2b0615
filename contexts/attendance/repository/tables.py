"""The tables of attendance."""

from datetime import UTC, datetime

from sqlalchemy import BigInteger, Column, Date, Index, Integer, String, Table

from chassis.columns import Code, Document, Id, Instant, tenant_column
from chassis.tables import context_metadata

metadata = context_metadata()

STILL_KNOWN = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)  # `recorded_to` of what was not replaced yet

timesheet = Table(
    "timesheet",
    metadata,
    tenant_column(),
    Column("timesheet_id", Id, primary_key=True),
    Column("employee_id", Id, nullable=False),
    Column("assignment_id", Id, nullable=False),
    Column("time_calendar", Code(40), nullable=False),
    Column("period", Code(8), nullable=False),
    Column("start_date", Date, nullable=False),
    Column("end_date", Date, nullable=False),  # first day after it
    Column("pay_group", Code(40), nullable=False),
    Column("department", Code(40), nullable=False),
    Column("status", Code(10), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("record_time", Instant, nullable=False),
    Column("punch_count", Integer, nullable=False),
    Column("submitted_by", Code(80), nullable=False),
    Column("approved_by", Code(80), nullable=False),
    Column("document", Document(), nullable=False),  # JSON: grounds, absences, requests, adjustments
    Index("uq_timesheet_period", "tenant_id", "employee_id", "period", "assignment_id", "time_calendar", unique=True),
    Index("ix_timesheet_pay_group", "tenant_id", "pay_group", "period", "employee_id"),
    Index("ix_timesheet_department", "tenant_id", "department", "period", "employee_id"),
    Index("ix_timesheet_period", "tenant_id", "period", "employee_id"),
)

# Punches as they were made. The key keeps those of one timesheet together by time, so that a punch reads only its
# neighbours however long the history; the unique one refuses a punch_id for ever.
punch = Table(
    "punch",
    metadata,
    tenant_column(),
    Column("timesheet_id", Id, primary_key=True),
    Column("punched_at", Instant, primary_key=True, autoincrement=False),
    Column("punch_id", Id, primary_key=True),
    Column("direction", Code(6), nullable=False),
    Column("source", Code(6), nullable=False),
    Column("time_zone", Code(64), nullable=False),
    Column("work_date", Date, nullable=False),  # as it was answered; the work date that counts is computed
    Column("duplicate_of", Id),
    Column("device_id", String(64), nullable=False),
    Column("device_sequence", BigInteger, nullable=False),
    Column("device_clock", Instant),
    Column("clock_skew_seconds", BigInteger),
    Column("record_time", Instant, nullable=False),
    Index("uq_punch_punch_id", "tenant_id", "punch_id", unique=True),
)

# One row for each version of a timesheet that left or entered OPEN: what payroll reads, known in [recorded_from,
# recorded_to). `payload` is the message that is answered.
period_total = Table(
    "period_total",
    metadata,
    tenant_column(),
    Column("period", Code(8), primary_key=True),
    Column("employee_id", Id, primary_key=True),
    Column("timesheet_id", Id, primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("pay_group", Code(40), nullable=False),
    Column("status", Code(10), nullable=False),
    Column("recorded_from", Instant, nullable=False),
    Column("recorded_to", Instant, nullable=False),
    Column("payload", Document(), nullable=False),
    Index("ix_period_total_pay_group", "tenant_id", "pay_group", "recorded_from"),
)

# Which timesheet holds which request: written with the timesheet, whose document has the rest.
timesheet_request = Table(
    "timesheet_request",
    metadata,
    tenant_column(),
    Column("request_id", Id, primary_key=True),
    Column("kind", Code(10), nullable=False),
    Column("status", Code(10), nullable=False),
    Column("timesheet_id", Id, nullable=False),
    Column("employee_id", Id, nullable=False),
    Index("ix_timesheet_request_status", "tenant_id", "kind", "status", "request_id"),
    Index("ix_timesheet_request_employee", "tenant_id", "employee_id", "kind", "request_id"),
)

roster = Table(
    "roster",
    metadata,
    tenant_column(),
    Column("employee_id", Id, primary_key=True),
    Column("employee_number", Code(40), nullable=False),
    Column("source_version", BigInteger, nullable=False),
    Column("record_time", Instant, nullable=False),
    Column("placements", Document(), nullable=False),  # JSON
    Index("ix_roster_employee_number", "tenant_id", "employee_number"),
)

# The placements again, one row each, to find the people of a pay group or department.
roster_placement = Table(
    "roster_placement",
    metadata,
    tenant_column(),
    Column("employee_id", Id, primary_key=True),
    Column("start_date", Date, primary_key=True, autoincrement=False),
    Column("end_date", Date, nullable=False),  # first day after it
    Column("pay_group", Code(40), nullable=False),
    Column("department", Code(40), nullable=False),
    Index("ix_roster_placement_pay_group", "tenant_id", "pay_group", "employee_id"),
    Index("ix_roster_placement_department", "tenant_id", "department", "employee_id"),
)

badge = Table(
    "badge",
    metadata,
    tenant_column(),
    Column("badge_number", Code(40), primary_key=True),
    Column("employee_id", Id),  # who has it now
    Column("version", BigInteger, nullable=False),
    Column("record_time", Instant, nullable=False),
    Column("holdings", Document(), nullable=False),  # JSON
    Index("ix_badge_employee", "tenant_id", "employee_id", "badge_number"),
)

catalog_head = Table(
    "catalog_head",
    metadata,
    tenant_column(),
    Column("catalog_version", BigInteger, nullable=False),
)

catalog_entry = Table(
    "catalog_entry",
    metadata,
    tenant_column(),
    Column("catalog_version", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Code(20), nullable=False),
    Column("code", Code(40), nullable=False),
    Column("effective_date", Date, nullable=False),
    Column("record_time", Instant, nullable=False),
    Column("definition", Document(), nullable=False),  # JSON
)
