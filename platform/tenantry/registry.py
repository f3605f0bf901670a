"""The registry: tenants.toml turned into immutable tenants, complete before anything is served.

A registry is either whole or refused: every mistake in every file is reported at once by :class:`ConfigError`. It
knows no request and no Flask.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from uuid import UUID

from .errors import ConfigError, UnknownTenant

if TYPE_CHECKING:
    from .memory import Memory
    from .sources import Sources

#: Name of the variable that chooses the configuration class; see ``environments.py``.
ENVIRONMENT = "TENANTRY_ENV"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one tenant may use: requests at once, requests a minute, MiB of body, of database, of uploads;
    requests of the API a minute, by one user."""

    concurrency: int = 4
    requests_per_minute: int = 1200
    upload_mb: int = 10
    database_mb: int = 512
    uploads_mb: int = 256
    api_per_minute: int = 600


@dataclass(frozen=True, slots=True)
class Settings:
    """The [platform] table, with its paths made absolute, and the environment that the process runs in."""

    file: Path
    blueprints: str | tuple[str, ...] = "blueprints"
    extensions: tuple[str, ...] = ()
    package: str = "tenantry"
    state_dir: Path = Path("var")
    scheme: str = "http"
    trusted_proxies: int = 0
    hosts: tuple[str, ...] | str = ("localhost", "127.0.0.1", "[::1]")
    provision: str = "auto"
    live_tenants: int = 1000
    open_databases: int = 64
    warm: tuple[str, ...] | str = ()
    redis: str = ""
    environment: str = "production"

    @property
    def root(self) -> Path:
        """The folder of tenants.toml, from which its relative paths and import strings are read."""
        return self.file.parent

    @property
    def key_file(self) -> Path:
        """The key ring."""
        return self.state_dir / "keys.json"

    @property
    def main_host(self) -> str:
        """The host name used in links to path doors."""
        return "localhost" if self.hosts == "*" or not self.hosts else self.hosts[0]


#: Settings that a process has for as long as it lives: a reload of gunicorn takes up another value, and nothing else.
LASTING = (
    "blueprints",
    "extensions",
    "package",
    "state_dir",
    "trusted_proxies",
    "open_databases",
    "redis",
    "environment",
)
#: Those of them that name code.
CODE = ("blueprints", "extensions", "package")
_EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Tenant:
    """One tenant as configured. Immutable, and small: what tenants have in common is one object for all of them.

    :ivar deed: identity of the tenant's database; ``None`` until the tenant's app is built.
    """

    slug: str
    settings: Settings = field(repr=False)
    title: str = ""
    path: str | None = None
    hosts: tuple[str, ...] = ()
    status: str = "active"
    database: str = "sqlite"
    languages: tuple[str, ...] = ("en",)
    timezone: str = "UTC"
    sign_up: str = "invitation"
    sections: tuple[str, ...] = ()
    features: tuple[str, ...] | None = None
    limits: Limits = Limits()
    overrides: Mapping[str, str] = field(default_factory=lambda: _EMPTY, repr=False)
    config: Mapping[str, Any] = field(default_factory=lambda: _EMPTY, repr=False)
    color: str = "#0b6e99"
    cors_origins: tuple[str, ...] = ()
    partners: tuple[str, ...] = ()
    deed: UUID | None = None

    @property
    def folder(self) -> Path:
        """What the tenant changes: ``tenants/<slug>/`` with its templates, static files and views."""
        return self.settings.root / "tenants" / self.slug

    @property
    def state(self) -> Path:
        """What the tenant owns: its folder in the state folder, with its database."""
        return self.settings.state_dir / "tenants" / self.slug

    @property
    def database_file(self) -> Path:
        """The tenant's SQLite database."""
        return self.state / "tenant.db"

    @property
    def canonical_host(self) -> str:
        """The host name used in links made outside a request."""
        return self.hosts[0] if self.hosts else self.settings.main_host

    @property
    def canonical_path(self) -> str:
        """The path prefix that goes with :attr:`canonical_host`; empty at a host door."""
        return "" if self.hosts else self.path or ""

    def addresses(self, port: int | None = None) -> list[str]:
        """Return the address of each door, host doors first, with ``port`` where it is not the scheme's own."""
        scheme = self.settings.scheme
        suffix = "" if port in (None, 80 if scheme == "http" else 443) else f":{port}"
        found = [f"{scheme}://{host}{suffix}/" for host in self.hosts]
        return found + ([f"{scheme}://{self.settings.main_host}{suffix}{self.path}/"] if self.path else [])


