"""Making a copy of a tenant's database harmless before it is served: it lets nobody in, and mails nobody.

A column with something of a person says what stands there in its stead, made of the row's id::

    email: Mapped[str] = mapped_column(String(254), info={"personal": "guest-{id}@example.invalid"})

That is done with ``anonymise`` only. What else a blueprint has that reaches out of the copy, it takes care of itself,
by what it marks with :func:`on_neutralise`.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from flask import Blueprint
from sqlalchemy import (
    Column,
    Connection,
    Enum,
    String,
    Table,
    cast,
    column,
    delete,
    func,
    insert,
    inspect,
    literal,
    or_,
    table,
    update,
)

from . import deed as deeds
from .api.idempotency import KeptAnswer
from .db import Model
from .events import Event
from .imports import import_module
from .mail.outbox import Outbox
from .sqlite import ANY_SIZE, DatabaseFile
from .users.models import ApiToken, Attempts, Invitation, Login, User

if TYPE_CHECKING:
    from .app import Platform

#: What a blueprint does to a copy: it gets a connection, and whether people are to be made unknown.
Neutralise = Callable[[Connection, bool], None]
#: By the module of the blueprint and the function's name: code, and nothing of a tenant.
_BROUGHT: dict[tuple[str, str], Neutralise] = {}
#: Tables of which nothing stays: what lets somebody in, is on its way out, or was counted.
_EMPTIED: tuple[type[Model], ...] = (Login, ApiToken, Outbox, KeptAnswer, Attempts)
#: Kinds of events whose title is what somebody is called.
_OF_PEOPLE = ("user.", "membership.", "invitation.")
_ADDRESS = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@[\w-]+(?:\.[\w-]+)+")
_NOWHERE = "somebody@example.invalid"


def on_neutralise(blueprint: Blueprint) -> Callable[[Neutralise], Neutralise]:
    """Mark a function that makes a blueprint's own rows in a copy of a tenant harmless.

    It gets a connection, and whether people are to be made unknown. It runs for each copy, whether the tenant has the
    blueprint or not, as every tenant has its tables. ::

        @on_neutralise(bp)
        def forget_webhooks(connection: Connection, anonymise: bool) -> None:
            connection.execute(delete(Webhook))
    """

    def decorate(function: Neutralise) -> Neutralise:
        _BROUGHT[blueprint.import_name, function.__qualname__] = function
        return function

    return decorate


def neutralise(platform: Platform, file: Path, *, anonymise: bool) -> UUID:
    """Make a copy of a tenant's database harmless, in one transaction. Return its new deed.

    Its cookies, links and tokens are void, its log-ins and invitations gone, and no mail waits. Nothing of what was
    removed is left in the file.

    :param file: a database of the newest version that nobody has open.
    :param anonymise: also give people other names, addresses and no passwords, and put ``somebody@example.invalid`` in
        the place of each address in a text. Names that stand in texts stay.
    """
    for module in platform.blueprints.modules():
        import_module(module)
    with platform.databases.direct(DatabaseFile.at(file, ANY_SIZE), "write") as connection:
        deed = deeds.replace(connection)
        for model in _EMPTIED:
            connection.execute(delete(model))
        connection.execute(delete(Invitation).where(Invitation.accepted_at.is_(None)))
        for function in _brought_by(platform):
            function(connection, anonymise)
        if anonymise:
            _anonymise(connection)
        connection.commit()
    with closing(sqlite3.connect(file)) as raw:
        raw.execute("VACUUM")
    return deed


def _brought_by(platform: Platform) -> Iterator[Neutralise]:
    """Yield what the platform's blueprints bring. Another platform of this process may have others."""
    modules = platform.blueprints.modules()
    for (name, _), function in sorted(_BROUGHT.items()):
        if any(name == module or name.startswith(f"{module}.") for module in modules):
            yield function


def _anonymise(connection: Connection) -> None:
    there = set(inspect(connection).get_table_names())
    tables = [found for name, found in sorted(Model.metadata.tables.items()) if name in there]
    connection.execute(update(User).values(password_hash=None))
    of_people = or_(*(Event.kind.startswith(kind) for kind in _OF_PEOPLE))
    connection.execute(update(Event).where(of_people).values(title="Person"))
    for each in tables:
        for owned in each.columns:
            if (mask := owned.info.get("personal")) is not None:
                _mask(connection, owned, mask)
    raw: Any = connection.connection.dbapi_connection
    raw.create_function("tenantry_masked", 1, _without_addresses, deterministic=True)
    for each in tables:
        _mask_addresses(connection, each)
    _forget_searched_words(connection)


def _mask(connection: Connection, owned: Column[Any], mask: str) -> None:
    """Put the mask with each row's id into a column; by a detour, as it may be what another row has still."""
    (key,) = owned.table.primary_key.columns
    before, marked, after = mask.partition("{id}")
    id = cast(key, String) if marked else literal("")
    change = update(owned.table).where(owned.is_not(None))
    if marked:
        connection.execute(change.values({owned.name: literal("~") + id}))
    connection.execute(change.values({owned.name: literal(before) + id + literal(after)}))


def _without_addresses(text: str) -> str:
    return _ADDRESS.sub(_NOWHERE, text)


def _mask_addresses(connection: Connection, owner: Table) -> None:
    for each in filter(_may_hold_an_address, owner.columns):
        masked = {each.name: func.tenantry_masked(each)}
        connection.execute(update(owner).where(each.contains("@")).values(masked))


def _may_hold_an_address(each: Column[Any]) -> bool:
    is_text = isinstance(each.type, String) and not isinstance(each.type, Enum)
    return is_text and not (each.primary_key or each.foreign_keys or "personal" in each.info)


def _forget_searched_words(connection: Connection) -> None:
    """Make indexes for searching anew, as FTS5 keeps the words of what was removed (sqlite.org/fts5.html, 6.10)."""
    query = "SELECT name FROM sqlite_schema WHERE type = 'table' AND lower(sql) LIKE '%using fts5%'"
    names: Sequence[str] = connection.exec_driver_sql(query).scalars().all()
    for name in names:
        index = table(name, column(name))
        connection.execute(insert(index).values({name: "rebuild"}))
