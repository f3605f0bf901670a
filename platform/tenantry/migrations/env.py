"""Alembic's entry: it runs on the connection that ``schema_versions.py`` hands over, for one tenant at a time."""

from alembic import context

from tenantry.db import Model

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Model.metadata,
    render_as_batch=True,  # SQLite alters a table by making it anew
)
with context.begin_transaction():
    context.run_migrations()
