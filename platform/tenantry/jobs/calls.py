"""A call of a job, as it waits on the queue: which function, for which tenant, with what."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from .. import plain_values

if TYPE_CHECKING:
    from ..registry import Tenant


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a job.

    :ivar job: the function, as ``module:name``.
    :ivar tenant: slug of whose it is.
    :ivar deed: that tenant's identity, in hexadecimal digits. A tenant of the same slug with another deed is another.
    :ivar arguments: the arguments, as the text of :mod:`tenantry.plain_values`.
    :ivar attempt: how often it has failed, or its worker was killed while it ran.
    :ivar waits: how often it was put back without having been tried.
    """

    job: str
    tenant: str
    deed: str
    arguments: str
    attempt: int = 0
    waits: int = 0

    @classmethod
    def of(cls, job: str, tenant: Tenant, arguments: str) -> Call:
        """Return a new call, for a tenant that has its deed."""
        return cls(job, tenant.slug, cast(UUID, tenant.deed).hex, arguments)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Call:
        """Return the call that :meth:`to_json` was asked of.

        :raises ValueError: if it is none.
        """
        kinds = {field.name: int if field.name in ("attempt", "waits") else str for field in fields(cls)}
        if not isinstance(values, dict) or {name: type(value) for name, value in values.items()} != kinds:
            raise ValueError("It is not a call of a job.")
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        """Return it as a plain dictionary."""
        return asdict(self)

    def values(self) -> tuple[list[Any], dict[str, Any]]:
        """Return the arguments: those by position, and those by name.

        :raises ValueError: if they cannot be read.
        """
        args, kwargs = plain_values.read(self.arguments.encode())
        return args, kwargs
