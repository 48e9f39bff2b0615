"""Which final run a run takes back."""

import sqlalchemy as sa
from alembic import op

from chassis.columns import Id

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Expand only."""
    op.add_column("payroll_run", sa.Column("reverses_id", Id))
    op.add_column("payroll_run", sa.Column("reversed_by_id", Id))
    op.add_column("payroll_run", sa.Column("recover_settled", sa.Boolean, nullable=False, server_default=sa.false()))
