"""One tenant asks another for a service: an internal request through the platform, with a signed identity.

The one that asks signs who it is, for whom, and for what; the one that is asked verifies it with the asker's own keys.
No such identity is accepted from outside, and none between tenants that do not both name the other as a partner in
tenants.toml. ::

    @bp.post("/-/services/greeting")
    @service
    def greet():
        return ApiResult({"from": current_tenant.title, "to": calling_tenant().title})

    answer = call("globex", "/-/services/greeting", {"name": "Ada"})
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from flask import Response, request
from flask.globals import app_ctx
from werkzeug.exceptions import NotFound
from werkzeug.test import EnvironBuilder, run_wsgi_app

from . import db
from .context import current_tenant_app
from .errors import BadToken, NotPartners, TenantUnavailable, UnknownTenant
from .registry import Tenant

if TYPE_CHECKING:
    from .tenant_app import TenantApp

P = ParamSpec("P")
R = TypeVar("R")

#: Seconds for which an identity is accepted: those of one internal request.
_EXPIRES = 30
_PURPOSE = "service"
#: Where it stands in the environ. No header comes here, as theirs begin with HTTP_.
_IDENTITY = "tenantry.service"


def partners() -> list[Tenant]:
    """Return the tenants with which the current one may exchange services: both have to name the other."""
    app = current_tenant_app("services")
    registry, own = app.platform.registry, app.tenant
    named = [registry[slug] for slug in own.partners if slug in registry]
    return [tenant for tenant in named if own.slug in tenant.partners and tenant.status != "archived"]


def call(slug: str, path: str, data: Any) -> Response:
    """Ask another tenant for a service, and return its answer.

    The request goes the way of every other: through the platform and the gate, in the other's own context, with its
    own unit of work, which is committed when this returns: nothing undoes there what is undone here. Call before
    anything is written here, or after ``db.commit_now()``; to write afterwards, ``db.begin(write=True)``.

    :param slug: of a partner.
    :param path: of the service, within the other tenant.
    :param data: what is sent, as JSON.
    :return: its answer, whatever its status.
    :raises NotPartners: if it is none.
    :raises TenantUnavailable: if it does not answer at the moment.
    :raises BegunTooLate: if something was written before.
    """
    app = current_tenant_app("services")
    other = next((tenant for tenant in partners() if tenant.slug == slug), None)
    if other is None:
        raise NotPartners(app.tenant.slug, slug)
    if other.status != "active":  # no app is built to be refused at the gate
        raise TenantUnavailable(slug, f"it is {other.status}", 300.0)
    target = app.platform.tenant_app(slug)
    db.begin(write=False)  # two that call each other would wait for each other's locks, and in vain
    body = app.json.dumps(data).encode()
    builder = EnvironBuilder(path, f"{target.home}/", method="POST", data=body, content_type="application/json")
    identity = app.signer.sign(_PURPOSE, _occasion(target, path, body), _EXPIRES)
    environ = {**builder.get_environ(), _IDENTITY: (app.tenant.slug, identity), db.INTERNAL: True}
    body_of_answer, status, headers = run_wsgi_app(partial(app.platform.serve, other), environ, buffered=True)
    answer = Response(body_of_answer, status, headers)
    if answer.status_code == 503:
        raise TenantUnavailable(slug, "it does not answer at the moment", float(answer.headers.get("Retry-After", 1)))
    return answer


def service(view: Callable[P, R]) -> Callable[P, R]:
    """Mark a view as a service for partners. For everybody else there is nothing at its address.

    :raises werkzeug.exceptions.NotFound: if the request came from outside, or its identity is not accepted.
    """

    @functools.wraps(view)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        app_ctx._tenantry_caller = _verified_caller()  # type: ignore[attr-defined]  # ours, and not in g
        return view(*args, **kwargs)

    return checked


def calling_tenant() -> Tenant:
    """Return the tenant that asks for the service that is being done.

    :raises RuntimeError: outside a service.
    """
    caller: Tenant | None = getattr(app_ctx, "_tenantry_caller", None)
    if caller is None:
        raise RuntimeError("calling_tenant() was used where no tenant has called; mark the view with @service.")
    return caller


def _verified_caller() -> Tenant:
    app = current_tenant_app("services")
    slug, token = request.environ.get(_IDENTITY, ("", ""))
    caller = next((tenant for tenant in partners() if tenant.slug == slug), None)
    if caller is None:
        raise NotFound()
    try:
        signed = app.platform.tenant_app(slug).signer.verify(_PURPOSE, token)
    except (BadToken, TenantUnavailable, UnknownTenant) as error:
        app.logger.warning("A service was refused to '%s': %s", slug, error)
        raise NotFound() from None
    if signed != _occasion(app, request.path, request.get_data()):
        raise NotFound()
    return caller


def _occasion(target: TenantApp, path: str, body: bytes) -> list[str]:
    """Return what an identity is for: one request to one tenant, and no other."""
    return [target.signer.keys.deed.hex, path, hashlib.sha256(body).hexdigest()]
