"""The blank database, of which new tenants get a copy: the same tables, and made anew where it does not fit."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import dying
import pytest

from tenantry.app import Platform
from tenantry.provisioning import create_database, take_possession

Write = Callable[[str, str], Path]


@pytest.fixture(autouse=True, scope="module")
def imported() -> None:
    dying.import_all()


def schema_of(folder: Path, slug: str) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(folder / "var" / "tenants" / slug / "tenant.db")) as connection:
        found = connection.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall()
        return [*found, *connection.execute("SELECT version_num, '' FROM alembic_version ORDER BY 1").fetchall()]


def deeds(folder: Path) -> set[str]:
    found = set()
    for file in (folder / "var" / "tenants").glob("*/tenant.db"):
        with closing(sqlite3.connect(file)) as connection:
            ((deed,),) = connection.execute("SELECT id FROM tenantry_deed").fetchall()
            found.add(deed)
    return found


def test_all_get_the_same_tables_and_a_deed_each(site: Path) -> None:
    dying.command(site, "provision", "acme")
    (blank,) = (site / "var" / "blank").iterdir()
    assert blank.stat().st_mode & 0o777 == 0o600
    dying.command(site, "provision", "--all")
    assert schema_of(site, "acme") == schema_of(site, "globex") == schema_of(site, "initech")
    assert len(deeds(site)) == 3
    assert list((site / "var" / "blank").iterdir()) == [blank]
    with closing(sqlite3.connect(blank)) as connection:
        assert connection.execute("SELECT count(*) FROM tenantry_deed").fetchone() == (0,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_one_that_is_missing_or_broken_is_made_anew(site: Path) -> None:
    dying.command(site, "provision", "acme")
    (blank,) = (site / "var" / "blank").iterdir()
    blank.write_bytes(b"not a database at all, and longer than a header of SQLite is" * 3)
    dying.command(site, "provision", "globex")
    blank.unlink()
    dying.command(site, "provision", "initech")
    assert schema_of(site, "acme") == schema_of(site, "globex") == schema_of(site, "initech")
    assert len(deeds(site)) == 3
    assert list((site / "var" / "blank").iterdir()) == [blank]


def test_where_it_cannot_be_kept_all_is_as_without_it(site: Path) -> None:
    (site / "var").mkdir()
    (site / "var" / "blank").write_text("a file")
    dying.command(site, "provision", "--all")
    assert schema_of(site, "acme") == schema_of(site, "globex")


def test_another_revision_makes_another_one(tmp_path: Path, write: Write, package: str) -> None:
    revision = """
    from alembic import op
    import sqlalchemy as sa

    revision = "{name}"
    down_revision = {before}
    branch_labels = {label}

    def upgrade():
        op.create_table("{table}", sa.Column("id", sa.Integer(), primary_key=True))
    """
    write(f"{package}/notes/__init__.py", 'from flask import Blueprint\nbp = Blueprint("notes", __name__)\n')
    first = revision.format(name="notes_0001", before=None, label=("notes",), table="notes_one")
    write(f"{package}/notes/migrations/notes_0001.py", first)
    doors = "".join(f'[tenants.{slug}]\npath = "/{slug}"\n' for slug in ("a", "b", "c"))
    write("tenants.toml", f'[platform]\nblueprints = "{package}"\n{doors}')
    platform = Platform.from_file(tmp_path / "tenants.toml")
    create_database(platform, platform.registry["a"])
    second = revision.format(name="notes_0002", before='"notes_0001"', label=None, table="notes_two")
    write(f"{package}/notes/migrations/notes_0002.py", second)
    platform = Platform.from_file(tmp_path / "tenants.toml")
    create_database(platform, platform.registry["b"])
    assert "notes_two" not in dict(schema_of(tmp_path, "a"))
    assert "notes_two" in dict(schema_of(tmp_path, "b"))
    take_possession(platform, platform.registry["b"])
    with pytest.raises(Exception, match="tenantry"):  # it is told to bring it up to date
        take_possession(platform, platform.registry["a"])
    kept = list((tmp_path / "var" / "blank").iterdir())
    assert len(kept) == 2, "a process with the code of before may want its own still"
    for file in kept:
        os.utime(file, (time.time() - 86_500,) * 2)
    third = revision.format(name="notes_0003", before='"notes_0002"', label=None, table="notes_three")
    write(f"{package}/notes/migrations/notes_0003.py", third)
    create_database(
        Platform.from_file(tmp_path / "tenants.toml"), Platform.from_file(tmp_path / "tenants.toml").registry["c"]
    )
    (new,) = (tmp_path / "var" / "blank").iterdir()
    assert new not in kept, "those that are older than a day are gone"


def test_one_that_goes_while_we_run_is_made_anew(site: Path) -> None:
    platform = Platform.from_file(site / "tenants.toml")
    create_database(platform, platform.registry["acme"])
    assert platform.blank.versions
    shutil.rmtree(site / "var" / "blank")
    create_database(platform, platform.registry["globex"])
    assert len(list((site / "var" / "blank").iterdir())) == 1
    create_database(platform, platform.registry["initech"])
    assert schema_of(site, "acme") == schema_of(site, "globex") == schema_of(site, "initech")
    assert len(deeds(site)) == 3
