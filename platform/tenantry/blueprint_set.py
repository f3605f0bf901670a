"""The blueprint set: found once for the platform, imported on first use, registered into every tenant's app.

Each blueprint is a module or package with a ``bp`` (a ``flask.Blueprint``), or ``create_blueprint(tenant)`` where a
tenant's blueprint must be an object of its own. Its last name is the feature by which tenants have it. A function
``registrations(tenant)`` beside it may return the options of each registration in turn, for a blueprint that stands
several times in one app. An ``api_bp`` beside it has routes of the API, for tenants that have that feature too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Blueprint
from werkzeug.utils import find_modules

from .errors import BadSetup, ImportFailed, blaming, did_you_mean
from .imports import import_module, resolve
from .registry import Settings, Tenant

if TYPE_CHECKING:
    from .tenant_app import TenantApp


#: The feature by which tenants have the API, with what the other blueprints bring for it.
API = "api"
#: What Flask takes for a registration (flask.Blueprint.register).
_OPTIONS = ("name", "url_prefix", "subdomain", "url_defaults")


class BlueprintSet:
    """The blueprints that the [platform] table names: a package to scan, or a list of import strings."""

    def __init__(self, settings: Settings) -> None:
        self.source = settings.blueprints

    def names(self) -> list[str]:
        """Return the features there are, in the order of registration.

        :raises ImportFailed: if the package cannot be imported, or for a list, anything in it.
        """
        return [name for name, _ in self._entries]

    def modules(self) -> list[str]:
        """Return the dotted names of the modules that hold the blueprints."""
        return [target.partition(":")[0] for _, target in self._entries]

    def folders(self, name: str) -> tuple[Path, ...]:
        """Return the folders called ``name``, e.g. ``migrations``, of the blueprints' packages.

        A folder with an ``env.py`` is not one of ours: it is the home of an application's own Alembic.
        """
        packages = dict.fromkeys(_package_folder(module) for module in self.modules())
        folders = [path / name for path in packages if path is not None]
        return tuple(folder for folder in folders if folder.is_dir() and not (folder / "env.py").exists())

    def package_of(self, name: str) -> tuple[str, Path]:
        """Return the dotted name and the folder of the package that a blueprint is in.

        :raises BadSetup: if there is no such blueprint, or it is a module in no package.
        """
        entries = dict(self._entries)
        if name not in entries:
            hint = did_you_mean(name, entries) or f"; expected one of {', '.join(entries)}"
            raise BadSetup(f"There is no blueprint '{name}'{hint}")
        module = entries[name].partition(":")[0]
        folder = _package_folder(module)
        if folder is None:
            raise BadSetup(f"The blueprint '{name}' is a module; expected a package with a folder migrations")
        is_package = folder.name == module.rpartition(".")[2]
        return module if is_package else module.rpartition(".")[0], folder

    def register(self, app: TenantApp, tenant: Tenant) -> None:
        """Register into an app what its tenant has, in the order of its features.

        :raises BadSetup: if the tenant has a feature that there is none of.
        """
        entries = dict(self._entries)
        features = tenant.features if tenant.features is not None else tuple(entries)
        for feature in features:
            if feature not in entries:
                hint = did_you_mean(feature, entries) or f"; expected one of {', '.join(entries)}"
                with blaming("features"):
                    raise BadSetup(f"There is no blueprint for the feature '{feature}'{hint}")
            blueprint, registrations = _load(entries[feature], tenant)
            for options in registrations:
                _check(app, blueprint, options)
                app.register_blueprint(blueprint, **options)
            if API in features and (api := _api_of(entries[feature])) is not None:
                _check(app, api, {})
                app.register_blueprint(api)

    @cached_property
    def _entries(self) -> tuple[tuple[str, str], ...]:
        """Feature and import string of each blueprint. Kept once it is known; a failed import is tried again."""
        if isinstance(self.source, str):
            return tuple((module.rpartition(".")[2], module) for module in _scan(self.source))
        found = tuple((_feature_of(import_string), import_string) for import_string in self.source)
        names = [name for name, _ in found]
        for name, import_string in found:
            if names.count(name) > 1:
                raise BadSetup(
                    f"Two blueprints are called '{name}', one of them '{import_string}'; expected each name once"
                )
        return found


def _check(app: TenantApp, blueprint: Blueprint, options: Mapping[str, Any]) -> None:
    """Tell in our words what Flask would refuse in its own, or take without a word."""
    for option in options:
        if option not in _OPTIONS:
            hint = did_you_mean(option, _OPTIONS) or f"; expected one of {', '.join(_OPTIONS)}"
            raise BadSetup(f"registrations of the blueprint '{blueprint.name}' give the option '{option}'{hint}")
    name = options.get("name", blueprint.name)
    if name in app.blueprints:
        with blaming("sections" if name in app.tenant.sections else "blueprints"):
            raise BadSetup(
                f"Two things would be called '{name}': the blueprint '{app.blueprints[name].name}', and a registration "
                f"of '{blueprint.name}', as of a section. Rename one of them."
            )


def _scan(package: str) -> list[str]:
    module = import_module(package)
    if not hasattr(module, "__path__"):
        raise ImportFailed(package, "it is a module; expected a package of blueprints, or a list of import strings")
    return sorted(find_modules(package, include_packages=True))


def _feature_of(import_string: str) -> str:
    target = resolve(import_string)
    return target.name if isinstance(target, Blueprint) else import_string.partition(":")[0].rpartition(".")[2]


def _load(target: str, tenant: Tenant) -> tuple[Blueprint, Iterable[Mapping[str, Any]]]:
    module = import_module(target.partition(":")[0])
    found = resolve(target) if ":" in target else getattr(module, "create_blueprint", getattr(module, "bp", None))
    blueprint = found(tenant) if callable(found) and not isinstance(found, Blueprint) else found
    if not isinstance(blueprint, Blueprint):
        gives = (
            "has nothing to register; expected" if blueprint is None else f"gives {type(blueprint).__name__}; expected"
        )
        raise BadSetup(f"'{target}' {gives} a Blueprint called bp, or create_blueprint(tenant)")
    registrations = getattr(module, "registrations", None)
    return blueprint, registrations(tenant) if registrations else ({},)


def _api_of(target: str) -> Blueprint | None:
    """Return what a blueprint's module brings for the API, beside its pages."""
    found = getattr(import_module(target.partition(":")[0]), "api_bp", None)
    return found if isinstance(found, Blueprint) else None


def _package_folder(module: str) -> Path | None:
    """Return the folder of a package, or of the package that a module is in."""
    try:
        spec = find_spec(module)
        if spec and not spec.submodule_search_locations and "." in module:
            spec = find_spec(module.rpartition(".")[0])
    except (ImportError, ValueError, AttributeError):
        return None
    return Path(spec.origin).parent if spec and spec.origin and spec.submodule_search_locations else None
