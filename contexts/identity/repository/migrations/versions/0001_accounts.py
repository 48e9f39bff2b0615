"""Accounts with grants, sessions and tries, tenants, signing keys."""

import sqlalchemy as sa
from alembic import op

from chassis.columns import Code, Digest, Id, Instant
from chassis.migrations import create_plumbing

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Expand only."""
    create_plumbing(op)
    op.create_table(
        "tenant",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("code", Code(40), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("home_zone", Code(64), nullable=False),
        sa.Column("locale", Code(35), nullable=False),
        sa.Column("currency", Code(3), nullable=False),
        sa.Column("created_time", Instant, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name="pk_tenant"),
    )
    op.create_table(
        "account",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("login_index", Digest(), nullable=False),
        sa.Column("login_sealed", sa.LargeBinary(1000), nullable=False),
        sa.Column("password_hash", Code(200)),
        sa.Column("employee_id", Id),
        sa.Column("status", Code(10), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("created_time", Instant, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "account_id", name="pk_account"),
    )
    op.create_index("uq_account_tenant_id_login_index", "account", ["tenant_id", "login_index"], unique=True)
    op.create_index("ix_account_tenant_id_employee_id", "account", ["tenant_id", "employee_id"])
    op.create_table(
        "account_grant",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("grant_id", Id, nullable=False),
        sa.Column("role", Code(20), nullable=False),
        sa.Column("legal_entity", Code(40), nullable=False),
        sa.Column("department", Code(40), nullable=False),
        sa.Column("valid_from", sa.Date, nullable=False),
        sa.Column("valid_until", sa.Date, nullable=False),
        sa.Column("granted_by", Code(80), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "account_id", "grant_id", name="pk_account_grant"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "account_id"],
            ["account.tenant_id", "account.account_id"],
            name="fk_account_grant_tenant_id_account_id",
        ),
    )
    op.create_index("ix_account_grant_tenant_id_role", "account_grant", ["tenant_id", "role"])
    op.create_table(
        "session",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("session_id", Id, nullable=False),
        sa.Column("account_id", Id, nullable=False),
        sa.Column("secret_hash", Digest(), nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("opened_time", Instant, nullable=False),
        sa.Column("expires_time", Instant, nullable=False),
        sa.Column("refreshed_by", Id),
        sa.Column("ended_time", Instant),
        sa.Column("end_reason", Code(12)),
        sa.PrimaryKeyConstraint("tenant_id", "session_id", name="pk_session"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "account_id"],
            ["account.tenant_id", "account.account_id"],
            name="fk_session_tenant_id_account_id",
        ),
    )
    op.create_index("ix_session_tenant_id_account_id", "session", ["tenant_id", "account_id"])
    op.create_table(
        "sign_in_tries",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("login_index", Digest(), nullable=False),
        sa.Column("since", Instant, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "login_index", name="pk_sign_in_tries"),
    )
    op.create_index("ix_sign_in_tries_tenant_id_since", "sign_in_tries", ["tenant_id", "since"])
    op.create_table(
        "signing_key",
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("kid", Code(64), nullable=False),
        sa.Column("x", Code(43), nullable=False),
        sa.Column("y", Code(43), nullable=False),
        sa.Column("private_sealed", sa.LargeBinary(1000), nullable=False),
        sa.Column("active_time", Instant, nullable=False),
        sa.Column("expire_time", Instant),
        sa.PrimaryKeyConstraint("tenant_id", "kid", name="pk_signing_key"),
    )
