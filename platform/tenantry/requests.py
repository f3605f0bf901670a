"""Requests whose bodies are bounded, however they are encoded and sent."""

from __future__ import annotations

from io import BytesIO
from typing import IO, Any, cast

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser
from werkzeug.utils import cached_property
from werkzeug.wsgi import LimitedStream


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


class ChunkedBody(LimitedStream):
    """Werkzeug's, but who reads all of a body that is too large is told, and does not take its beginning for all."""

    def __init__(self, stream: IO[bytes], most: int) -> None:
        super().__init__(stream, most, is_max=True)
        self._whole = stream

    def readall(self) -> bytes:
        found = super().readall()
        if self.is_exhausted and self._whole.read(1):
            raise RequestEntityTooLarge()
        return found


class TenantRequest(Request):
    """Flask's, with bounded forms: ``MAX_FORM_MEMORY_SIZE`` bytes and ``MAX_FORM_PARTS`` fields."""

    form_data_parser_class = BoundedFormParser

    @cached_property
    def stream(self) -> IO[bytes]:
        """Werkzeug's, but a body in chunks, whose length nobody has said, is not cut where it is too large."""
        found, most = super().stream, self.max_content_length
        if isinstance(found, LimitedStream) and most is not None and self.content_length is None:
            return cast("IO[bytes]", ChunkedBody(self.environ["wsgi.input"], most))
        return found
