"""Every error that Tenantry raises, under one base.

Errors carry their data as attributes and compute their text, so that a program can read the one and a person the
other. The text says what stood there, what was expected, and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for the nearest of ``known`` names, or an empty string."""
    names = list(known)
    matches = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    matches = matches or [name for name in names if len(word) > 2 and name.startswith(word)]
    return f"; did you mean '{matches[0]}'?" if matches else ""


class TenantryError(RuntimeError):
    """Base of all errors here. A ``RuntimeError``, because gunicorn prints those as one line instead of a traceback.

    :ivar key: the key of tenants.toml that is to blame, e.g. ``features``, where one is.
    """

    key = ""


@contextmanager
def blaming(key: str) -> Iterator[None]:
    """Name the key of tenants.toml that is to blame for an error of ours in the block, unless it is named already."""
    try:
        yield
    except TenantryError as error:
        error.key = error.key or key
        raise


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a configuration: where it stands and what is wrong with it."""

    file: str
    key: str
    message: str
    line: int | None = None

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.key}: {self.message}" if self.key else f"{place}: {self.message}"

    def to_json(self) -> dict[str, Any]:
        """Return the four parts as a plain dictionary."""
        return {"file": self.file, "line": self.line, "key": self.key, "message": self.message}


class ConfigError(TenantryError):
    """The configuration was refused. ``problems`` holds every mistake found, in the order of the files."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        count = len(self.problems)
        head = "1 problem" if count == 1 else f"{count} problems"
        return "\n".join([f"The configuration has {head}:", *map(str, self.problems)])


class UnknownTenant(TenantryError, KeyError):
    """A slug that the registry does not hold."""

    def __init__(self, slug: str, known: Iterable[str]) -> None:
        super().__init__(slug)
        self.slug = slug
        self.known = sorted(known)

    def __str__(self) -> str:
        names = ", ".join(self.known[:8]) + (", …" if len(self.known) > 8 else "")
        hint = did_you_mean(self.slug, self.known) or "."
        return f"There is no tenant '{self.slug}'{hint} Configured: {names or 'none'}."


class NoTenantContext(TenantryError):
    """Something that belongs to a tenant was used where no tenant is current."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return (
            f"'{self.name}' was used outside a tenant's context, so there is no tenant that it could belong to. "
            'Inside a request it is there by itself; elsewhere enter one: with platform.tenant("acme"): …'
        )


class StateError(TenantryError):
    """The state folder, or a file in it, cannot be used. The text names the path and the remedy."""


class Held(StateError):
    """Another process holds a lock. The text names the lock and the remedy."""


class NotProvisioned(TenantryError):
    """A tenant has no database, and only the operator may make one."""

    def __init__(self, slug: str) -> None:
        super().__init__(slug)
        self.slug = slug

    def __str__(self) -> str:
        return f"It has no database, and [platform] provision is 'manual'. Run: tenantry provision {self.slug}"


class SchemaBehind(TenantryError):
    """A tenant's tables are older than the blueprints that would use them, or newer by more than additions."""

    def __init__(self, slug: str, is_newer: bool = False) -> None:
        super().__init__(slug)
        self.slug = slug
        self.is_newer = is_newer

    def __str__(self) -> str:
        if self.is_newer:
            return "Its tables are newer than the code of this process. Reload gunicorn, or start it with that code"
        return f"Its tables are older than the blueprints that would use them. Run: tenantry migrate {self.slug}"


class TenantClosed(TenantryError):
    """A command is at work on a tenant's files, or was cut short there. Answered 503 until it is finished."""

    def __init__(self, slug: str, task: str) -> None:
        super().__init__(slug, task)
        self.slug = slug
        self.task = task

    def __str__(self) -> str:
        if not self.task:
            return f"'{self.slug}' is being changed just now, and is looked for again in a moment."
        return (
            f"'{self.slug}' is closed, as 'tenantry {self.task}' is at work on it or was cut short. If it no longer "
            "runs, run it once more, and it finishes what it began."
        )


class TenantUnavailable(TenantryError):
    """A tenant's app could not be built, so the tenant answers 503 for ``retry_after`` seconds more."""

    def __init__(self, slug: str, reason: str, retry_after: float) -> None:
        super().__init__(slug, reason, retry_after)
        self.slug = slug
        self.reason = reason
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"Tenant '{self.slug}' cannot be served: {self.reason}"


class ImportFailed(TenantryError):
    """An import string, or a module that was found by scanning, could not be imported."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        return f"'{self.name}' cannot be imported: {self.reason}"


class BadSetup(TenantryError):
    """Something that a tenant's configuration or folder names does not fit the blueprints."""


class SharedRuleChanged(TenantryError, AttributeError):
    """Something of a URL rule was to be changed that many tenants share."""

    def __init__(self, what: str, name: str) -> None:
        super().__init__()
        self.what = what
        self.name = name

    def __str__(self) -> str:
        return (
            f"'{self.name}' of {self.what} cannot be changed, as tenants share it. To let an app have rules of its "
            "own, first set app.url_rule_class = werkzeug.routing.Rule, in the init_app of an extension."
        )


class DatabaseUnavailable(TenantryError):
    """The tenant's database cannot be used just now. Answered 503 with Retry-After."""


class DatabaseReplaced(DatabaseUnavailable):
    """Another file stands where the tenant's database was, so the app that knew the old one must not go on with it."""

    def __str__(self) -> str:
        return "The tenant's database was replaced by another one meanwhile. Ask again, and the new one answers."


class DatabaseBusy(DatabaseUnavailable):
    """Another writer held the tenant's database for longer than the busy timeout."""

    def __str__(self) -> str:
        return "The tenant's database is busy with another write. Nothing of this one was kept; send it again."


