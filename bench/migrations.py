"""P11: migrating a thousand SQLite tenants, from the command line, beside the loop that one would write instead.

The loop is one process that opens an engine for each tenant and lets Alembic upgrade it, as Alembic's own template for
``env.py`` does. Both run the same revisions, the shipped blueprints' and those of one more, on copies of the same
files.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from shutil import copytree, rmtree
from tempfile import TemporaryDirectory
from typing import Any

from .common import ROOT, load_average, ratios, spread, write
from .servers import environment

#: How many tenants there are.
TENANTS = 1_000
#: How often everything is measured, the sides in turn.
ROUNDS = 3

_BLUEPRINTS = ("blueprints.sections", "blueprints.projects", "goods.shop")
_REVISION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "shop_{number}", {down!r}, {labels!r}, None


def upgrade():
    {body}
"""
#: What each revision does: the first is there from the beginning, two only add, and the last does more.
_BODIES = (
    "op.create_table('shop', sa.Column('id', sa.Integer(), primary_key=True), sa.Column('n', sa.Integer()))",
    "op.add_column('shop', sa.Column('title', sa.String(80)))",
    "op.create_table('ware', sa.Column('id', sa.Integer(), primary_key=True), sa.Column('n', sa.Integer()))",
    "op.drop_column('shop', 'n')",
)
_ENV = """
from alembic import context
from sqlalchemy import create_engine, pool

engine = create_engine(context.config.get_main_option("sqlalchemy.url"), poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""


def run(tenants: int = TENANTS, rounds: int = ROUNDS) -> dict[str, Any]:
    """Measure both sides and keep the result, in seconds for the whole command."""
    load_before = load_average()
    taken: dict[str, dict[str, list[float]]] = {side: {} for side in _COMMANDS}
    with TemporaryDirectory() as name:
        folder = Path(name)
        print(f"migrations: making {tenants:,} tenants", flush=True)
        _make(folder, tenants)
        for number in range(rounds):
            print(f"migrations: round {number + 1} of {rounds}", flush=True)
            for side in reversed(_COMMANDS) if number % 2 else _COMMANDS:
                with _state(folder):
                    for case, seconds in _cases(folder, side, tenants):
                        taken[side].setdefault(case, []).append(seconds)
    times = {side: {case: spread(each, 2) for case, each in found.items()} for side, found in taken.items()}
    result = {
        "load_average_before": load_before,
        "tenants": tenants,
        "processes": 2 * (os.cpu_count() or 1),
        "seconds": times,
        "ratios": {case: ratios(times["tenantry"][case], times["loop"][case]) for case in times["loop"]},
    }
    write("migrations", result)
    return result


def _make(folder: Path, tenants: int) -> None:
    """Make the tenants with the first revision of ``goods.shop``, and the loop's ``env.py``."""
    package = folder / "goods" / "shop"
    (package / "migrations").mkdir(parents=True)
    (folder / "goods" / "__init__.py").touch()
    (package / "__init__.py").write_text("from flask import Blueprint\nbp = Blueprint('shop', __name__)\n")
    listed = ", ".join(f'"{module}:bp"' for module in _BLUEPRINTS)
    tables = "".join(f'[tenants.t{number:05}]\npath = "/t{number}"\n' for number in range(tenants))
    (folder / "tenants.toml").write_text(f"[platform]\nblueprints = [{listed}]\n{tables}")
    (folder / "loop").mkdir()
    (folder / "loop" / "env.py").write_text(_ENV)
    _use_revisions(folder, 1)
    cores = os.cpu_count() or 1
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        for done in [pool.submit(_make_part, folder, part, cores) for part in range(cores)]:
            done.result()
    (folder / "var").rename(folder / "kept")


def _make_part(folder: Path, part: int, parts: int) -> None:
    from tenantry import Platform
    from tenantry.provisioning import create_database

    platform = Platform.from_file(folder / "tenants.toml")
    for tenant in platform.registry.served()[part::parts]:
        create_database(platform, tenant)


def _use_revisions(folder: Path, count: int) -> None:
    """Let there be so many revisions of ``goods.shop``."""
    place = folder / "goods" / "shop" / "migrations"
    for number, body in enumerate(_BODIES, 1):
        file = place / f"shop_{number}.py"
        file.unlink(missing_ok=True)
        if number <= count:
            down, labels = (f"shop_{number - 1}", None) if number > 1 else (None, ("shop",))
            file.write_text(_REVISION.format(number=number, down=down, labels=labels, body=body))


@contextmanager
def _state(folder: Path) -> Iterator[None]:
    """Put the tenants back to the first revision, for one side."""
    copytree(folder / "kept", folder / "var")
    os.sync()  # or the first to wait for the disk would wait for all of these copies
    try:
        yield
    finally:
        rmtree(folder / "var")


def _cases(folder: Path, side: str, tenants: int) -> Iterator[tuple[str, float]]:
    """Give each case with the seconds that the side took."""
    _use_revisions(folder, 3)
    yield "two revisions", _time(folder, side, tenants)
    yield "nothing to do", _time(folder, side, tenants)
    if side == "tenantry":
        yield "report", _time(folder, "report", tenants)
    _use_revisions(folder, 4)
    yield "one that does more than add", _time(folder, side, tenants)


_COMMANDS = {
    "tenantry": ("-m", "tenantry.cli", "migrate", "--all"),
    "loop": ("-m", "bench.migrations_loop"),
}
_REPORT = ("-m", "tenantry.cli", "migrate", "--report")


def _time(folder: Path, side: str, tenants: int) -> float:
    paths = os.pathsep.join([str(ROOT / "platform"), str(folder), str(ROOT)])
    command = [sys.executable, *_COMMANDS.get(side, _REPORT)]
    begun = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment({"PYTHONPATH": paths}), capture_output=True, text=True)
    seconds = time.perf_counter() - begun
    assert done.returncode == 0, done.stderr
    assert str(tenants) in done.stdout, done.stdout
    return seconds


if __name__ == "__main__":
    run()
