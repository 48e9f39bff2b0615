"""Timesheets, punches, period totals, the roster and the time catalog."""

import sqlalchemy as sa
from alembic import op

from chassis.columns import Code, Document, Id, Instant
from chassis.migrations import create_plumbing

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Expand only."""
    create_plumbing(op)
    op.create_table(
        "catalog_entry",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("catalog_version", sa.BigInteger, nullable=False),
        sa.Column("kind", Code(20), nullable=False),
        sa.Column("code", Code(40), nullable=False),
        sa.Column("effective_date", sa.Date, nullable=False),
        sa.Column("record_time", Instant, nullable=False),
        sa.Column("definition", Document(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "catalog_version", name="pk_catalog_entry"),
    )
    op.create_table(
        "catalog_head",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("catalog_version", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name="pk_catalog_head"),
    )
    op.create_table(
        "period_total",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("period", Code(8), nullable=False),
        sa.Column("employee_id", Id, nullable=False),
        sa.Column("timesheet_id", Id, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("pay_group", Code(40), nullable=False),
        sa.Column("status", Code(10), nullable=False),
        sa.Column("recorded_from", Instant, nullable=False),
        sa.Column("recorded_to", Instant, nullable=False),
        sa.Column("payload", Document(), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant_id", "period", "employee_id", "timesheet_id", "version", name="pk_period_total"
        ),
    )
    op.create_index("ix_period_total_pay_group", "period_total", ["tenant_id", "pay_group", "recorded_from"])
    op.create_table(
        "punch",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("timesheet_id", Id, nullable=False),
        sa.Column("punched_at", Instant, nullable=False),
        sa.Column("punch_id", Id, nullable=False),
        sa.Column("direction", Code(6), nullable=False),
        sa.Column("source", Code(6), nullable=False),
        sa.Column("time_zone", Code(64), nullable=False),
        sa.Column("work_date", sa.Date, nullable=False),
        sa.Column("duplicate_of", Id),
        sa.Column("device_id", sa.String(64), nullable=False),
        sa.Column("device_sequence", sa.BigInteger, nullable=False),
        sa.Column("device_clock", Instant),
        sa.Column("record_time", Instant, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "timesheet_id", "punched_at", "punch_id", name="pk_punch"),
    )
    op.create_index("uq_punch_punch_id", "punch", ["tenant_id", "punch_id"], unique=True)
    op.create_table(
        "roster",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("employee_id", Id, nullable=False),
        sa.Column("employee_number", Code(40), nullable=False),
        sa.Column("source_version", sa.BigInteger, nullable=False),
        sa.Column("record_time", Instant, nullable=False),
        sa.Column("placements", Document(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "employee_id", name="pk_roster"),
    )
    op.create_index("ix_roster_employee_number", "roster", ["tenant_id", "employee_number"])
    op.create_table(
        "roster_placement",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("employee_id", Id, nullable=False),
        sa.Column("start_date", sa.Date, nullable=False),
        sa.Column("end_date", sa.Date, nullable=False),
        sa.Column("pay_group", Code(40), nullable=False),
        sa.Column("department", Code(40), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "employee_id", "start_date", name="pk_roster_placement"),
    )
    op.create_index("ix_roster_placement_department", "roster_placement", ["tenant_id", "department", "employee_id"])
    op.create_index("ix_roster_placement_pay_group", "roster_placement", ["tenant_id", "pay_group", "employee_id"])
    op.create_table(
        "timesheet",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("timesheet_id", Id, nullable=False),
        sa.Column("employee_id", Id, nullable=False),
        sa.Column("assignment_id", Id, nullable=False),
        sa.Column("time_calendar", Code(40), nullable=False),
        sa.Column("period", Code(8), nullable=False),
        sa.Column("start_date", sa.Date, nullable=False),
        sa.Column("end_date", sa.Date, nullable=False),
        sa.Column("pay_group", Code(40), nullable=False),
        sa.Column("department", Code(40), nullable=False),
        sa.Column("status", Code(10), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("record_time", Instant, nullable=False),
        sa.Column("punch_count", sa.Integer, nullable=False),
        sa.Column("submitted_by", Code(80), nullable=False),
        sa.Column("approved_by", Code(80), nullable=False),
        sa.Column("document", Document(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "timesheet_id", name="pk_timesheet"),
    )
    op.create_index("ix_timesheet_department", "timesheet", ["tenant_id", "department", "period", "employee_id"])
    op.create_index("ix_timesheet_pay_group", "timesheet", ["tenant_id", "pay_group", "period", "employee_id"])
    op.create_index("ix_timesheet_period", "timesheet", ["tenant_id", "period", "employee_id"])
    op.create_index(
        "uq_timesheet_period",
        "timesheet",
        ["tenant_id", "employee_id", "period", "assignment_id", "time_calendar"],
        unique=True,
    )
