"""What one tenant changes: templates, words and static files of its own folder, and single views.

``tenants/<slug>/templates/`` is searched before the blueprints' templates, ``tenants/<slug>/static/`` before the app's
static files, and ``tenants/<slug>/static/<blueprint>/`` before those of a blueprint; the catalogues in
``tenants/<slug>/translations/`` before the shared ones.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from flask import Response
from jinja2 import TemplateSyntaxError

from .errors import BadSetup, did_you_mean
from .imports import resolve
from .tenant_app import TenantApp


def apply_overlay(app: TenantApp) -> None:
    """Put the tenant's own files first.

    :raises BadSetup: if one of its templates or catalogues is not valid.
    """
    if app.overlay is None:
        return
    _check_templates(app)
    app.own_words = app.platform.catalogues.of_tenant(app.tenant)
    if (app.overlay / "static").is_dir():
        for endpoint, view in app.view_functions.items():
            blueprint = app.blueprints.get(endpoint.removesuffix(".static"))
            if endpoint.endswith(".static") and blueprint is not None and blueprint.has_static_folder:
                app.view_functions[endpoint] = _overlaid(app, endpoint.removesuffix(".static"), view)


def _check_templates(app: TenantApp) -> None:
    """Compile the tenant's templates now: a mistake in one is for the operator, not for the page's first visitor."""
    folder = cast(Path, app.overlay) / "templates"
    for path in sorted(folder.rglob("[!.]*")) if folder.is_dir() else ():
        if path.is_file():
            try:
                app.jinja_env.compile(path.read_text(encoding="utf-8"), str(path), str(path))
            except TemplateSyntaxError as error:
                raise BadSetup(f"The template {path}, line {error.lineno}, is not valid: {error.message}") from None
            except (OSError, UnicodeDecodeError) as error:
                raise BadSetup(f"The template {path} cannot be read: {error}") from None


def _overlaid(app: TenantApp, blueprint: str, view: Callable[..., Any]) -> Callable[..., Any]:
    def send_static_file(filename: str, **values: Any) -> Response:
        return app.overlay_file(f"{blueprint}/{filename}") or view(filename=filename, **values)

    return send_static_file


def apply_overrides(app: TenantApp) -> None:
    """Replace the views that the tenant's configuration names.

    :raises BadSetup: if there is no such endpoint, or what it names is not a view.
    """
    for endpoint, import_string in app.tenant.overrides.items():
        if endpoint not in app.view_functions:
            hint = did_you_mean(endpoint, app.view_functions) or f"; 'tenantry routes {app.tenant.slug}' lists them"
            raise BadSetup(f"overrides names the endpoint '{endpoint}', which there is not{hint}")
        view = resolve(import_string)
        if not callable(view):
            raise BadSetup(f"overrides gives '{import_string}' for '{endpoint}', which is not a view function")
        app.view_functions[endpoint] = view
