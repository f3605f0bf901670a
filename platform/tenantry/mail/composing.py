"""Making a message: its headers from the tenant's configuration, in which nothing that a user wrote can add another.

The standard library alone does not do: it takes ``=?utf-8?q?=0D=0ABcc:…?=`` in a subject for an encoded word, and
writes the line break that it stands for (CVE-2024-6923).
"""

from __future__ import annotations

import unicodedata
import uuid
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from email.policy import SMTP
from email.utils import format_datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING

from ..errors import BadMail
from ..mail_config import read_address

if TYPE_CHECKING:
    from ..tenant_app import TenantApp

#: Characters of the longest subject, and of the longest name of a sender.
_LONGEST_SUBJECT, _LONGEST_NAME = 200, 100
#: Lines end as SMTP wants them, and every byte is ASCII, as not each server takes others.
_POLICY = SMTP.clone(cte_type="7bit")
#: Kinds of characters that have no place in one line: control and format characters, halves, ends of lines.
_INVISIBLE = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
#: But two join or part what is seen, as in emoji and in Persian.
_JOINERS = "\u200c\u200d"


def compose(app: TenantApp, to: str, subject: str, text: str, html: str) -> tuple[EmailMessage, bytes]:
    """Return a tenant's message, with all that it needs, and the same as it is sent.

    :param to: one address, without a name.
    :param subject: what comes after the tenant's prefix; ends of lines and the like become spaces.
    :raises BadMail: if ``to`` is not one address, or the message would have a header that it was not given.
    """
    message = EmailMessage(policy=_POLICY)
    message["From"] = sender(app)
    if reply_to := app.config.get("MAIL_REPLY_TO"):
        message["Reply-To"] = _with_name(reply_to)
    message["To"] = Address(addr_spec=one_address(to))
    message["Subject"] = one_line(f"{_prefix(app)} {subject}", _LONGEST_SUBJECT)
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = f"<{uuid.uuid4().hex}@{_domain(app)}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answering machine is to answer it
    message.set_content(_plain(text))
    message.add_alternative(_plain(html), subtype="html")
    return message, _written(message)


def one_address(text: str) -> str:
    """Return an address as it is sent, in ASCII.

    :raises BadMail: if it is not exactly one address, without a name.
    """
    try:
        return read_address(text)[1]
    except ValueError as error:
        raise BadMail(f"'{one_line(text, 100)}' is not one mail address: {error}") from None


def sender(app: TenantApp) -> Address:
    """Return whom a tenant's mails are from: MAIL_DEFAULT_SENDER, or ``"<title>" <noreply@…>``."""
    configured = app.config.get("MAIL_DEFAULT_SENDER")
    if configured:
        return _with_name(configured)
    return Address(one_line(app.tenant.title, _LONGEST_NAME), "noreply", _domain(app))


def one_line(text: str, longest: int) -> str:
    """Return text as one visible line of so many characters, in which nothing stands for anything else."""
    seen = (" " if unicodedata.category(c) in _INVISIBLE and c not in _JOINERS else c for c in text)
    line = " ".join("".join(seen).replace("=?", "= ?").split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def _with_name(text: str) -> Address:
    name, address = read_address(text, allow_name=True)
    return Address(one_line(name, _LONGEST_NAME), addr_spec=address)


def _prefix(app: TenantApp) -> str:
    return str(app.config.get("MAIL_SUBJECT_PREFIX", f"[{app.tenant.title}]"))


def _domain(app: TenantApp) -> str:
    """Return the tenant's host as the domain of an address, which an IP address is not."""
    host = app.tenant.canonical_host
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return host
    return "localhost"


def _plain(text: str) -> str:
    """Return text without control characters, which do not belong in a mail (RFC 5322 section 2.3)."""
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))


def _written(message: EmailMessage) -> bytes:
    """Return the message as it is sent, if that has the headers that it was given, and no other."""
    written = message.as_bytes()
    if BytesHeaderParser(policy=_POLICY).parsebytes(written).keys() != message.keys():
        raise BadMail("The mail would have headers that it was not given. Look at its subject and its sender.")
    return written
