"""What a look at the file alone cannot tell: whether everything that it names is there and fits together.

An app is put together for each distinct shape of tenant, and thrown away. Nothing is written: no database is touched,
and no key ring is made.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Hashable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

from jinja2 import TemplateSyntaxError

from .app import Platform
from .errors import Problem, TenantryError
from .explaining import explain
from .factory import assemble
from .floor_plan import FloorPlan
from .keys import Key, KeyRing
from .registry import Registry, Tenant
from .schema import PlatformTable
from .sources import Sources
from .tenant_app import TenantApp
from .tomlfile import TomlFile

_NO_DEED = UUID(int=0)
_RELOAD = (
    "[platform] names other code, which only new processes have; what tenants want of it comes with them: reload "
    "gunicorn (kill -HUP)"
)
#: A mistake: the tenant that has it, ``None`` where all have; the key that is to blame; and what is wrong.
_Mistake = tuple[Tenant | None, str, str]


def dry_platform(registry: Registry) -> Platform:
    """Return a platform that is for looking only: with keys of its own, which are never written."""
    return of_command(Platform(registry, KeyRing(registry.settings.key_file, (Key.new(0.0),))))


def of_command(platform: Platform) -> Platform:
    """Let the platforms that a command makes one after the other share compiled rules; return this one."""
    platform.floor_plan = _FLOOR_PLAN
    return platform


_FLOOR_PLAN = FloorPlan()


def dry_app(platform: Platform, tenant: Tenant) -> TenantApp:
    """Return a tenant's app without its database, to look at what it is made of."""
    return assemble(platform, tenant, _NO_DEED)


def problems_of(registry: Registry, sources: Sources, slugs: Iterable[str] | None = None) -> list[Problem]:
    """Return what is wrong beyond the files: the state folder, and all that tenants and blueprints bring.

    :param sources: the files.
    :param slugs: look at what these tenants bring, and at nothing else.
    """
    try:
        platform = dry_platform(registry)
    except TenantryError as error:
        return _placed(sources, [(None, error.key, str(error))])
    found: dict[Hashable, _Mistake] = {}
    if slugs is not None:
        _look_at(platform, [registry[slug] for slug in slugs if slug in registry], None, found)
        return _placed(sources, found.values())
    for message in _unwritable(registry.settings.state_dir):
        found[message] = (None, "state_dir", message)
    _look_at(platform, registry.values(), set(), found)
    for message in _mistakes_of_all(platform):
        found.setdefault(("", message), (None, "blueprints", message))
    return _placed(sources, found.values())


def problems_of_edit(
    platform: Platform, registry: Registry, sources: Sources, besides: Collection[str] = ()
) -> list[Problem]:
    """Return what is wrong with the tenants that an edit makes or changes, with the code that this process has.

    :param platform: what is served; nothing of it is changed.
    :param registry: what the edit would make.
    :param sources: the files that say so.
    :param besides: tenants that are not looked at.
    """
    found: dict[Hashable, _Mistake] = {}
    tenants = [tenant for tenant in changed(platform.registry, registry) if tenant.slug not in besides]
    _look_at(platform, tenants, None, found)
    problems = _placed(sources, found.values())
    return [_reloadable(problem) for problem in problems] if registry.code != platform.registry.code else problems


def problems_of_pending(before: Registry, registry: Registry, sources: Sources) -> list[Problem]:
    """Return which tenants an edit lets name code that is new, while [platform] waits for a reload to be what it says.

    :param before: what is in force.
    """
    known = code_of(before.values())
    message = f"names what the processes that serve may not have yet. {_RELOAD}"
    new = [tenant for tenant in changed(before, registry) if not code_of([tenant]) <= known]
    return _placed(sources, [(tenant, "features", message) for tenant in new])


def _reloadable(problem: Problem) -> Problem:
    is_of_code = problem.key.rpartition(".")[2] in ("features", "overrides")
    return replace(problem, message=f"{problem.message.rstrip('.')}. {_RELOAD}") if is_of_code else problem


def code_of(tenants: Iterable[Tenant]) -> set[str]:
    """Return the features and the views, as import strings, that tenants name; "" stands for all features."""
    features: set[tuple[str, ...] | None] = set()
    views: set[str] = set()
    for tenant in tenants:
        features.add(tenant.features)
        views.update(tenant.overrides.values())
    return views.union(*(("",) if each is None else each for each in features))


def changed(before: Registry, registry: Registry) -> list[Tenant]:
    """Return the tenants that an edit makes or changes."""
    after = registry.in_place_of(before)
    return [tenant for slug, tenant in after.items() if before.get(slug) is not tenant]


