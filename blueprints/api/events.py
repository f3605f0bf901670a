"""``/events``: what has happened, the newest last; and the document itself."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import Select, select

from tenantry import lazy_view
from tenantry.api import LARGEST_ID, WHOLE, Collection, Filter, Id, Line, Moment, Schema, SentId
from tenantry.events import Event

from . import bp

_KINDS = (
    "What it happened to, and what, with a dot between: organization, membership, invitation, project, task, comment, "
    "page, user or workspace; created, changed, deleted, archived, revived, published, unpublished, withdrawn or "
    "exported."
)


class EventOut(Schema):
    """One thing that happened."""

    id: Id
    kind: Annotated[str, Field(description=_KINDS)]
    subject_id: Id
    title: str
    organization_id: Id | None
    user_id: Id | None
    created_at: Moment


EVENTS = Collection(
    "events",
    EventOut,
    filters={
        "kind": Filter(
            Annotated[Line, Field(max_length=40)],
            lambda kind: Event.kind == kind,
            "Those of this kind, as task.created.",
        ),
        "organization_id": Filter(
            SentId, lambda number: Event.organization_id == number, "Those of this organization."
        ),
        "user_id": Filter(SentId, lambda number: Event.user_id == number, "What this user has done."),
        "after": Filter(
            Annotated[int, Field(ge=0, le=LARGEST_ID), WHOLE],
            lambda number: Event.id > number,
            "Those after this one: what is new since then.",
        ),
    },
    sorts={"id": Event.id, "created_at": Event.created_at},
)


@bp.collection("/events", EVENTS)
def list_events() -> Select[Event]:
    """List what has happened in your organizations, and what concerns everybody."""
    return select(Event)


@bp.get("/openapi.json", returns=dict[str, Any], role=None)
def get_document() -> Any:
    """Get this document."""
    return _document()


_document = lazy_view("blueprints.api.document:as_json")
