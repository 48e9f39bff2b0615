"""Endpoints with secrets and lanes; messages, deliveries and attempts."""

import sqlalchemy as sa
from alembic import op

from chassis.columns import Code, Document, Id, Instant
from chassis.migrations import create_plumbing

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Expand only."""
    create_plumbing(op)
    op.create_table(
        "webhook_endpoint",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("endpoint_id", Id, nullable=False),
        sa.Column("url_sealed", sa.LargeBinary(2000), nullable=False),
        sa.Column("description", sa.String(200), nullable=False),
        sa.Column("event_types", Document(), nullable=False),
        sa.Column("status", Code(10), nullable=False),
        sa.Column("because", Code(10)),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("created_time", Instant, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "endpoint_id", name="pk_webhook_endpoint"),
    )
    op.create_index("ix_webhook_endpoint_status_tenant_id", "webhook_endpoint", ["status", "tenant_id"])
    op.create_table(
        "webhook_secret",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("endpoint_id", Id, nullable=False),
        sa.Column("secret_id", Id, nullable=False),
        sa.Column("key_sealed", sa.LargeBinary(1000), nullable=False),
        sa.Column("created_time", Instant, nullable=False),
        sa.Column("expire_time", Instant),
        sa.PrimaryKeyConstraint("tenant_id", "endpoint_id", "secret_id", name="pk_webhook_secret"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "endpoint_id"],
            ["webhook_endpoint.tenant_id", "webhook_endpoint.endpoint_id"],
            name="fk_webhook_secret_tenant_id_endpoint_id",
        ),
    )
    op.create_table(
        "webhook_lane",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("endpoint_id", Id, nullable=False),
        sa.Column("due_time", Instant),
        sa.Column("lease_id", Id),
        sa.Column("failed_turns", sa.Integer, nullable=False),
        sa.Column("failing_since", Instant),
        sa.PrimaryKeyConstraint("tenant_id", "endpoint_id", name="pk_webhook_lane"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "endpoint_id"],
            ["webhook_endpoint.tenant_id", "webhook_endpoint.endpoint_id"],
            name="fk_webhook_lane_tenant_id_endpoint_id",
        ),
    )
    op.create_index("ix_webhook_lane_due_time", "webhook_lane", ["due_time", "tenant_id"])
    op.create_table(
        "webhook_message",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("event_id", Id, nullable=False),
        sa.Column("body", Document(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "event_id", name="pk_webhook_message"),
    )
    op.create_table(
        "webhook_delivery",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("delivery_id", Id, nullable=False),
        sa.Column("endpoint_id", Id, nullable=False),
        sa.Column("event_id", Id, nullable=False),
        sa.Column("event_type", Code(160), nullable=False),
        sa.Column("created_time", Instant, nullable=False),
        sa.Column("status", Code(10), nullable=False),
        sa.Column("due_time", Instant),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("last_time", Instant),
        sa.Column("last_status_code", sa.Integer),
        sa.Column("last_error", Code(20)),
        sa.Column("last_duration_ms", sa.Integer),
        sa.PrimaryKeyConstraint("tenant_id", "delivery_id", name="pk_webhook_delivery"),
    )
    op.create_index(
        "uq_webhook_delivery_tenant_id_endpoint_id",
        "webhook_delivery",
        ["tenant_id", "endpoint_id", "event_id"],
        unique=True,
    )
    op.create_index(
        "ix_webhook_delivery_due_time", "webhook_delivery", ["tenant_id", "endpoint_id", "due_time", "event_id"]
    )
    op.create_index(
        "ix_webhook_delivery_status", "webhook_delivery", ["tenant_id", "endpoint_id", "status", "event_id"]
    )
    op.create_index("ix_webhook_delivery_event_id", "webhook_delivery", ["tenant_id", "event_id"])
    op.create_index("ix_webhook_delivery_created_time", "webhook_delivery", ["created_time", "tenant_id"])
    op.create_table(
        "webhook_attempt",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("delivery_id", Id, nullable=False),
        sa.Column("attempt_id", Id, nullable=False),
        sa.Column("time", Instant, nullable=False),
        sa.Column("status_code", sa.Integer),
        sa.Column("error", Code(20)),
        sa.Column("duration_ms", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "delivery_id", "attempt_id", name="pk_webhook_attempt"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "delivery_id"],
            ["webhook_delivery.tenant_id", "webhook_delivery.delivery_id"],
            name="fk_webhook_attempt_tenant_id_delivery_id",
        ),
    )
