"""What is noted of each revision, so that older code knows whether it may use newer tables."""

import sqlalchemy as sa
from alembic import op

revision = "tenantry_0004"
down_revision = "tenantry_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tenantry_revision",
        sa.Column("revision", sa.String(200), nullable=False),
        sa.Column("follows", sa.Text(), nullable=False),
        sa.Column("additive", sa.Boolean(), nullable=False),
        sa.Column("applied_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("revision", name="pk_tenantry_revision"),
    )


def downgrade() -> None:
    op.drop_table("tenantry_revision")
