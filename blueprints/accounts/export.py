"""All data of the workspace, for its administrators to take with them."""

from __future__ import annotations

import os

from flask import Response, current_app, render_template, send_file

from tenantry import current_tenant, current_user, db, exporting, forms, role_required
from tenantry.events import record
from tenantry.users import session_required

from . import bp
from .limits import EXPORTS_BY


@bp.get("/export")
@role_required("admin")
@session_required
def export() -> str:
    return render_template("accounts/export.html")


@bp.post("/export")
@role_required("admin")
@session_required
@forms.protected
def download() -> Response:
    EXPORTS_BY.count(str(current_user.id))
    record("workspace.exported", current_user.id, current_user.name)
    db.commit_now()
    current_app.logger.info("The data of '%s' is exported by user %s", current_tenant.slug, current_user.id)
    db.begin(write=False)
    file = exporting.make()
    response = send_file(file, "application/zip", as_attachment=True, download_name=exporting.file_name())
    response.content_length = os.fstat(file.fileno()).st_size
    return response
