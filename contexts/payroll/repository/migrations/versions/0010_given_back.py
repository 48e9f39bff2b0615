"""Why a run's calculation was given back."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Expand only."""
    op.add_column("run_lease", sa.Column("trouble", sa.String(300), nullable=True))
