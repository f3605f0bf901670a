"""``tenantry``: the operator's command line.

Every command reads the file that ``--config`` or ``TENANTRY_CONFIG`` names, else ``tenants.toml`` here. Mistakes are
told in a paragraph: status 1 where the configuration or a tenant is at fault, 2 where the command was.
"""

from __future__ import annotations

import logging

import click

from .. import __version__
from ..factory import CONFIG
from .backup import backup
from .develop import run, shell
from .each import each
from .export import export
from .hosts import hosts
from .inspect import check, list_tenants, routes, show
from .keys import keys
from .life import add, clone, remove, rename
from .maintenance import maintenance
from .outbox import outbox
from .output import Commands
from .plan import apply, diff, plan, rollback
from .provision import provision
from .restore import restore_tenant
from .states import archive, read_only, resume, suspend
from .status import status
from .users import users
from .worker import worker


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config", envvar=CONFIG, default="tenants.toml", show_default=True, metavar="FILE", help="The file to read."
)
@click.version_option(__version__, prog_name="tenantry")
@click.pass_context
def main(context: click.Context, config: str) -> None:
    """Serve one Flask product to many customers."""
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    context.obj = config


_COMMANDS = (
    check,
    list_tenants,
    show,
    hosts,
    routes,
    status,
    plan,
    apply,
    diff,
    rollback,
    add,
    clone,
    rename,
    suspend,
    resume,
    archive,
    remove,
    each,
    provision,
    run,
    shell,
    worker,
    outbox,
    restore_tenant,
    export,
)
for command in (*_COMMANDS, backup, keys, maintenance, read_only, users):
    main.add_command(command)
