"""A client of any API that has an OpenAPI document. It knows nothing but that document.

Each operation is a method by its ``operationId``; what it takes is checked against its parameters and its body's schema.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import jsonschema_rs


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class ApiClient:
    """Speaks to the API that a document describes.

    :param address: of the document.
    :param authorization: what stands in that header; it can be set later.
    """

    def __init__(self, address: str, authorization: str = "") -> None:
        self.authorization = authorization
        self.document = self.follow("GET", address).json
        self.root = self.document["servers"][0]["url"]
        self._operations = {
            operation["operationId"]: (method.upper(), path, operation)
            for path, methods in self.document["paths"].items()
            for method, operation in methods.items()
        }

    def __getattr__(self, name: str) -> Any:
        if name not in self._operations:
            raise AttributeError(f"the document has no operation '{name}'; it has {', '.join(self._operations)}")
        return lambda body=None, **values: self._call(*self._operations[name], body, values)

    def _call(self, method: str, path: str, operation: Any, body: Any, values: dict[str, Any]) -> Reply:
        known = {each["name"].replace("-", "_").lower(): each for each in operation["parameters"]}
        assert set(values) <= set(known), f"{operation['operationId']} takes {sorted(known)}, and not {sorted(values)}"
        places: dict[str, dict[str, Any]] = {"path": {}, "query": {}, "header": {}}
        for name, value in values.items():
            jsonschema_rs.validate(known[name]["schema"], value)
            places[known[name]["in"]][known[name]["name"]] = value
        assert all(each["name"] in places["path"] for each in known.values() if each["in"] == "path")
        if "requestBody" in operation:
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            jsonschema_rs.validate({**schema, "components": self.document["components"]}, body)
        address = self.root + path.format(**{name: quote(str(value)) for name, value in places["path"].items()})
        reply = self.follow(method, f"{address}?{urlencode(places['query'])}", body, places["header"])
        assert str(reply.status) in operation["responses"], f"{operation['operationId']} answered {reply.status}"
        return reply

    def follow(self, method: str, address: str, body: Any = None, headers: dict[str, Any] | None = None) -> Reply:
        """Ask for an address that an answer gave."""
        parts = urlsplit(address)
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=20)
        sent = {"Authorization": self.authorization} if self.authorization else {}
        sent |= {"Content-Type": "application/json"} if body is not None else {}
        connection.request(
            method,
            f"{parts.path}?{parts.query}",
            None if body is None else json.dumps(body),
            {**sent, **(headers or {})},
        )
        answer = connection.getresponse()
        reply = Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        connection.close()
        return reply
