"""Doors: the path prefixes and host names through which a tenant is reached.

Every door is folded (NFKC, then lower case) before it is stored or compared, so that two doors which a person or a
browser would take for one cannot belong to two tenants.
"""

from __future__ import annotations

import re
import unicodedata
from ipaddress import AddressValueError, IPv4Address, IPv6Address

#: First path segments that are, or will be, the platform's own.
RESERVED_SEGMENTS = frozenset(
    {"-", "_", "static", "favicon.ico", "robots.txt", ".well-known"}
    | {"tenantry", "console", "metrics", "health", "healthz", "livez", "readyz"}
)
#: Slugs that would collide with words of the command line, of PostgreSQL, or of the state folder.
RESERVED_SLUGS = frozenset(
    ("all", "default", "defaults", "platform", "public", "tenantry", "tenants", "information-schema")
)

SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_SEGMENT = re.compile(r"[a-z0-9_][a-z0-9._~-]*")
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


def fold(text: str) -> str:
    """Return ``text`` in Unicode's NFKC form and lower case."""
    return unicodedata.normalize("NFKC", text).lower()


def fold_path(text: str) -> str:
    """Return a path door in its one form, e.g. ``/Acme/EU/`` as ``/acme/eu``.

    :raises ValueError: with a sentence for a person, if it is not a usable prefix.
    """
    path = fold(text).rstrip("/")
    if not path and text.startswith("/"):
        raise ValueError(
            f"'{text}' would be everybody's address; for a tenant at the root of a host, give it hosts instead"
        )
    if not path.startswith("/"):
        raise ValueError(f"'{text}' is not a path prefix; expected one that begins with a slash, like '/acme'")
    for segment in path[1:].split("/"):
        if not _SEGMENT.fullmatch(segment):
            raise ValueError(
                f"'{text}' is not a usable path prefix; expected segments of a-z, 0-9, '-', '.', '_' or '~', "
                f"each beginning with a letter or digit{_ascii_hint(path)}"
            )
    if path[1:].split("/")[0] in RESERVED_SEGMENTS:
        raise ValueError(f"'{path}' is reserved for the platform itself; choose another prefix")
    return path


def _ascii_hint(path: str) -> str:
    plain = unicodedata.normalize("NFKD", path).encode("ascii", "ignore").decode()
    plain = re.sub(r"/+", "/", re.sub(r"[^a-z0-9/._~-]+", "-", plain)).strip("-")
    return f"; '{plain}' would do" if len(plain) > 1 and plain != path and plain.isascii() else ""


def fold_host(text: str) -> str:
    """Return a host name in its one form: folded, without a trailing dot, an IPv6 address in brackets.

    :raises ValueError: with a sentence for a person, if it is not an exact host name.
    """
    host = fold(text).removesuffix(".")
    if not host.isascii():
        raise ValueError(f"'{text}' is not ASCII; write it as browsers send it: '{_punycode(host)}'")
    if "*" in host:
        raise ValueError(f"'{text}' is a pattern; expected exact host names, one for each name")
    if "://" in host or "/" in host:
        raise ValueError(f"'{text}' is an address; expected the host name alone, like 'initech.example.com'")
    if host.startswith("[") and host.endswith("]"):
        return f"[{_address(IPv6Address, host[1:-1], text)}]"
    if _NUMBER.fullmatch(host.rpartition(".")[2]):  # browsers read such a name as an IPv4 address
        return _address(IPv4Address, host, text)
    if ":" in host:
        raise ValueError(f"'{text}' carries a port; expected the host name alone, as doors answer on every port")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in host.split(".")):
        raise ValueError(f"'{text}' is not a host name; expected labels of a-z, 0-9 and '-', parted by dots")
    return host


def _address(kind: type[IPv4Address | IPv6Address], address: str, text: str) -> str:
    """Return an IP address in its one form."""
    try:
        if "%" in address:
            raise AddressValueError("a zone is for one machine only")
        return str(kind(address))
    except AddressValueError as error:
        raise ValueError(
            f"'{text}' is not an IP address ({error}); expected one like '192.0.2.1' or '[2001:db8::1]'"
        ) from None


def _punycode(host: str) -> str:
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        return "xn--…"


def check_slug(slug: str) -> str:
    """Return ``slug`` if it may name a tenant.

    :raises ValueError: with a sentence for a person, if it may not.
    """
    if not SLUG.fullmatch(slug):
        raise ValueError(
            f"'{slug}' is not a slug; expected 1 to 63 characters of a-z, 0-9 and '-', the first a letter or digit"
        )
    if slug in RESERVED_SLUGS:
        raise ValueError(f"'{slug}' is reserved; choose another name for this tenant")
    return slug
