"""The vocabulary of tenants.toml, as pydantic models: the one source of what may stand there.

The same models check the file, give every key its meaning, and generate ``docs/tenants.schema.json``
(``make docs``), by which editors complete and check the file while it is written.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
import unicodedata
from functools import cache
from itertools import pairwise
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from .doors import fold_host, fold_path
from .errors import did_you_mean
from .mail_config import check_mail_config

_IMPORT = re.compile(r"[^\W\d]\w*(\.[\w-]+)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
_PACKAGE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_LANGUAGE = re.compile(r"[a-z]{2,3}([-_][A-Za-z]{2,4})?")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_ENDPOINT = re.compile(r"[\w-]+(\.[\w-]+)*")
_FOLDER = re.compile(r"[^\0\r\n]+")
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")

#: Flask configuration that Tenantry sets by itself, and what to use instead.
OWNED_CONFIG = {
    "APPLICATION_ROOT": "it follows from the tenant's path",
    "SERVER_NAME": "it follows from the tenant's hosts",
    "PREFERRED_URL_SCHEME": "set [platform] scheme",
    "SESSION_COOKIE_NAME": "it is made unique to the tenant",
    "SESSION_COOKIE_PATH": "it is the door that a request came through",
    "SESSION_COOKIE_DOMAIN": "a cookie with a domain would reach other tenants",
    "SESSION_COOKIE_HTTPONLY": "it is always on",
    "SESSION_COOKIE_SECURE": "set [platform] scheme",
    "SECRET_KEY_FALLBACKS": "retired keys are kept by the key ring; see 'tenantry keys rotate'",
    "DEBUG": "use 'tenantry run'",
    "TESTING": "set TENANTRY_ENV=testing",
    "MAX_CONTENT_LENGTH": "set limits.upload_mb",
}


def _matching(pattern: re.Pattern[str], expected: str) -> AfterValidator:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(f"'{value}' does not fit; expected {expected}")
        return value

    return AfterValidator(check)


def _title(value: str) -> str:
    if not value.strip() or any(unicodedata.category(each) in ("Cc", "Zl", "Zp") for each in value):
        raise ValueError(f"{value!r} is no title; expected one line of text, without control characters")
    return value


def _database(value: str) -> str:
    if value == "sqlite":
        return value
    if value.startswith(("postgresql://", "postgres://", "postgresql+psycopg://")):
        raise ValueError("PostgreSQL is not served by this version yet; expected 'sqlite'")
    raise ValueError(f"'{value.partition('://')[0]}' is not a database that is known here; expected 'sqlite'")


def _origin(value: str) -> str:
    if value != "*" and not re.fullmatch(r"https?://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:\d{1,5})?", value):
        raise ValueError(f"'{value}' is not an origin; expected one like 'https://app.example.com', or '*'")
    return value


def _redis(value: str) -> str:
    if value and not re.fullmatch(r"(rediss?://[^/\s]+(/\d*)?|unix://\S+)(\?\S*)?", value):
        raise ValueError("this is not the address of a Redis; expected one like 'redis://localhost:6379/0'")
    return value


@cache
def _time_zone(value: str) -> str:
    try:
        return ZoneInfo(value).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        hint = did_you_mean(value, available_timezones()) or "; expected a name like 'Europe/Berlin'"
        raise ValueError(f"'{value}' is not a time zone{hint}") from None


def _unique(values: list[str]) -> list[str]:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise ValueError(f"'{value}' stands there twice; expected each once")
        seen.add(value)
    return values


def _all_or_some(value: object) -> object:
    if value != "all" and not isinstance(value, list):
        raise ValueError(f'{value!r} is neither "all" nor a list of tenants; expected one of these, like ["acme"]')
    return value


def _flask_config(values: dict[str, Any]) -> dict[str, Any]:
    for key in values:
        if not key.isupper():
            raise ValueError(f"'{key}' is not in upper case; Flask's configuration keys are, like '{key.upper()}'")
        if key in OWNED_CONFIG:
            raise ValueError(f"'{key}' is not to be set here: {OWNED_CONFIG[key]}")
    policy, hosts = values.get("CONTENT_SECURITY_POLICY", ""), values.get("TRUSTED_HOSTS", [])
    if not isinstance(policy, str) or not policy.isprintable():
        raise ValueError("CONTENT_SECURITY_POLICY does not fit in a header; expected one line of text")
    if not isinstance(hosts, list):
        raise ValueError('TRUSTED_HOSTS is not a list; expected one, like ["app.example.com"]')
    if values.get("SESSION_COOKIE_SAMESITE", "Lax") not in ("Lax", "Strict", "None"):
        raise ValueError("SESSION_COOKIE_SAMESITE is none that browsers know; expected 'Lax', 'Strict' or 'None'")
    lifetime = values.get("PERMANENT_SESSION_LIFETIME", 1)
    if not isinstance(lifetime, int) or not 0 < lifetime < 10**9:
        raise ValueError("PERMANENT_SESSION_LIFETIME is not a number of seconds; expected one like 2678400")
    secret = values.get("SECRET_KEY")
    if secret is not None and (not isinstance(secret, str) or len(secret) < 32 or len(set(secret)) < 10):
        raise ValueError(
            "SECRET_KEY is weak; expected at least 32 random characters, or leave it out to have one derived"
        )
    check_mail_config(values)
    return values


ImportString = Annotated[str, _matching(_IMPORT, "an import string like 'package.module:attribute'")]
Package = Annotated[str, _matching(_PACKAGE, "the dotted name of a package")]
Language = Annotated[
    str,
    _matching(_LANGUAGE, "a language code like 'en' or 'pt-BR'"),
    AfterValidator(lambda code: code.replace("_", "-")),
]
Name = Annotated[str, _matching(_NAME, "a lower-case name of a-z, 0-9, '-' and '_'")]
Endpoint = Annotated[str, _matching(_ENDPOINT, "an endpoint like 'front.index'")]
Host = Annotated[str, AfterValidator(fold_host)]
Hosts = Annotated[list[Host], AfterValidator(_unique)]
Origin = Annotated[str, AfterValidator(_origin)]
Names = Annotated[list[Name], AfterValidator(_unique)]


Slugs = Annotated[list[str], AfterValidator(_unique)]
Warm = Annotated[
    Annotated[list[str], AfterValidator(_unique)] | Literal["all"],
    BeforeValidator(_all_or_some),
]


class _Table(BaseModel):
    # Not use_attribute_docstrings, by which each process would read this file's source as it starts; see described().
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class LimitsTable(_Table):
    """How much of the machine one tenant may use."""

    concurrency: int = Field(default=4, ge=1, le=10_000)
    """Requests inside the tenant at once, in one worker. Checked and kept; not enforced yet."""
    requests_per_minute: int = Field(default=1200, ge=1)
    """Requests a minute, over all workers. Checked and kept; not enforced yet."""
    upload_mb: int = Field(default=10, ge=1, le=10_240)
    """Largest request body in MiB; a larger one is answered 413."""
    database_mb: int = Field(default=512, ge=1, le=1_048_576)
    """Largest size of the tenant's SQLite database in MiB; a write beyond it fails."""
    uploads_mb: int = Field(default=256, ge=1, le=1_048_576)
    """Largest size of all files that the tenant's users have uploaded, together, in MiB."""
    api_per_minute: int = Field(default=600, ge=1, le=1_000_000_000)
    """Requests of the API in a minute by one user, or one address of those who have not logged in; beyond it 429."""


