"""What became of the net pay of final runs."""

import sqlalchemy as sa
from alembic import op

from chassis.columns import Code, Id, Instant

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Expand only."""
    op.add_column("payroll_run", sa.Column("due_count", sa.Integer, nullable=False, server_default="0"))
    op.add_column("payroll_run", sa.Column("settled_count", sa.Integer, nullable=False, server_default="0"))
    op.create_table(
        "payment",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("run_id", Id, nullable=False),
        sa.Column("employee_id", Id, nullable=False),
        sa.Column("payment_id", Id, nullable=False),
        sa.Column("status", Code(12), nullable=False),
        sa.Column("reason", sa.String(500), nullable=False),
        sa.Column("changed_time", Instant, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "run_id", "employee_id", name="pk_payment"),
    )
