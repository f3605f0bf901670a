"""``/pages``: the pages of the sections. Staff write them, and see drafts; others read what is published."""

from __future__ import annotations

from typing import Annotated

from flask import abort, url_for
from pydantic import Field
from sqlalchemy import Select, select

from tenantry import ApiException, current_tenant, db
from tenantry.api import (
    ID,
    ApiBlueprint,
    ApiResult,
    Collection,
    Filter,
    Id,
    Line,
    Lines,
    Moment,
    Schema,
    caseless,
    check_unchanged,
    unset,
)

from .forms import LONGEST_BODY
from .markdown import MOST_BRACKETS
from .models import Page
from .pages import free_slug, publish, tell, unpublish, visible
from .slugs import LONGEST

api_bp = ApiBlueprint("sections_api", __name__)

Section = Annotated[str, Field(min_length=1, max_length=63, pattern="^[a-z][a-z0-9_-]*$")]
Slug = Annotated[str, Field(min_length=1, max_length=LONGEST, pattern="^[a-z0-9]+(-[a-z0-9]+)*$")]
Title = Annotated[Line, Field(max_length=200)]
Body = Annotated[Lines, Field(max_length=LONGEST_BODY, description=f"Markdown, with {MOST_BRACKETS} '[' at the most.")]
Note = Annotated[Lines, Field(max_length=200, description="What was changed, for the history.")]


class PageIn(Schema):
    """A new page."""

    section: Section
    title: Title
    slug: Slug | None = Field(None, description="The last part of its address; made of the title where it is left out.")
    body: Body = ""
    is_published: bool = False
    note: Note = ""


class PagePatch(Schema):
    """What is to be changed of a page."""

    title: Title = unset()
    slug: Slug = unset()
    body: Body = unset()
    is_published: bool = unset()
    note: Note = ""


class PageOut(Schema):
    """A page of a section, in Markdown."""

    id: Id
    section: str
    slug: str
    title: str
    body: str
    revision: Annotated[int, Field(ge=1, description="How often it was written.")]
    published_at: Moment | None
    created_at: Moment
    updated_at: Moment


PAGES = Collection(
    "pages",
    PageOut,
    filters={
        "section": Filter(Section, lambda section: Page.section == section, "Those of this section."),
        "slug": Filter(Slug, lambda slug: Page.slug == slug, "Those with this address in their section."),
        "q": Filter(
            Annotated[Line, Field(max_length=100)],
            lambda words: Page.title.icontains(words, autoescape=True),
            "Those whose title has this in it.",
        ),
    },
    sorts={
        "id": Page.id,
        "title": caseless(Page.title),
        "created_at": Page.created_at,
        "updated_at": Page.updated_at,
    },
)


def _seen() -> Select[Page]:
    return select(Page).where(Page.section.in_(current_tenant.sections), visible())


def _find(page_id: int) -> Page:
    return db.session.scalar(_seen().where(Page.id == page_id)) or abort(404)


@api_bp.collection("/pages", PAGES)
def list_pages() -> Select[Page]:
    """List the pages that you may read."""
    return _seen()


@api_bp.post("/pages", body=PageIn, returns=PageOut, status=201, role="staff")
def create_page(data: PageIn) -> ApiResult:
    """Write a page, as staff."""
    if data.section not in current_tenant.sections:
        mistake = {"pointer": "/section", "message": f"Expected one of {', '.join(current_tenant.sections)}."}
        raise ApiException(409, "There is no such section.", [mistake])
    _check_body(data.body)
    slug = _free(data.section, data.slug or "", data.title)
    page = Page(note=data.note, section=data.section, slug=slug, title=data.title, body=data.body, published_at=None)
    db.session.add(page)
    db.session.flush()
    if data.is_published:
        publish(page)
    return ApiResult(page, 201, {"Location": url_for(".get_page", page_id=page.id)})


@api_bp.get(f"/pages/<{ID}:page_id>", returns=PageOut)
def get_page(page_id: int) -> Page:
    """Get a page."""
    return _find(page_id)


@api_bp.patch(
    f"/pages/<{ID}:page_id>",
    body=PagePatch,
    returns=PageOut,
    role="staff",
    errors=(409,),
    conditional=True,
)
def change_page(page_id: int, data: PagePatch) -> Page:
    """Write a page anew, as staff, or publish it. What it said before is kept in its history."""
    page = _find(page_id)
    check_unchanged(PageOut, page)
    changes = data.model_dump(exclude_unset=True)
    _check_body(changes.get("body", ""))
    slug = _free(page.section, changes["slug"], page.title, page) if "slug" in changes else page.slug
    said = {"slug": slug, "title": changes.get("title", page.title), "body": changes.get("body", page.body)}
    if changes.get("is_published") is False:
        unpublish(page)
    if page.revise(**said, note=data.note):
        tell(page, "changed")
    if changes.get("is_published"):
        publish(page)
    db.session.flush()
    return page


@api_bp.delete(f"/pages/<{ID}:page_id>", status=204, role="staff", conditional=True)
def delete_page(page_id: int) -> None:
    """Delete a page and its history, as staff."""
    page = _find(page_id)
    check_unchanged(PageOut, page)
    tell(page, "deleted")
    db.session.delete(page)


def _free(section: str, wanted: str, title: str, page: Page | None = None) -> str:
    slug = free_slug(wanted, title, page, section)
    if slug is None:
        mistake = {"pointer": "/slug", "message": "Another page of this section has this address already."}
        raise ApiException(409, "The address is taken.", [mistake])
    return slug


def _check_body(body: str) -> None:
    """Refuse a text that would take long to show."""
    if body.count("[") > MOST_BRACKETS:
        mistake = {"pointer": "/body", "message": f"It has more than {MOST_BRACKETS} opening brackets."}
        raise ApiException(409, "The text would take too long to show.", [mistake])
