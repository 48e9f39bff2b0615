"""Pay inputs that come again in every period."""

import sqlalchemy as sa
from alembic import op

from chassis.columns import Code

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Expand only."""
    op.add_column("pay_input", sa.Column("recurring", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("pay_input", sa.Column("last_period", Code(10), nullable=False, server_default=""))
    op.add_column("pay_input", sa.Column("first_period", Code(10), nullable=False, server_default=""))
