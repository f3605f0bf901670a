"""The one view that Initech has otherwise: its home page opens with the question of the week."""

from __future__ import annotations

from flask import render_template

from tenantry import current_tenant


def index() -> str:
    return render_template("front/question.html", sections=current_tenant.sections)
