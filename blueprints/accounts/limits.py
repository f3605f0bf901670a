"""How often things may be asked for, and the words for when it was too often."""

from __future__ import annotations

from datetime import timedelta

from tenantry import format_timedelta, gettext
from tenantry.forms import Form
from tenantry.users import Throttle, TooManyAttempts

#: Accounts made from one address of the network.
SIGN_UPS_FROM = Throttle("sign-ups from", "20 per hour")
#: Links for a forgotten password, asked for from one address of the network, and for one account.
RESETS_FROM = Throttle("resets from", "20 per hour")
RESETS_FOR = Throttle("resets for", "5 per hour")
#: Mails to an address that somebody says is theirs, whoever says so. Those beyond are not sent.
MAILS_TO = Throttle("mails to", "5 per hour")
#: All of a workspace's data, asked for by one administrator.
EXPORTS_BY = Throttle("exports by", "10 per hour")
#: Most API tokens of one account.
MOST_TOKENS = 50


def is_over(throttle: Throttle, *who: str) -> bool:
    """Count an attempt, and return whether it was one too many."""
    try:
        throttle.count(*who)
    except TooManyAttempts:
        return True
    return False


def refuse_for_now(form: Form, field: str, error: TooManyAttempts) -> None:
    """Say beside a field when the form may be sent again."""
    form.retry_after = error.seconds
    time = format_timedelta(timedelta(seconds=error.seconds))
    form.refuse(field, gettext("Too many attempts. Please try again in %(time)s.") % {"time": time})
