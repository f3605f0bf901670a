"""The API, for every blueprint: what is sent is checked, what is answered is declared, and both are documented by that.

A package of the blueprint set has its routes of the API in an :class:`ApiBlueprint` called ``api_bp``. The pieces serve
any view of Flask as well.
"""

from ..texts import Line, Lines, Text
from .blueprint import PREFIX, ApiBlueprint
from .collections import Collection, Filter, caseless
from .conditions import check_unchanged, etag_for
from .examples import example_of
from .openapi import api_blueprints, document_of, shared_document
from .operations import Operation
from .pagination import Part, PartQuery, paginate
from .problems import ApiException, Problem
from .results import ApiResult
from .schemas import ID, LARGEST_ID, WHOLE, Day, Id, Moment, Schema, SentId, dataschema, read_json, read_query, unset
from .streaming import stream_csv, stream_jsonl
from .timing import timed

__all__ = [
    "ID",
    "LARGEST_ID",
    "PREFIX",
    "WHOLE",
    "ApiBlueprint",
    "ApiException",
    "ApiResult",
    "Collection",
    "Day",
    "Filter",
    "Id",
    "Line",
    "Lines",
    "Moment",
    "Operation",
    "Part",
    "PartQuery",
    "Problem",
    "Schema",
    "SentId",
    "Text",
    "api_blueprints",
    "caseless",
    "check_unchanged",
    "dataschema",
    "document_of",
    "etag_for",
    "example_of",
    "paginate",
    "read_json",
    "read_query",
    "shared_document",
    "stream_csv",
    "stream_jsonl",
    "timed",
    "unset",
]
