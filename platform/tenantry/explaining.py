"""Errors in words: what an operator or an author reads where something of theirs, or of a library, has failed."""

from __future__ import annotations

import os
import sysconfig

from .errors import TenantryError


def explain(error: BaseException) -> str:
    """Return an error as one paragraph for a person: its own words if they are ours, else its type and place too."""
    if isinstance(error, TenantryError):
        return str(error)
    text = " ".join(str(error).split()) or "no message"
    return f"{type(error).__name__}: {text}{_place(error)}"


#: Parts of the paths of code that is not the operator's or an author's: libraries', the interpreter's, ours.
_NOT_THEIRS = ("site-packages", "<frozen", sysconfig.get_paths()["stdlib"], os.path.dirname(__file__) + os.sep)


def is_theirs(file: str) -> bool:
    """Whether a source file is the operator's or an author's."""
    return not any(part in file for part in _NOT_THEIRS)


def _place(error: BaseException) -> str:
    """Name the innermost source line of an error, outside of Tenantry and the libraries where there is one."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({error.filename}, line {error.lineno})"
    traceback, place = error.__traceback__, ""
    while traceback:
        name = traceback.tb_frame.f_code.co_filename
        if is_theirs(name):
            place = f" ({name}, line {traceback.tb_lineno})"
        traceback = traceback.tb_next
    return place
