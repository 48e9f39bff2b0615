"""The tables that plumbing keeps in every context's own database, beside the context's."""

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, PrimaryKeyConstraint, String, Table

from chassis.columns import Code, Digest, Document, Id, Instant, tenant_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
}


def context_metadata() -> MetaData:
    """A context's metadata, with the plumbing's tables already in it."""
    metadata = MetaData(naming_convention=NAMING)
    for table in PLUMBING.tables.values():
        table.to_metadata(metadata)
    return metadata


PLUMBING = MetaData(naming_convention=NAMING)

idempotency = Table(
    "idempotency",
    PLUMBING,
    tenant_column(),
    Column("request_id", Id, primary_key=True),
    Column("operation", Code(120), nullable=False),
    Column("fingerprint", Digest(), nullable=False),
    Column("response_type", Code(160), nullable=False),
    Column("response", Document(), nullable=False),
    Column("created_time", Instant, nullable=False, index=True),
)

outbox = Table(
    "outbox",
    PLUMBING,
    tenant_column(),
    Column("event_id", Id, primary_key=True),
    Column("aggregate_type", Code(40), nullable=False),
    Column("aggregate_id", Id, nullable=False),
    Column("aggregate_version", BigInteger, nullable=False),
    Column("ordinal", Integer, nullable=False),  # several events of one version keep their order
    Column("type", Code(160), nullable=False),
    Column("occurred_time", Instant, nullable=False),
    Column("payload", Document(), nullable=False),
    Column("position", BigInteger),  # given after commit by the sequencer: gap-free within the context
    Index("uq_outbox_position", "position", unique=True),
    Index("ix_outbox_tenant_id_position", "tenant_id", "position"),
)

feed_head = Table(
    "feed_head",
    PLUMBING,
    Column("id", Integer, autoincrement=False),
    Column("position", BigInteger, nullable=False),  # its row lock lets the sequencers of all processes take turns
    Column("purged_position", BigInteger, nullable=False, server_default="0"),  # up to here entries were deleted
    PrimaryKeyConstraint("id"),
)

consumer = Table(
    "consumer",
    PLUMBING,
    Column("name", Code(80), primary_key=True),
    Column("acked_position", BigInteger, nullable=False),
    Column("lease_owner", Code(80)),
    Column("lease_until", Instant),
    Column("seen_time", Instant, nullable=False),
)

parked = Table(
    "parked",
    PLUMBING,
    Column("consumer", Code(80), primary_key=True),
    Column("event_id", Id, primary_key=True),
    Column("tenant_id", Id, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("reason", String(500), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("parked_time", Instant, nullable=False),
    Column("replay_time", Instant),  # set when an operator asked for another try
)

job_head = Table(
    "job_head",
    PLUMBING,
    Column("name", Code(60), primary_key=True),
    Column("fired_until", Instant, nullable=False),  # nominal times up to here have their runs
)

job_run = Table(
    "job_run",
    PLUMBING,
    Column("job", Code(60), primary_key=True),
    Column("nominal_time", Instant, primary_key=True),  # with the job: what fires once
    Column("state", Code(10), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("worker", Code(80)),
    Column("lease_until", Instant),
    Column("next_try_time", Instant),
    Column("started_time", Instant),
    Column("finished_time", Instant),
    Column("error", String(300)),
    Index("ix_job_run_job_state_nominal_time", "job", "state", "nominal_time"),
)

audit = Table(
    "audit",
    PLUMBING,
    tenant_column(),
    Column("audit_id", Id, primary_key=True),
    Column("recorded_time", Instant, nullable=False),
    Column("actor", Code(80), nullable=False),
    Column("on_behalf_of", Code(80)),
    Column("operation", Code(120), nullable=False),
    Column("request_id", Id),
    Column("subject", Code(80)),
    Column("reason", String(500)),
    Column("before_hash", Digest()),
    Column("after_hash", Digest()),
    Column("sequence", BigInteger),  # given by the sealer afterwards, with the chain hash
    Column("chain_hash", Digest()),
    Index("ix_audit_tenant_id_sequence", "tenant_id", "sequence"),
)

lock_row = Table(
    "lock_row",
    PLUMBING,
    tenant_column(),
    Column("name", Code(120), primary_key=True),
)
