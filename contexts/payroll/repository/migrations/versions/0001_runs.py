"""The catalog, runs with their chunks and payslips, and pay inputs."""

import sqlalchemy as sa
from alembic import op

from chassis.columns import Code, Digest, Document, ExactDecimal, Id, Instant
from chassis.migrations import create_plumbing

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Expand only."""
    create_plumbing(op)
    op.create_table(
        "catalog_head",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("catalog_version", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name="pk_catalog_head"),
    )
    op.create_table(
        "catalog_entry",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("catalog_version", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("kind", Code(20), nullable=False),
        sa.Column("code", Code(40), nullable=False),
        sa.Column("effective_date", sa.Date, nullable=False),
        sa.Column("definition", Document(), nullable=False),
        sa.Column("published_time", Instant, nullable=False),
        sa.Column("published_by", Code(80), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "catalog_version", "kind", "code", name="pk_catalog_entry"),
    )
    op.create_table(
        "payroll_run",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("run_id", Id, nullable=False),
        sa.Column("pay_group", Code(40), nullable=False),
        sa.Column("period", Code(10), nullable=False),
        sa.Column("kind", Code(12), nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("live", sa.SmallInteger),
        sa.Column("start_date", sa.Date, nullable=False),
        sa.Column("end_date", sa.Date, nullable=False),
        sa.Column("pay_date", sa.Date, nullable=False),
        sa.Column("tax_year", sa.Integer, nullable=False),
        sa.Column("tax_period", sa.Integer, nullable=False),
        sa.Column("registration", Code(40), nullable=False),
        sa.Column("currency", Code(3), nullable=False),
        sa.Column("country", Code(2), nullable=False),
        sa.Column("time_calendar", Code(40), nullable=False),
        sa.Column("time_periods", Code(200), nullable=False),
        sa.Column("employee_ids", Document(), nullable=False),
        sa.Column("reason", sa.String(500), nullable=False),
        sa.Column("wanted_cutoff", Instant),
        sa.Column("status", Code(12), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("input_cutoff", Instant),
        sa.Column("catalog_version", sa.BigInteger, nullable=False),
        sa.Column("statutory_version", Code(60), nullable=False),
        sa.Column("header", Document(), nullable=False),
        sa.Column("payslip_count", sa.Integer, nullable=False),
        sa.Column("blocked_count", sa.Integer, nullable=False),
        sa.Column("gross_minor", sa.BigInteger, nullable=False),
        sa.Column("net_minor", sa.BigInteger, nullable=False),
        sa.Column("employer_cost_minor", sa.BigInteger, nullable=False),
        sa.Column("calculation_hash", Code(64), nullable=False),
        sa.Column("preparers", Code(2000), nullable=False),
        sa.Column("approved_by", Code(80), nullable=False),
        sa.Column("finalized_number", sa.Integer, nullable=False),
        sa.Column("created_time", Instant, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "run_id", name="pk_payroll_run"),
    )
    op.create_index(
        "ix_payroll_run_registration", "payroll_run", ["tenant_id", "registration", "tax_year", "finalized_number"]
    )
    op.create_index("ix_payroll_run_status", "payroll_run", ["status", "tenant_id"])
    op.create_index(
        "uq_payroll_run_place",
        "payroll_run",
        ["tenant_id", "pay_group", "period", "kind", "sequence", "live"],
        unique=True,
    )
    op.create_table(
        "run_lease",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("run_id", Id, nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("worker_id", Code(100), nullable=False),
        sa.Column("lease_until", Instant),
        sa.Column("requested_time", Instant, nullable=False),
        sa.Column("source_positions", Code(1000), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "run_id", name="pk_run_lease"),
    )
    op.create_table(
        "run_chunk",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("run_id", Id, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("chunk_no", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("after_id", Id),
        sa.Column("last_id", Id),
        sa.Column("last", sa.Boolean, nullable=False),
        sa.Column("facts_hash", Digest(), nullable=False),
        sa.Column("results_hash", Digest(), nullable=False),
        sa.Column("payslip_count", sa.Integer, nullable=False),
        sa.Column("blocked_count", sa.Integer, nullable=False),
        sa.Column("gross_minor", sa.BigInteger, nullable=False),
        sa.Column("net_minor", sa.BigInteger, nullable=False),
        sa.Column("employer_cost_minor", sa.BigInteger, nullable=False),
        sa.Column("sums", Document(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "run_id", "attempt", "chunk_no", name="pk_run_chunk"),
    )
    op.create_table(
        "payslip",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("run_id", Id, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("employee_id", Id, nullable=False),
        sa.Column("payslip_id", Id, nullable=False),
        sa.Column("gross_minor", sa.BigInteger, nullable=False),
        sa.Column("net_minor", sa.BigInteger, nullable=False),
        sa.Column("employer_cost_minor", sa.BigInteger, nullable=False),
        sa.Column("deductions_minor", sa.BigInteger, nullable=False),
        sa.Column("predecessor_id", Id),
        sa.Column("content_hash", Digest(), nullable=False),
        sa.Column("known_at", Instant, nullable=False),
        sa.Column("inputs", Document(), nullable=False),
        sa.Column("lines", Document(), nullable=False),
        sa.Column("year_to_date", Document(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "run_id", "attempt", "employee_id", name="pk_payslip"),
    )
    op.create_index("uq_payslip_id", "payslip", ["tenant_id", "payslip_id"], unique=True)
    op.create_table(
        "payslip_slot",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("employee_id", Id, nullable=False),
        sa.Column("slot_id", Id, nullable=False),
        sa.Column("run_id", Id, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "employee_id", "slot_id", name="pk_payslip_slot"),
    )
    op.create_table(
        "payslip_range",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("assignment_id", Id, nullable=False),
        sa.Column("component", Code(40), nullable=False),
        sa.Column("start_date", sa.Date, nullable=False),
        sa.Column("end_date", sa.Date, nullable=False),
        sa.Column("run_id", Id, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("employee_id", Id, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "assignment_id", "component", "start_date", name="pk_payslip_range"),
    )
    op.create_table(
        "blocker",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("run_id", Id, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("employee_id", Id, nullable=False),
        sa.Column("ordinal", sa.SmallInteger, nullable=False, autoincrement=False),
        sa.Column("reason", Code(60), nullable=False),
        sa.Column("message", sa.String(500), nullable=False),
        sa.Column("subject", Code(100), nullable=False),
        sa.Column("deferred", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "run_id", "attempt", "employee_id", "ordinal", name="pk_blocker"),
    )
    op.create_table(
        "stale_payslip",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("run_id", Id, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("employee_id", Id, nullable=False),
        sa.Column("reasons", Code(2000), nullable=False),
        sa.Column("left_to_retro", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "run_id", "attempt", "employee_id", name="pk_stale_payslip"),
    )
    op.create_table(
        "component_total",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("run_id", Id, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("component", Code(40), nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("line_count", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "run_id", "attempt", "component", name="pk_component_total"),
    )
    op.create_table(
        "pay_input",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("pay_input_id", Id, nullable=False),
        sa.Column("employee_id", Id, nullable=False),
        sa.Column("pay_group", Code(40), nullable=False),
        sa.Column("period", Code(10), nullable=False),
        sa.Column("run_kind", Code(12), nullable=False),
        sa.Column("component", Code(40), nullable=False),
        sa.Column("currency", Code(3), nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("quantity", ExactDecimal(18, 6)),
        sa.Column("reason", sa.String(500), nullable=False),
        sa.Column("cancelled", sa.Boolean, nullable=False),
        sa.Column("run_id", Id),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "pay_input_id", name="pk_pay_input"),
    )
    op.create_index("ix_pay_input_employee", "pay_input", ["tenant_id", "employee_id", "pay_input_id"])
    op.create_index("ix_pay_input_place", "pay_input", ["tenant_id", "pay_group", "period", "run_kind", "employee_id"])
