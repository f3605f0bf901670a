"""Invitations of people of other workspaces are kept, so that they can be seen and withdrawn."""

import sqlalchemy as sa
from alembic import op

revision = "projects_0002"
down_revision = "projects_0001"


def upgrade() -> None:
    op.create_table(
        "partner_invitation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organization_id", sa.Integer(), nullable=False),
        sa.Column("workspace", sa.String(63), nullable=False),
        sa.Column("username", sa.String(64), nullable=False),
        sa.Column("role", sa.String(10), nullable=False),
        sa.Column("inviter_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["tenantry_organization.id"],
            name="fk_partner_invitation_organization_id_tenantry_organization",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["inviter_id"],
            ["tenantry_user.id"],
            name="fk_partner_invitation_inviter_id_tenantry_user",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_partner_invitation"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_partner_invitation_organization_id", "partner_invitation", ["organization_id"])


def downgrade() -> None:
    op.drop_table("partner_invitation")
