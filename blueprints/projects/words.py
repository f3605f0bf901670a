"""What the board's script says, in the reader's language. What stands in braces is put in by the script."""

from __future__ import annotations

from tenantry import gettext


def script_words() -> dict[str, str]:
    """Return each sentence by its name in the script."""
    return {
        "moved": gettext("“{title}” is now in: {state}."),
        "added": gettext("“{title}” has been added."),
        "first": gettext("“{title}” is in the first column."),
        "last": gettext("“{title}” is in the last column."),
        "changed": gettext("Somebody has changed “{title}” in the meantime. It is in: {state}. Please try again."),
        "gone": gettext("“{title}” has been deleted in the meantime."),
        "forbidden": gettext("You may not change this any more. Load the page again."),
        "closed": gettext("This is not possible any more; perhaps the project has been archived. Load the page again."),
        "loggedOut": gettext("Your log-in has ended. Log in in a new tab, and try again."),
        "tooMany": gettext("Too many requests. Please try again in {seconds} seconds."),
        "refused": gettext("The server did not accept this. Please check what you typed."),
        "failed": gettext("Something went wrong. Please try again."),
        "offline": gettext("The server cannot be reached. Please try again."),
        "due": gettext("due on {day}"),
        "late": gettext("was due on {day}"),
    }