class PlatformTable(_Table):
    """What holds for the whole deployment."""

    blueprints: Package | Annotated[list[ImportString], AfterValidator(_unique)] = "blueprints"
    """A package to scan, or a list of 'module:attribute' strings: each a Blueprint or a create_blueprint(tenant)."""
    extensions: Annotated[list[ImportString], AfterValidator(_unique)] = Field(default_factory=list)
    """'module:init_app' callables, run on every tenant's app by the factory, in this order."""
    package: Package = "tenantry"
    """Import name of the Flask apps: the package whose templates/ and static/ folders every tenant's app uses."""
    include: list[str] = Field(default_factory=list)
    """More files with [tenants.…] tables, as glob patterns relative to this file, e.g. 'tenants.d/*.toml'."""
    state_dir: Annotated[str, _matching(_FOLDER, "the name of a folder")] = Field(default="var", min_length=1)
    """Folder of databases, key ring and locks, relative to this file."""
    scheme: Literal["http", "https"] = "http"
    """The scheme that visitors use; 'https' switches Secure cookies, __Host- names and HSTS on."""
    trusted_proxies: int = Field(default=0, ge=0, le=10)
    """How many proxies in front may speak X-Forwarded-For and X-Forwarded-Host."""
    hosts: Hosts | Literal["*"] = Field(default_factory=lambda: ["localhost", "127.0.0.1", "[::1]"])
    """Host names at which path doors answer, the first is used in links; '*' is every name without a tenant."""
    provision: Literal["auto", "manual"] = "auto"
    """'auto': the first request to a new tenant creates its database; 'manual': only 'tenantry provision' does."""
    live_tenants: int = Field(default=1000, ge=1)
    """Tenants' apps that one worker keeps built; beyond it the least recently used one is dropped."""
    open_databases: int = Field(default=64, ge=1)
    """Idle database connections that one worker keeps open."""
    warm: Warm = Field(default_factory=list)
    """Tenants whose apps are built once, before the workers are forked, which share them; 'all' is as many as fit."""
    redis: Annotated[str, AfterValidator(_redis)] = ""
    """A Redis, as 'redis://host:6379/0', for jobs and caches on several machines; without it both are on this one."""


