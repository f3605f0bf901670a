"""Which configuration is secret, told by its names: it is never printed, and no copy of a tenant gets it."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

#: With an address, one who knows it may act as the tenant, as with that of a webhook; and it may have a password in it.
_WORDS = ("SECRET", "PASS", "TOKEN", "KEY", "CREDENTIAL", "DSN", "SALT", "URL", "URI", "AUTH")


def is_secret(name: str) -> bool:
    """Whether a value of this name is to be kept secret."""
    return any(word in name.upper() for word in _WORDS)


def take_out_secrets(config: MutableMapping[str, Any]) -> list[str]:
    """Remove what is secret from a configuration, however deep it stands, and return the names, as ``PAYMENT.key``."""
    return list(_take_out(config, ""))


def _take_out(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, MutableMapping):
        for name in list(value):
            if is_secret(name):
                del value[name]
                yield f"{path}{name}"
            else:
                yield from _take_out(value[name], f"{path}{name}.")
    elif isinstance(value, list):
        for each in value:
            yield from _take_out(each, path)
