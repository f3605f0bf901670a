"""``tenantry``: the operator's command line.

Every command reads the file that ``--config`` or ``TENANTRY_CONFIG`` names, else ``tenants.toml`` here. Mistakes are
told in a paragraph: status 1 where the configuration or a tenant is at fault, 2 where the command was.
"""

from __future__ import annotations

import logging
import os
import pwd
import sys
from importlib import import_module
from pathlib import Path
from typing import cast

import click

from .. import __version__
from ..factory import CONFIG
from ..generations import state_dir_of
from .output import Commands

#: Where each command is. Its module is imported only when it is asked for.
COMMANDS = {
    "check": "inspect:check",
    "list": "inspect:list_tenants",
    "show": "inspect:show",
    "hosts": "hosts:hosts",
    "routes": "inspect:routes",
    "status": "status:status",
    "plan": "plan:plan",
    "apply": "plan:apply",
    "diff": "plan:diff",
    "rollback": "plan:rollback",
    "add": "life:add",
    "clone": "life:clone",
    "rename": "life:rename",
    "suspend": "states:suspend",
    "resume": "states:resume",
    "maintenance": "maintenance:maintenance",
    "read-only": "states:read_only",
    "archive": "states:archive",
    "remove": "life:remove",
    "each": "each:each",
    "provision": "provision:provision",
    "migrate": "migrate:migrate",
    "revision": "revision:revision",
    "backup": "backup:backup",
    "restore": "restore:restore_tenant",
    "export": "export:export",
    "run": "develop:run",
    "shell": "develop:shell",
    "worker": "worker:worker",
    "outbox": "outbox:outbox",
    "users": "users:users",
    "keys": "keys:keys",
}


class _Main(Commands):
    def list_commands(self, context: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name].partition(":")
        return cast(click.Command, getattr(import_module(f".{module}", __name__), attribute))


@click.group(cls=_Main, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config", envvar=CONFIG, default="tenants.toml", show_default=True, metavar="FILE", help="The file to read."
)
@click.version_option(__version__, prog_name="tenantry")
@click.pass_context
def main(context: click.Context, config: str) -> None:
    """Serve one Flask product to many customers."""
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    context.obj = config
    if context.invoked_subcommand not in ("check", None) and "--help" not in sys.argv:
        _refuse_for_root(state_dir_of(Path(config).absolute()))


def _refuse_for_root(state_dir: Path) -> None:
    """Keep root from working on what belongs to another user, who could make it write, read or run anything there."""
    try:
        owner = state_dir.stat().st_uid
    except OSError:
        return
    if os.geteuid() == 0 and owner != 0:
        name = _name_of(owner)
        raise click.ClickException(
            f"{state_dir} belongs to the user {name}. Run this as that user: sudo -u {name} tenantry …"
        )


def _name_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"#{user}"
