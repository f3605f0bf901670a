"""Organizations and their members, events, and the answers that are kept for requests with a key."""

import sqlalchemy as sa
from alembic import op

revision = "tenantry_0003"
down_revision = "tenantry_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _organizations()
    op.create_table(
        "tenantry_event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("subject_id", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("organization_id", sa.Integer(), nullable=True),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["tenantry_organization.id"],
            name="fk_tenantry_event_organization_id_tenantry_organization",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["tenantry_user.id"], name="fk_tenantry_event_user_id_tenantry_user", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_tenantry_event"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_tenantry_event_organization_id", "tenantry_event", ["organization_id"])
    op.create_index("ix_tenantry_event_created_at", "tenantry_event", ["created_at"])
    op.create_table(
        "tenantry_kept_answer",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("headers", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tenantry_kept_answer"),
    )
    op.create_index("ix_tenantry_kept_answer_expires_at", "tenantry_kept_answer", ["expires_at"])


def _organizations() -> None:
    op.create_table(
        "tenantry_organization",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tenantry_organization"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "tenantry_membership",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organization_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(10), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["tenantry_organization.id"],
            name="fk_tenantry_membership_organization_id_tenantry_organization",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["tenantry_user.id"], name="fk_tenantry_membership_user_id_tenantry_user", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_tenantry_membership"),
        sa.UniqueConstraint("organization_id", "user_id", name="uq_tenantry_membership_organization_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_tenantry_membership_organization_id", "tenantry_membership", ["organization_id"])
    op.create_index("ix_tenantry_membership_user_id", "tenantry_membership", ["user_id"])


def downgrade() -> None:
    for table in ("kept_answer", "event", "membership", "organization"):
        op.drop_table(f"tenantry_{table}")
