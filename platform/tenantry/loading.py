"""From tenants.toml, through the models of the schema, to tenants and problems.

Nothing here stops at the first mistake: each step adds to the list of problems and goes on with what is sound.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from .doors import check_slug
from .errors import Problem, did_you_mean
from .memory import Memory, Part
from .registry import Limits, Settings, Tenant
from .schema import LimitsTable, PlatformTable, TenantsFile, TenantTable
from .sources import KEPT, Sources, Stored
from .tomlfile import TomlFile

Model = TypeVar("Model", bound=BaseModel)
ENVIRONMENTS = ("development", "testing", "production")
#: How pydantic begins to say what it expected.
_SHOULD = re.compile(r"(Input|String|List|Dictionary) should (be|have) ")
#: Configuration that well-known extensions sign with; the same for two tenants, it would make one of them.
_SIGNING = {"SECRET_KEY", "WTF_CSRF_SECRET_KEY", "JWT_SECRET_KEY", "SECURITY_PASSWORD_SALT", "SECURITY_TOKEN_SALT"}
#: Tables of a tenant that are merged with those of [defaults] key by key; everything else replaces.
_MERGED = ("limits", "overrides", "config")
#: Stands for the file of what was read before, where nothing is told of it: a mistake makes all be read again.
_NOWHERE = TomlFile(Sources(Path("."), Stored({"": ""}, {})), "")


def load(
    sources: Sources, environment: str, memory: Memory | None = None
) -> tuple[Settings, dict[str, Tenant], list[Problem]]:
    """Read tenants.toml and its includes; return the settings, the sound tenants, and every problem found.

    :param memory: what was loaded before; what has not changed since is not read again.
    """
    memory = memory or Memory()
    changed = _Loader(sources, environment, memory)
    if changed.load_changes():
        return changed.settings, changed.tenants, []
    loader = _Loader(sources, environment, memory)
    try:
        return loader.load()
    except RecursionError:
        loader.problems.append(Problem(sources.main.name, "", "nested too deeply; expected tables at most three deep"))
        return loader.settings, loader.tenants, loader.problems


class _Loader:
    def __init__(self, sources: Sources, environment: str, memory: Memory) -> None:
        self.sources = sources
        self.environment = environment
        self.memory = memory
        self.problems: list[Problem] = []
        self.settings = Settings(file=sources.main)
        self.defaults: dict[str, Any] = {}
        self.tenants: dict[str, Tenant] = {}
        self.files: dict[str, TomlFile] = {}
        self._read = {sources.main.name}

    def load(self) -> tuple[Settings, dict[str, Tenant], list[Problem]]:
        with _no_collection():
            return self._load()

    def _load(self) -> tuple[Settings, dict[str, Tenant], list[Problem]]:
        self.main = TomlFile(self.sources, self.sources.main.name)
        if self._readable(self.main) and self._known_tables(self.main, tuple(TenantsFile.model_fields)):
            self._read_platform()
            self._read_defaults()
            for file in self._files():
                self._read_tenants(file)
            self._check_together()
        self.problems.sort(key=lambda problem: (problem.file != self.main.name, problem.file, problem.line or 0))
        if not self.problems:
            self.memory.keep(self.sources, self.settings, self.defaults, self.tenants)
        return self.settings, self.tenants, self.problems

    def load_changes(self) -> bool:
        """Load by reading only the tables that are new or changed; return whether that can be done, and all is well."""
        settings, parts = self.memory.settings, self.memory.parts(self.sources)
        if parts is None or settings is None or settings.environment != self.environment or not parts:
            return False
        self.settings, self.defaults = settings, self.memory.defaults
        self.files = dict.fromkeys((part.slug for part in parts), _NOWHERE)
        for part in parts:
            tenant = part.tenant or self._load_table(part)
            if tenant is None:
                return False
            self.tenants[part.slug] = tenant
        self.main = _NOWHERE
        self._check_together()
        if self.problems:
            return False
        self.memory.keep(self.sources, self.settings, self.defaults, self.tenants)
        return True

    def _load_table(self, part: Part) -> Tenant | None:
        file = TomlFile(Sources(self.sources.main, Stored({part.file: part.text}, {})), part.file)
        raw = file.data.get("tenants", {}).get(part.slug)
        try:
            check_slug(part.slug)
        except ValueError:
            return None
        return self._read_tenant(file, part.slug, raw) if file.problem is None else None

    def _readable(self, file: TomlFile) -> bool:
        if file.problem:
            self.problems.append(file.problem)
        return file.problem is None

    def _known_tables(self, file: TomlFile, known: tuple[str, ...]) -> bool:
        for key, value in file.data.items():
            if key not in known:
                expected = ", ".join(f"[{name}]" for name in known)
                hint = did_you_mean(key, known) or f"; expected {expected}"
                self.problems.append(file.problem_at([key], f"unknown key{hint}"))
            elif not isinstance(value, dict):
                self.problems.append(file.problem_at([key], f"found {_show(value)}; expected a table, [{key}]"))
                return False
        return True

    def _read_platform(self) -> None:
        if self.environment not in ENVIRONMENTS:
            hint = did_you_mean(self.environment, ENVIRONMENTS)
            message = f"is '{self.environment}'; expected {_one_of(ENVIRONMENTS)}{hint}"
            self.problems.append(Problem("environment", "TENANTRY_ENV", message))
        table = self._check(self.main, PlatformTable, self.main.data.get("platform", {}), ("platform",))
        if table:
            self.settings = self._make_settings(table)

    def _make_settings(self, table: PlatformTable) -> Settings:
        values = {name: _frozen(getattr(table, name)) for name in Settings.__dataclass_fields__ if hasattr(table, name)}
        values["state_dir"] = self.sources.root / table.state_dir
        return self.memory.same(Settings(file=self.sources.main, environment=self.environment, **values))

    def _read_defaults(self) -> None:
        raw = self.main.data.get("defaults", {})
        table = self._check(self.main, TenantTable, raw, ("defaults",))
        self.defaults = raw if table else {}

    def _files(self) -> Iterator[TomlFile]:
        yield self.main
        table = self.main.data.get("platform", {})
        patterns = table.get("include", []) if isinstance(table, dict) else []
        for pattern in patterns if isinstance(patterns, list) else []:
            if isinstance(pattern, str):
                yield from self._included(pattern)
        if self.sources.kept:
            yield from self._included_file(KEPT)

    def _included(self, pattern: str) -> Iterator[TomlFile]:
        if Path(pattern).is_absolute() or ".." in Path(pattern).parts or not pattern:
            message = f"'{pattern}' leads out of the folder; expected a pattern like 'tenants.d/*.toml'"
            self.problems.append(self.main.problem_at(("platform", "include"), message))
            return
        try:
            found = self.sources.found(pattern)
        except (ValueError, IndexError, NotImplementedError, OSError) as error:
            message = f"'{pattern}' is not a pattern ({error}); expected one like 'tenants.d/*.toml'"
            self.problems.append(self.main.problem_at(("platform", "include"), message))
            return
        if not found and "*" not in pattern:
            message = f"'{pattern}' is not there; expected a file beside {self.main.name}"
            self.problems.append(self.main.problem_at(("platform", "include"), message))
        for name in (each for each in found if each not in self._read):
            yield from self._included_file(name)

    def _included_file(self, name: str) -> Iterator[TomlFile]:
        self._read.add(name)  # two patterns may find it
        file = TomlFile(self.sources, name)
        if self._readable(file) and self._known_tables(file, ("tenants",)):
            yield file

    def _read_tenants(self, file: TomlFile) -> None:
        for slug, raw in file.data.get("tenants", {}).items():
            if slug in self.files:
                message = f"this slug stands in {self.files[slug].name} already; expected each tenant once"
                self.problems.append(file.problem_at(("tenants", slug), message))
                continue
            self.files[slug] = file
            try:
                check_slug(slug)
            except ValueError as error:
                self.problems.append(file.problem_at(("tenants", slug), str(error)))
                continue
            if tenant := self._read_tenant(file, slug, raw):
                self.tenants[slug] = tenant

    def _read_tenant(self, file: TomlFile, slug: str, raw: object) -> Tenant | None:
        where = ("tenants", slug)
        if not isinstance(raw, dict):
            self.problems.append(file.problem_at(where, f"found {_show(raw)}; expected a table, [tenants.{slug}]"))
            return None
        table = self._check(file, TenantTable, _merge(self.defaults, raw), where)
        if not table:
            return None
        if table.path is None and not table.hosts:
            hint = f'; expected path = "/{slug}", or hosts = ["{slug}.example.com"], or both'
            self.problems.append(file.problem_at(where, f"this tenant has no door{hint}"))
            return None
        return self._make_tenant(slug, table)

    def _make_tenant(self, slug: str, table: TenantTable) -> Tenant:
        values = {name: self._share(_frozen(getattr(table, name))) for name in TenantTable.model_fields}
        values["title"] = table.title or slug
        return Tenant(slug=slug, settings=self.settings, **values)

    def _share(self, value: Any) -> Any:
        """Return the first value equal to this one, so that ten thousand tenants hold one list of languages."""
        try:
            return self.memory.shared.setdefault((type(value), value), value)
        except TypeError:  # an unhashable one: a table
            return self.memory.shared.setdefault((type(value), repr(value)), value)

    def _check(self, file: TomlFile, model: type[Model], raw: object, where: tuple[str, ...]) -> Model | None:
        try:
            return model.model_validate(raw)
        except ValidationError as error:
            for location, details in _one_for_each_place(error, raw).items():
                inherited = where[0] == "tenants" and self._inherited(file, where, location)
                if not inherited:
                    self.problems.append(file.problem_at(where + location, _describe(details, model)))
            return None

    @staticmethod
    def _inherited(file: TomlFile, where: tuple[str, ...], location: tuple[str, ...]) -> bool:
        """Whether a mistake in a tenant came from [defaults], where it is reported once."""
        own: object = file.data["tenants"][where[1]]
        return bool(location) and isinstance(own, dict) and location[0] not in own

    def _check_together(self) -> None:
        if not self.files:
            message = 'no tenant stands here; expected at least one table like [tenants.acme] with path = "/acme"'
            self.problems.append(Problem(self.main.name, "tenants", message))
        self._check_doors()
        self._check_secrets()
        self._check_warm()
        self._check_partners()

    def _check_doors(self) -> None:
        owners: dict[str, str] = {}
        platform_hosts = self.settings.hosts if isinstance(self.settings.hosts, tuple) else ()
        for tenant in self.tenants.values():
            for key, door in _doors(tenant):
                if door in owners:
                    self._problem(tenant, key, f"'{door}' is the door of tenant '{owners[door]}' already")
                elif door in platform_hosts:
                    self._problem(tenant, key, f"'{door}' stands in [platform] hosts, where path doors answer")
                owners.setdefault(door, tenant.slug)
        for tenant in self.tenants.values():
            self._check_nesting(tenant, owners)

    def _check_nesting(self, tenant: Tenant, owners: Mapping[str, str]) -> None:
        """A tenant inside another's prefix must not hide a page of the outer one."""
        outer, inner = tenant.path or "", ""
        while outer.count("/") > 1:
            outer, _, segment = outer.rpartition("/")
            inner = f"/{segment}{inner}"
            parent = self.tenants.get(owners.get(outer, ""))
            if parent and segment in (*parent.sections, *parent.languages, *(parent.features or ()), "static", "-"):
                self._problem(tenant, "path", f"'{tenant.path}' would hide the page {inner}/ of tenant '{parent.slug}'")

    def _check_secrets(self) -> None:
        owners: dict[str, str] = {}
        for tenant in self.tenants.values():
            for name in _SIGNING & tenant.config.keys():
                secret = str(tenant.config[name])
                if owners.setdefault(secret, tenant.slug) != tenant.slug:
                    message = f"the same as that of tenant '{owners[secret]}'; expected one of its own, or none"
                    self._problem(tenant, f"config.{name}", message)

    def _check_warm(self) -> None:
        warm, live = self.settings.warm, self.settings.live_tenants
        named = warm if isinstance(warm, tuple) else ()
        messages = [
            f"there is no tenant '{slug}'{did_you_mean(slug, self.files) or '; expected the name of one'}"
            for slug in named
            if slug not in self.files
        ]
        if len(named) > live:
            messages.append(f"found {len(named)} tenants; expected no more than live_tenants, which is {live}")
        self.problems += [self.main.problem_at(("platform", "warm"), message) for message in messages]

    def _check_partners(self) -> None:
        for tenant in self.tenants.values():
            for slug in tenant.partners:
                if slug == tenant.slug:
                    self._problem(tenant, "partners", f"'{slug}' is the tenant itself; expected others")
                elif slug not in self.files:
                    hint = did_you_mean(slug, self.files) or "; expected the name of one"
                    self._problem(tenant, "partners", f"there is no tenant '{slug}'{hint}")

    def _problem(self, tenant: Tenant, key: str, message: str) -> None:
        keys = ("tenants", tenant.slug, *key.split("."))
        self.problems.append(self.files[tenant.slug].problem_at(keys, message))


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep Python's garbage collector away: of what is read here most is kept, and it would look at all of it often."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _doors(tenant: Tenant) -> Iterator[tuple[str, str]]:
    if tenant.path:
        yield "path", tenant.path
    for host in tenant.hosts:
        yield "hosts", host


