"""What gunicorn does around serving: look at the configuration before it forks, and say where the doors are."""

from __future__ import annotations

import errno
import json
import logging
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

from . import last_good
from .app import Platform
from .errors import ConfigError, Problem, TenantryError
from .factory import CONFIG
from .files import make_private_folder
from .registry import Registry

#: The file that wsgi.py names.
_FILE = "tenants.toml"
#: At most so many tenants are listed at the start; more would drown the log.
_LISTED = 20


def check_before_start(server: Any) -> None:
    """Stop gunicorn with a paragraph and status 1 where it could not serve at all.

    Without this each worker would fail for itself, with a traceback, again and again.
    """
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        platform = Platform.from_file(_FILE)
        make_private_folder(platform.registry.settings.state_dir)
    except TenantryError as error:
        _stop(str(error))
    for address in server.cfg.address:
        _check_free(address)


def check_before_reload(server: Any) -> None:
    """Look at an edited configuration before the new workers do; where it is sound, it is the one to go on with.

    In a process of its own, as the check imports the blueprints: if the master did, its workers would inherit them, and
    no reload would ever bring their edits.
    """
    command = [sys.executable, "-m", "tenantry.cli", "check", "--json"]
    done = subprocess.run(command, env={**os.environ, CONFIG: _FILE}, capture_output=True, text=True)  # noqa: S603  # ours
    try:
        registry = Registry.from_file(_FILE)
        problems = [Problem(**each) for each in json.loads(done.stdout)["problems"]]
        if refused := last_good.new_ones(problems, registry, last_good.get(registry.settings.file) or registry):
            raise ConfigError(refused)
    except (TenantryError, ValueError, OSError) as error:
        server.log.error("%s\nNothing of it is used; the last good configuration goes on being served.", error)
    else:
        last_good.remember(registry)
        announce(server)


def announce(server: Any) -> None:
    """Print each tenant's addresses, now that they answer."""
    registry = last_good.get(Path(_FILE).absolute())
    tenants = registry.served() if registry else []
    ports = [address[1] for address in server.address if isinstance(address, tuple)]
    width = max((len(tenant.title) for tenant in tenants[:_LISTED]), default=0)
    lines = [f"  {tenant.title:<{width}}  {'  '.join(tenant.addresses(*ports[:1]))}" for tenant in tenants[:_LISTED]]
    if len(tenants) > _LISTED:
        lines.append(f"  … and {len(tenants) - _LISTED} more; 'tenantry list' shows them all")
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
