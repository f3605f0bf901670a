"""Delivery: the job that sends a tenant's mails, which a worker runs once they are kept.

As near to exactly once as SMTP comes: a mail that a worker had, and could not note as sent, goes out again when the
claim on it has lapsed, with the same Message-ID, by which mail programs know it for the same.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

from .. import db, jobs
from ..context import current_tenant_app
from ..errors import DatabaseReplaced, DatabaseUnavailable
from . import outbox

if TYPE_CHECKING:
    from ..tenant_app import TenantApp
    from .transports import Result, Transport

log = logging.getLogger("tenantry")

#: After so many mails of a tenant it is the others' turn.
_AT_ONCE = 20
#: Seconds between attempts to note what became of a mail, while another writer holds the database.
_NOTE_AGAIN = (0.2, 1.0, 5.0, 10.0, 20.0)


@jobs.job(swept=True)
def deliver() -> None:
    """Send the current tenant's mails that are due, and forget those that were sent long ago."""
    from .transports import open_transport  # which brings smtplib, and only workers need it

    app = current_tenant_app("mail.deliver")
    with closing(open_transport(app)) as transport:
        is_more = all(_deliver_one(app, transport) for _ in range(_AT_ONCE))
    outbox.forget_old()
    if is_more:
        deliver.enqueue()


def _deliver_one(app: TenantApp, transport: Transport) -> bool:
    """Send one mail. Return whether there may be another one that can be sent now."""
    if not app.database.is_there():
        raise DatabaseReplaced()
    if pause := transport.pause():
        _wait(pause)
        return False
    mail = outbox.claim()
    if mail is None:
        return False
    result = transport.send(mail)
    _persistently(lambda: _note(app, mail, result))
    if result.pause:
        _wait(result.pause)
    return not result.pause


def _note(app: TenantApp, mail: outbox.Claim, result: Result) -> None:
    if result.state == "sent":
        outbox.mark_sent(mail)
    elif result.state == "failed" or mail.is_hopeless():
        outbox.mark_failed(mail, result.error)
        slug = app.tenant.slug
        log.error(
            "Mail %d of tenant '%s' was given up: %s. 'tenantry outbox %s' shows it.", mail.id, slug, result.error, slug
        )
    else:
        pause = max(result.pause, mail.pause())
        outbox.mark_waiting(mail, result.error, pause)
        log.warning(
            "Mail %d of tenant '%s' waits for %.0f s: %s", mail.id, app.tenant.slug, pause, result.error.rstrip(".")
        )
        deliver.enqueue(delay=pause)


def _wait(pause: float) -> None:
    """Let the tenant's mails that are due wait for so many seconds."""
    if outbox.postpone(pause):
        deliver.enqueue(delay=pause)


def _persistently(note: Callable[[], None]) -> None:
    """Note what became of a mail, and not give up at once: what is not noted is sent again."""
    for pause in _NOTE_AGAIN:
        try:
            note()
            return
        except DatabaseReplaced:
            raise
        except DatabaseUnavailable:
            db.session.rollback()
            time.sleep(pause)
    note()