def _merge(defaults: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**defaults, **own}
    for key in _MERGED:
        if isinstance(defaults.get(key), dict) and isinstance(own.get(key), dict):
            merged[key] = {**defaults[key], **own[key]}
    return merged


def _frozen(value: Any) -> Any:
    """Return the immutable form of a validated value, to its depths: tenants share what is equal."""
    if isinstance(value, LimitsTable):
        return Limits(**value.model_dump())
    if isinstance(value, list):
        return tuple(_frozen(each) for each in value)
    if isinstance(value, dict):
        return MappingProxyType({key: _frozen(each) for key, each in value.items()})
    return value


def _one_for_each_place(error: ValidationError, raw: object) -> dict[tuple[str, ...], ErrorDetails]:
    """Return one mistake a key. Of those from the branches of a union, the one that got furthest says most."""
    chosen: dict[tuple[str, ...], ErrorDetails] = {}
    for details in error.errors(include_url=False):
        place = _location(details, raw)
        known = chosen.get(place)
        if known is None or (known["type"] != "value_error" and details["type"] == "value_error"):
            chosen[place] = details
    return chosen


def _location(details: ErrorDetails, raw: object) -> tuple[str, ...]:
    """Return the keys that lead to a mistake, without the marks that pydantic adds for the branches of a union."""
    found: list[str] = []
    for part in details["loc"]:
        if isinstance(raw, dict) and part in raw:
            raw = raw[part]
        elif isinstance(part, int) or details["type"] in ("missing", "extra_forbidden"):
            raw = None
        else:
            continue
        if isinstance(part, str):
            found.append(part)
    return tuple(found)


