"""Compiled templates, shared by all tenants: code objects only, which are immutable and hold no tenant's data.

Each tenant has a Jinja environment of its own, as ``config``, ``url_for`` and what extensions put there are its own.
What Jinja compiles a template to refers to nothing of it, but for one thing: where a filter is applied to a constant,
as in ``{{ "title"|setting }}``, Jinja calls the filter while it compiles and keeps the result. So shared code is
compiled with filters and tests that refuse to be called; they are then called for each page, which is always right.

A template is code, and one function for each block, which has Jinja's own names around it and the environment as a
default. The names are the same for everybody, so they are shared too, with a template that belongs to no tenant and
knows the lines of the source; each tenant has functions of its own.

Code is found by the template's whole text, its name and file, and by all settings of the environment that Jinja's
compiler asks for. A tenant's own templates are not kept here at all, and neither is what an environment compiles that
was changed in a way that might put something of its tenant into the code.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, MutableMapping
from contextlib import suppress
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, NoReturn, cast

from flask import Flask
from flask.templating import Environment as FlaskEnvironment
from jinja2 import BytecodeCache, ChainableUndefined, DebugUndefined, Environment, StrictUndefined, Template, Undefined
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


class SharedTemplate:
    """A compiled template that belongs to nobody, of which every tenant can have its own."""

    __slots__ = ("_functions", "_template", "fits")

    def __init__(self, code: CodeType) -> None:
        self._template = Template.from_code(_NOBODYS, code, {})
        self._functions = {"": self._template.root_render_func, **self._template.blocks}
        self.fits = self._fits()

    def _fits(self) -> bool:
        """Whether its functions know their environment only as a default, which can be another, and none each other.

        Those of a block that calls ``super()`` look for themselves among the names around them.
        """
        own = {"environment", *(function.__name__ for function in self._functions.values())}
        return all(
            _NOBODYS in (function.__defaults__ or ())
            and function.__closure__ is None
            and own.isdisjoint(_names_in(function.__code__))
            for function in self._functions.values()
        )

    def module_for(self, environment: Environment) -> dict[str, Any]:
        """Return what Jinja makes a template of: as if a module had been executed for this environment."""
        blocks = {name: _given(function, environment) for name, function in self._functions.items()}
        debug_info = self._template.root_render_func.__globals__["debug_info"]
        template = self._template
        return {
            "root": blocks.pop(""),
            "blocks": blocks,
            "name": template.name,
            "__file__": template.filename,
            "debug_info": debug_info,
        }


class TenantTemplate(Template):
    """A template of one tenant's environment."""

    @classmethod
    def from_code(
        cls,
        environment: Environment,
        code: CodeType | SharedTemplate,
        globals: MutableMapping[str, Any],
        uptodate: Callable[[], bool] | None = None,
    ) -> Template:
        """Jinja's, but of what is shared it makes functions for this environment, and executes no module."""
        if isinstance(code, SharedTemplate):
            return _OfShared.from_module_dict(environment, code.module_for(environment), globals)
        return super().from_code(environment, code, globals, uptodate)


class _OfShared(TenantTemplate):
    """A template that cannot look whether its file has changed. Should it ever be asked to, it is loaded anew."""

    is_up_to_date = False


class TemplateCache(dict[Any, Template]):
    """The templates of one environment, as many as Jinja's own cache holds, which takes a lock for each look-up.

    This one starts anew when it is full.
    """

    capacity = 400  # under the name by which Jinja asks for it when an environment is overlaid

    def __setitem__(self, key: Any, template: Template) -> None:
        if len(self) >= self.capacity:
            self.clear()
        super().__setitem__(key, template)


class TenantEnvironment(FlaskEnvironment):
    """The Jinja environment of one tenant."""

    template_class = TenantTemplate


class TemplateCode(BytecodeCache):
    """What the apps of one platform share of their templates.

    It is a cache of bytecode as Jinja knows them, but keeps what bytecode becomes: read again for each tenant, it would
    be another copy each time.
    """

    def __init__(self) -> None:
        self._codes: OrderedDict[Hashable, tuple[CodeType, SharedTemplate]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._codes)

    def get_bucket(self, environment: Environment, name: str, filename: str | None, source: str) -> Bucket:
        """Return the code of a template, compiled if need be; an empty bucket where it cannot be shared."""
        bucket = Bucket(environment, name, "")
        settings = _settings_of(environment)
        if settings is not None and filename is not None and not _is_tenants_own(environment, filename):
            code, shared = self._find((settings, name, os.fspath(filename), source), environment)
            # A template that will look whether its file has changed has to be one of Jinja's.
            has_to_look = environment.auto_reload or environment.template_class is not TenantTemplate
            bucket.code = code if has_to_look or not shared.fits else shared  # type: ignore[assignment]  # for from_code
        return bucket

    def set_bucket(self, bucket: Bucket) -> None:
        """Keep nothing: what is shared was kept already, and the rest belongs to the environment that compiled it."""

    def _find(self, key: tuple[Hashable, str, str, str], environment: Environment) -> tuple[CodeType, SharedTemplate]:
        found = self._codes.get(key)
        if found is None:
            _, name, filename, source = key
            code = _unseeing(environment).compile(source, name, filename)
            self._codes[key] = found = code, SharedTemplate(code)
        with suppress(KeyError):  # another thread may have pushed one out
            self._codes.move_to_end(key)
            while len(self._codes) > _KEPT:
                self._codes.popitem(last=False)
        return found


#: The environment of shared templates, which is there for Jinja's tracebacks alone.
_NOBODYS = Environment(autoescape=True)


def _names_in(code: CodeType) -> set[str]:
    """Return the names that code looks up around it, with those of the functions inside it."""
    inner = [_names_in(each) for each in code.co_consts if isinstance(each, CodeType)]
    return set(code.co_names).union(*inner)


def _given(function: Callable[..., Any], environment: Environment) -> FunctionType:
    defaults = tuple(environment if each is _NOBODYS else each for each in function.__defaults__ or ())
    return FunctionType(function.__code__, function.__globals__, function.__name__, defaults)


def _settings_of(environment: Environment) -> Hashable | None:
    """Return all that decides what a template is compiled to; ``None`` where it cannot be told."""
    extensions = environment.extensions
    if (
        type(environment) is not TenantEnvironment
        or any(callable(getattr(TenantEnvironment, name, None)) for name in vars(environment))
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
    return os.fspath(filename).startswith((f"{tenant.folder}{os.sep}", f"{tenant.state}{os.sep}"))


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
