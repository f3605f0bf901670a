"""Builds apps in a process of its own, for :mod:`bench.build`: times in microseconds, memory in bytes."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from statistics import fmean, median
from time import perf_counter
from typing import Any

from flask import Flask
from werkzeug.test import create_environ, run_wsgi_app

from tenantry import Platform

from .build_apps import MAKERS, slug, write_tenants
from .footprint import private_bytes, traced_bytes
from .workers import Answers, answer_questions

#: The page of ten templates.
_PAGE = "/people/"
_TEMPLATES = 10
#: From so many apps on their memory can be told by the pages that the system gives.
_ENOUGH = 50


def build(folder: str, side: str, blueprints: str, tenants: int) -> Answers:
    """Build apps and keep them all; the collector runs as it does in a server."""
    make = MAKERS[side](Path(folder), blueprints, tenants)
    before = private_bytes()
    apps, first = _timed(lambda: [make(0)])
    after_first = private_bytes()
    times = []
    for number in range(1, tenants):
        app, taken = _timed(lambda: make(number))  # noqa: B023  # it is called at once
        apps.append(app)
        times.append(taken)
    after = private_bytes()
    return {
        "rules": _count_rules(apps[0]),
        "first_us": first,
        "total_us": first + sum(times),
        "private_bytes": after - before,
        **({"median_us": median(times), "mean_us": fmean(times)} if times else {}),
        **({"private_bytes_each": (after - after_first) / len(times)} if tenants >= _ENOUGH else {}),
    }


def trace(folder: str, side: str, blueprints: str, tenants: int) -> Answers:
    """Build apps and keep them all; count what their objects take, without the first one's."""
    make = MAKERS[side](Path(folder), blueprints, tenants)
    tracemalloc.start()
    apps = [make(0)]
    after_first = traced_bytes()
    apps += [make(number) for number in range(1, tenants)]
    each = (traced_bytes() - after_first) / (tenants - 1)
    return {"traced_bytes_first": after_first, "traced_bytes_each": each}


def pages(folder: str, side: str, blueprints: str, tenants: int) -> Answers:
    """Ask each new app for the page of ten templates, and then once more."""
    make = MAKERS[side](Path(folder), blueprints, tenants)
    apps = [make(number) for number in range(tenants)]
    first, *others = (_ask(app, number) for number, app in enumerate(apps))
    again = [_ask(app, number) for number, app in enumerate(apps)]
    return {"first_us": first, "median_us": median(others), "again_us": median(again)}


def trace_pages(folder: str, side: str, blueprints: str, tenants: int) -> Answers:
    """Ask each new app for the page; count what that leaves behind, without what the first one's leaves."""
    make = MAKERS[side](Path(folder), blueprints, tenants)
    apps = [make(number) for number in range(tenants)]
    tracemalloc.start()
    _ask(apps[0], 0)
    after_first = traced_bytes()
    for number, app in enumerate(apps[1:], 1):
        _ask(app, number)
    each = (traced_bytes() - after_first) / (tenants - 1)
    return {"traced_bytes_first": after_first, "traced_bytes_each": each}


def register(folder: str, blueprints: str, tenants: int) -> Answers:
    """Make a platform of so many tenants: what each takes that is registered and was never asked for."""
    platform, taken = _timed(lambda: _register(folder, blueprints, tenants))
    assert len(platform.live) == 0, "apps were built; expected none before a request comes"
    del platform
    tracemalloc.start()
    before = traced_bytes()
    platform = _register(folder, blueprints, tenants)
    each = (traced_bytes() - before) / tenants
    assert len(platform.registry) == tenants, f"{len(platform.registry)} tenants are there; expected {tenants}"
    return {"reading_us_each": taken / tenants, "apps_built": len(platform.live), "traced_bytes_each": each}


def _register(folder: str, blueprints: str, tenants: int) -> Platform:
    return Platform.from_file(write_tenants(Path(folder), blueprints, tenants))


def _timed(work: Any) -> tuple[Any, float]:
    started = perf_counter()
    done = work()
    return done, (perf_counter() - started) * 1e6


def _count_rules(app: Flask) -> int:
    return sum(1 for _ in app.url_map.iter_rules())


def _ask(app: Flask, number: int) -> float:
    """Return the microseconds that the page took, once it has said whose it is."""
    environ = create_environ(_PAGE, f"http://localhost/{slug(number)}")
    (body, status, _), taken = _timed(lambda: run_wsgi_app(app, environ, buffered=True))
    text = b"".join(body).decode()
    assert status == "200 OK", f"the page answered {status}; expected 200 OK"
    assert f"{app.name.upper()}</a>" in text, f"the page does not say '{app.name}'; expected its own app's name"
    assert app.name == "bench" or app.name.endswith(slug(number)), f"'{app.name}' is not the app of {slug(number)}"
    loaded = len(app.jinja_env.cache or ())
    assert loaded == _TEMPLATES, f"the page took {loaded} templates; expected {_TEMPLATES}"
    return taken


if __name__ == "__main__":
    answer_questions({f.__name__: f for f in (build, trace, pages, trace_pages, register)})
