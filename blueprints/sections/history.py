"""What pages said before: their revisions, the difference between two, and restoring one."""

from __future__ import annotations

from typing import Any

from flask import abort, g, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Select, select

from tenantry import db, gettext
from tenantry.forms import protected
from tenantry.users import User

from .differences import compare
from .markdown import render
from .models import Page, Revision
from .pages import find, find_for_change, for_staff, read_number, tell
from .publishing import done

#: Most revisions in one list.
PER_PAGE = 50


@for_staff
def history(slug: str) -> str:
    page = find(slug)
    before = read_number(request.args.get("before", "")) or page.revision + 1
    chosen = _with_writers(Revision.number, Revision.note, Revision.created_at)
    rows = db.session.execute(
        chosen.where(Revision.page_id == page.id, Revision.number < before)
        .order_by(Revision.number.desc())
        .limit(PER_PAGE + 1)
    ).all()
    return render_template(
        "sections/history.html",
        section=g.section,
        page=page,
        revisions=rows[:PER_PAGE],
        older=rows[PER_PAGE - 1].number if len(rows) > PER_PAGE else None,
        newer=before <= page.revision,
    )


@for_staff
def revision(slug: str, number: str) -> str:
    page = find(slug)
    found = _revision(page, number)
    body = render(found.body, url_for(".index"), below=2)
    return render_template("sections/revision.html", section=g.section, page=page, revision=found, body=body)


@for_staff
def difference(slug: str) -> str:
    page = find(slug)
    newer = request.args.get("to", "") or str(page.revision)
    older = request.args.get("from", "") or str(max(1, read_number(newer) - 1))
    old, new = sorted((_revision(page, older), _revision(page, newer)), key=lambda each: int(each.number))
    difference = {name: compare(getattr(old, name), getattr(new, name)) for name in ("title", "slug", "body")}
    return render_template(
        "sections/difference.html", section=g.section, page=page, old=old, new=new, difference=difference
    )


@for_staff
@protected
def restore(slug: str, number: str) -> ResponseReturnValue:
    page = find_for_change(slug) or abort(404)
    old = _revision(page, number)
    note = gettext("Restored revision %(number)s") % {"number": old.number}
    if page.revise(slug=page.slug, title=old.title, body=old.body, note=note):
        tell(page, "changed")
        return done(page, gettext("The page is as it was in revision %(number)s.") % {"number": old.number})
    return done(page, gettext("Nothing was changed."))


def _with_writers(*columns: Any) -> Select[Any]:
    """Select of revisions, each with the name of its writer, if there is one still."""
    return select(*columns, User.name.label("writer")).outerjoin_from(Revision, User, User.id == Revision.user_id)


def _revision(page: Page, number: str) -> Any:
    """Return a page's revision with its writer.

    :raises werkzeug.exceptions.NotFound: if there is none, or that is no number.
    """
    columns = (Revision.number, Revision.title, Revision.slug, Revision.body, Revision.note, Revision.created_at)
    found = db.session.execute(
        _with_writers(*columns).where(Revision.page_id == page.id, Revision.number == read_number(number))
    ).first()
    if found is None:
        abort(404)
    return found
