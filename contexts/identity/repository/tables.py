"""The tables of identity: every key starts with the tenant; logins and private keys are stored sealed."""

from sqlalchemy import BigInteger, Column, Date, ForeignKeyConstraint, Index, Integer, LargeBinary, String, Table

from chassis.columns import Code, Digest, Id, Instant, tenant_column
from chassis.tables import context_metadata

metadata = context_metadata()

tenant = Table(
    "tenant",
    metadata,
    tenant_column(),
    Column("code", Code(40), nullable=False),
    Column("name", String(200), nullable=False),
    Column("home_zone", Code(64), nullable=False),
    Column("locale", Code(35), nullable=False),
    Column("currency", Code(3), nullable=False),
    Column("created_time", Instant, nullable=False),
)

account = Table(
    "account",
    metadata,
    tenant_column(),
    Column("account_id", Id, primary_key=True),
    Column("login_index", Digest(), nullable=False),  # blind: found by equality only
    Column("login_sealed", LargeBinary(1000), nullable=False),
    Column("password_hash", Code(200)),
    Column("employee_id", Id),
    Column("status", Code(10), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created_time", Instant, nullable=False),
    Index("uq_account_tenant_id_login_index", "tenant_id", "login_index", unique=True),
    Index("ix_account_tenant_id_employee_id", "tenant_id", "employee_id"),
)

account_grant = Table(
    "account_grant",
    metadata,
    tenant_column(),
    Column("account_id", Id, primary_key=True),
    Column("grant_id", Id, primary_key=True),
    Column("role", Code(20), nullable=False),
    Column("legal_entity", Code(40), nullable=False),
    Column("department", Code(40), nullable=False),
    Column("valid_from", Date, nullable=False),
    Column("valid_until", Date, nullable=False),  # 9999-12-31 = until it is revoked
    Column("granted_by", Code(80), nullable=False),
    ForeignKeyConstraint(["tenant_id", "account_id"], ["account.tenant_id", "account.account_id"]),
    Index("ix_account_grant_tenant_id_role", "tenant_id", "role"),
)

session = Table(
    "session",
    metadata,
    tenant_column(),
    Column("session_id", Id, primary_key=True),
    Column("account_id", Id, nullable=False),
    Column("secret_hash", Digest(), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("opened_time", Instant, nullable=False),
    Column("expires_time", Instant, nullable=False),
    Column("refreshed_by", Id),
    Column("ended_time", Instant),
    Column("end_reason", Code(12)),
    ForeignKeyConstraint(["tenant_id", "account_id"], ["account.tenant_id", "account.account_id"]),
    Index("ix_session_tenant_id_account_id", "tenant_id", "account_id"),
)

sign_in_tries = Table(
    "sign_in_tries",
    metadata,
    tenant_column(),
    Column("login_index", Digest(), primary_key=True),
    Column("since", Instant, nullable=False),
    Column("count", Integer, nullable=False),
    Index("ix_sign_in_tries_tenant_id_since", "tenant_id", "since"),
)

signing_key = Table(
    "signing_key",
    metadata,
    tenant_column(),
    Column("kid", Code(64), primary_key=True),
    Column("x", Code(43), nullable=False),
    Column("y", Code(43), nullable=False),
    Column("private_sealed", LargeBinary(1000), nullable=False),
    Column("active_time", Instant, nullable=False),
    Column("expire_time", Instant),
)