def _look_at(
    platform: Platform, tenants: Iterable[Tenant], read: set[Hashable] | None, found: dict[Hashable, _Mistake]
) -> None:
    """Add what is wrong with tenants to what was found; of those that are put together alike the first is looked at."""
    shapes = {_shape(tenant): tenant for tenant in reversed(list(tenants))}
    for tenant in reversed(shapes.values()):
        for owner, key, message in _mistakes(platform, tenant, read):
            found.setdefault((owner, message), (tenant, key, message))


def _placed(sources: Sources, mistakes: Collection[_Mistake]) -> list[Problem]:
    """Return mistakes as problems, each with its place in the files, which are parsed only where there are any."""
    if not mistakes:
        return []
    main = TomlFile(sources, sources.main.name)
    patterns = main.data.get("platform", {}).get("include", [])
    files = [main, *(TomlFile(sources, name) for pattern in patterns for name in sources.found(pattern))]
    return [_problem(files, *mistake) for mistake in mistakes]


def _problem(files: list[TomlFile], tenant: Tenant | None, key: str, message: str) -> Problem:
    """Return a mistake as a problem at its key: in the tenant's own table, in [defaults], or in [platform]."""
    main = files[0]
    if tenant is None:
        return main.problem_at(("platform", key), message)
    own = ("tenants", tenant.slug, key) if key else ("tenants", tenant.slug)
    its = next((file for file in files if file.has("tenants", tenant.slug)), main)
    if not key or its.has(*own):
        return its.problem_at(own, message)
    for place in (("defaults", key), ("platform", key)):
        if main.has(*place):
            return main.problem_at(place, message)
    return its.problem_at(own, message)


def _mistakes(platform: Platform, tenant: Tenant, read: set[Hashable] | None) -> Iterator[tuple[Hashable, str, str]]:
    """Give each mistake as its owner, its key and the message.

    :param read: the sets of features whose templates were read already; this one's is added. ``None`` reads none.

    What is wrong with the platform's blueprints or extensions is told once; what a tenant has of its own, for each.
    """
    try:
        app = dry_app(platform, tenant)
    except (Exception, SystemExit) as error:
        key = error.key if isinstance(error, TenantryError) else ""
        yield "" if key in PlatformTable.model_fields else tenant.slug, key, explain(error)
    else:
        yield from _mistakes_in_languages(platform, tenant)
        if read is not None and tenant.features not in read:
            read.add(tenant.features)
            yield from (("", "blueprints", message) for message in _mistakes_in_templates(app))


def _mistakes_in_languages(platform: Platform, tenant: Tenant) -> Iterator[tuple[Hashable, str, str]]:
    known = platform.catalogues.languages
    for code in tenant.languages:
        if code not in known:
            message = f"there is no catalogue for the language '{code}'; there are {', '.join(sorted(known))}"
            yield tenant.languages, "languages", message


def _mistakes_in_templates(app: TenantApp) -> Iterator[str]:
    for name in app.jinja_env.list_templates():
        try:
            app.jinja_env.get_template(name)
        except TemplateSyntaxError as error:
            yield f"The template {error.filename}, line {error.lineno}, is not valid: {error.message}"
        except (OSError, UnicodeDecodeError):
            continue  # a picture, or another file that is nobody's template


def _mistakes_of_all(platform: Platform) -> Iterator[str]:
    """Give what is wrong with the words and the migrations that the blueprints bring."""
    try:
        for language in platform.catalogues.languages:
            platform.catalogues.get(language)
        platform.schema.check()
    except (Exception, SystemExit) as error:
        yield explain(error)


def _unwritable(folder: Path) -> Iterator[str]:
    try:
        there = next(path for path in (folder, *folder.parents) if path.exists())
    except OSError as error:
        yield f"'{folder}' cannot be used ({error.strerror}). Name another folder."
        return
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        why = "cannot be written to" if there.is_dir() else "is not a folder"
        yield f"'{folder}' cannot be used, as {there} {why}. Give it to the user that runs Tenantry, or name another."


def _shape(tenant: Tenant) -> Hashable:
    """Return what decides how a tenant's app is put together. Equal tables are one object, from the loader on."""
    own = tenant.slug if tenant.folder.is_dir() else ""
    config = id(tenant.config) if tenant.settings.extensions else 0  # which only extensions act upon at once
    return (own, tenant.features, tenant.sections, tenant.languages, id(tenant.overrides), config)
