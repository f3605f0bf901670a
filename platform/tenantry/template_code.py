"""Compiled templates, shared by all tenants: code objects only, which are immutable and hold no tenant's data.

Each tenant has a Jinja environment of its own, as ``config``, ``url_for`` and what extensions put there are its own.
What Jinja compiles a template to refers to nothing of it, but for one thing: where a filter is applied to a constant,
as in ``{{ "title"|setting }}``, Jinja calls the filter while it compiles and keeps the result. So shared code is
compiled with filters and tests that refuse to be called; they are then called for each page, which is always right.

Code is found by the template's whole text, its name and file, and by all settings of the environment that Jinja's
compiler asks for. A tenant's own templates are not kept here at all, and neither is what an environment compiles that
was changed in a way that might put something of its tenant into the code.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from types import CodeType
from typing import TYPE_CHECKING, Any, NoReturn, cast

from flask import Flask
from flask.templating import Environment as FlaskEnvironment
from jinja2 import BytecodeCache, ChainableUndefined, DebugUndefined, Environment, StrictUndefined, Undefined
from jinja2.bccache import Bucket
from jinja2.compiler import CodeGenerator
from jinja2.filters import FILTERS
from jinja2.nodes import Impossible
from jinja2.tests import TESTS

if TYPE_CHECKING:
    from .tenant_app import TenantApp

#: How many compiled templates are kept; those least recently asked for go first.
_KEPT = 2000
#: Settings of an environment that Jinja's lexer, parser or compiler reads, and that are plain values.
_SETTINGS = (
    "block_start_string",
    "block_end_string",
    "variable_start_string",
    "variable_end_string",
    "comment_start_string",
    "comment_end_string",
    "line_statement_prefix",
    "line_comment_prefix",
    "trim_blocks",
    "lstrip_blocks",
    "newline_sequence",
    "keep_trailing_newline",
    "optimized",
    "undefined",
)
#: The policy that an extension of Jinja's own reads while it parses.
_TRIMMED = "ext.i18n.trimmed"
#: Where ``jinja2.pass_context`` and its like note what a filter is to be passed.
_MARK = "jinja_pass_arg"
_UNDEFINED = (Undefined, ChainableUndefined, DebugUndefined, StrictUndefined)


class TemplateCode(BytecodeCache):
    """What the apps of one platform share of their templates.

    It is a cache of bytecode as Jinja knows them, but keeps code objects as they are: unmarshalled ones would be
    another copy for each tenant.
    """

    def __init__(self) -> None:
        self._codes: OrderedDict[Hashable, CodeType] = OrderedDict()

    def __len__(self) -> int:
        return len(self._codes)

    def get_bucket(self, environment: Environment, name: str, filename: str | None, source: str) -> Bucket:
        """Return the code of a template, compiled if need be; an empty bucket where it cannot be shared."""
        bucket = Bucket(environment, name, "")
        settings = _settings_of(environment)
        if settings is not None and filename is not None and not _is_tenants_own(environment, filename):
            bucket.code = self._code((settings, name, filename, source), environment)
        return bucket

    def set_bucket(self, bucket: Bucket) -> None:
        """Keep nothing: what is shared was kept already, and the rest belongs to the environment that compiled it."""

    def _code(self, key: tuple[Hashable, str, str, str], environment: Environment) -> CodeType:
        code = self._codes.get(key)
        if code is None:
            _, name, filename, source = key
            self._codes[key] = code = _unseeing(environment).compile(source, name, filename)
        with suppress(KeyError):  # another thread may have pushed one out
            self._codes.move_to_end(key)
            while len(self._codes) > _KEPT:
                self._codes.popitem(last=False)
        return code


def _settings_of(environment: Environment) -> Hashable | None:
    """Return all that decides what a template is compiled to; ``None`` where it cannot be told."""
    extensions = environment.extensions
    if (
        type(environment) is not FlaskEnvironment
        or environment.is_async
        or environment.finalize is not None
        or environment.code_generator_class is not CodeGenerator
        or environment.undefined not in _UNDEFINED
        or any(type(each).__module__ != "jinja2.ext" for each in extensions.values())
    ):
        return None
    autoescape = _autoescape_of(environment)
    return autoescape and (
        autoescape,
        tuple(extensions),
        getattr(environment, "newstyle_gettext", None),
        *[getattr(environment, name) for name in _SETTINGS],
        environment.policies.get(_TRIMMED),
        _changes(environment.filters, FILTERS),
        _changes(environment.tests, TESTS),
    )


def _autoescape_of(environment: Environment) -> str | None:
    autoescape = environment.autoescape
    if isinstance(autoescape, bool):
        return str(autoescape)
    # Flask's own choice by the template's name; a choice of the app's own may depend on anything.
    return "flask" if getattr(autoescape, "__func__", None) is Flask.select_jinja_autoescape else None


def _changes(ours: Mapping[str, Any], usual: Mapping[str, Any]) -> Hashable:
    """Return how filters or tests differ from Jinja's for its compiler: by their names, and what they are passed."""
    added = [(name, getattr(each, _MARK, None)) for name, each in ours.items() if usual.get(name) is not each]
    return (*added, *(usual.keys() - ours.keys()))


def _is_tenants_own(environment: Environment, filename: str) -> bool:
    tenant = cast("TenantApp", cast(Any, environment).app).tenant
    return filename.startswith((f"{tenant.folder}{os.sep}", f"{tenant.state}{os.sep}"))


def _unseeing(environment: Environment) -> Environment:
    """Return the environment with filters and tests that Jinja's compiler can name, but not call."""
    unseeing = environment.overlay()
    unseeing.filters = {name: _uncallable(each) for name, each in environment.filters.items()}
    unseeing.tests = {name: _uncallable(each) for name, each in environment.tests.items()}
    return unseeing


def _uncallable(function: object) -> Callable[..., NoReturn]:
    def refuse(*args: object, **options: object) -> NoReturn:
        raise Impossible()

    if (mark := getattr(function, _MARK, None)) is not None:
        setattr(refuse, _MARK, mark)
    return refuse
