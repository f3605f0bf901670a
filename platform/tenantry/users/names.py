"""User names and mail addresses in their one form, so that no two accounts look alike."""

from __future__ import annotations

import re

from sqlalchemy import or_, select

from .. import db
from ..mail_config import read_address
from .models import User

#: Lower-case ASCII, so that no letter of another alphabet can pass for one of another name.
_USERNAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
SHORTEST_USERNAME, LONGEST_USERNAME = 3, 32
_RESERVED = """
admin administrator help info mail me moderator no-reply nobody noreply official owner postmaster root security staff
support system team tenantry webmaster www you
"""
#: Names that would speak for the workspace. Only the operator gives them.
RESERVED = frozenset(_RESERVED.split())


def fold_username(name: str) -> str:
    """Return a user name in its one form: without spaces around it, in lower case."""
    return name.strip().lower()


def is_username(name: str) -> bool:
    """Whether a folded name may be one: 3 to 32 of a-z and 0-9, with single ``.``, ``_`` and ``-`` between them."""
    return SHORTEST_USERNAME <= len(name) <= LONGEST_USERNAME and _USERNAME.fullmatch(name) is not None


def fold_address(address: str) -> str:
    """Return a mail address in its one form: lower-case, its host as DNS has it (RFC 5321, RFC 5891).

    :raises ValueError: if mail could not be sent there, with the reason.
    """
    _, found = read_address(address.strip())
    if "." not in found.partition("@")[2]:
        raise ValueError("Its host has no dot in it.")
    return found.lower()


def fold_name(name: str) -> str:
    """Return what was typed to name an account, a user name or a mail address, in its one form."""
    try:
        return fold_address(name)
    except ValueError:
        return fold_username(name)


def find_account(name: str) -> User | None:
    """Return the account of a user name or mail address, as somebody typed it; ``None`` if there is none."""
    folded = fold_name(name)
    return db.session.scalar(select(User).where(or_(User.username == folded, User.email == folded)))
