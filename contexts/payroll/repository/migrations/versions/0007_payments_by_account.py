"""A payment for each bank account that net pay is split over; what was recorded of payments goes with it."""

import sqlalchemy as sa
from alembic import op

from chassis.columns import Code, Id, Instant

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Expand only: the older table `payment` stays, and nothing is written to it any more."""
    op.create_table(
        "net_payment",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("run_id", Id, nullable=False),
        sa.Column("employee_id", Id, nullable=False),
        sa.Column("split", sa.SmallInteger, nullable=False, autoincrement=False),
        sa.Column("payment_id", Id, nullable=False),
        sa.Column("issue", sa.Integer, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("account", sa.SmallInteger, nullable=False),
        sa.Column("accounts_known_at", Instant),
        sa.Column("status", Code(12), nullable=False),
        sa.Column("reason", sa.String(500), nullable=False),
        sa.Column("changed_time", Instant, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "run_id", "employee_id", "split", name="pk_net_payment"),
    )
    op.create_index("ix_net_payment_id", "net_payment", ["tenant_id", "payment_id"])
    op.execute(
        "INSERT INTO net_payment (tenant_id, run_id, employee_id, split, payment_id, issue, amount_minor, account,"
        " status, reason, changed_time)"
        " SELECT p.tenant_id, p.run_id, p.employee_id, 0, p.payment_id, 0, s.net_minor, 0, p.status, p.reason,"
        " p.changed_time FROM payment p"
        " JOIN payroll_run r ON r.tenant_id = p.tenant_id AND r.run_id = p.run_id"
        " JOIN payslip s ON s.tenant_id = p.tenant_id AND s.run_id = p.run_id AND s.attempt = r.attempt"
        " AND s.employee_id = p.employee_id"
    )