def _describe(details: ErrorDetails, model: type[BaseModel]) -> str:
    kind, found, context = details["type"], details["input"], details.get("ctx", {})
    last = str(details["loc"][-1]) if details["loc"] else ""
    if kind == "extra_forbidden":
        known = (LimitsTable if len(details["loc"]) > 1 else model).model_fields
        return f"unknown key{did_you_mean(last, known) or f'; expected one of {_list(known)}'}"
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        choices = context["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        return f"found {_show(found)}; expected {_one_of(choices)}{did_you_mean(str(found), choices)}"
    if kind == "list_type" and isinstance(found, str):
        return f'found {_show(found)}; expected a list, like ["{found}"]'
    message = _SHOULD.sub("", details["msg"]).partition(" after validation")[0]
    return f"found {_show(found)}; expected {message}"


def _show(value: object) -> str:
    if isinstance(value, int) and abs(value) > 10**18:  # str() refuses numbers of more than 4,300 digits
        return "a huge number"
    text = f"'{value}'" if isinstance(value, str) else "a table" if isinstance(value, dict) else str(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _one_of(choices: object) -> str:
    return " or ".join(f"'{choice}'" for choice in choices)  # type: ignore[attr-defined]  # any iterable of names


def _list(names: Mapping[str, object]) -> str:
    return ", ".join(f"'{name}'" for name in names)
