"""``/users`` and ``/tokens``: who is in the workspace, and the tokens of the one who asks."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from flask import abort, url_for
from pydantic import AfterValidator, BeforeValidator, Field
from sqlalchemy import Select, delete, func, select

from tenantry import ApiException, current_tenant, current_user, db
from tenantry.api import (
    ID,
    WHOLE,
    ApiBlueprint,
    ApiResult,
    Collection,
    Filter,
    Id,
    Line,
    Lines,
    Moment,
    Schema,
    caseless,
    check_unchanged,
    unset,
)
from tenantry.users import ApiToken, User, fold_username, issue_token

from . import services
from .forms import time_zones
from .limits import MOST_TOKENS

api_bp = ApiBlueprint("accounts_api", __name__)

Role = Literal["member", "staff", "admin"]
Scope = Literal["read", "write"]
Name = Annotated[Line, Field(max_length=80)]


class UserOut(Schema):
    """Somebody in the workspace."""

    id: Id
    username: str
    name: str
    about: str
    role: Role
    is_blocked: Annotated[
        bool, Field(description="Whether they may log in no more; then administrators alone see them.")
    ]
    created_at: Moment


class MeOut(UserOut):
    """You."""

    email: str
    is_public: bool
    language: str | None
    timezone: str | None


class MePatch(Schema):
    """What is to be changed of you."""

    name: Name = unset()
    about: Annotated[Lines, Field(max_length=2000)] = unset()
    is_public: bool = unset()
    language: Annotated[str, Field(max_length=12)] | None = unset()
    timezone: Annotated[str, Field(max_length=64)] | None = unset()


class UserPatch(Schema):
    """What an administrator changes of somebody."""

    role: Role = unset()
    is_blocked: bool = unset()


def _unique(scopes: list[Scope]) -> list[Scope]:
    if len(set(scopes)) < len(scopes):
        raise ValueError("A scope stands there twice; expected each once.")
    return scopes


class TokenIn(Schema):
    """A new token."""

    name: Name
    scopes: Annotated[
        list[Scope], Field(min_length=1, max_length=2, json_schema_extra={"uniqueItems": True}), AfterValidator(_unique)
    ]
    days: Annotated[int, Field(ge=1, le=365), WHOLE] = 90


class TokenOut(Schema):
    """A token, without what makes it one."""

    id: Id
    name: str
    scopes: Annotated[list[Scope], BeforeValidator(lambda found: found.split() if isinstance(found, str) else found)]
    created_at: Moment
    expires_at: Moment


class TokenMade(TokenOut):
    """A new token. What it is, is said this once."""

    token: str


USERS = Collection(
    "users",
    UserOut,
    filters={
        "q": Filter(
            Annotated[Line, Field(max_length=80)],
            lambda words: User.name.icontains(words, autoescape=True) | User.username.icontains(words, autoescape=True),
            "Those whose name or user name has this in it.",
        ),
        "role": Filter(Role, lambda role: User.role == role, "Those with this role."),
        "username": Filter(
            Annotated[Line, Field(max_length=80)],
            lambda name: User.username == fold_username(name),
            "The one with this user name.",
        ),
        "is_blocked": Filter(
            bool,
            lambda is_blocked: User.blocked_at.is_not(None) if is_blocked else User.blocked_at.is_(None),
            "Those who may log in no more, or those who may.",
        ),
    },
    sorts={
        "id": User.id,
        "username": User.username,
        "name": caseless(User.name),
        "created_at": User.created_at,
    },
)
TOKENS = Collection(
    "tokens",
    TokenOut,
    sorts={"id": ApiToken.id, "created_at": ApiToken.created_at, "expires_at": ApiToken.expires_at},
)


def _seen() -> Select[User]:
    """Return a select of the active ones; of the blocked ones as well for those who can let them in again."""
    known = select(User).where(User.activated_at.is_not(None))
    return known if current_user.has_role("admin") else known.where(User.blocked_at.is_(None))


def _mine() -> Select[ApiToken]:
    return select(ApiToken).where(ApiToken.user_id == current_user.id)


@api_bp.collection("/users", USERS)
def list_users() -> Select[User]:
    """List who is in the workspace. Administrators see those who are blocked, too."""
    return _seen()


@api_bp.get("/users/me", returns=MeOut)
def get_me() -> User:
    """Get yourself."""
    return db.session.get_one(User, current_user.id)


@api_bp.patch("/users/me", body=MePatch, returns=MeOut, errors=(409,), conditional=True)
def change_me(data: MePatch) -> User:
    """Change what others see of you, and how you read."""
    me = db.session.get_one(User, current_user.id)
    check_unchanged(MeOut, me)
    changes = data.model_dump(exclude_unset=True)
    _check_reading(changes)
    for name, value in changes.items():
        setattr(me, name, value)
    db.session.flush()
    return me


def _check_reading(changes: dict[str, Any]) -> None:
    mistakes = []
    if changes.get("language") not in (None, *current_tenant.languages):
        spoken = ", ".join(current_tenant.languages)
        mistakes.append({"pointer": "/language", "message": f"Expected one of {spoken}, or null."})
    if changes.get("timezone") not in (None, *time_zones()):
        mistakes.append({"pointer": "/timezone", "message": "Expected a name like Europe/Berlin, or null."})
    if mistakes:
        raise ApiException(409, "This workspace does not have that. Every mistake is listed.", mistakes)


@api_bp.get(f"/users/<{ID}:user_id>", returns=UserOut)
def get_user(user_id: int) -> User:
    """Get somebody."""
    return db.session.scalar(_seen().where(User.id == user_id)) or abort(404)


@api_bp.patch(
    f"/users/<{ID}:user_id>",
    body=UserPatch,
    returns=UserOut,
    role="admin",
    errors=(409,),
    conditional=True,
)
def change_user(user_id: int, data: UserPatch) -> User:
    """Give somebody else another role, or block them, as an administrator of the workspace."""
    user = db.session.get(User, user_id) or abort(404)
    if user.id == current_user.id:
        raise ApiException(409, "Nobody changes their own role, or blocks themselves.")
    check_unchanged(UserOut, user)
    changes = data.model_dump(exclude_unset=True)
    try:
        if "role" in changes:
            services.set_role(user, changes["role"])
        if "is_blocked" in changes:
            services.set_blocked(user, changes["is_blocked"])
    except services.LastAdmin:
        raise ApiException(409, "This is the only administrator. Give the role to somebody else first.") from None
    db.session.flush()
    return user


@api_bp.collection("/tokens", TOKENS)
def list_tokens() -> Select[ApiToken]:
    """List your tokens."""
    return _mine()


@api_bp.post("/tokens", body=TokenIn, returns=TokenMade, status=201, secret=True, password=True)
def create_token(data: TokenIn) -> ApiResult:
    """Make a token, with your password: HTTP Basic. A token cannot make another.

    What it is, is said this once, and nowhere kept.
    """
    count = db.session.scalar(select(func.count(ApiToken.id)).where(ApiToken.user_id == current_user.id)) or 0
    if count >= MOST_TOKENS:
        raise ApiException(409, f"You have {count} tokens, which is the most there can be. Delete one first.")
    token, row = issue_token(current_user.id, data.name, set(data.scopes), timedelta(days=data.days))
    db.session.flush()
    location = url_for(".get_token", token_id=row.id)
    return ApiResult({**TokenOut.model_validate(row).model_dump(), "token": token}, 201, {"Location": location})


@api_bp.get(f"/tokens/<{ID}:token_id>", returns=TokenOut)
def get_token(token_id: int) -> ApiToken:
    """Get one of your tokens, without what makes it one."""
    return db.session.scalar(_mine().where(ApiToken.id == token_id)) or abort(404)


@api_bp.delete(f"/tokens/<{ID}:token_id>", status=204, conditional=True)
def delete_token(token_id: int) -> None:
    """Revoke one of your tokens."""
    check_unchanged(TokenOut, get_token(token_id))
    db.session.execute(delete(ApiToken).where(ApiToken.id == token_id, ApiToken.user_id == current_user.id))
