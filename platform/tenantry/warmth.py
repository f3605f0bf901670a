"""Warming up: what gunicorn's master builds before it forks, every worker has, and the memory is used once.

Built in the master are the apps of the tenants that ``[platform] warm`` names, and the code of all their templates. No
page of theirs is asked for, as that is a visitor's to do. The price is Python's: a module that the master has imported
is not read again at a reload. So a reload is refused while code has changed, and a restart takes it.
"""

from __future__ import annotations

import gc
import hashlib
import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from jinja2 import TemplateError

from .errors import StateError, TenantUnavailable
from .explaining import explain

if TYPE_CHECKING:
    from .app import Platform
    from .registry import Registry
    from .tenant_app import TenantApp

log = logging.getLogger("tenantry")


#: When this process began, in nanoseconds of Unix time.
_STARTED = time.time_ns()


class _Seen(NamedTuple):
    """A file as it was when it was first seen: the time of its last change, and what was in it."""

    changed: int
    digest: bytes

    @classmethod
    def now(cls, file: Path, since: int) -> _Seen:
        """Look at a file that was imported after ``since``; if it was changed after it, it may be another by now."""
        changed = _changed(file)
        return cls(changed, _digest(file)) if changed < since else cls(-1, b"")


#: The files of all code that the master holds for its workers.
_loaded: dict[Path, _Seen] = {}


def warm_up(platform: Platform) -> None:
    """Build the apps of the warm tenants. One that cannot be built is logged, and tried again by the workers."""
    slugs, since = warm_slugs(platform.registry), time.time_ns() if _loaded else _STARTED
    for slug in slugs:
        try:
            _compile_templates(platform.tenant_app(slug))
        except TenantUnavailable:  # which was logged, with its reason
            log.warning("Tenant '%s' could not be warmed up. Its workers try again.", slug)
        except Exception as error:  # whatever its loader raises, it must not end the start for all
            log.warning("Tenant '%s' could not be warmed up (%s). Its workers try again.", slug, explain(error))
    if slugs:
        log.info("%d of %d tenants are warm.", len(platform.live), len(platform.registry.served()))
        for file in _code() - _loaded.keys():
            _loaded[file] = _Seen.now(file, since)


def warm_slugs(registry: Registry) -> list[str]:
    """Return the tenants to warm up: those that are named or all, and no more than a worker keeps.

    None that are refused at the gate: no app answers for them, and the database of one may be worked on.
    """
    served = dict.fromkeys(slug for slug, tenant in registry.items() if tenant.status in ("active", "read-only"))
    warm = registry.settings.warm
    chosen = list(served) if warm == "all" else [slug for slug in warm if slug in served]
    return chosen[: registry.settings.live_tenants]


def has_code() -> bool:
    """Whether this process holds code that a reload would not read again."""
    return bool(_loaded)


def freeze() -> None:
    """Keep what there is out of sight of Python's garbage collector.

    It writes into every object that it looks at, and a page of memory that is written to is shared no longer.
    """
    gc.collect()
    gc.freeze()


def check_code() -> None:
    """See whether workers that are forked now would have the code that is on the disk.

    :raises StateError: if they would have that of before.
    """
    for file, seen in _loaded.items():
        if _changed(file) != seen.changed and _digest(file) != seen.digest:
            raise StateError(
                f"{file} has changed. With warm tenants code is read once, when gunicorn starts, and a reload would "
                "mix old code and new. Restart gunicorn to take both the code and the configuration."
            )


def _compile_templates(app: TenantApp) -> None:
    environment = app.jinja_env
    for name in environment.list_templates():
        try:
            source, filename, _ = environment.loader.get_source(environment, name)  # type: ignore[union-attr]  # Flask's
            app.platform.template_code.get_bucket(environment, name, filename, source)
        except (OSError, UnicodeDecodeError, TemplateError):
            continue  # a picture among the templates, or a mistake in one; 'tenantry check' tells those


def _code() -> set[Path]:
    return {Path(file) for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None))}


def _digest(file: Path) -> bytes:
    try:
        return hashlib.sha256(file.read_bytes()).digest()
    except OSError:
        return b""


def _changed(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0
