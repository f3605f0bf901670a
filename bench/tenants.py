"""Tenants by the thousand: their doors and canaries, their ``tenants.toml``, and their databases."""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

#: Every page that a tenant's own name stands in, by name, to its path within the tenant.
PAGES = {"name": "/demo/name", "template": "/demo/template", "database read": "/database/read"}
#: Answers the process id of the worker that a connection goes to.
WORKER_PAGE = "/demo/worker"
_CANARY = re.compile(rb"t\d{6}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Door:
    """One tenant from outside: the path of its door, and its canary, which no other tenant's page may hold.

    The canary is also the tenant's slug. Its end is random, so it cannot come from the path that was asked for.
    """

    path: str
    canary: str

    def address(self, page: str) -> str:
        """Return the path of one of its pages."""
        return self.path + PAGES[page]

    def is_in(self, body: bytes) -> bool:
        """Whether a page holds this tenant's canary, and no other's."""
        return set(_CANARY.findall(body)) == {self.canary.encode()}


def make_doors(count: int) -> list[Door]:
    """Return so many new tenants."""
    return [Door(f"/t{number:06d}", f"t{number:06d}-{secrets.token_hex(6)}") for number in range(count)]


def write_config(folder: Path, doors: Sequence[Door], *platform: str) -> Path:
    """Write the ``tenants.toml`` of the doors into a folder.

    As many apps are kept as there are tenants, and the limits are out of reach, so that none refuses a request.

    :param platform: more lines of the [platform] table.
    """
    folder.mkdir(exist_ok=True)
    head = [
        "[platform]",
        'blueprints = "bench.blueprints"',
        f"live_tenants = {len(doors)}",
        *platform,
        "[defaults]",
        "limits = { concurrency = 10_000, requests_per_minute = 1_000_000_000 }",
        'config = { CANARY = "{slug}" }',
    ]
    tables = [f'[tenants.{door.canary}]\npath = "{door.path}"' for door in doors]
    file = folder / "tenants.toml"
    file.write_text("\n".join([*head, *tables, ""]), encoding="utf-8")
    return file


def provision(file: Path) -> float:
    """Make the databases of all tenants, in as many processes as there are cores. Return the seconds it took."""
    started = time.perf_counter()
    cores = os.cpu_count() or 1
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        for done in [pool.submit(_provision_part, file, part, cores) for part in range(cores)]:
            done.result()
    return time.perf_counter() - started


def _provision_part(file: Path, part: int, parts: int) -> None:
    """Do what ``tenantry provision --all`` does, for every ``parts``-th tenant."""
    from tenantry import Platform
    from tenantry.provisioning import provision as provision_one

    platform = Platform.from_file(file)
    for tenant in platform.registry.served()[part::parts]:
        provision_one(platform, tenant)
