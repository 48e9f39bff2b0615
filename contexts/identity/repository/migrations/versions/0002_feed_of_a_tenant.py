"""A tenant's events are found by an index, and what retention deleted is known."""

from alembic import op

from chassis.migrations import extend_plumbing

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Expand only."""
    extend_plumbing(op)
