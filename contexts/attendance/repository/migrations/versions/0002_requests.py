"""Corrections and overtime that somebody asks for are found by their id and status."""

import sqlalchemy as sa
from alembic import op

from chassis.columns import Code, Id

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Expand only."""
    op.create_table(
        "timesheet_request",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("request_id", Id, nullable=False),
        sa.Column("kind", Code(10), nullable=False),
        sa.Column("status", Code(10), nullable=False),
        sa.Column("timesheet_id", Id, nullable=False),
        sa.Column("employee_id", Id, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "request_id", name="pk_timesheet_request"),
    )
    op.create_index("ix_timesheet_request_status", "timesheet_request", ["tenant_id", "kind", "status", "request_id"])
    op.create_index(
        "ix_timesheet_request_employee", "timesheet_request", ["tenant_id", "employee_id", "kind", "request_id"]
    )
