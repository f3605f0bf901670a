"""Mail: written with what it is about, and sent by ``tenantry worker`` once that is kept.

For authors of blueprints::

    from tenantry import mail

    mail.send(user.email, gettext("Welcome"), "accounts/mail/welcome", link=mail.link("accounts.log_in"))

A mail stands in the tenant's outbox until it is sent, so none is lost and none is sent for what was undone.
"""

from .links import home, link
from .sending import send

__all__ = ["home", "link", "send"]
