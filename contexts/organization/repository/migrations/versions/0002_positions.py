"""Who has a position is found by an index: for headcounts, and before a position is closed."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Expand only."""
    op.create_index("ix_employee_segment_position", "employee_segment", ["tenant_id", "position"])
