"""The tenant's home page, in each of its languages: ``/`` in the first, ``/<lang_code>/`` in any.

The pattern: ``lang_code`` is pulled out of the URL before the view is called, so no view names it, and ``url_for`` puts
it back. The blueprint also carries instructions to the app it is registered on: a template filter.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, current_app, g, render_template

from tenantry import add_to_navigation, current_tenant, gettext, use_language

bp = Blueprint("front", __name__, template_folder="templates")
add_to_navigation(bp, title="Home")


@bp.url_value_preprocessor
def pull_language(endpoint: str | None, values: dict[str, Any] | None) -> None:
    code = values.pop("lang_code", None) if values else None
    if code is not None:
        if code not in current_tenant.languages:
            abort(404)
        g.lang_code = code
        use_language(code, remember=True)


@bp.url_defaults
def put_language_back(endpoint: str, values: dict[str, Any]) -> None:
    if "lang_code" in g and current_app.url_map.is_endpoint_expecting(endpoint, "lang_code"):
        values.setdefault("lang_code", g.lang_code)


@bp.app_template_filter()
def initials(name: str) -> str:
    """Return the first letters of up to two words, e.g. ``AC`` for ``Acme Corp``."""
    return "".join(word[0].upper() for word in name.split()[:2])


@bp.get("/")
@bp.get("/<lang_code>/")
def index() -> str:
    sections = [
        (name, gettext(name.capitalize())) for name in current_tenant.sections if name in current_app.blueprints
    ]
    return render_template("front/index.html", sections=sections)
