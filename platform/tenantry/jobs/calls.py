"""A call of a job, as it waits on the queue: which function, for which tenant, with what."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from .. import plain_values

_NUMBERS = ("attempt", "waits", "missing")


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a job.

    :ivar job: the function, as ``module:name``.
    :ivar tenant: slug of whose it is.
    :ivar deed: that tenant's identity, in hexadecimal digits. A tenant of the same slug with another deed is another.
    :ivar arguments: the arguments, as the text of :mod:`tenantry.plain_values`.
    :ivar attempt: how often it has failed, or its worker was killed while it ran.
    :ivar waits: how often it was put back without having been tried.
    :ivar missing: how often that was in a row because its tenant, or its function, was not there.
    """

    job: str
    tenant: str
    deed: str
    arguments: str
    attempt: int = 0
    waits: int = 0
    missing: int = 0

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Call:
        """Return the call that :meth:`to_json` was asked of.

        :raises ValueError: if it is none.
        """
        kinds = {field.name: int if field.name in _NUMBERS else str for field in fields(cls)}
        if not isinstance(values, dict) or {name: type(value) for name, value in values.items()} != kinds:
            raise ValueError("It is not a call of a job.")
        call = cls(**values)
        if not call.tenant.isprintable() or not call.job.isprintable() or min(getattr(call, n) for n in _NUMBERS) < 0:
            raise ValueError(
                "It is not a call of a job: a name has a character that cannot be seen, or a count is less than 0."
            )
        return call

    def to_json(self) -> dict[str, Any]:
        """Return it as a plain dictionary."""
        return asdict(self)

    def values(self) -> tuple[list[Any], dict[str, Any]]:
        """Return the arguments: those by position, and those by name.

        :raises ValueError: if they cannot be read.
        """
        found = plain_values.read(self.arguments.encode())
        if not (type(found) is list and list(map(type, found)) == [list, dict]):
            raise ValueError("They are not the arguments of a call.")
        args, kwargs = found
        return args, kwargs
