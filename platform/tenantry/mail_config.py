"""Checking the keys of [tenants.….config] by which mails are sent. The names are those of Flask-Mail."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from .errors import did_you_mean

#: A name, in quotation marks where it has what parts addresses from each other, and an address.
_NAMED = re.compile(r'(?:"(?P<quoted>[^"\\]+)"|(?P<plain>[^"\\<>@,;:]*?))\s*<(?P<address>[^<>]+)>')
#: Seconds of the longest timeout: a server that says nothing occupies a thread of a worker for as long.
_LONGEST_TIMEOUT = 60
_LONGEST_PREFIX = 100


def read_address(text: str, *, allow_name: bool = False) -> tuple[str, str]:
    """Return the name and the address of one mailbox; the address in ASCII, as not every server takes others.

    :param allow_name: whether a name may stand in front of it, as in ``Acme <noreply@example.com>``.
    :raises ValueError: if it is not exactly one mailbox, with the reason.
    """
    from email_validator import EmailNotValidError, validate_email  # here, as it takes 30 ms, and few processes ask

    # The library takes a name too, but in ASCII only, and no dot in it, unless it stands in quotation marks.
    name, text = _parted(text) if allow_name else ("", text)
    try:
        found = validate_email(
            text,
            strict=True,
            check_deliverability=False,  # which would ask a name server, in a request
            globally_deliverable=False,
            test_environment=True,
        )
    except EmailNotValidError as error:
        raise ValueError(str(error)) from None
    if found.ascii_email is None:
        raise ValueError("Its part before the @-sign has other characters than those of ASCII.")
    return name, found.ascii_email


def _parted(text: str) -> tuple[str, str]:
    found = _NAMED.fullmatch(text.strip())
    return (found["quoted"] or found["plain"] or "", found["address"]) if found else ("", text)


def check_mail_config(values: Mapping[str, Any]) -> None:
    """Check what there is of MAIL_….

    :raises ValueError: with a sentence for a person, if a key has a value that it cannot have.
    """
    for key, check in _CHECKS.items():
        if key in values:
            check(key, values[key])
    for key in values:
        hint = did_you_mean(key, _CHECKS) if key.startswith("MAIL_") and key not in (*_CHECKS, *_FLASK_MAILS) else ""
        if hint:
            raise ValueError(f"'{key}' is no key of mails{hint}")
    if values.get("MAIL_USE_TLS") and values.get("MAIL_USE_SSL"):
        raise ValueError(
            "MAIL_USE_TLS and MAIL_USE_SSL are both true; expected one: TLS for a connection that begins in clear, as "
            "on port 587, SSL for one that does not, as on port 465"
        )


def _server(key: str, value: object) -> None:
    if not isinstance(value, str) or not value.isprintable() or any(c in value for c in " /@"):
        raise ValueError(f"{key} is {_show(value)}; expected the host name of a mail server, like 'smtp.example.com'")
    host, _, port = value.rpartition(":")
    if host and ":" not in host and port.isdecimal():
        raise ValueError(f"{key} is '{value}', with a port; expected the host name alone, and MAIL_PORT = {port}")


def _port(key: str, value: object) -> None:
    if type(value) is not int or not 0 < value < 65536:
        raise ValueError(f"{key} is {_show(value)}; expected the number of a port, like 587")


def _switch(key: str, value: object) -> None:
    if not isinstance(value, bool):
        raise ValueError(f"{key} is {_show(value)}; expected true or false, without quotation marks")


def _text(key: str, value: object) -> None:
    if not isinstance(value, str):  # which is not shown, as it may be a password
        raise ValueError(f"{key} is not text; expected it in quotation marks")


def _seconds(key: str, value: object) -> None:
    if type(value) not in (int, float) or not 0 < value <= _LONGEST_TIMEOUT:  # type: ignore[operator]  # a number
        raise ValueError(f"{key} is {_show(value)}; expected a number of seconds up to {_LONGEST_TIMEOUT}")


def _address(key: str, value: object) -> None:
    expected = "expected one mail address, like 'Acme <noreply@example.com>' or 'noreply@example.com'"
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError(f"{key} is {_show(value)}; {expected}")
    try:
        read_address(value.replace("{slug}", "slug"), allow_name=True)
    except ValueError as error:
        raise ValueError(f"{key} is {_show(value)}; {expected}. {error}") from None


def _prefix(key: str, value: object) -> None:
    if not isinstance(value, str) or not value.isprintable() or len(value) > _LONGEST_PREFIX:
        raise ValueError(
            f"{key} is {_show(value)}; expected one line of up to {_LONGEST_PREFIX} characters, like '[Acme]'"
        )


def _show(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


_FLASK_MAILS = ("MAIL_MAX_EMAILS", "MAIL_SUPPRESS_SEND", "MAIL_ASCII_ATTACHMENTS", "MAIL_DEBUG", "MAIL_BACKEND")
_CHECKS: Mapping[str, Callable[[str, object], None]] = {
    "MAIL_SERVER": _server,
    "MAIL_PORT": _port,
    "MAIL_USE_TLS": _switch,
    "MAIL_USE_SSL": _switch,
    "MAIL_USERNAME": _text,
    "MAIL_PASSWORD": _text,
    "MAIL_TIMEOUT": _seconds,
    "MAIL_DEFAULT_SENDER": _address,
    "MAIL_REPLY_TO": _address,
    "MAIL_SUBJECT_PREFIX": _prefix,
}
