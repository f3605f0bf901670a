"""What gunicorn does around serving: look at the configuration before it forks, and say where the doors are."""

from __future__ import annotations

import errno
import gc
import logging
import os
import resource
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from . import last_good, warmth
from .accepting import Candidate, decide
from .app import Platform
from .errors import ConfigError, Problem, StateError, TenantryError
from .files import make_private_folder
from .following import Follower
from .generations import Generations, Rejection, state_dir_of
from .memory import Memory
from .novelty import problems_of_all
from .registry import Registry
from .sources import Sources
from .sqlite import FILES_OF_A_DATABASE
from .taking_up import at_start

#: The file that wsgi.py names.
_FILE = "tenants.toml"
#: Open files beside the databases: as many connections as gunicorn takes at once, and what Python has; and the fewest.
_OTHERS, _FEWEST_OTHERS = 1200, 200
_LIMITLESS = 2**62
#: At most so many tenants are listed at the start; more would drown the log.
_LISTED = 20


def check_before_start(server: Any) -> None:
    """Stop gunicorn with a paragraph and status 1 where it could not serve at all.

    Without this each worker would fail for itself, with a traceback, again and again.
    """
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        found = at_start(Path(_FILE).absolute(), memory := Memory())
        for address in server.cfg.address:
            _check_free(address)
        _take_up(found.registry, found.generation, memory)
        if found.problems:
            server.log.error("%s\n%s", ConfigError(found.problems), _LAST_GOOD % found.generation)
    except TenantryError as error:
        _stop(str(error))


def check_before_reload(server: Any) -> None:
    """Look at an edited configuration; where it is sound, it is the one that the new workers get."""
    try:
        warmth.check_code()
        file, memory = Path(_FILE).absolute(), Memory()
        server.log.info("Checking the configuration before the reload.")
        generations = Generations(_state_dir(file), file)
        verdict = decide(generations, Sources(file), memory, _check_reload, forced=True)
        if isinstance(verdict, Rejection):
            raise ConfigError(verdict.problems)
        warmth.check_code()  # and not only before the check, which takes its time
        _take_up(verdict.registry, verdict.generation.number, memory)
    except Exception as error:  # whatever it is, it must not take the master down
        server.log.error("%s\n%s", error, _REFUSED if warmth.has_code() else f"{_REFUSED} {_CODE_IS_READ}")
    else:
        announce(server)


def _state_dir(file: Path) -> Path:
    """Return the state folder that is in use; an edit may name another one."""
    good = last_good.get(file)
    return good.registry.settings.state_dir if good else state_dir_of(file)


def _check_reload(candidate: Candidate) -> list[Problem]:
    """Return what an edit has made wrong, by a look at all that it names.

    If the master imported the blueprints, its workers would inherit them, and no reload would bring their edits.
    """
    problems = problems_of_all(candidate.sources, len(candidate.registry))
    return last_good.new_ones(problems, candidate.registry, _known(candidate.registry))


def follow(worker: Any) -> None:
    """Let a worker take up each new generation, for as long as it lives."""
    good = last_good.get(Path(_FILE).absolute())
    if good is not None:
        Follower(good.platform, "web", lambda: not worker.alive).start()


def _allow_descriptors(databases: int) -> None:
    """Raise this process's limit of open files, and so its workers', to what so many open databases need.

    :raises StateError: if the system does not allow it.
    """
    needed = databases * FILES_OF_A_DATABASE
    soft, hard = (_LIMITLESS if limit == resource.RLIM_INFINITY else limit for limit in _limits())
    if hard < needed + _FEWEST_OTHERS:
        fitting = max((hard - _FEWEST_OTHERS) // FILES_OF_A_DATABASE, 1)
        raise StateError(
            f"open_databases = {databases} needs {needed + _FEWEST_OTHERS} open files, and the system allows {hard}. "
            f"Raise that limit (LimitNOFILE= in systemd), or lower [platform] open_databases to {fitting}."
        )
    if soft < min(needed + _OTHERS, hard):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(needed + _OTHERS, hard), _limits()[1]))


def _limits() -> tuple[int, int]:
    return resource.getrlimit(resource.RLIMIT_NOFILE)


_LAST_GOOD = "Generation %d, the last good configuration, is served instead, until the file is mended."
_REFUSED = "The configuration of before goes on being served."
_CODE_IS_READ = (
    "(Code is not kept: where a blueprint is broken, the tenants that have it answer 503 until it is mended and "
    "gunicorn reloaded.)"
)


def _known(registry: Registry) -> Registry:
    """Return the registry that is served. Not its platform, which nobody may hold when another takes its place."""
    good = last_good.get(registry.settings.file)
    return good.registry if good else registry


def _take_up(registry: Registry, generation: int, memory: Memory) -> None:
    """Let a registry be the one that is served, once its state folder and key ring have proved to be usable."""
    make_private_folder(registry.settings.state_dir)
    _allow_descriptors(registry.settings.open_databases)
    platform = Platform(registry)
    platform.generation, platform.memory = generation, memory
    warmth.warm_up(platform)
    gc.unfreeze()  # the platform of before, which nobody has any more
    last_good.remember(platform)
    warmth.freeze()


def announce(server: Any) -> None:
    """Print each tenant's addresses, now that they answer."""
    good = last_good.get(Path(_FILE).absolute())
    tenants = good.registry.served() if good else []
    ports = [address[1] for address in server.address if isinstance(address, tuple)]
    width = max((len(tenant.title) for tenant in tenants[:_LISTED]), default=0)
    lines = [f"  {tenant.title:<{width}}  {'  '.join(tenant.addresses(*ports[:1]))}" for tenant in tenants[:_LISTED]]
    if len(tenants) > _LISTED:
        lines.append(f"  … and {len(tenants) - _LISTED} more; 'tenantry list' shows them all")
    with suppress(OSError, UnicodeError):  # nobody may be listening any more, or not in Unicode
        print("\n".join(["", f"Tenantry serves {len(tenants)} tenants:", *lines, ""]), flush=True)


def _check_free(address: Any) -> None:
    """gunicorn itself would try five times, a second apart, before it says so."""
    if not isinstance(address, tuple) or address[1] == 0 or "GUNICORN_FD" in os.environ or "LISTEN_FDS" in os.environ:
        return
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                port = address[1]
                _stop(
                    f"Port {port} of {address[0]} is in use by another program. Stop that one, or choose another port: "
                    f"make serve PORT={port + 1}"
                )
            where = f"{address[0]}:{address[1]}"
            _stop(f"The address {where} cannot be used ({error.strerror}). Choose another BIND_HOST or PORT.")


def _stop(paragraph: str) -> NoReturn:
    print(f"\nTenantry cannot start. {paragraph}\n", file=sys.stderr, flush=True)
    sys.exit(1)
