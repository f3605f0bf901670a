"""What can be done with pages, and who may see which: the work behind the views."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, ParamSpec, TypeVar

from flask import abort, g, request
from sqlalchemy import ColumnElement, Row, Select, select, true

from tenantry import current_user, db, role_required
from tenantry.errors import BegunTooLate
from tenantry.events import record
from tenantry.times import now
from tenantry.users import session_required

from .models import Page
from .slugs import make_slug, number_slug

P = ParamSpec("P")
R = TypeVar("R")

#: Most pages in one list.
PER_PAGE = 100
_LAST_LIST = 1000


def for_staff(view: Callable[P, R]) -> Callable[P, R]:
    """Mark a view as one for staff at a browser; programs have the API."""
    return session_required(role_required("staff")(view))


def visible() -> ColumnElement[bool]:
    """Return the condition of what the one who asks may see: staff see drafts too.

    Who asks is looked up whether there is such a page or not, so that the answers cannot be told apart.
    """
    return true() if current_user.has_role("staff") else Page.published_at.is_not(None)


def find(slug: str) -> Page:
    """Return a page of the current section that the one who asks may see.

    :raises werkzeug.exceptions.NotFound: if there is none.
    """
    found = db.session.scalar(select(Page).where(Page.section == g.section, Page.slug == slug, visible()))
    if found is None:
        abort(404)
    return found


def find_for_change(slug: str) -> Page | None:
    """Return the page that is to be changed: in a POST the one whose id the form carries, else that of the slug.

    In a POST never by the slug, as another page may have it by now.
    """
    number = read_number(request.form.get("page", ""))
    which = Page.id == number if request.method == "POST" else Page.slug == slug
    return db.session.scalar(select(Page).where(Page.section == g.section, which))


def list_number() -> int:
    """Return which part of a long list is asked for, from 1."""
    return max(1, min(read_number(request.args.get("page", "")), _LAST_LIST))


def part_of(
    query: Select[*tuple[Any, ...]], number: int, per_page: int = PER_PAGE
) -> tuple[list[Row[*tuple[Any, ...]]], bool]:
    """Return one part of a long list, and whether there are more after it.

    :raises werkzeug.exceptions.NotFound: for one after the last.
    """
    rows = list(db.session.execute(query.limit(per_page + 1).offset((number - 1) * per_page)))
    if not rows and number > 1:
        abort(404)
    return rows[:per_page], len(rows) > per_page


def free_slug(wanted: str, title: str, page: Page | None = None, section: str = "") -> str | None:
    """Return the slug to use, ``None`` if the one that is wanted is another page's. It is made where none is wanted.

    :param section: the current one where it is left out.
    """
    section = section or g.section
    if wanted:
        return None if wanted in _taken(section, wanted, page) else wanted
    made = make_slug(title)
    taken = _taken(section, made[:40], page)
    numbered = (number_slug(made, number) for number in range(2, len(taken) + 3))
    return made if made not in taken else next(each for each in numbered if each not in taken)


def _taken(section: str, beginning: str, page: Page | None) -> set[str]:
    """Return the slugs of other pages of the section that begin alike."""
    chosen = select(Page.slug).where(Page.section == section, Page.slug.startswith(beginning, autoescape=True))
    return set(db.session.scalars(chosen.where(Page.id != page.id) if page else chosen))


def publish(page: Page) -> None:
    """Let everybody see a page."""
    if page.published_at is None:
        page.published_at = now()
        tell(page, "published")


def unpublish(page: Page) -> None:
    """Let staff alone see a page."""
    tell(page, "unpublished")  # by the title that everybody knows
    page.published_at = None


def tell(page: Page, what: str) -> None:
    """Note what happens to a page, for everybody: but of what is for everybody only."""
    if page.published_at is not None:
        db.session.flush()
        record(f"page.{what}", page.id, page.title)


def only_read() -> None:
    """Give the write lock back, where a POST turns out to change nothing, before something slow is made of it."""
    with suppress(BegunTooLate):  # something was written before the view, so the lock is needed
        db.begin(write=False)


def read_number(text: str) -> int:
    """Return a whole number that somebody sent; 0 for all else, and for what no row can have."""
    return int(text) if len(text) < 10 and text.isascii() and text.isdigit() else 0
