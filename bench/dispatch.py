"""P4: finding a request's tenant, against Werkzeug's own dispatcher, from 1 to 100,000 tenants.

How it is made fair: a dispatcher writes into the environ, so each call needs a new one or one put back. Copying a dict
costs as much as the work that is measured; instead one environ is used again, its four changing keys are set before
each call, and the same loop around a WSGI function that does nothing is timed in the same round and taken away. Every
path and host is a new string in every round, as from a server, so that neither side finds its hash computed already.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from werkzeug.middleware.dispatcher import DispatcherMiddleware

from tenantry.dispatcher import Dispatcher, is_plain_path, read_host

from .common import load_average, ratios, spread, write

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: Numbers of tenants.
SIZES = (1, 100, 1_000, 10_000, 100_000)
#: How often everything is measured, one case after the other; the median of the rounds counts.
ROUNDS = 15
#: Calls in one measurement.
CALLS = 2_000
#: As many of the hostile path, on which one call takes Werkzeug a millisecond.
HOSTILE_CALLS = 50
#: 4 KiB of segments, each of which Werkzeug's dispatcher looks up.
HOSTILE = "/a" * 2048

Requests = list[tuple[bytes, bytes]]


def run(rounds: int = ROUNDS) -> dict[str, Any]:
    """Measure all sizes and keep the result, in microseconds a call."""
    result = {
        "load_average_before": load_average(),
        "unit": "microseconds a call",
        "calls": {"ordinary": CALLS, "hostile": HOSTILE_CALLS},
        "sizes": [_measure_size(size, rounds) for size in SIZES],
        "checks": _measure_checks(rounds),
    }
    write("dispatch", result)
    return result


def _measure_size(size: int, rounds: int) -> dict[str, Any]:
    print(f"dispatch: {size:,} tenants", flush=True)
    doors = [f"t{number:06d}" for number in range(size)]
    mounts: dict[str, WSGIApplication] = {f"/{door}": answer for door in doors}
    hosts: dict[str, WSGIApplication] = {f"{door}.example.com": answer for door in doors}
    ours = Dispatcher(answer, mounts, hosts=hosts, path_hosts=["localhost"], bad_request=refuse)
    stock = DispatcherMiddleware(answer, mounts)
    chosen = [doors[call * size // CALLS if size > CALLS else call % size] for call in range(CALLS)]
    path = [(f"/{door}/demo/".encode(), b"localhost:8000") for door in chosen]
    host = [(b"/demo/", f"{door}.example.com".encode()) for door in chosen]
    host_port = [(b"/demo/", f"{door}.example.com:8000".encode()) for door in chosen]
    hostile = [(HOSTILE.encode(), b"localhost:8000")] * HOSTILE_CALLS
    cases: dict[str, tuple[WSGIApplication, Requests]] = {
        "werkzeug_path": (stock, path),
        "tenantry_path": (ours, path),
        "tenantry_host": (ours, host),
        "tenantry_host_port": (ours, host_port),
        "werkzeug_hostile": (stock, hostile),
        "tenantry_hostile": (ours, hostile),
    }
    times = _interleave({name: partial(time_dispatch, *case) for name, case in cases.items()}, rounds)
    ratio = ratios(times["tenantry_path"], times["werkzeug_path"])
    return {"tenants": size, **times, "path_ratio": ratio}


def _measure_checks(rounds: int) -> dict[str, Any]:
    """Time the checks alone, each with the call that it takes: they do not depend on the number of tenants."""
    return _interleave(
        {
            "path": lambda: _time_check(is_plain_path, [b"/t000001/demo/"] * CALLS),
            "hostile_path": lambda: _time_check(is_plain_path, [HOSTILE.encode()] * HOSTILE_CALLS),
            "host": lambda: _time_check(read_host, [b"localhost:8000"] * CALLS),
        },
        rounds,
    )


def _interleave(cases: dict[str, Callable[[], float]], rounds: int) -> dict[str, Any]:
    """Run the cases in turn, round after round, so that a slow moment of the machine meets all of them alike."""
    taken: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, measure in cases.items():
            taken[name].append(measure())
    return {name: spread(values, 4) for name, values in taken.items()}


def time_dispatch(app: WSGIApplication, requests: Requests) -> float:
    """Return microseconds a request that ``app`` takes to find where a request goes, without what is around it."""
    return _time_requests(app, requests) - _time_requests(answer, requests)


def _time_requests(app: WSGIApplication, requests: Requests) -> float:
    environ = _environ()
    fresh = [(path.decode(), path.decode(), host.decode()) for path, host in requests]
    gc.disable()
    started = perf_counter()
    for path, raw, host in fresh:
        environ["SCRIPT_NAME"] = ""
        environ["PATH_INFO"] = path
        environ["RAW_URI"] = raw
        environ["HTTP_HOST"] = host
        app(environ, _start_response)
    taken = perf_counter() - started
    gc.enable()
    return taken / len(fresh) * 1e6


def _time_check(check: Callable[[str], object], values: Iterable[bytes]) -> float:
    fresh = [value.decode() for value in values]
    gc.disable()
    started = perf_counter()
    for value in fresh:
        check(value)
    checked = perf_counter()
    for _value in fresh:
        pass
    looped = perf_counter()
    gc.enable()
    return (2 * checked - started - looped) / len(fresh) * 1e6


def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer nothing: the WSGI application behind every door, and the empty work that is taken away."""
    return ()


def refuse(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Fail: no request of this benchmark may be refused, or the wrong thing would be measured."""
    raise AssertionError(f"'{environ['PATH_INFO'][:40]}' at '{environ['HTTP_HOST']}' was refused; expected a door")


def _start_response(*_: Any) -> Callable[[bytes], object]:
    raise AssertionError("nothing answers here")


def _environ() -> WSGIEnvironment:
    # As many keys as gunicorn passes for a browser's request, since a dict's size is part of what reading it costs.
    sent = ("ACCEPT", "ACCEPT_ENCODING", "ACCEPT_LANGUAGE", "COOKIE", "CONNECTION", "REFERER", "USER_AGENT")
    server = ("REQUEST_METHOD", "QUERY_STRING", "SERVER_PROTOCOL", "REMOTE_ADDR", "REMOTE_PORT", "SERVER_NAME")
    return dict.fromkeys([*server, *(f"HTTP_{name}" for name in sent)], "x")


if __name__ == "__main__":
    run()
