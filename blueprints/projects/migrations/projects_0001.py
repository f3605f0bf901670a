"""Projects, tasks and comments."""

import sqlalchemy as sa
from alembic import op

revision = "projects_0001"
down_revision = None
branch_labels = ("projects",)
depends_on = ("tenantry_0003",)


def upgrade() -> None:
    op.create_table(
        "project",
        sa.Column("id", sa.Integer(), nullable=False),
        *_owned("project"),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("archived_at", sa.DateTime(), nullable=True),
        *_user("project", "created_by_id"),
        *_times(),
        sa.PrimaryKeyConstraint("id", name="pk_project"),
        sa.UniqueConstraint("organization_id", "id", name="uq_project_organization_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_project_organization_id", "project", ["organization_id"])
    op.create_table(
        "task",
        sa.Column("id", sa.Integer(), nullable=False),
        *_owned("task"),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        *_user("task", "assignee_id"),
        sa.Column("due_on", sa.Date(), nullable=True),
        *_user("task", "created_by_id"),
        *_times(),
        _within("task", "project", "project_id"),
        sa.PrimaryKeyConstraint("id", name="pk_task"),
        sa.UniqueConstraint("organization_id", "id", name="uq_task_organization_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_task_organization_id", "task", ["organization_id"])
    op.create_index("ix_task_project_id_state", "task", ["project_id", "state"])
    op.create_index("ix_task_assignee_id", "task", ["assignee_id"])
    op.create_table(
        "task_comment",
        sa.Column("id", sa.Integer(), nullable=False),
        *_owned("task_comment"),
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        *_user("task_comment", "author_id"),
        *_times(),
        _within("task_comment", "task", "task_id"),
        sa.PrimaryKeyConstraint("id", name="pk_task_comment"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_task_comment_organization_id", "task_comment", ["organization_id"])
    op.create_index("ix_task_comment_task_id", "task_comment", ["task_id"])


def _owned(table: str) -> tuple:
    return (
        sa.Column("organization_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["tenantry_organization.id"],
            name=f"fk_{table}_organization_id_tenantry_organization",
            ondelete="CASCADE",
        ),
    )


def _within(table: str, parent: str, column: str) -> sa.ForeignKeyConstraint:
    """A row and what it belongs to are always of the same organization."""
    return sa.ForeignKeyConstraint(
        ["organization_id", column],
        [f"{parent}.organization_id", f"{parent}.id"],
        name=f"fk_{table}_{parent}",
        ondelete="CASCADE",
    )


def _user(table: str, column: str) -> tuple:
    return (
        sa.Column(column, sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            [column], ["tenantry_user.id"], name=f"fk_{table}_{column}_tenantry_user", ondelete="SET NULL"
        ),
    )


def _times() -> tuple:
    return tuple(sa.Column(name, sa.DateTime(), nullable=False) for name in ("created_at", "updated_at"))


def downgrade() -> None:
    for table in ("task_comment", "task", "project"):
        op.drop_table(table)
