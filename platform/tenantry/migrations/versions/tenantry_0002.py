"""Accounts, the outbox of mails, and uploaded files."""

import sqlalchemy as sa
from alembic import op

revision = "tenantry_0002"
down_revision = "tenantry_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _people()
    _access()
    op.create_table(
        "tenantry_outbox",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("message_id", sa.String(320), nullable=False),
        sa.Column("recipient", sa.String(254), nullable=False),
        sa.Column("subject", sa.String(400), nullable=False),
        sa.Column("message", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("due_at", sa.DateTime(), nullable=True),
        sa.Column("claimed_until", sa.DateTime(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(500), nullable=True),
        sa.Column("sent_at", sa.DateTime(), nullable=True),
        sa.Column("failed_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_tenantry_outbox"),
    )
    op.create_index("ix_tenantry_outbox_due_at", "tenantry_outbox", ["due_at"])
    op.create_table(
        "tenantry_upload",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("alt", sa.String(200), nullable=False),
        sa.Column("media_type", sa.String(50), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["tenantry_user.id"], name="fk_tenantry_upload_user_id_tenantry_user", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_tenantry_upload"),
    )


def _people() -> None:
    op.create_table(
        "tenantry_user",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("username", sa.String(32), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.String(200), nullable=True),
        sa.Column("role", sa.String(10), nullable=False),
        sa.Column("language", sa.String(12), nullable=True),
        sa.Column("timezone", sa.String(64), nullable=True),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("activated_at", sa.DateTime(), nullable=True),
        sa.Column("blocked_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_tenantry_user"),
        sa.UniqueConstraint("username", name="uq_tenantry_user_username"),
        sa.UniqueConstraint("email", name="uq_tenantry_user_email"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "tenantry_invitation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("role", sa.String(10), nullable=False),
        sa.Column("invited_by_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.Column("accepted_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["invited_by_id"],
            ["tenantry_user.id"],
            name="fk_tenantry_invitation_invited_by_id_tenantry_user",
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_tenantry_invitation"),
        sqlite_autoincrement=True,
    )


def _access() -> None:
    op.create_table(
        "tenantry_login",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.Column("address", sa.String(45), nullable=False),
        sa.Column("browser", sa.String(200), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["tenantry_user.id"], name="fk_tenantry_login_user_id_tenantry_user", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_tenantry_login"),
    )
    op.create_index("ix_tenantry_login_user_id", "tenantry_login", ["user_id"])
    op.create_table(
        "tenantry_token",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("scopes", sa.String(200), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["tenantry_user.id"], name="fk_tenantry_token_user_id_tenantry_user", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_tenantry_token"),
        sa.UniqueConstraint("digest", name="uq_tenantry_token_digest"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_tenantry_token_user_id", "tenantry_token", ["user_id"])
    op.create_table(
        "tenantry_attempts",
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_tenantry_attempts"),
    )
    op.create_index("ix_tenantry_attempts_expires_at", "tenantry_attempts", ["expires_at"])


def downgrade() -> None:
    for table in ("upload", "outbox", "attempts", "token", "login", "invitation", "user"):
        op.drop_table(f"tenantry_{table}")
