"""Pages."""

import sqlalchemy as sa
from alembic import op

revision = "sections_0001"
down_revision = None
branch_labels = ("sections",)
depends_on = ("tenantry_0001",)


def upgrade() -> None:
    op.create_table(
        "page",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("section", sa.String(64), nullable=False),
        sa.Column("slug", sa.String(64), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_page"),
        sa.UniqueConstraint("section", "slug", name="uq_page_section"),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    op.drop_table("page")
