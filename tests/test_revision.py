"""Writing a blueprint's next revision: for an author, who changes the models and asks for the file."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tenantry import Platform, db
from tenantry.cli import main
from tenantry.provisioning import provision

Write = Callable[[str, str], Path]
BLUEPRINT = "from flask import Blueprint\nfrom . import models\nbp = Blueprint('{0}', __name__, url_prefix='/{0}')\n"
MODELS = """
from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column
from tenantry import db


class Note(db.Model):
    __tablename__ = "written_note"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(String(80))
"""


class Author:
    """Edits models and asks for revisions. Each edit is a new process's, so the models are imported anew."""

    def __init__(self, folder: Path, package: str, write: Write) -> None:
        self.folder, self.package, self._write = folder, package, write
        write(f"{package}/notes/__init__.py", BLUEPRINT.format("notes"))
        write("tenants.toml", f'[platform]\nblueprints = "{package}"\n[tenants.acme]\npath = "/acme"\n')
        self.models(MODELS)

    def models(self, text: str, blueprint: str = "notes") -> None:
        self._write(f"{self.package}/{blueprint}/models.py", text)
        self.forget()

    def forget(self) -> None:
        for name in [name for name in sys.modules if name.startswith(f"{self.package}.")]:
            del sys.modules[name]
        for mapper in [m for m in db.Model.registry.mappers if m.class_.__module__.startswith(self.package)]:
            db.Model.metadata.remove(mapper.local_table)  # type: ignore[arg-type]  # they are tables
            mapper.class_.registry._dispose_cls(mapper.class_)
            mapper._set_dispose_flags()

    def revision(self, blueprint: str = "notes", words: str = "What it does") -> Result:
        return CliRunner().invoke(
            main, ["--config", str(self.folder / "tenants.toml"), "revision", blueprint, "-m", words]
        )

    def file(self, number: int, blueprint: str = "notes") -> Path:
        return self.folder / self.package / blueprint / "migrations" / f"{blueprint}_{number:04}.py"

    def columns(self, table: str) -> list[str]:
        platform = Platform.from_file(self.folder / "tenants.toml")
        provision(platform, platform.registry["acme"])
        platform.databases.close_idle()
        with closing(sqlite3.connect(platform.registry["acme"].database_file)) as connection:
            return [name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))]


@pytest.fixture
def author(tmp_path: Path, package: str, write: Write) -> Iterator[Author]:
    made = Author(tmp_path, package, write)
    yield made
    made.forget()


def test_the_first_revision_makes_the_blueprints_tables(author: Author) -> None:
    done = author.revision(words='Notes of "all"')
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[0].endswith("notes/migrations/notes_0001.py.")
    assert done.output.splitlines()[1:] == ["It only adds to the tables, so tenants are served while it is applied."]
    text = author.file(1).read_text()
    assert text.startswith('"""Notes of \'all\'."""\n\nimport sqlalchemy as sa\n')
    assert 'revision = "notes_0001"\ndown_revision = None\nbranch_labels = ("notes",)\ndepends_on = None\n' in text
    assert (
        '    op.create_table(\n        "written_note",\n        sa.Column("id", sa.Integer(), nullable=False),' in text
    )
    assert author.columns("written_note") == ["id", "text"]
    again = author.revision()
    assert (again.exit_code, author.file(2).exists()) == (0, False)
    assert "The tables of 'notes' are as its models say: there is nothing to write." in again.output


def test_the_next_one_follows_it_and_needs_those_of_others(author: Author) -> None:
    author.revision()
    owner = (
        '    organization_id: Mapped[int | None] = mapped_column(ForeignKey("tenantry_organization.id"), index=True)\n'
    )
    author.models(MODELS + owner)
    done = author.revision(words="Notes of organizations.")
    assert done.exit_code == 0, done.output
    text = author.file(2).read_text()
    assert text.startswith('"""Notes of organizations."""\n')
    assert 'revision = "notes_0002"\ndown_revision = "notes_0001"\nbranch_labels = None\n' in text
    assert 'depends_on = "tenantry_0003"\n' in text
    assert author.columns("written_note") == ["id", "text", "organization_id"]


def test_what_does_more_than_add_is_said_in_the_file_too(author: Author) -> None:
    author.revision()
    author.models(MODELS.replace("    text: Mapped[str] = mapped_column(String(80))\n", "    n: Mapped[int | None]\n"))
    done = author.revision()
    assert done.exit_code == 0
    assert "It does more than add to the tables: column written_note.text is gone." in done.output
    said = '"""What it does.\n\nIt does more than add to the tables: column written_note.text is gone. See docs/'
    assert author.file(2).read_text().startswith(said)


def test_only_the_blueprints_own_tables_are_looked_at(author: Author, write: Write) -> None:
    write(f"{author.package}/other/__init__.py", BLUEPRINT.format("other"))
    author.models(MODELS.replace("written_note", "written_other").replace("Note", "Other"), "other")
    author.revision()
    assert "written_other" not in author.file(1).read_text()
    assert author.revision("other").exit_code == 0
    assert "written_note" not in author.file(1, "other").read_text()
    assert author.columns("written_other") == ["id", "text"]


def test_a_table_that_no_model_has_any_more_is_dropped(author: Author) -> None:
    author.revision()
    author.models("")
    done = author.revision(words="No notes")
    assert "table written_note is gone" in done.output
    assert 'op.drop_table("written_note")' in author.file(2).read_text()


def test_the_shipped_blueprints_have_nothing_to_write(site: Path) -> None:
    for name in ("sections", "projects", "demo"):
        done = CliRunner().invoke(main, ["--config", str(site / "tenants.toml"), "revision", name, "-m", "x"])
        assert f"The tables of '{name}' are as its models say" in done.output


def test_a_revision_that_does_not_run_is_told(author: Author, write: Write) -> None:
    author.models(MODELS + '    other_id: Mapped[int] = mapped_column(ForeignKey("written_nowhere.id"))\n')
    done = author.revision()
    assert done.exit_code == 1
    assert "written_nowhere" in done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("nots", "-m", "x"), 1, "There is no blueprint 'nots'; did you mean 'notes'?"),
        (("qqq", "-m", "x"), 1, "There is no blueprint 'qqq'; expected one of notes"),
        (("notes",), 2, "Missing option '-m'"),
        ((), 2, "Missing argument 'BLUEPRINT'"),
    ],
    ids=["near", "far", "no words", "nothing"],
)
def test_a_wrong_command_line_is_told(author: Author, arguments: tuple[str, ...], status: int, says: str) -> None:
    done = CliRunner().invoke(main, ["--config", str(author.folder / "tenants.toml"), "revision", *arguments])
    assert (done.exit_code, says in done.output) == (status, True), done.output


def test_two_ends_are_told(author: Author) -> None:
    author.revision()
    for name in "ab":
        other = author.file(1).read_text().replace('"notes_0001"', f'"notes_{name}"')
        other = other.replace("down_revision = None", 'down_revision = "notes_0001"').replace('("notes",)', "None")
        author.file(1).with_name(f"notes_{name}.py").write_text(other.split("def upgrade")[0] + "def upgrade(): pass\n")
    author.models(MODELS + "    n: Mapped[int | None]\n")
    done = author.revision()
    assert done.exit_code == 1
    assert "The revisions of 'notes' have 2 ends: notes_a, notes_b" in done.output
    assert not author.file(2).exists()


def test_the_home_of_an_applications_own_alembic_is_left_alone(author: Author, write: Write) -> None:
    write(f"{author.package}/notes/migrations/env.py", "")
    done = author.revision()
    assert (done.exit_code, "has an env.py" in done.output) == (1, True)
