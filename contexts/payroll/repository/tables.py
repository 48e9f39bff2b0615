"""The tables of payroll: a payslip is one row, and what a million of them share stands once in the run."""

from sqlalchemy import BigInteger, Boolean, Column, Date, Index, Integer, SmallInteger, String, Table, false

from chassis.columns import Code, Digest, Document, ExactDecimal, Id, Instant, tenant_column
from chassis.tables import context_metadata

metadata = context_metadata()

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
    Column("kind", Code(20), primary_key=True),
    Column("code", Code(40), primary_key=True),
    Column("effective_date", Date, nullable=False),
    Column("definition", Document(), nullable=False),  # canonical JSON
    Column("published_time", Instant, nullable=False),
    Column("published_by", Code(80), nullable=False),
)

payroll_run = Table(
    "payroll_run",
    metadata,
    tenant_column(),
    Column("run_id", Id, primary_key=True),
    Column("pay_group", Code(40), nullable=False),
    Column("period", Code(10), nullable=False),
    Column("kind", Code(12), nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("live", SmallInteger),  # 1, NULL once void or reversed: then the place is free
    Column("start_date", Date, nullable=False),
    Column("end_date", Date, nullable=False),
    Column("pay_date", Date, nullable=False),
    Column("tax_year", Integer, nullable=False),
    Column("tax_period", Integer, nullable=False),
    Column("registration", Code(40), nullable=False),
    Column("currency", Code(3), nullable=False),
    Column("country", Code(2), nullable=False),
    Column("time_calendar", Code(40), nullable=False),
    Column("time_periods", Code(200), nullable=False),  # separated by commas
    Column("employee_ids", Document(), nullable=False),  # 16 bytes each
    Column("reason", String(500), nullable=False),
    Column("wanted_cutoff", Instant),
    Column("status", Code(12), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("input_cutoff", Instant),
    Column("catalog_version", BigInteger, nullable=False),
    Column("statutory_version", Code(60), nullable=False),
    Column("header", Document(), nullable=False),  # canonical JSON, part of every content hash of the attempt
    Column("payslip_count", Integer, nullable=False),
    Column("blocked_count", Integer, nullable=False),
    Column("gross_minor", BigInteger, nullable=False),
    Column("net_minor", BigInteger, nullable=False),
    Column("employer_cost_minor", BigInteger, nullable=False),
    Column("calculation_hash", Code(64), nullable=False),
    Column("preparers", Code(2000), nullable=False),  # JSON list
    Column("approved_by", Code(80), nullable=False),
    Column("finalized_number", Integer, nullable=False),
    Column("created_time", Instant, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("include_regular", Boolean, nullable=False, server_default=false()),
    Column("due_count", Integer, nullable=False, server_default="0"),
    Column("settled_count", Integer, nullable=False, server_default="0"),
    Column("reverses_id", Id),
    Column("reversed_by_id", Id),
    Column("recover_settled", Boolean, nullable=False, server_default=false()),
    Index(
        "uq_payroll_run_place", "tenant_id", "pay_group", "period", "kind", "sequence", "live", unique=True
    ),
    Index("ix_payroll_run_registration", "tenant_id", "registration", "tax_year", "finalized_number"),
    Index("ix_payroll_run_status", "status", "tenant_id"),
)  # fmt: skip

run_lease = Table(
    "run_lease",
    metadata,
    tenant_column(),
    Column("run_id", Id, primary_key=True),
    Column("fence", BigInteger, nullable=False),
    Column("worker_id", Code(100), nullable=False),
    Column("lease_until", Instant),  # by the database's clock
    Column("requested_time", Instant, nullable=False),  # when the calculation was last asked for
    Column("source_positions", Code(1000), nullable=False),  # JSON object; "" before the first claim of an attempt
    Column("trouble", String(300)),  # why the last claim was given back; NULL once a chunk was stored after it
)

run_chunk = Table(
    "run_chunk",
    metadata,
    tenant_column(),
    Column("run_id", Id, primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("chunk_no", Integer, primary_key=True, autoincrement=False),
    Column("after_id", Id),
    Column("last_id", Id),
    Column("last", Boolean, nullable=False),
    Column("facts_hash", Digest(), nullable=False),
    Column("results_hash", Digest(), nullable=False),
    Column("payslip_count", Integer, nullable=False),
    Column("blocked_count", Integer, nullable=False),
    Column("gross_minor", BigInteger, nullable=False),
    Column("net_minor", BigInteger, nullable=False),
    Column("employer_cost_minor", BigInteger, nullable=False),
    Column("sums", Document(), nullable=False),  # canonical JSON: component -> [minor units, lines]
)

payslip = Table(
    "payslip",
    metadata,
    tenant_column(),
    Column("run_id", Id, primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("employee_id", Id, primary_key=True),
    Column("payslip_id", Id, nullable=False),
    Column("gross_minor", BigInteger, nullable=False),
    Column("net_minor", BigInteger, nullable=False),
    Column("employer_cost_minor", BigInteger, nullable=False),
    Column("deductions_minor", BigInteger, nullable=False),
    Column("predecessor_id", Id),
    Column("content_hash", Digest(), nullable=False),
    Column("known_at", Instant, nullable=False),
    Column("inputs", Document(), nullable=False),  # canonical JSON, never encoded again
    Column("lines", Document(), nullable=False),
    Column("year_to_date", Document(), nullable=False),
    Index("uq_payslip_id", "tenant_id", "payslip_id", unique=True),
)

payslip_slot = Table(
    "payslip_slot",
    metadata,
    tenant_column(),
    Column("employee_id", Id, primary_key=True),
    Column("slot_id", Id, primary_key=True),  # derived from registration, pay group, period, kind and sequence
    Column("run_id", Id, nullable=False),
)

payslip_range = Table(
    "payslip_range",
    metadata,
    tenant_column(),
    Column("assignment_id", Id, primary_key=True),
    Column("component", Code(40), primary_key=True),
    Column("start_date", Date, primary_key=True),
    Column("end_date", Date, nullable=False),
    Column("run_id", Id, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("employee_id", Id, nullable=False),
)

blocker = Table(
    "blocker",
    metadata,
    tenant_column(),
    Column("run_id", Id, primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("employee_id", Id, primary_key=True),
    Column("ordinal", SmallInteger, primary_key=True, autoincrement=False),
    Column("reason", Code(60), nullable=False),
    Column("message", String(500), nullable=False),
    Column("subject", Code(100), nullable=False),
    Column("deferred", Boolean, nullable=False),
)

stale_payslip = Table(
    "stale_payslip",
    metadata,
    tenant_column(),
    Column("run_id", Id, primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("employee_id", Id, primary_key=True),
    Column("reasons", Code(2000), nullable=False),  # separated by commas, oldest first
    Column("left_to_retro", Boolean, nullable=False),
)

# Who was calculated again after the cut-off, also those who have no payslip now.
recalculation = Table(
    "recalculation",
    metadata,
    tenant_column(),
    Column("run_id", Id, primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("employee_id", Id, primary_key=True),
    Column("known_at", Instant, nullable=False),
)

component_total = Table(
    "component_total",
    metadata,
    tenant_column(),
    Column("run_id", Id, primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("component", Code(40), primary_key=True),
    Column("amount_minor", BigInteger, nullable=False),
    Column("line_count", Integer, nullable=False),
)

# Superseded by net_payment, which took its rows; nothing is written to it any more.
payment = Table(
    "payment",
    metadata,
    tenant_column(),
    Column("run_id", Id, primary_key=True),
    Column("employee_id", Id, primary_key=True),
    Column("payment_id", Id, nullable=False),
    Column("status", Code(12), nullable=False),  # SETTLED or RETURNED; a pending payment has no row
    Column("reason", String(500), nullable=False),
    Column("changed_time", Instant, nullable=False),
)

net_payment = Table(
    "net_payment",
    metadata,
    tenant_column(),
    Column("run_id", Id, primary_key=True),
    Column("employee_id", Id, primary_key=True),
    Column("split", SmallInteger, primary_key=True, autoincrement=False),
    Column("payment_id", Id, nullable=False),
    Column("issue", Integer, nullable=False),  # rises with each arrangement
    Column("amount_minor", BigInteger, nullable=False),
    Column("account", SmallInteger, nullable=False),  # place among the employee's bank accounts; 0 for none
    Column("accounts_known_at", Instant),  # NULL before it is arranged
    Column("status", Code(12), nullable=False),
    Column("reason", String(500), nullable=False),
    Column("changed_time", Instant, nullable=False),
    Index("ix_net_payment_id", "tenant_id", "payment_id"),
)

pay_input = Table(
    "pay_input",
    metadata,
    tenant_column(),
    Column("pay_input_id", Id, primary_key=True),
    Column("employee_id", Id, nullable=False),
    Column("pay_group", Code(40), nullable=False),
    Column("period", Code(10), nullable=False),
    Column("run_kind", Code(12), nullable=False),
    Column("component", Code(40), nullable=False),
    Column("currency", Code(3), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("quantity", ExactDecimal(18, 6)),
    Column("reason", String(500), nullable=False),
    Column("cancelled", Boolean, nullable=False),
    Column("run_id", Id),  # the run that took it
    Column("version", BigInteger, nullable=False),
    Column("recurring", Boolean, nullable=False, server_default=false()),
    Column("first_period", Code(10), nullable=False, server_default=""),  # of a recurring one, whose period is EVERY
    Column("last_period", Code(10), nullable=False, server_default=""),  # "" = no end
    Index("ix_pay_input_place", "tenant_id", "pay_group", "period", "run_kind", "employee_id"),
    Index("ix_pay_input_employee", "tenant_id", "employee_id", "pay_input_id"),
)
