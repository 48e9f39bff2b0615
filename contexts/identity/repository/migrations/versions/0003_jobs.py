"""Background work: what is due when, and each nominal time's run."""

from alembic import op

from chassis.migrations import extend_plumbing

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Expand only."""
    extend_plumbing(op)
