"""``python -m tenantry.cli``: the command line without its script."""

from . import main

main(prog_name="tenantry")
