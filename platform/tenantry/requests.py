"""Requests whose forms are bounded, however they are encoded."""

from __future__ import annotations

from io import BytesIO
from typing import IO, Any

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser


class BoundedFormParser(FormDataParser):
    """Werkzeug's, but its limits hold for URL-encoded forms too, of which a megabyte may be a million fields."""

    def parse(
        self, stream: IO[bytes], mimetype: str, content_length: int | None, options: dict[str, str] | None = None
    ) -> Any:
        """Return what the body holds, as Werkzeug does.

        :raises RequestEntityTooLarge: if it is a URL-encoded form of too many bytes or fields.
        """
        if mimetype == "application/x-www-form-urlencoded":
            stream = BytesIO(self._bounded(stream))
        return super().parse(stream, mimetype, content_length, options)

    def _bounded(self, stream: IO[bytes]) -> bytes:
        most, fields = self.max_form_memory_size, self.max_form_parts
        body = stream.read() if most is None else stream.read(most + 1)
        if (most is not None and len(body) > most) or (fields is not None and body.count(b"&") >= fields):
            raise RequestEntityTooLarge()
        return body


class TenantRequest(Request):
    """Flask's, with bounded forms: ``MAX_FORM_MEMORY_SIZE`` bytes and ``MAX_FORM_PARTS`` fields."""

    form_data_parser_class = BoundedFormParser
