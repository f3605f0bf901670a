"""``tenantry hosts``: the names that certificates are needed for."""

from __future__ import annotations

import click

from ..asking import certificate_names
from .output import as_json, load_registry, print_json, print_table


@click.command()
@as_json
@click.pass_context
def hosts(context: click.Context, as_json: bool) -> None:
    """List the names that need a certificate.

    That is, every host of a tenant that is not archived, and the platform's own; not localhost, and no IP addresses.
    """
    names = certificate_names(load_registry(context))
    if as_json:
        print_json([{"name": name, "tenant": slug} for name, slug in names])
    else:
        print_table(("NAME", "TENANT"), ((name, slug or "–") for name, slug in names))
