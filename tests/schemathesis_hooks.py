"""What schemathesis cannot know from the document: what it makes up of these is right in form, and always refused.

What is wrong in form it sends as it is.
"""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import schemathesis

#: Headers that the document names, and those of HTTP itself. gunicorn refuses names that can be none, in its own form.
KNOWN = {"idempotency-key", "if-match", "if-none-match", "authorization", "content-type", "accept"}


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    headers = case.headers or {}
    for name in [name for name in headers if name.lower() not in KNOWN]:
        del headers[name]
    if re.fullmatch(r"[ -~]{1,200}", str(headers.get("Idempotency-Key", ""))):
        headers["Idempotency-Key"] = str(uuid4())  # a key belongs to one request, and with another one it is 422
    if "If-Match" in headers:
        headers["If-Match"] = "*"  # what was made up is never what the item is, and would be 412
    query = case.query or {}
    if re.fullmatch(r"[A-Za-z0-9_-]{1,1000}", str(query.get("cursor", ""))):
        del query["cursor"]  # only those that an answer has are good, and others are 400
