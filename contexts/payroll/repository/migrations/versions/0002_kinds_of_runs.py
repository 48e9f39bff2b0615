"""Runs of other kinds say whether they pay the regular components too."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Expand only."""
    op.add_column("payroll_run", sa.Column("include_regular", sa.Boolean, nullable=False, server_default=sa.false()))
    run = sa.table("payroll_run", sa.column("kind"), sa.column("include_regular"))
    # What these kinds paid before there was a choice.
    op.execute(run.update().where(run.c.kind.in_(("REGULAR", "TERMINATION"))).values(include_regular=sa.true()))
