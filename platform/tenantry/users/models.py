"""Who has an account in a workspace, and what lets them in. Times are in UTC; secrets are kept as digests only."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ..db import Model
from ..times import now

#: The roles, each of which may do what those before it may.
ROLES = ("member", "staff", "admin")
#: SQLite gives the number of a row that is gone to the next one, unless it is told not to; and links name rows by it.
_NEVER_AGAIN = {"sqlite_autoincrement": True}


class User(Model):
    """An account. It is active once its address is confirmed, and until it is blocked.

    :ivar username: its name in addresses: lower-case ASCII, see ``names.py``.
    :ivar email: the confirmed address, lower-cased; no two accounts share one.
    :ivar name: what people call them; any text.
    :ivar password_hash: by Argon2; ``None`` until one is set.
    :ivar language: of pages and mails, ``None`` for the tenant's first.
    :ivar timezone: an IANA name, ``None`` for the tenant's.
    """

    __tablename__ = "tenantry_user"
    __table_args__ = _NEVER_AGAIN

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(32), unique=True, info={"personal": "user-{id}"})
    email: Mapped[str] = mapped_column(String(254), unique=True, info={"personal": "user-{id}@example.invalid"})
    name: Mapped[str] = mapped_column(String(80), info={"personal": "Person {id}"})
    about: Mapped[str] = mapped_column(Text, default="", info={"personal": ""})
    password_hash: Mapped[str | None] = mapped_column(String(200), info={"secret": True})
    role: Mapped[str] = mapped_column(String(10), default="member")
    language: Mapped[str | None] = mapped_column(String(12))
    timezone: Mapped[str | None] = mapped_column(String(64))
    is_public: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    activated_at: Mapped[datetime | None]
    blocked_at: Mapped[datetime | None]

    logins: Mapped[list[Login]] = relationship(cascade="all, delete-orphan", passive_deletes=True)
    tokens: Mapped[list[ApiToken]] = relationship(cascade="all, delete-orphan", passive_deletes=True)

    @property
    def is_active(self) -> bool:
        """Whether they may log in."""
        return self.activated_at is not None and self.blocked_at is None

    @property
    def is_blocked(self) -> bool:
        """Whether an administrator lets them log in no more."""
        return self.blocked_at is not None


class Login(Model):
    """One browser in which somebody is logged in; the cookie has what its id is the SHA-256 digest of."""

    __tablename__ = "tenantry_login"
    __table_args__ = {"info": {"secret": True}}  # noqa: RUF012  # as SQLAlchemy has it

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("tenantry_user.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime]
    address: Mapped[str] = mapped_column(String(45))
    browser: Mapped[str] = mapped_column(String(200))


class ApiToken(Model):
    """A token for programs, kept as a digest. ``scopes`` are parted by spaces."""

    __tablename__ = "tenantry_token"
    __table_args__ = _NEVER_AGAIN

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("tenantry_user.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(80))
    digest: Mapped[str] = mapped_column(String(64), unique=True, info={"secret": True})
    scopes: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime]


class Invitation(Model):
    """Somebody who may sign up, at an address and with a role."""

    __tablename__ = "tenantry_invitation"
    __table_args__ = _NEVER_AGAIN

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(254), info={"personal": "invited-{id}@example.invalid"})
    role: Mapped[str] = mapped_column(String(10))
    invited_by_id: Mapped[int | None] = mapped_column(ForeignKey("tenantry_user.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]


class Attempts(Model):
    """How often something was tried that is allowed so many times; see ``throttle.py``. Unix time."""

    __tablename__ = "tenantry_attempts"
    __table_args__ = {"info": {"secret": True}}  # noqa: RUF012  # as above

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    count: Mapped[int]
    expires_at: Mapped[float] = mapped_column(index=True)
