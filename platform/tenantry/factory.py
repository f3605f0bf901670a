"""``create_app``: the only place where a tenant's Flask app is made.

Every step is Flask's own way of setting up an app, done for one tenant: configuration, extensions, blueprints. What is
added comes after: the tenant's overlay and overrides.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from . import db, environments, look
from .errors import BadSetup, blaming, did_you_mean
from .files import make_private_folder
from .floor_plan import TenantMap
from .imports import resolve
from .keys import TenantKeys
from .overlays import apply_overlay, apply_overrides
from .provisioning import furnish, take_possession
from .registry import Settings, Tenant
from .sessions import TenantSessionInterface
from .signing import TenantSigner
from .tenant_app import TenantApp

if TYPE_CHECKING:
    from .app import Platform

#: Names the configuration file where nothing else does.
CONFIG = "TENANTRY_CONFIG"


def create_app(tenant: Tenant | str, *, platform: Platform | None = None) -> TenantApp:
    """Make a tenant's app, ready to serve.

    :param tenant: a tenant, or the slug of one in the configured file (``TENANTRY_CONFIG``, else ``tenants.toml``).
    :param platform: the platform that will serve it; one of the tenant's own file where it is left out.
    :raises TenantryError: if anything that the configuration names does not work, or the tenant's state is unusable.
    """
    platform, tenant = _find(tenant, platform)
    possession = take_possession(platform, tenant)
    app = assemble(platform, tenant, possession.deed.id)
    app.database = possession.database
    app.former_slugs = possession.former
    make_private_folder(Path(app.instance_path))
    furnish(app, possession.deed)
    return app


def assemble(platform: Platform, tenant: Tenant, deed: UUID) -> TenantApp:
    """Put a tenant's app together without touching its database, as ``create_app`` and ``tenantry check`` do."""
    app = _make_app(platform, replace(tenant, deed=deed), deed)
    app.source = tenant
    _configure(app)
    db.init_app(app)
    look.init_app(app)
    with blaming("extensions"):
        _init_extensions(app, tenant.settings)
    with blaming("blueprints"):
        platform.blueprints.register(app, app.tenant)
    _check_navigation(app)
    apply_overlay(app)
    with blaming("overrides"):
        apply_overrides(app)
    if isinstance(app.url_map, TenantMap):  # and not one that an extension put in its place
        app.url_map.settle()
    return app


def _find(tenant: Tenant | str, platform: Platform | None) -> tuple[Platform, Tenant]:
    from .app import Platform

    if platform is None:
        file = os.environ.get(CONFIG, "tenants.toml") if isinstance(tenant, str) else tenant.settings.file
        platform = Platform.from_file(file)
    return platform, platform.registry[tenant] if isinstance(tenant, str) else tenant


def _make_app(platform: Platform, tenant: Tenant, deed: UUID) -> TenantApp:
    # Flask(slug) would guess its folders from the name, so both are always given.
    app = TenantApp(
        tenant.settings.package,
        tenant=tenant,
        platform=platform,
        root_path=_root_of(platform),
        instance_path=str(tenant.state / "instance"),
    )
    app.signer = TenantSigner(TenantKeys(platform.keys, deed))
    app.session_interface = TenantSessionInterface()  # one each, as an extension may change it
    return app


def _root_of(platform: Platform) -> str:
    with blaming("package"):
        return platform.package_root


def _configure(app: TenantApp) -> None:
    tenant = app.tenant
    app.config.from_object(environments.BY_NAME[tenant.settings.environment])
    app.config.from_mapping(
        APPLICATION_ROOT=tenant.canonical_path or "/",
        PREFERRED_URL_SCHEME=tenant.settings.scheme,
        MAX_CONTENT_LENGTH=tenant.limits.upload_mb * 1024 * 1024,
    )
    app.config.from_mapping(_filled_in(tenant.config, app))
    app.config.from_mapping(secret_keys(app.signer, tenant))


def _filled_in(value: Any, app: TenantApp) -> Any:
    """Put the tenant's instance folder and slug where a setting names them, as in ``{instance_path}/shop.sqlite``.

    What comes back is the app's own, lists and tables too; what the registry has is one for all tenants, and immutable.
    """
    if isinstance(value, str):
        return value.replace("{instance_path}", app.instance_path).replace("{slug}", app.tenant.slug)
    if isinstance(value, Mapping):
        return {key: _filled_in(each, app) for key, each in value.items()}
    return [_filled_in(each, app) for each in value] if isinstance(value, (list, tuple)) else value


def secret_keys(signer: TenantSigner, tenant: Tenant) -> dict[str, Any]:
    """Return Flask's configuration of keys, for extensions: derived ones, unless the tenant has a key of its own."""
    *retired, current = (key.hex() for key in signer.keys.derive("flask"))
    return {"SECRET_KEY": tenant.config.get("SECRET_KEY", current), "SECRET_KEY_FALLBACKS": retired}


def _check_navigation(app: TenantApp) -> None:
    """A link to nowhere would break every page, so it is told now."""
    for endpoint, title in app.navigation:
        if endpoint not in app.view_functions:
            hint = did_you_mean(endpoint, app.view_functions) or "; expected the name of one of the blueprint's views"
            raise BadSetup(f"add_to_navigation links '{title}' to the endpoint '{endpoint}', which there is not{hint}")


def _init_extensions(app: TenantApp, settings: Settings) -> None:
    for import_string in settings.extensions:
        init_app = resolve(import_string)
        if not callable(init_app):
            raise BadSetup(f"extensions names '{import_string}', which cannot be called; expected its init_app")
        init_app(app)