class TenantTable(_Table):
    """One tenant. Every key may also stand in [defaults]."""

    title: Annotated[str, AfterValidator(_title)] = Field(default="", min_length=1, max_length=200)
    """Name of the tenant as its users see it, in one line; the slug where it is left out."""
    path: Annotated[str, AfterValidator(fold_path)] | None = None
    """Path door: the prefix under which the tenant is served, e.g. '/acme'."""
    hosts: Hosts = Field(default_factory=list)
    """Host doors: exact names, each wholly the tenant's; the first is canonical, the others are aliases."""
    status: Literal["active", "read-only", "maintenance", "suspended", "archived"] = "active"
    """Whether the tenant is served. Changed by the operator; archived is as if it never was."""
    database: Annotated[str, AfterValidator(_database)] = "sqlite"
    """Where the tenant's data lives: 'sqlite', a file of its own in state_dir."""
    languages: Annotated[list[Language], AfterValidator(_unique)] = Field(default_factory=lambda: ["en"], min_length=1)
    """Languages of the tenant's pages; the first is what a visitor without a choice sees."""
    timezone: Annotated[str, AfterValidator(_time_zone)] = "UTC"
    """Time zone of dates for readers who have not chosen their own, e.g. 'Europe/Berlin'."""
    sign_up: Literal["open", "invitation", "closed"] = "invitation"
    """Who may make an account: everybody, those who were invited, or nobody but by the operator's command."""
    sections: Names = Field(default_factory=list)
    """Sections of pages, each at its own address: 'help' is at /help/."""
    features: Names | None = None
    """Blueprints that the tenant has, by name; all of them where it is left out."""
    limits: LimitsTable = LimitsTable()
    """How much of the machine the tenant may use."""
    overrides: dict[Endpoint, ImportString] = Field(default_factory=dict)
    """Single views replaced for this tenant: endpoint to import string."""
    config: Annotated[dict[str, Any], AfterValidator(_flask_config)] = Field(default_factory=dict)
    """Plain Flask configuration in upper case, for this tenant's app alone."""
    color: Annotated[str, _matching(_COLOR, "a colour like '#0b6e99'")] = "#0b6e99"
    """The tenant's colour in the shipped look."""
    cors_origins: Annotated[list[Origin], AfterValidator(_unique)] = Field(default_factory=list)
    """Origins of pages elsewhere that may use the API with a token, e.g. 'https://app.example.com'; '*' is all."""
    partners: Slugs = Field(default_factory=list)
    """Tenants that may be asked, and ask, for services of each other, by slug; both have to name the other."""


class TenantsFile(_Table):
    """tenants.toml: who is served, where, and with what."""

    platform: PlatformTable = PlatformTable()
    defaults: TenantTable = TenantTable()
    tenants: dict[str, TenantTable] = Field(default_factory=dict)


def described(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema of a model of this module, with the docstrings that stand below its keys."""
    schema, texts = model.model_json_schema(), _docstrings()
    for name, table in ((model.__name__, schema), *schema.get("$defs", {}).items()):
        for key, text in texts[name].items():
            table["properties"][key] = dict(sorted({**table["properties"][key], "description": text}.items()))
    return schema


@cache
def _docstrings() -> dict[str, dict[str, str]]:
    """Return the docstrings below the keys of each class of this module."""
    tree = ast.parse(inspect.getsource(sys.modules[__name__]))
    return {
        each.name: {
            ast.unparse(key.target): inspect.cleandoc(text.value.value)
            for key, text in pairwise(each.body)
            if isinstance(key, ast.AnnAssign)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
            and isinstance(text.value.value, str)
        }
        for each in tree.body
        if isinstance(each, ast.ClassDef)
    }


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of tenants.toml."""
    schema = described(TenantsFile)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "tenants.toml", **schema}


if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
