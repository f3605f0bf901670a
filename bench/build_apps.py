"""The apps that are built: the same blueprints in Tenantry's apps and in plain Flask's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from uuid import uuid4

from flask import Blueprint, Flask
from werkzeug.utils import find_modules

from tenantry import Platform, Tenant
from tenantry.factory import assemble
from tenantry.registry import Settings

from . import product
from .common import ROOT

#: Makes the app with this number.
Make = Callable[[int], Flask]

_LANGUAGES, _SECTIONS = ("en", "de"), ("help", "faq")
#: Set of blueprints to its areas of the product; the other set is the repository's own.
_AREAS = {"60 rules": product.AREAS[:6], "80 rules": product.AREAS}
SHIPPED = "shipped"
SETS = (*_AREAS, SHIPPED)


def slug(number: int) -> str:
    """Return the name of a tenant, which is also its door."""
    return f"t{number:05d}"


def write_tenants(folder: Path, blueprints: str, tenants: int) -> Path:
    """Write a tenants.toml with so many tenants, each with a title and both kinds of door, and return it."""
    file = folder / "tenants.toml"
    head = f"[platform]\nblueprints = {_import_strings(blueprints)!r}\nscheme = 'http'\n"
    defaults = f"[defaults]\nlanguages = {list(_LANGUAGES)!r}\nsections = {list(_SECTIONS)!r}\n"
    tables = "\n".join(_table(slug(number)) for number in range(tenants))
    file.write_text(head + (defaults if blueprints == SHIPPED else "") + tables, encoding="utf-8")
    return file


def tenantry_maker(folder: Path, blueprints: str, tenants: int) -> Make:
    """Return what puts tenants' apps together, without a database: plain Flask opens none either."""
    platform = Platform.from_file(write_tenants(folder, blueprints, tenants))
    _import_all(blueprints)
    return lambda number: assemble(platform, platform.registry[slug(number)], uuid4())


def live_maker(folder: Path, blueprints: str, tenants: int) -> Make:
    """Return what builds tenants' apps as a first request does, each with a look at the tenant's own database."""
    platform = Platform.from_file(write_tenants(folder, blueprints, tenants))
    _import_all(blueprints)
    return lambda number: platform.build(platform.registry[slug(number)])


def plain_maker(folder: Path, blueprints: str, tenants: int) -> Make:
    """Return what makes plain Flask apps of the same blueprints, registered as Flask's documentation does."""
    registrations = list(_registrations(blueprints))

    def make(number: int) -> Flask:
        app = Flask("bench")
        app.config["SECRET_KEY"] = "0123456789abcdef" * 4  # signs nothing that anyone keeps
        for blueprint, options in registrations:
            app.register_blueprint(blueprint, **options)
        return app

    return make


MAKERS: dict[str, Callable[[Path, str, int], Make]] = {
    "tenantry": tenantry_maker,
    "live": live_maker,
    "plain": plain_maker,
}


def _table(name: str) -> str:
    return f"[tenants.{name}]\ntitle = 'The firm {name}'\npath = '/{name}'\nhosts = ['{name}.example.com']\n"


def _import_strings(blueprints: str) -> str | list[str]:
    if blueprints == SHIPPED:
        return "blueprints"
    return [f"{product.__name__}:{area.name}" for area in _AREAS[blueprints]]


def _import_all(blueprints: str) -> None:
    """Import beforehand what the first app would, since the plain side has imported it too."""
    list(_registrations(blueprints))


def _registrations(blueprints: str) -> Iterator[tuple[Blueprint, dict[str, str]]]:
    if blueprints != SHIPPED:
        yield from ((area, {}) for area in _AREAS[blueprints])
        return
    tenant = Tenant("plain", Settings(ROOT / "tenants.toml"), languages=_LANGUAGES, sections=_SECTIONS)
    for name in sorted(find_modules("blueprints", include_packages=True)):
        module = import_module(name)
        blueprint = module.create_blueprint(tenant) if hasattr(module, "create_blueprint") else module.bp
        options: Sequence[dict[str, str]] = module.registrations(tenant) if hasattr(module, "registrations") else ({},)
        yield from ((blueprint, each) for each in options)
