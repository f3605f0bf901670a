"""The table of a tenant that was restored and is not in tenants.toml: kept beside its state until it is adopted."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit

from ..errors import StateError
from ..files import write_state_file
from ..registry import Tenant

#: Doors go together: whoever names one names all of them.
_DOORS = ("path", "hosts")


def keep_table(tenant: Tenant, table: Mapping[str, Any]) -> None:
    """Keep a tenant's table for whoever adopts it, but for the status, as it was archived when it was removed.

    :raises StateError: if it cannot be written.
    """
    kept = {key: value for key, value in table.items() if key != "status"}
    write_state_file(_file_of(tenant), tomlkit.dumps({"tenants": {tenant.slug: kept}}).encode())


def adopted_table(tenant: Tenant, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table of a tenant that is adopted: the one that was kept, if any, where nothing else is given.

    :param given: keys that overrule it.
    :raises StateError: if what was kept cannot be read.
    """
    try:
        kept = tomllib.loads(_file_of(tenant).read_text(encoding="utf-8"))["tenants"][tenant.slug]
    except FileNotFoundError:
        kept = {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StateError(f"{_file_of(tenant)} cannot be read ({error}). Mend it, or remove it by hand.") from None
    replaced = {*given, *(_DOORS if any(door in given for door in _DOORS) else ())}
    return {**{key: value for key, value in kept.items() if key not in replaced}, **given}


def drop_table(tenant: Tenant) -> None:
    """Remove the table that was kept, once it is in the file."""
    _file_of(tenant).unlink(missing_ok=True)


def _file_of(tenant: Tenant) -> Path:
    return tenant.state / "table.toml"
