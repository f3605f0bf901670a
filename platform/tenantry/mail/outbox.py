"""The outbox: a tenant's mails, in its own database, from when they are written until long after they were sent.

A worker claims one mail at a time, and says so in a transaction of its own, so that no two ever send the same one, and
nobody waits for the tenant's write lock while a mail server thinks.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import NamedTuple, cast

from sqlalchemy import ColumnElement, CursorResult, String, and_, delete, or_, select, update
from sqlalchemy.orm import Mapped, mapped_column

from .. import db
from ..times import now

#: How long a claim lasts. Longer than anything takes that a mail server may do; see ``transports.LONGEST``.
CLAIM = timedelta(seconds=150)
#: Seconds until a mail is tried again after it failed once, twice, …; the last one holds from then on.
PAUSES = (10, 30, 120, 600, 3600)
#: A mail is given up when it is older than this, and was tried more often than there are pauses.
GIVE_UP_AFTER = timedelta(days=3)
#: How long a mail that was sent, or given up, is still listed.
KEPT = timedelta(days=30)

#: What is nobody's business but the worker's, or has links in it: it is left out of exports.
_SECRET = {"secret": True}


class Outbox(db.Model):
    """A mail. Times are in UTC.

    :ivar message: the whole of it as it is sent; ``None`` once it was, as there may be links in it.
    :ivar due_at: when it is to be tried next; ``None`` once it was sent or given up.
    :ivar claimed_until: until when a worker has it, and no other may.
    :ivar attempts: how often it was tried.
    :ivar error: what went wrong the last time.
    """

    __tablename__ = "tenantry_outbox"

    id: Mapped[int] = mapped_column(primary_key=True)
    message_id: Mapped[str] = mapped_column(String(320), info=_SECRET)
    recipient: Mapped[str] = mapped_column(String(254))
    subject: Mapped[str] = mapped_column(String(400))
    message: Mapped[bytes | None] = mapped_column(info=_SECRET)
    created_at: Mapped[datetime] = mapped_column(default=now)
    due_at: Mapped[datetime | None] = mapped_column(default=now, index=True, info=_SECRET)
    claimed_until: Mapped[datetime | None] = mapped_column(info=_SECRET)
    attempts: Mapped[int] = mapped_column(default=0, info=_SECRET)
    error: Mapped[str | None] = mapped_column(String(500), info=_SECRET)
    sent_at: Mapped[datetime | None]
    failed_at: Mapped[datetime | None]

    @property
    def state(self) -> str:
        """``waiting``, ``sent`` or ``failed``."""
        return "sent" if self.sent_at else "failed" if self.failed_at else "waiting"


class Claim(NamedTuple):
    """A mail that this worker has, until another may; as plain values, since no transaction is open meanwhile."""

    id: int
    message_id: str
    recipient: str
    message: bytes
    created_at: datetime
    attempts: int
    until: datetime

    def pause(self) -> float:
        """Return the seconds until it is to be tried again, if it cannot be sent now."""
        return PAUSES[min(self.attempts, len(PAUSES)) - 1]

    def is_hopeless(self) -> bool:
        """Whether it is not to be tried again."""
        return self.attempts > len(PAUSES) and now() - self.created_at > GIVE_UP_AFTER


def add(message: EmailMessage, written: bytes) -> Outbox:
    """Put a message into the current tenant's outbox, as a part of what is being written.

    :param written: the message as it is sent.
    """
    mail = Outbox(
        message_id=str(message["Message-ID"]),
        recipient=message["To"].addresses[0].addr_spec,
        subject=str(message["Subject"]),
        message=written,
    )
    db.session.add(mail)
    return mail


def is_due(moment: datetime) -> ColumnElement[bool]:
    """Return the condition for a mail that is to be tried now, and that nobody has."""
    return and_(Outbox.due_at <= moment, _is_free(moment))


def _is_free(moment: datetime) -> ColumnElement[bool]:
    return or_(Outbox.claimed_until.is_(None), Outbox.claimed_until <= moment)


def claim() -> Claim | None:
    """Take the mail that is due, of those that were tried least, and keep that at once; ``None`` if there is none."""
    moment = now()
    chosen = select(Outbox).where(is_due(moment)).order_by(Outbox.attempts, Outbox.due_at, Outbox.id).limit(1)
    mail = db.session.scalar(chosen)
    if mail is None:
        db.session.rollback()
        return None
    mail.attempts += 1
    mail.claimed_until = until = moment + CLAIM
    found = Claim(mail.id, mail.message_id, mail.recipient, mail.message or b"", mail.created_at, mail.attempts, until)
    db.session.commit()
    return found


def mark_sent(mail: Claim) -> None:
    """Note that a mail is on its way, whoever has it by now."""
    values = {"sent_at": now(), "due_at": None, "claimed_until": None, "message": None, "error": None}
    db.session.execute(update(Outbox).where(Outbox.id == mail.id).values(values))
    db.session.commit()


def mark_failed(mail: Claim, error: str) -> None:
    """Give a mail up."""
    _update_mine(mail, failed_at=now(), due_at=None, claimed_until=None, error=error[:500])


def mark_waiting(mail: Claim, error: str, pause: float) -> None:
    """Let a mail be tried again after so many seconds."""
    _update_mine(mail, due_at=now() + timedelta(seconds=pause), claimed_until=None, error=error[:500])


def _update_mine(mail: Claim, **values: object) -> None:
    mine = and_(Outbox.id == mail.id, Outbox.claimed_until == mail.until)
    db.session.execute(update(Outbox).where(mine).values(values))
    db.session.commit()


def postpone(pause: float) -> bool:
    """Let what is due now wait for so many seconds, without having been tried. Return whether there was any."""
    moment = now()
    later = moment + timedelta(seconds=pause)
    waiting = and_(Outbox.due_at < later, _is_free(moment))
    result = cast(CursorResult[object], db.session.execute(update(Outbox).where(waiting).values(due_at=later)))
    db.session.commit()
    return bool(result.rowcount)


def forget_old() -> None:
    """Forget the mails that were listed for long enough."""
    old = now() - KEPT
    db.session.execute(delete(Outbox).where(or_(Outbox.sent_at < old, Outbox.failed_at < old)))
    db.session.commit()


def hasten(ident: int | None) -> int:
    """Let a mail that waits or was given up be tried now; or all of them. Return how many there were.

    One that a worker is about to send is left alone.
    """
    chosen = and_(Outbox.sent_at.is_(None), _is_free(now()), *([Outbox.id == ident] if ident is not None else []))
    values = {"due_at": now(), "failed_at": None, "attempts": 0}
    return cast(CursorResult[object], db.session.execute(update(Outbox).where(chosen).values(values))).rowcount
