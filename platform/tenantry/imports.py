"""Import strings, resolved with errors for a person."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from types import ModuleType
from typing import Any

from .errors import ImportFailed, did_you_mean
from .explaining import explain


def make_importable(root: Path) -> None:
    """Let import strings be read from the folder of tenants.toml, as gunicorn lets them with its working folder."""
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))


def import_module(name: str) -> ModuleType:
    """Import a module by its dotted name.

    :raises ImportFailed: whatever it raised, or if it is not there.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise ImportFailed(name, f"there is no module '{error.name}'") from None
        raise ImportFailed(name, explain(error)) from error
    except (Exception, SystemExit) as error:
        raise ImportFailed(name, explain(error)) from error


def resolve(import_string: str) -> Any:
    """Return what ``package.module:attribute`` names; the attribute may itself be dotted.

    :raises ImportFailed: if the module cannot be imported or has no such attribute.
    """
    module_name, _, attributes = import_string.partition(":")
    module = import_module(module_name)
    try:
        return reduce(getattr, attributes.split("."), module)
    except AttributeError:
        hint = did_you_mean(attributes, vars(module))
        raise ImportFailed(import_string, f"'{module_name}' has no '{attributes}'{hint}") from None


def lazy_view(import_string: str) -> Callable[..., Any]:
    """Return a view that is imported when it is first asked for, by ``"package.module:function"``.

    For views whose imports take long, or much memory, and which few tenants' users need.
    """
    found: list[Callable[..., Any]] = []

    def view(*args: Any, **kwargs: Any) -> Any:
        if not found:
            found.append(resolve(import_string))
        return found[0](*args, **kwargs)

    view.__name__ = import_string.rpartition(":")[2]
    return view
