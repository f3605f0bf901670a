"""``tenantry users``: the accounts of one tenant, for the operator who has to make the first one, or mend one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import chain, count
from typing import Any

import click
from flask import url_for
from sqlalchemy import delete, or_, select
from werkzeug.routing import BuildError

from .. import db
from ..errors import did_you_mean
from ..times import now
from ..users import ROLES, ApiToken, User, end_logins, find_account, fold_address, fold_username, is_username, sign_link
from ..users.names import LONGEST_USERNAME, SHORTEST_USERNAME
from .output import Commands, as_json, load_platform, print_json, print_table

#: How long the link is accepted that the operator hands on.
_LINK_DAYS = 2


@click.group(cls=Commands)
def users() -> None:
    """The accounts of one tenant."""


@users.command("list")
@click.argument("slug")
@as_json
@click.pass_context
def list_users(context: click.Context, slug: str, as_json: bool) -> None:
    """List a tenant's accounts."""
    with _inside(context, slug):
        db.begin(write=False)
        found = [_summary(user) for user in db.session.scalars(select(User).order_by(User.username))]
    if as_json:
        print_json(found)
    else:
        columns = ("username", "email", "name", "role", "state", "created_at")
        heads = ("USERNAME", "ADDRESS", "NAME", "ROLE", "STATE", "SINCE")
        print_table(heads, [tuple(str(user[column]) for column in columns) for user in found])


def _address(context: click.Context, parameter: click.Parameter, value: str) -> str:
    try:
        return fold_address(value)
    except ValueError as error:
        raise click.BadParameter(f"'{value}' is not a mail address. {error}") from None


def administrator_address(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Check the address of a first administrator, of whom nothing else is asked; empty where there is to be none."""
    return _address(context, parameter, value) if value else ""


def appoint(slug: str, address: str) -> str:
    """Make an administrator, in the tenant's context; if there is an account of the address, of that.

    :return: what to tell the operator, with the link by which they set their password.
    """
    found = db.session.scalar(select(User).where(User.email == address))
    if found is None:
        return _made(slug, _free_username(address.partition("@")[0]), address, None, "admin")
    found.role = "admin"  # where a run was cut short it is so already
    return f"'{found.username}' is admin of '{slug}' now. {_link(found)}"


def _free_username(text: str) -> str:
    """Return a user name that is like what stands before the @ of an address, and that nobody has."""
    plain = unicodedata.normalize("NFKD", text.lower()).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]*[^a-z0-9._-][^a-z0-9]*|[._-]{2,}", "-", plain).strip("._-")
    name = name if len(name) >= SHORTEST_USERNAME else f"{name}-admin".strip("-")
    name = name[:LONGEST_USERNAME].rstrip("._-")
    taken = set(db.session.scalars(select(User.username)))
    names = chain([name], (f"{name[: LONGEST_USERNAME - 8].rstrip('._-')}-{number}" for number in count(2)))
    return next(each for each in names if each not in taken)


@users.command()
@click.argument("slug")
@click.argument("address", callback=_address)
@click.option("--username", help="Name in addresses; what stands before the @ where it is left out.")
@click.option("--name", help="What people call them; the user name where it is left out.")
@click.option("--role", type=click.Choice(ROLES), default="member", show_default=True)
@click.pass_context
def add(context: click.Context, slug: str, address: str, username: str | None, name: str | None, role: str) -> None:
    """Make an account, and print the link by which its owner sets the password.

    The address is taken to be confirmed, and names that are kept for the workspace itself may be given.
    """
    load_platform(context).registry[slug]  # an unknown tenant is told before an odd name
    username = _checked_username(username or address.partition("@")[0])
    with _inside(context, slug):
        text = _made(slug, username, address, name, role)
    click.echo(text)


@users.command("set-role")
@click.argument("slug")
@click.argument("user")
@click.argument("role", type=click.Choice(ROLES))
@click.pass_context
def set_role(context: click.Context, slug: str, user: str, role: str) -> None:
    """Give an account (its name or address) another role. It holds from its next page on."""
    with _inside(context, slug):
        found = _find(slug, user)
        before, found.role = found.role, role
        text = f"'{found.username}' of '{slug}' was {before}, and is {role} now."
    click.echo(text)


@users.command()
@click.argument("slug")
@click.argument("user")
@click.pass_context
def reset(context: click.Context, slug: str, user: str) -> None:
    """Void an account's password, tokens and log-ins, and print a link to set a new password.

    If it was blocked, it is let in again.
    """
    with _inside(context, slug):
        found = _find(slug, user)
        found.password_hash, found.blocked_at, found.activated_at = None, None, found.activated_at or now()
        ended = end_logins(found.id)
        db.session.execute(delete(ApiToken).where(ApiToken.user_id == found.id))
        logins = "1 log-in is" if ended == 1 else f"{ended} log-ins are"
        text = f"The password of '{found.username}' and its tokens are void, and {logins} ended. {_link(found)}"
    click.echo(text)


def _checked_username(text: str) -> str:
    username = fold_username(text)
    if not is_username(username):
        raise click.UsageError(
            f"'{username}' cannot be a user name; expected 3 to 32 of a-z and 0-9, with single '.', '_' or '-' "
            "between. Choose another by --username."
        )
    return username


def _made(slug: str, username: str, address: str, name: str | None, role: str) -> str:
    """Make an account, and return what to tell the operator."""
    taken = db.session.scalar(select(User).where(or_(User.username == username, User.email == address)))
    if taken is not None:
        raise click.ClickException(f"'{taken.username}' <{taken.email}> is there already; nothing was changed.")
    user = User(username=username, email=address, name=name or username, role=role, activated_at=now())
    db.session.add(user)
    db.session.flush()
    return f"'{username}' is {role} of '{slug}' now. {_link(user)}"


@contextmanager
def _inside(context: click.Context, slug: str) -> Iterator[None]:
    with load_platform(context).tenant(slug):
        yield


def _find(slug: str, name: str) -> User:
    found = find_account(name)
    if found is None:
        folded = fold_username(name)
        known = db.session.scalars(select(User.username).limit(10_000)).all()
        hint = did_you_mean(folded[:LONGEST_USERNAME], known) or f"; 'tenantry users list {slug}' lists them"
        raise click.ClickException(f"'{slug}' has no account of the name or address '{name}'{hint}")
    return found


def _link(user: User) -> str:
    token = sign_link("reset", user, timedelta(days=_LINK_DAYS))
    try:
        link = url_for("accounts.reset", token=token, _external=True)
    except BuildError:
        return "The tenant does not have the feature 'accounts', so there is no page on which to set a password."
    return f"By this link its owner sets the password, within {_LINK_DAYS} days:\n{link}"


def _summary(user: User) -> dict[str, Any]:
    state = "blocked" if user.blocked_at else "active" if user.activated_at else "not confirmed"
    return {
        "username": user.username,
        "email": user.email,
        "name": user.name,
        "role": user.role,
        "state": state,
        "created_at": user.created_at.isoformat(timespec="seconds") + "Z",
    }
