"""The plain side of the API's benchmark: the same answers, in Flask with Flask-SQLAlchemy as its documentation has it.

It looks the token up by its digest, filters by the asker's organizations, and lets the extension's ``paginate`` count
and fetch. Its exports read all rows, as one does who knows no better: that is what streaming is measured against.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import sys
from datetime import UTC, date, datetime
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Flask, Response, abort, g, jsonify, request
from sqlalchemy import Select, func, insert, select

from .api_content import ASKER, TASK_FIELDS, Content, token_row
from .plain_api_models import ApiToken, Membership, Task, User, db
from .plain_database import DATABASE, SETTINGS, set_up

#: The plain side's token of the asker; it opens nothing but a benchmark's database.
TOKEN = "tenantry_plain-side-of-the-benchmark-000000"
_SORTS = {
    "id": Task.id,
    "title": Task.title,
    "due_on": func.coalesce(Task.due_on, date.max),
    "created_at": Task.created_at,
    "updated_at": Task.updated_at,
}
api = Blueprint("api", __name__, url_prefix="/api/v1.0")


def make_app() -> Flask:
    """Return the app, on the file and with the settings that the environment names."""
    app = Flask("bench")
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{os.environ[DATABASE]}"
    db.init_app(app)
    app.register_blueprint(api)
    with app.app_context():
        set_up(db.engine, json.loads(os.environ[SETTINGS]))
    return app


def token_required(view: Any) -> Any:
    """Let a view begin only for one whose token is known."""

    @wraps(view)
    def checked(**values: Any) -> Response:
        sent = request.authorization
        if sent is None or sent.type != "bearer" or not sent.token:
            abort(401)
        moment = datetime.now(UTC).replace(tzinfo=None)
        found = db.session.execute(
            select(User, ApiToken.scopes)
            .join(ApiToken, ApiToken.user_id == User.id)
            .where(ApiToken.digest == _digest(sent.token), ApiToken.expires_at > moment)
        ).first()
        if found is None or found[0].activated_at is None or found[0].blocked_at or "read" not in found[1].split():
            abort(401)
        g.user = found[0]
        response: Response = view(**values)
        return response

    return checked


@api.get("/tasks")
@token_required
def list_tasks() -> Response:
    """List the tasks of the asker's organizations, a page of them."""
    limit = request.args.get("limit", 50, type=int)
    page = db.paginate(_chosen(), page=request.args.get("page", 1, type=int), per_page=limit, max_per_page=200)
    prev = _address(page.prev_num) if page.has_prev else None
    following = _address(page.next_num) if page.has_next else None
    items = [task.to_dict() for task in page.items]
    response = jsonify(items=items, count=page.total, prev=prev, next=following)
    links = [f'<{address}>; rel="{rel}"' for rel, address in (("prev", prev), ("next", following)) if address]
    response.headers["Link"] = ", ".join(links)
    response.headers["Cache-Control"] = "private, no-cache"
    response.vary.update(("Accept", "Authorization", "Cookie"))
    response.add_etag()
    response.make_conditional(request)
    return response


@api.get("/tasks.csv")
@token_required
def export_csv() -> Response:
    """Answer all tasks as a CSV file, made in memory."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(TASK_FIELDS)
    for task in db.session.scalars(_chosen()).all():
        row = [getattr(task, name) for name in TASK_FIELDS]
        writer.writerow([_cell(value) for value in row])
    response = Response(text.getvalue(), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = 'attachment; filename="tasks.csv"'
    return response


@api.get("/tasks.jsonl")
@token_required
def export_json() -> Response:
    """Answer all tasks as one list; it stands at the other side's address, which has them as lines."""
    return jsonify([task.to_dict() for task in db.session.scalars(_chosen()).all()])


def _chosen() -> Select[Any]:
    """Return a select of what the asker may see and asks for."""
    mine = select(Membership.organization_id).where(Membership.user_id == g.user.id)
    chosen = select(Task).where(Task.organization_id.in_(mine))
    if (project_id := request.args.get("project_id", type=int)) is not None:
        chosen = chosen.where(Task.project_id == project_id)
    sort = request.args.get("sort", "id")
    by = _SORTS.get(sort.removeprefix("-"))
    if by is None:
        abort(422)
    keys = (by, Task.id) if by is not Task.id else (by,)
    return chosen.order_by(*(key.desc() if sort.startswith("-") else key.asc() for key in keys))


def _address(page: int | None) -> str:
    return f"{request.base_url}?{urlencode({**request.args, 'page': page})}"


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return f"{value.isoformat()}Z"
    return value.isoformat() if isinstance(value, date) else value


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def fill(app: Flask, content: Content) -> None:
    """Make the tables and what they hold, once, before the app is served."""
    with app.app_context():
        db.create_all()
        for name, rows in content.tables():
            db.session.execute(insert(db.metadata.tables[name]), rows)
        db.session.add(ApiToken(**token_row(_digest(TOKEN))))
        db.session.commit()
        assert db.session.get(User, ASKER) is not None


if __name__ == "__main__":
    fill(make_app(), Content.from_json(sys.argv[1]))
