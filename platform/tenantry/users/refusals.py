"""Why somebody may not go on: HTTP errors that the look makes pages of, and that a blueprint may answer otherwise."""

from __future__ import annotations

from typing import Any

from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import NotFound, ServiceUnavailable, TooManyRequests, Unauthorized


class LoginRequired(Unauthorized):
    """Nobody is logged in, or what came to prove it was refused.

    It names ``Bearer`` as what is expected and not ``Basic``, for which browsers would open a dialogue of their own.

    :ivar by_header: whether a token or password in a header was refused, where no log-in page helps.
    """

    description = "Nobody is logged in, or what came to prove who asks is not accepted."

    def __init__(self, by_header: bool = False, **kwargs: Any) -> None:
        super().__init__(www_authenticate=WWWAuthenticate("bearer", {"realm": "workspace"}), **kwargs)
        self.by_header = by_header


class TooManyAttempts(TooManyRequests):
    """Something was tried too often. ``retry_after`` is in seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(retry_after=retry_after)
        self.seconds = retry_after  # Werkzeug's may be a moment, too


class DeadLink(NotFound):
    """A link that was sent out is forged, expired, used, or another tenant's; the answer does not say which."""


class Crowded(ServiceUnavailable):
    """More wanted to do something costly at once than the machine can do for them."""

    def __init__(self) -> None:
        super().__init__(retry_after=2)