class Registry(Mapping[str, Tenant]):
    """All tenants by slug, in the order of the files. Immutable.

    :param settings: what holds for all of them.
    :param tenants: slug to tenant.
    """

    __slots__ = ("_tenants", "settings")

    def __init__(self, settings: Settings, tenants: Mapping[str, Tenant]) -> None:
        self.settings = settings
        self._tenants = dict(tenants)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Registry:
        """Read and check a tenants.toml and what it includes.

        :raises ConfigError: with all mistakes at once.
        """
        from .sources import Sources

        return cls.load(Sources(Path(path).absolute()))

    @classmethod
    def load(cls, sources: Sources, memory: Memory | None = None) -> Registry:
        """Check the files of a configuration, as they are or as they were.

        :param memory: what was loaded before, so that only what has changed since is read.
        :raises ConfigError: with all mistakes at once.
        """
        from .loading import load  # the models are not needed by those who only hold a registry

        settings, tenants, problems = load(sources, os.environ.get(ENVIRONMENT, "production"), memory)
        if problems:
            raise ConfigError(problems)
        return cls(settings, tenants)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Registry):
            return NotImplemented
        return self.settings == other.settings and self._tenants == other._tenants

    __hash__ = None  # type: ignore[assignment]  # as other mappings

    def in_place_of(self, other: Registry) -> Registry:
        """Return this registry as a process can take it up that has the other one: see :data:`LASTING`.

        Tenants that are as they were are the same objects, by which it is known that their apps still fit.
        """
        settings, before, known = self.settings, other.settings, other._tenants
        tenants = self._tenants
        if settings is not before:
            settings = replace(settings, **{name: getattr(before, name) for name in LASTING})
            settings = before if settings == before else settings
            tenants = {slug: replace(tenant, settings=settings) for slug, tenant in tenants.items()}
        return Registry(settings, {slug: _first_if_equal(known.get(slug), t) for slug, t in tenants.items()})

    def lasting_changes(self, other: Registry) -> list[str]:
        """Return the settings in which this registry differs from another one, and that only a new process takes up."""
        return [name for name in LASTING if getattr(self.settings, name) != getattr(other.settings, name)]

    @property
    def code(self) -> tuple[object, ...]:
        """What the platform names of code: its blueprints, extensions and package."""
        return tuple(getattr(self.settings, name) for name in CODE)

    def served(self) -> list[Tenant]:
        """Return the tenants that are not archived."""
        return [tenant for tenant in self._tenants.values() if tenant.status != "archived"]

    def __getitem__(self, slug: str) -> Tenant:
        try:
            return self._tenants[slug]
        except KeyError:
            raise UnknownTenant(slug, self._tenants) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._tenants)

    def __len__(self) -> int:
        return len(self._tenants)

    def __contains__(self, slug: object) -> bool:
        return slug in self._tenants

    def __repr__(self) -> str:
        return f"<Registry of {len(self)} tenants from {self.settings.file.name}>"


def _first_if_equal(first: Tenant | None, second: Tenant) -> Tenant:
    if first is None or first is second:
        return second
    # To Python 1, 1.0 and True are equal, and to an application they may not be.
    return first if first == second and repr(first.config) == repr(second.config) else second