class DatabaseFull(TenantryError):
    """The tenant's database has reached ``limits.database_mb``, or its disk is full. Answered 507."""

    def __str__(self) -> str:
        return "The tenant's database has no room left. Nothing of this change was kept."


class ReadOnlyUnit(TenantryError):
    """Something was written in a request whose method only reads."""

    def __str__(self) -> str:
        return (
            "A GET, HEAD or OPTIONS request tried to write to the database. Do it in a POST; where a GET has to write, "
            "call db.begin(write=True) before the first query."
        )


class TenantReadOnly(TenantryError):
    """Something was to be written in a request, and the tenant's status is read-only. Answered 503."""

    def __str__(self) -> str:
        return "The tenant is read-only at the moment, so no request may write to its database."


class BegunTooLate(TenantryError):
    """``db.begin()`` was called where it would have thrown away what was written before."""

    def __str__(self) -> str:
        return "db.begin() was called after something was written, which would be lost. Call it before the first query."


class UnfilteredQuery(TenantryError):
    """A statement would have read or changed rows of organizations, whoever asks. It was not sent."""

    def __init__(self, tables: Sequence[str]) -> None:
        super().__init__(tables)
        self.tables = tuple(tables)

    def __str__(self) -> str:
        names = " and ".join(f"'{table}'" for table in self.tables)
        return (
            f"A statement reaches into {names} without the filter by organization. Name the model in it, as in "
            "select(Project), and it is filtered by itself. Rows are written by db.session.add() and delete(). To "
            'reach all organizations\' rows on purpose, say why: unscoped(statement, "the reason").'
        )


class LastingStatement(UnfilteredQuery):
    """A statement would have left something in a connection, which others get next. It was not sent."""

    def __init__(self) -> None:
        super().__init__(())

    def __str__(self) -> str:
        return (
            "A statement makes a temporary table, or opens or closes another database: that would stay in the "
            "connection, which another request gets next. Make the table in a migration."
        )


class LastOwner(TenantryError):
    """An organization would be left without anybody who looks after it.

    :ivar organization_id: which one.
    """

    def __init__(self, organization_id: int) -> None:
        super().__init__(organization_id)
        self.organization_id = organization_id

    def __str__(self) -> str:
        return f"Organization {self.organization_id} would have no owner who can log in. Make another member one first."


class NoReason(TenantryError):
    """Rows of all organizations were asked for in a request, without a word why."""

    def __str__(self) -> str:
        return 'Within a request, what is unscoped needs a reason: unscoped(statement, "why it may see all of them").'


class ForeignOrganization(TenantryError):
    """A row was to be written that belongs to an organization which is not the asker's."""

    def __init__(self, model: str, organization_id: int | None) -> None:
        super().__init__(model, organization_id)
        self.model = model
        self.organization_id = organization_id

    def __str__(self) -> str:
        return (
            f"A row of {self.model} of organization {self.organization_id} was to be written by somebody who does not "
            "belong to it. Find the organization by select(Organization) first: where it is not theirs, there is none."
        )


class RoleTooLow(TenantryError):
    """A row of an organization was to be written by somebody who belongs to it, and may not write such rows."""

    def __init__(self, model: str, organization_id: int, role: str, needed: str) -> None:
        super().__init__(model, organization_id, role, needed)
        self.model = model
        self.organization_id = organization_id
        self.role = role
        self.needed = needed

    def __str__(self) -> str:
        return (
            f"A row of {self.model} of organization {self.organization_id} was to be written by one who is {self.role} "
            f"there; expected {self.needed}. Call need_role(organization_id, '{self.needed}') first, which answers 403."
        )


class BadArguments(TenantryError, TypeError):
    """A job was to be put on the queue with arguments that it does not take, or that cannot be put there."""

    def __init__(self, job: str, reason: str) -> None:
        super().__init__(job, reason)
        self.job = job
        self.reason = reason

    def __str__(self) -> str:
        return f"The job '{self.job}' cannot be put on the queue like this: {self.reason}"


class UnknownJob(TenantryError):
    """The queue names a job that there is none of."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(name)
        self.name = name
        self.known = sorted(known)

    def __str__(self) -> str:
        hint = did_you_mean(self.name, self.known) or "."
        return f"There is no job '{self.name}'{hint} If it is new, restart the worker, as it still runs the old code."


class BadMail(TenantryError, ValueError):
    """A mail cannot be made: of its address, or of what would stand in its headers."""


class BadPicture(TenantryError):
    """An uploaded file is no picture that can be kept.

    :ivar reason: ``unknown``, ``svg``, ``broken`` or ``large``.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return _NO_PICTURE[self.reason]


_NO_PICTURE = {
    "unknown": "This is no picture that can be shown here. Expected a PNG, JPEG, GIF or WebP file.",
    "svg": "This is an SVG drawing, which can hold programs. Save it as PNG and upload that.",
    "broken": "This picture is damaged, and cannot be read to its end.",
    "large": "This picture has too many pixels. Make it smaller than 40 million (8000 by 5000).",
}


class NotPartners(TenantryError):
    """A tenant was asked for a service that is not a partner of the one that asks."""

    def __init__(self, own: str, other: str) -> None:
        super().__init__(own, other)
        self.own = own
        self.other = other

    def __str__(self) -> str:
        return (
            f"'{self.own}' and '{self.other}' are no partners. Both have to name the other in tenants.toml: "
            f'partners = ["{self.other}"], and partners = ["{self.own}"].'
        )


class BadToken(TenantryError):
    """A signed value was refused: forged, expired, or made for another tenant or purpose."""
