"""Employees as recorded changes with their projection, and the org chart."""

import sqlalchemy as sa
from alembic import op

from chassis.columns import Code, Digest, Document, Id, Instant
from chassis.migrations import create_plumbing

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Expand only."""
    create_plumbing(op)
    op.create_table(
        "employee",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("employee_id", Id, nullable=False),
        sa.Column("employee_number", Code(40), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("last_record_time", Instant, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "employee_id", name="pk_employee"),
    )
    op.create_index("uq_employee_employee_number", "employee", ["tenant_id", "employee_number"], unique=True)
    op.create_index("ix_employee_last_record_time", "employee", ["tenant_id", "last_record_time"])
    op.create_table(
        "employee_change",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("employee_id", Id, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("change_id", Id, nullable=False),
        sa.Column("kind", Code(20), nullable=False),
        sa.Column("effective_date", sa.Date, nullable=False),
        sa.Column("record_time", Instant, nullable=False),
        sa.Column("fields", Document(), nullable=False),
        sa.Column("supersedes", Id),
        sa.Column("cancels", Document()),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("affected_from", sa.Date, nullable=False),
        sa.Column("affects_pay", sa.Boolean(create_constraint=False), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "employee_id", "version", name="pk_employee_change"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "employee_id"],
            ["employee.tenant_id", "employee.employee_id"],
            name="fk_employee_change_tenant_id_employee_id",
        ),
    )
    op.create_index("ix_employee_change_record_time", "employee_change", ["tenant_id", "record_time"])
    op.create_table(
        "employee_segment",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("employee_id", Id, nullable=False),
        sa.Column("valid_from", sa.Date, nullable=False),
        sa.Column("recorded_from", Instant, nullable=False, autoincrement=False),
        sa.Column("valid_to", sa.Date, nullable=False),
        sa.Column("recorded_to", Instant, nullable=False),
        sa.Column("employee_number", Code(40), nullable=False),
        sa.Column("legal_name", Code(200), nullable=False),
        sa.Column("search", Code(450), nullable=False),
        sa.Column("spell_start", sa.Date, nullable=False),
        sa.Column("spell_end", sa.Date, nullable=False),
        sa.Column("end_reason", Code(20)),
        sa.Column("legal_entity", Code(40), nullable=False),
        sa.Column("department", Code(40), nullable=False),
        sa.Column("position", Code(40), nullable=False),
        sa.Column("location", Code(40), nullable=False),
        sa.Column("pay_group", Code(40), nullable=False),
        sa.Column("manager_id", Id),
        sa.Column("national_id_index", Digest()),
        sa.Column("person", Document(), nullable=False),
        sa.Column("work", Document()),
        sa.Column("sealed", Document()),
        sa.PrimaryKeyConstraint("tenant_id", "employee_id", "valid_from", "recorded_from", name="pk_employee_segment"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "employee_id"],
            ["employee.tenant_id", "employee.employee_id"],
            name="fk_employee_segment_tenant_id_employee_id",
        ),
    )
    for name, columns in (
        ("pay_group", ["pay_group", "employee_id"]),
        ("department", ["department"]),
        ("manager_id", ["manager_id"]),
        ("legal_name", ["legal_name", "employee_id"]),
        ("national_id", ["national_id_index"]),
    ):
        op.create_index(f"ix_employee_segment_{name}", "employee_segment", ["tenant_id", *columns])
    op.create_table(
        "org_chart",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("publish_time", Instant),
        sa.Column("change_count", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name="pk_org_chart"),
    )
    op.create_table(
        "org_chart_change",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("kind", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("code", Code(40), nullable=False),
        sa.Column("effective_date", sa.Date, nullable=False),
        sa.Column("catalog_version", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("record_time", Instant, nullable=False),
        sa.Column("entry", Document()),
        sa.PrimaryKeyConstraint(
            "tenant_id", "kind", "code", "effective_date", "catalog_version", name="pk_org_chart_change"
        ),
    )
    op.create_index("ix_org_chart_change_catalog_version", "org_chart_change", ["tenant_id", "catalog_version"])
