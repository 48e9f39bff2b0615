"""As known at which instant employees were calculated again."""

import sqlalchemy as sa
from alembic import op

from chassis.columns import Id, Instant

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Expand only."""
    op.create_table(
        "recalculation",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("run_id", Id, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("employee_id", Id, nullable=False),
        sa.Column("known_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "run_id", "attempt", "employee_id", name="pk_recalculation"),
    )
