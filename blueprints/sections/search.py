"""Searching all sections of the tenant. The page with the results is the same in each of them."""

from __future__ import annotations

from flask import Response, g, make_response, render_template, request

from .finding import find, to_match
from .pages import list_number


def search() -> Response:
    query = request.args.get("q", "")[:200]
    results, has_more = find(query, number := list_number() if to_match(query) else 1)
    page = render_template(
        "sections/search.html",
        section=g.section,
        query=query,
        has_words=bool(to_match(query)),
        results=results,
        number=number,
        has_more=has_more,
    )
    response = make_response(page)
    response.headers["X-Robots-Tag"] = "noindex"
    return response
