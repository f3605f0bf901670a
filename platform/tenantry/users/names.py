"""User names and mail addresses in their one form, so that no two accounts look alike."""

from __future__ import annotations

import re

from email_validator import EmailNotValidError, validate_email

#: Lower-case ASCII, so that no letter of another alphabet can pass for one of another name.
_USERNAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
SHORTEST, LONGEST = 3, 32
#: Names that would speak for the workspace. Only the operator gives them.
RESERVED = frozenset(
    (
        *("admin", "administrator", "moderator", "owner", "root", "staff", "system", "team", "tenantry", "official"),
        *("help", "info", "mail", "me", "you", "nobody", "security", "support", "www", "webmaster", "postmaster"),
        *("noreply", "no-reply"),
    )
)


def fold_username(name: str) -> str:
    """Return a user name in its one form: without spaces around it, in lower case."""
    return name.strip().lower()


def is_username(name: str) -> bool:
    """Whether a folded name may be one: 3 to 32 of a-z and 0-9, with single ``.``, ``_`` and ``-`` between them."""
    return SHORTEST <= len(name) <= LONGEST and _USERNAME.fullmatch(name) is not None


def fold_address(address: str) -> str:
    """Return a mail address in its one form: lower-case, its host as DNS has it (RFC 5321, RFC 5891).

    :raises ValueError: if it is none, with the reason.
    """
    if len(address) > 254:
        raise ValueError("It is longer than the 254 characters that RFC 5321 allows.")
    try:
        found = validate_email(address.strip(), check_deliverability=False, allow_smtputf8=False, test_environment=True)
    except EmailNotValidError as error:
        raise ValueError(str(error)) from None
    return (found.ascii_email or found.normalized).lower()
