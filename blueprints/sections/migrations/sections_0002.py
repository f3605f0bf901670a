"""Revisions of pages, drafts, and an index for searching."""

import sqlalchemy as sa
from alembic import op

revision = "sections_0002"
down_revision = "sections_0001"
branch_labels = None
depends_on = ("tenantry_0002",)

#: The index keeps no text of its own but reads that of the pages, and triggers tell it what has changed, whoever writes
#: (sqlite.org/fts5.html, 4.4.3). A migration that makes the table ``page`` anew must make them anew too.
_INDEX = """
CREATE VIRTUAL TABLE page_search USING fts5(
    title, body, content='page', content_rowid='id', tokenize='unicode61 remove_diacritics 2'
)
"""
_FORGET = "INSERT INTO page_search(page_search, rowid, title, body) VALUES ('delete', old.id, old.title, old.body)"
_LEARN = "INSERT INTO page_search(rowid, title, body) VALUES (new.id, new.title, new.body)"
_TRIGGERS = {
    "page_search_insert": f"AFTER INSERT ON page BEGIN {_LEARN}; END",
    "page_search_delete": f"AFTER DELETE ON page BEGIN {_FORGET}; END",
    "page_search_update": f"AFTER UPDATE OF id, title, body ON page BEGIN {_FORGET}; {_LEARN}; END",
}


def upgrade() -> None:
    op.add_column("page", sa.Column("revision", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("page", sa.Column("published_at", sa.DateTime(), nullable=True))
    op.execute("UPDATE page SET published_at = created_at")
    _make_revisions()
    _execute(_INDEX)
    for name, does in _TRIGGERS.items():
        _execute(f"CREATE TRIGGER {name} {does}")
    _execute("INSERT INTO page_search(page_search) VALUES ('rebuild')")


def _make_revisions() -> None:
    op.create_table(
        "page_revision",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("page_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("slug", sa.String(64), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("note", sa.String(200), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["page_id"], ["page.id"], name="fk_page_revision_page_id_page", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["tenantry_user.id"], name="fk_page_revision_user_id_tenantry_user", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_page_revision"),
        sa.UniqueConstraint("page_id", "number", name="uq_page_revision_page_id"),
    )
    op.execute(
        "INSERT INTO page_revision (page_id, number, slug, title, body, note, created_at) "
        "SELECT id, 1, slug, title, body, '', updated_at FROM page"
    )


def _execute(statement: str) -> None:
    op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    for name in _TRIGGERS:
        _execute(f"DROP TRIGGER {name}")
    op.drop_table("page_search")
    op.drop_table("page_revision")
    op.drop_column("page", "published_at")
    op.drop_column("page", "revision")
