"""Whether somebody outside can tell, by the time of an answer, an account that is there from one that is not.

A real gunicorn and a real worker. Log-ins with a wrong password, and requests for a forgotten one, are sent for known
and unknown names in random order, each by a new visitor from an address of their own, so that no throttle closes.
"""

from __future__ import annotations

import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from math import sqrt
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode

from tenantry import Platform, db
from tenantry.times import now
from tenantry.users import User, hash_password

from .common import load_average, spread, write
from .servers import environment, serving, stop

#: Answers for known names and as many for unknown ones, of each form.
EACH = 200
#: Accounts that they are spread over.
_ACCOUNTS = 50
_TOML = """\
[platform]
blueprints = "blueprints"
trusted_proxies = 1

[tenants.acme]
path = "/acme"
features = ["front", "accounts"]
"""
_TOKEN = re.compile(rb'name="csrf_token"[^>]*value="([^"]+)"')


def run(each: int = EACH) -> dict[str, Any]:
    """Measure both forms and keep the result: milliseconds an answer, and the chance to tell them apart."""
    load_before = load_average()
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "tenants.toml").write_text(_TOML)
        (folder / "wsgi.py").write_text(
            'from tenantry import Platform\napplication = Platform.from_file("tenants.toml")\n'
        )
        _make_accounts(folder)
        with serving("wsgi:application", folder, {}) as server, _worker(folder):
            forms = {
                "log-in": _measure(server.port, "/acme/accounts/log-in", each),
                "forgotten password": _measure(server.port, "/acme/accounts/forgot", each),
            }
    result = {"load_average_before": load_before, "each": each, "forms": forms}
    write("accounts", result)
    return result


def _make_accounts(folder: Path) -> None:
    platform = Platform.from_file(folder / "tenants.toml")
    with platform.tenant("acme"):
        kept = hash_password("the right password")
        for number in range(_ACCOUNTS):
            name = f"known{number}"
            user = User(username=name, email=f"{name}@example.com", name=name, password_hash=kept, activated_at=now())
            db.session.add(user)
    platform.databases.close_idle()


@contextmanager
def _worker(folder: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "tenantry.cli", "worker"]
    with (folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment({}), stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield
        finally:
            stop(process)


def _measure(port: int, path: str, each: int) -> dict[str, Any]:
    kinds = ["known", "unknown"] * each
    random.Random(7).shuffle(kinds)  # an order, and no secret
    times: dict[str, list[float]] = {"known": [], "unknown": []}
    sizes = set()
    for number, kind in enumerate(kinds):
        milliseconds, status, size = _send(port, path, f"{kind}{number % _ACCOUNTS}", number)
        times[kind].append(milliseconds)
        sizes.add((status, size - len(f"{kind}{number % _ACCOUNTS}") * (status == 422)))
    return {
        **{kind: {**spread(values), "rounds": []} for kind, values in times.items()},
        "answers": sorted(sizes),
        **_chance(times["known"], times["unknown"]),
    }


def _send(port: int, path: str, name: str, number: int) -> tuple[float, int, int]:
    """Fill in and send the form as a visitor of an address of their own; return milliseconds, status, bytes."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Host": "localhost", "X-Forwarded-For": f"10.{number >> 8}.{number & 255}.1"}
    connection.request("GET", path, headers=headers)
    page = connection.getresponse()
    token = _TOKEN.search(page.read())
    assert token, page.status
    headers |= {
        "Cookie": str(page.headers["Set-Cookie"]).partition(";")[0],
        "Content-Type": "application/x-www-form-urlencoded",
    }
    body = urlencode({"csrf_token": token[1].decode(), "login": name, "password": "not the right one"})
    began = time.perf_counter()
    connection.request("POST", path, body, headers)
    answer = connection.getresponse()
    size = len(answer.read())
    took = time.perf_counter() - began
    connection.close()
    return took * 1000, answer.status, size


def _chance(known: list[float], unknown: list[float]) -> dict[str, float]:
    """Return how often an answer for a known name takes longer than one for an unknown name: half the time, if nothing
    can be told (Mann and Whitney's U over all pairs), and how far from a half chance alone leads in 19 of 20 cases."""
    longer = sum((a > b) + (a == b) / 2 for a in known for b in unknown)
    pairs = len(known) * len(unknown)
    error = 1.96 * sqrt((len(known) + len(unknown) + 1) / (12 * pairs))
    return {"longer": round(longer / pairs, 4), "by_chance": round(error, 4)}
