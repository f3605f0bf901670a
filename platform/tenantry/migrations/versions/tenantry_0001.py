"""The deed, a tenant's identity, and the blueprints whose first content was written."""

import sqlalchemy as sa
from alembic import op

revision = "tenantry_0001"
down_revision = None
branch_labels = ("tenantry",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tenantry_deed",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tenantry_deed"),
    )
    op.create_table(
        "tenantry_furnished",
        sa.Column("blueprint", sa.String(200), nullable=False),
        sa.Column("furnished_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("blueprint", name="pk_tenantry_furnished"),
    )


def downgrade() -> None:
    op.drop_table("tenantry_furnished")
    op.drop_table("tenantry_deed")
