"""What the services refuse, as answers of the API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tenantry import ApiException

from .. import services


@contextmanager
def saying_why_not() -> Iterator[None]:
    """Answer 409 for what cannot be done, and say why."""
    try:
        yield
    except services.Archived:
        raise ApiException(409, "This project is archived: nobody works on it any more.") from None
    except services.NotAMember:
        mistake = {"pointer": "/assignee_id", "message": "They do not belong to the task's organization."}
        raise ApiException(409, "The task cannot be given to somebody of elsewhere.", [mistake]) from None
