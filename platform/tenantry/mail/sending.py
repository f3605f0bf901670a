"""``mail.send``: a mail is rendered, and put into the outbox with what it is about."""

from __future__ import annotations

from typing import Any

from flask import render_template

from .. import db
from ..context import current_tenant_app
from . import outbox
from .composing import compose
from .delivery import deliver
from .links import home, link

#: Where a session notes the transaction for which a worker will be woken.
_WOKEN = "tenantry_mail_woken"


def send(to: str, subject: str, template: str, /, **context: Any) -> None:
    """Send a mail of the current tenant, once what is being written is kept; never if it is undone.

    ``<template>.txt`` and ``<template>.html`` are rendered in the current language. They may extend
    ``tenantry/mail.txt`` and ``tenantry/mail.html``. ``url_for`` in them makes absolute links to the tenant's canonical
    door.

    :param to: one address, without a name.
    :param subject: what comes after the tenant's MAIL_SUBJECT_PREFIX.
    :param context: what the templates are to know.
    :raises NoTenantContext: outside a tenant's context.
    :raises BadMail: if ``to`` is not one address.
    """
    app = current_tenant_app("mail.send")
    known = {"url_for": link, "home": home(), **context}
    text, html = (render_template(f"{template}.{kind}", **known) for kind in ("txt", "html"))
    outbox.add(*compose(app, to, subject, text, html))
    _wake_once()


def _wake_once() -> None:
    """Wake a worker once for all mails of a transaction, or of a savepoint, which may be undone by itself."""
    transaction = db.session.get_nested_transaction() or db.session.get_transaction()
    if db.session.info.get(_WOKEN) is not transaction:
        db.session.info[_WOKEN] = transaction
        deliver.enqueue()
