"""What the board's script says, in the reader's language. ``{title}`` and ``{state}`` are put in by the script."""

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
        "loggedOut": gettext("Your log-in has ended. Log in in a new tab, and try again."),
        "tooMany": gettext("Too many requests. Please try again in {seconds} seconds."),
        "refused": gettext("That was not possible: {detail}"),
        "failed": gettext("Something went wrong, and nothing was changed. Please try again."),
        "offline": gettext("The server cannot be reached, and nothing was changed. Please try again."),
        "due": gettext("due on {day}"),
    }
