"""The tables of organization."""

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Table,
)

from chassis.columns import Code, Digest, Document, Id, Instant, tenant_column
from chassis.tables import context_metadata

metadata = context_metadata()

STILL_KNOWN = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)  # `recorded_to` of what was not replaced yet

employee = Table(
    "employee",
    metadata,
    tenant_column(),
    Column("employee_id", Id, primary_key=True),
    Column("employee_number", Code(40), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("last_record_time", Instant, nullable=False),
    Index("uq_employee_employee_number", "tenant_id", "employee_number", unique=True),
    Index("ix_employee_last_record_time", "tenant_id", "last_record_time"),
)

employee_change = Table(
    "employee_change",
    metadata,
    tenant_column(),
    Column("employee_id", Id, primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("change_id", Id, nullable=False),
    Column("kind", Code(20), nullable=False),
    Column("effective_date", Date, nullable=False),
    Column("record_time", Instant, nullable=False),
    Column("fields", Document(), nullable=False),  # JSON; encrypted fields as ciphertext
    Column("supersedes", Id),
    Column("cancels", Document()),  # JSON list of change ids
    Column("reason", String(200), nullable=False),
    Column("affected_from", Date, nullable=False),
    Column("affects_pay", Boolean(create_constraint=False), nullable=False),
    ForeignKeyConstraint(["tenant_id", "employee_id"], ["employee.tenant_id", "employee.employee_id"]),
    Index("ix_employee_change_record_time", "tenant_id", "record_time"),
)

# The projection of employee_change: what holds on [valid_from, valid_to), as known in [recorded_from, recorded_to).
employee_segment = Table(
    "employee_segment",
    metadata,
    tenant_column(),
    Column("employee_id", Id, primary_key=True),
    Column("valid_from", Date, primary_key=True),
    Column("recorded_from", Instant, primary_key=True, autoincrement=False),
    Column("valid_to", Date, nullable=False),
    Column("recorded_to", Instant, nullable=False),
    Column("employee_number", Code(40), nullable=False),
    Column("legal_name", Code(200), nullable=False),
    Column("search", Code(450), nullable=False),  # number, legal and preferred name, case folded
    Column("spell_start", Date, nullable=False),  # both BEGINNING where there is no spell
    Column("spell_end", Date, nullable=False),
    Column("end_reason", Code(20)),
    Column("legal_entity", Code(40), nullable=False),
    Column("department", Code(40), nullable=False),
    Column("position", Code(40), nullable=False),
    Column("location", Code(40), nullable=False),
    Column("pay_group", Code(40), nullable=False),
    Column("manager_id", Id),
    Column("national_id_index", Digest()),
    Column("person", Document(), nullable=False),
    Column("work", Document()),
    Column("sealed", Document()),  # JSON of ciphertexts by field
    ForeignKeyConstraint(["tenant_id", "employee_id"], ["employee.tenant_id", "employee.employee_id"]),
    Index("ix_employee_segment_pay_group", "tenant_id", "pay_group", "employee_id"),
    Index("ix_employee_segment_department", "tenant_id", "department"),
    Index("ix_employee_segment_position", "tenant_id", "position"),
    Index("ix_employee_segment_manager_id", "tenant_id", "manager_id"),
    Index("ix_employee_segment_legal_name", "tenant_id", "legal_name", "employee_id"),
    Index("ix_employee_segment_national_id", "tenant_id", "national_id_index"),
)

org_chart = Table(
    "org_chart",
    metadata,
    tenant_column(),
    Column("version", BigInteger, nullable=False),
    Column("publish_time", Instant),
    Column("change_count", BigInteger, nullable=False),
)

# Append-only. What an entry says on a day at a version: the row of the latest effective_date up to the day among those
# of versions up to it; of several for one effective_date that of the highest version.
org_chart_change = Table(
    "org_chart_change",
    metadata,
    tenant_column(),
    Column("kind", Integer, primary_key=True, autoincrement=False),
    Column("code", Code(40), primary_key=True),
    Column("effective_date", Date, primary_key=True),
    Column("catalog_version", BigInteger, primary_key=True, autoincrement=False),
    Column("record_time", Instant, nullable=False),
    Column("entry", Document()),  # JSON; none where the entry is closed
    Index("ix_org_chart_change_catalog_version", "tenant_id", "catalog_version"),
)
