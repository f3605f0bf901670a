"""``tenantry outbox``: a tenant's mails, and what became of them."""

from __future__ import annotations

from typing import Any

import click
from sqlalchemy import select

from .. import db
from ..mail import outbox as mails
from ..mail.delivery import deliver
from .output import as_json, load_platform, print_json, print_table


@click.command()
@click.argument("slug")
@click.option("--retry", metavar="ID|all", help="Try a mail again now, or all that are waiting or were given up.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="Show so many, newest first.")
@as_json
@click.pass_context
def outbox(context: click.Context, slug: str, retry: str | None, limit: int, as_json: bool) -> None:
    """List a tenant's mails, newest first.

    A mail waits until 'tenantry worker' has sent it. Times are in UTC.
    """
    with load_platform(context).tenant(slug):
        if retry is not None:
            _retry(slug, retry)
            return
        db.begin(write=False)
        rows = [_summary(mail) for mail in db.session.scalars(_newest(limit))]
    if as_json:
        print_json(rows)
    else:
        headings = ("ID", "TO", "SUBJECT", "STATE", "TRIES", "NEXT TRY", "ERROR")
        keys = ("id", "to", "subject", "state", "attempts", "next_try", "error")
        print_table(headings, (tuple(str(row[key] if row[key] is not None else "–") for key in keys) for row in rows))


def _newest(limit: int) -> Any:
    return select(mails.Outbox).order_by(mails.Outbox.id.desc()).limit(limit)


def _summary(mail: mails.Outbox) -> dict[str, Any]:
    return {
        "id": mail.id,
        "to": mail.recipient,
        "subject": mail.subject,
        "state": mail.state,
        "attempts": mail.attempts,
        "written": _time(mail.created_at),
        "next_try": _time(mail.due_at),
        "sent": _time(mail.sent_at),
        "error": mail.error,
        "message_id": mail.message_id,
    }


def _time(moment: Any) -> str | None:
    return moment.isoformat(" ", "seconds") if moment else None


def _retry(slug: str, which: str) -> None:
    if which != "all" and not which.isdecimal():
        raise click.UsageError(
            f"--retry is '{which}'; expected the ID of a mail, as 'tenantry outbox {slug}' shows it, or 'all'."
        )
    count = mails.hasten(None if which == "all" else int(which))
    if which != "all" and not count:
        raise click.ClickException(
            f"Tenant '{slug}' has no mail {which} that could be tried again; it may be sent, or be sent just now."
        )
    if count:
        deliver.enqueue()
    click.echo(f"{count} mails are tried again now." if count != 1 else "1 mail is tried again now.")
