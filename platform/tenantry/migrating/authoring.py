"""Writing a blueprint's next revision: what its models say, and the tables of its revisions do not have yet."""

from __future__ import annotations

import io
import re
import textwrap
import tokenize
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.operations.ops import MigrationScript
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Table
from sqlalchemy.exc import SQLAlchemyError

from ..db import Model
from ..errors import BadSetup
from ..explaining import explain
from ..imports import import_module
from ..migration_plan import new_database
from ..schema_versions import SchemaVersions
from ..structure import virtual_tables_of

if TYPE_CHECKING:
    from ..app import Platform
    from ..migration_plan import Step


@dataclass(frozen=True, slots=True)
class Written:
    """A revision that was written.

    :ivar breaks: in words, what of it does more than add to the tables.
    :ivar failure: why it does not run as it is, where it does not.
    """

    file: Path
    breaks: tuple[str, ...]
    failure: str = ""


def write_revision(platform: Platform, blueprint: str, words: str) -> Written | None:
    """Write the next revision of a blueprint. Return ``None`` where its tables are as its models say.

    :param words: what it does, for its first line.
    :raises BadSetup: if there is no such blueprint, its revisions have no one end, or its models do not fit together.
    """
    package, home = platform.blueprints.package_of(blueprint)
    for module in platform.blueprints.modules():
        import_module(module)
    author = _Author(platform.schema, blueprint, package, home / "migrations")
    script, context = author.compare()
    if script.upgrade_ops is None or script.upgrade_ops.is_empty():
        return None
    file = author.write(script, context, _sentence(words))
    try:
        step = author.with_folder().steps[file.stem]
    except Exception as error:
        return Written(file, (), explain(error))
    if step.breaks:
        said = f"It does more than add to the tables: {', '.join(step.breaks)}. See docs/operating.md, Migrations."
        said = textwrap.fill(said, 118)
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace('"""\n', f'\n\n{said}\n"""\n', 1), encoding="utf-8")
    return Written(file, step.breaks)


class _Author:
    def __init__(self, schema: SchemaVersions, blueprint: str, package: str, folder: Path) -> None:
        self._schema, self._blueprint, self._folder = schema, blueprint, folder
        if (folder / "env.py").exists():
            raise BadSetup(f"{folder} has an env.py, so it is the home of an application's own Alembic: use that one.")
        self._steps: Mapping[str, Step] = schema.plan().steps
        self._own = [step for step in self._steps.values() if step.file.parent == folder]
        made = {table for step in self._own for table in step.made}
        #: The blueprint's models, and what its revisions have made; what is FTS5's is nobody's model.
        self._models = [table for table in _models_of(package) if isinstance(table, Table)]
        self._tables = {table.name for table in self._models} | made - virtual_tables_of(schema.plan().structure)

    def compare(self) -> tuple[MigrationScript, MigrationContext]:
        """Compare the models with the tables of a new database."""
        with new_database() as connection:
            self._schema.run(connection, lambda revision: None)
            options = {"target_metadata": Model.metadata, "include_object": self._is_ours, "render_as_batch": True}
            context = MigrationContext.configure(connection, opts=options)
            try:
                return produce_migrations(context, Model.metadata), context
            except SQLAlchemyError as error:
                said = f"The models cannot be compared with the tables: {explain(error)}"
                raise BadSetup(said) from error

    def _is_ours(self, thing: Any, name: str | None, kind: str, *_: Any) -> bool:
        return (name if kind == "table" else thing.table.name) in self._tables

    def write(self, script: MigrationScript, context: MigrationContext, words: str) -> Path:
        """Write the file, and return it."""
        self._folder.mkdir(exist_ok=True)
        head = self._head()
        generated = self.with_folder().script.generate_revision(
            self._name(),
            words,
            head=head or "base",
            version_path=str(self._folder),
            branch_labels=None if head else self._blueprint,
            depends_on=self._needed(head),
            upgrades=_code(script.upgrade_ops, context),
            downgrades=_code(script.downgrade_ops, context),
        )
        if generated is None:
            raise BadSetup(f"Alembic has written nothing into {self._folder}.")
        file = Path(generated.path)
        file.write_text(_double_quoted(file.read_text(encoding="utf-8")).rstrip() + "\n", encoding="utf-8")
        return file

    def with_folder(self) -> SchemaVersions:
        """Return the revisions as they are now, with those of this folder even if it is new."""
        return SchemaVersions(tuple(dict.fromkeys((*self._schema.folders[1:], self._folder))))

    def _head(self) -> str | None:
        """Return the last of the blueprint's own revisions; ``None`` if it has none yet."""
        followed = {name for step in self._own for name in step.follows}
        ends = sorted(step.revision for step in self._own if step.revision not in followed)
        if len(ends) > 1:
            raise BadSetup(
                f"The revisions of '{self._blueprint}' have {len(ends)} ends: {', '.join(ends)}. Let one follow the "
                "other: down_revision in the later file."
            )
        return ends[0] if ends else None

    def _name(self) -> str:
        numbers = [step.revision.rpartition("_")[2] for step in self._own]
        number = max((int(each) for each in numbers if each.isdecimal()), default=len(self._own))
        return f"{self._blueprint}_{number + 1:04}"

    def _needed(self, head: str | None) -> list[str] | None:
        """Return the revisions of others that have made the tables to which ours refer, beyond those that ours know."""
        makers = {table: step.revision for step in self._steps.values() for table in step.made}
        referred = {key.column.table.name for table in self._models for key in table.foreign_keys} - self._tables
        needed = {makers[table] for table in referred if table in makers} - self._before([head] if head else [])
        return sorted(name for name in needed if name not in self._before(needed - {name})) or None

    def _before(self, names: Iterable[str]) -> set[str]:
        """Return revisions with all that they follow."""
        found: set[str] = set()
        ahead = list(names)
        while ahead:
            name = ahead.pop()
            if name not in found:
                found.add(name)
                ahead += self._steps[name].follows
        return found


def _models_of(package: str) -> list[Any]:
    mappers = Model.registry.mappers
    return [each.local_table for each in mappers if f"{each.class_.__module__}.".startswith(f"{package}.")]


def _code(operations: Any, context: MigrationContext) -> str:
    code = render_python_code(operations, render_as_batch=True, migration_context=context)
    code = re.sub(r"^    sa\.", "        sa.", code.replace(", schema=None", ""), flags=re.M)
    code = re.sub(r"create_table\((.*,)$", r"create_table(\n        \1", code, flags=re.M)
    return "\n".join(line for line in code.splitlines() if not line.strip().startswith("# ###")).strip()


def _sentence(words: str) -> str:
    line = " ".join(words.replace("\\", "/").replace('"', "'").split())
    return line if line.endswith((".", "!", "?")) else f"{line}."


def _double_quoted(source: str) -> str:
    """Write strings as the other files here have them, where nothing in them has to be changed for that."""
    lines = source.splitlines(keepends=True)
    for token in reversed(list(tokenize.generate_tokens(io.StringIO(source).readline))):
        (row, start), (_, end) = token.start, token.end
        if token.type == tokenize.STRING and token.string[0] == "'" and not set('"\\') & set(token.string):
            line = lines[row - 1]
            lines[row - 1] = f'{line[:start]}"{token.string[1:-1]}"{line[end:]}'
    return "".join(lines)
