"""The tables of delivery: every key starts with the tenant; addresses and secrets are stored sealed."""

from sqlalchemy import BigInteger, Column, ForeignKeyConstraint, Index, Integer, LargeBinary, String, Table

from chassis.columns import Code, Document, Id, Instant, tenant_column
from chassis.tables import context_metadata

metadata = context_metadata()

webhook_endpoint = Table(
    "webhook_endpoint",
    metadata,
    tenant_column(),
    Column("endpoint_id", Id, primary_key=True),
    Column("url_sealed", LargeBinary(2000), nullable=False),  # receivers write credentials into their paths
    Column("description", String(200), nullable=False),
    Column("event_types", Document(), nullable=False),  # lines of text
    Column("status", Code(10), nullable=False),
    Column("because", Code(10)),
    Column("version", BigInteger, nullable=False),
    Column("created_time", Instant, nullable=False),
    Index("ix_webhook_endpoint_status_tenant_id", "status", "tenant_id"),
)

webhook_secret = Table(
    "webhook_secret",
    metadata,
    tenant_column(),
    Column("endpoint_id", Id, primary_key=True),
    Column("secret_id", Id, primary_key=True),
    Column("key_sealed", LargeBinary(1000), nullable=False),
    Column("created_time", Instant, nullable=False),
    Column("expire_time", Instant),
    ForeignKeyConstraint(["tenant_id", "endpoint_id"], ["webhook_endpoint.tenant_id", "webhook_endpoint.endpoint_id"]),
)

webhook_lane = Table(
    "webhook_lane",
    metadata,
    tenant_column(),
    Column("endpoint_id", Id, primary_key=True),
    Column("due_time", Instant),  # of a held lane: when its lease is over
    Column("lease_id", Id),
    Column("failed_turns", Integer, nullable=False),
    Column("failing_since", Instant),
    ForeignKeyConstraint(["tenant_id", "endpoint_id"], ["webhook_endpoint.tenant_id", "webhook_endpoint.endpoint_id"]),
    Index("ix_webhook_lane_due_time", "due_time", "tenant_id"),
)

webhook_message = Table(
    "webhook_message",
    metadata,
    tenant_column(),
    Column("event_id", Id, primary_key=True),
    Column("body", Document(), nullable=False),
)

webhook_delivery = Table(
    "webhook_delivery",
    metadata,
    tenant_column(),
    Column("delivery_id", Id, primary_key=True),
    Column("endpoint_id", Id, nullable=False),
    Column("event_id", Id, nullable=False),
    Column("event_type", Code(160), nullable=False),
    Column("created_time", Instant, nullable=False),
    Column("status", Code(10), nullable=False),
    Column("due_time", Instant),
    Column("tries", Integer, nullable=False),
    Column("last_time", Instant),
    Column("last_status_code", Integer),
    Column("last_error", Code(20)),
    Column("last_duration_ms", Integer),
    Index("uq_webhook_delivery_tenant_id_endpoint_id", "tenant_id", "endpoint_id", "event_id", unique=True),
    Index("ix_webhook_delivery_due_time", "tenant_id", "endpoint_id", "due_time", "event_id"),
    Index("ix_webhook_delivery_status", "tenant_id", "endpoint_id", "status", "event_id"),
    Index("ix_webhook_delivery_event_id", "tenant_id", "event_id"),
    Index("ix_webhook_delivery_created_time", "created_time", "tenant_id"),
)

webhook_attempt = Table(
    "webhook_attempt",
    metadata,
    tenant_column(),
    Column("delivery_id", Id, primary_key=True),
    Column("attempt_id", Id, primary_key=True),
    Column("time", Instant, nullable=False),
    Column("status_code", Integer),
    Column("error", Code(20)),
    Column("duration_ms", Integer, nullable=False),
    ForeignKeyConstraint(["tenant_id", "delivery_id"], ["webhook_delivery.tenant_id", "webhook_delivery.delivery_id"]),
)
