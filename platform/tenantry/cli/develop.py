"""Commands for blueprint authors: run and shell."""

from __future__ import annotations

import code
import os
import sys
from typing import Any

import click
from sqlalchemy import select
from werkzeug.serving import is_running_from_reloader, run_simple

from .. import db
from ..app import Platform
from ..errors import TenantryError
from ..explaining import explain
from ..languages import gettext
from ..pages import unavailable
from ..registry import ENVIRONMENT
from .output import load_platform

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=8000, envvar="PORT", show_default=True)
@click.option(
    "--host", type=click.Choice(_LOOPBACK), default="127.0.0.1", show_default=True, help="A loopback name only."
)
@click.option("--profile", is_flag=True, help="Print where each request spent its time.")
@click.option("--no-reload", is_flag=True, help="Do not restart when a file changes.")
@click.pass_context
def run(context: click.Context, port: int, host: str, profile: bool, no_reload: bool) -> None:
    """Run the server for development.

    It reloads when a file changes, shows errors in a debugger, runs jobs and prints mails, and listens on this machine
    only.
    """
    if os.environ.setdefault(ENVIRONMENT, "development") != "development":
        raise click.UsageError(f"{ENVIRONMENT} is '{os.environ[ENVIRONMENT]}', and the debugger must not run there.")
    os.environ.update(FLASK_DEBUG="1", PORT=str(port), TENANTRY_CONFIG=os.path.abspath(context.obj))
    application = _load(os.environ["TENANTRY_CONFIG"], port, reloading=not no_reload)
    if profile:
        from werkzeug.middleware.profiler import ProfilerMiddleware

        application = ProfilerMiddleware(application, restrictions=(25,))
    run_simple(
        host,
        port,
        application,
        use_reloader=not no_reload,
        use_debugger=True,
        threaded=True,
        extra_files=[os.environ["TENANTRY_CONFIG"]],
    )


def _load(config: str, port: int, reloading: bool) -> Any:
    """Return the platform; or, where it cannot be made, the reason as a page, so that the reloader goes on watching."""
    from ..environments import Development

    Development.DEBUG = True
    try:
        platform = Platform.from_file(config)
    except TenantryError as error:
        if not reloading:
            raise
        click.echo(f"Error: {error}\nWaiting for an edit that mends it.", err=True)
        return unavailable(1, str(error))
    if is_running_from_reloader() or not reloading:
        from ..worker import Worker

        Worker(platform, threads=1).run_beside()
    if not is_running_from_reloader():
        for tenant in platform.registry.values():
            click.echo(f"  {tenant.title}: {'  '.join(tenant.addresses(port))}")
    return platform


@click.command()
@click.argument("slug")
@click.option("-c", "--command", help="Run this instead of asking for input.")
@click.pass_context
def shell(context: click.Context, slug: str, command: str | None) -> None:
    """Open a shell in a tenant's context.

    Its database, all models, current_tenant and gettext are at hand. What is written is kept by db.session.commit(),
    and by leaving the shell.
    """
    platform = load_platform(context)
    with platform.tenant(slug) as tenant:
        db.begin_deferred()
        names = _names(platform, slug)
        try:
            if command is None and sys.stdin.isatty():
                banner = f"Tenant '{slug}' ({tenant.title}). At hand: {', '.join(sorted(names))}."
                code.interact(banner, local=names, exitmsg="")
            else:
                _execute(command if command is not None else sys.stdin.read(), names)
        except SystemExit as leaving:  # exit() leaves the shell, and keeps what was written like its end does
            status = leaving.code
        else:
            status = 0
    sys.exit(status)


def _execute(source: str, names: dict[str, Any]) -> None:
    try:
        exec(compile(source, "<shell>", "exec"), names)  # noqa: S102  # the operator's own code, as in any shell
    except Exception as error:
        raise click.ClickException(f"{explain(error).rstrip('.')}. What was written is undone.") from None


def _names(platform: Platform, slug: str) -> dict[str, Any]:
    app = platform.tenant_app(slug)
    models = {mapper.class_.__name__: mapper.class_ for mapper in db.Model.registry.mappers}
    ours = {"platform": platform, "tenant": app.tenant, "current_tenant": app.tenant, "db": db, "select": select}
    return {**models, **app.make_shell_context(), **ours, "gettext": gettext}
