"""Badges by which terminals name people, and how far a terminal's clock was off."""

import sqlalchemy as sa
from alembic import op

from chassis.columns import Code, Document, Id, Instant

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Expand only."""
    op.create_table(
        "badge",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("badge_number", Code(40), nullable=False),
        sa.Column("employee_id", Id),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("record_time", Instant, nullable=False),
        sa.Column("holdings", Document(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "badge_number", name="pk_badge"),
    )
    op.create_index("ix_badge_employee", "badge", ["tenant_id", "employee_id", "badge_number"])
    op.add_column("punch", sa.Column("clock_skew_seconds", sa.BigInteger))
