"""The reference of tenants.toml, docs/configuration.md, written from the models: ``python -m tenantry.schema_docs``."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from .schema import LimitsTable, PlatformTable, TenantTable, described

_INTRO = """# Configuration

`tenants.toml` says who is served, where, and with what. It is checked whole before anything of it is used, and all
mistakes are told at once: `tenantry check`. This page is written from the models that check it (`make docs`).

The file has three kinds of tables: `[platform]` for the whole deployment, `[defaults]` for what tenants have in common,
and `[tenants.<slug>]` for each tenant. A slug has 1 to 63 characters of a-z, 0-9 and `-`. Files that
`[platform] include` names have `[tenants.<slug>]` tables only.

A tenant's own key replaces the default; `limits`, `overrides` and `config` are merged key by key. A tenant needs a
`path`, or `hosts`, or both. Doors are compared after folding (NFKC, lower case), and no two tenants may have one.
"""

_SECTIONS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("[platform]", PlatformTable),
    ("[defaults] and [tenants.<slug>]", TenantTable),
    ("limits", LimitsTable),
)


def markdown() -> str:
    """Return the whole page."""
    return _INTRO + "".join(_table(title, model) for title, model in _SECTIONS)


def _table(title: str, model: type[BaseModel]) -> str:
    schema = described(model)
    rows = [
        f"| `{name}` | {_kind(details, schema)} | {_default(name, model)} | {details['description']} |"
        for name, details in schema["properties"].items()
    ]
    head = "| key | value | default | |\n|---|---|---|---|\n"
    return f"\n## `{title}`\n\n{head}" + "\n".join(rows) + "\n"


def _kind(details: dict[str, Any], schema: dict[str, Any]) -> str:
    if "anyOf" in details:
        return " or ".join(_kind(each, schema) for each in details["anyOf"] if each.get("type") != "null")
    if "enum" in details or "const" in details:
        return ", ".join(f"`{value}`" for value in details.get("enum", [details.get("const")]))
    if details.get("type") == "array":
        return "list of strings"
    return {"integer": "whole number", "string": "string"}.get(str(details.get("type")), "table")


def _default(name: str, model: type[BaseModel]) -> str:
    value = model.model_fields[name].get_default(call_default_factory=True)
    if value is None or value in ("", [], {}):
        return ""
    return "" if isinstance(value, BaseModel) else f"`{json.dumps(value)}`"


if __name__ == "__main__":
    print(markdown(), end="")
