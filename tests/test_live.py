"""The live apps: one build a tenant, a bounded table, pauses after a failure."""

from __future__ import annotations

import gc
import itertools
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest

from tenantry.errors import TenantUnavailable
from tenantry.live import LiveApps
from tenantry.registry import Settings, Tenant
from tenantry.tenant_app import TenantApp

SETTINGS = Settings(file=Path("/x/tenants.toml"))


class App:
    def __init__(self, tenant: Tenant) -> None:
        self.source = self.tenant = tenant


def tenant(slug: str) -> Tenant:
    return Tenant(slug, SETTINGS)


def live(build: Any = App, limit: int = 3, **options: Any) -> LiveApps:
    return LiveApps(cast(Any, build), limit, **options)


def test_an_app_is_built_on_first_use_and_kept() -> None:
    apps, acme = live(), tenant("acme")
    assert "acme" not in apps
    assert apps.get(acme) is apps.get(acme)
    assert "acme" in apps


def test_a_thousand_who_wait_get_one_build() -> None:
    built = []

    def build(which: Tenant) -> App:
        built.append(which.slug)
        time.sleep(0.1)
        return App(which)

    apps, acme = live(build), tenant("acme")
    with ThreadPoolExecutor(64) as pool:
        found = set(map(id, pool.map(lambda _: apps.get(acme), range(1000))))
    assert built == ["acme"]
    assert len(found) == 1


def test_one_tenants_slow_build_does_not_hold_up_another() -> None:
    release, started = threading.Event(), threading.Event()

    def build(which: Tenant) -> App:
        if which.slug == "slow":
            started.set()
            assert release.wait(10)
        return App(which)

    apps = live(build)
    waiting = threading.Thread(target=apps.get, args=(tenant("slow"),))
    waiting.start()
    assert started.wait(10)
    assert apps.get(tenant("fast"))
    assert "slow" not in apps
    release.set()
    waiting.join()
    assert "slow" in apps


def test_the_least_recently_used_one_is_dropped() -> None:
    apps = live(limit=3)
    tenants = {slug: tenant(slug) for slug in "abcd"}
    for slug in "abc":
        apps.get(tenants[slug])
    apps.get(tenants["a"])
    apps.get(tenants["d"])
    assert [slug for slug in "abcd" if slug in apps] == ["a", "c", "d"]


def test_a_dropped_app_that_a_request_still_holds_comes_back_instead_of_a_second_one() -> None:
    apps, a, b = live(limit=1), tenant("a"), tenant("b")
    inside = apps.get(a)
    apps.get(b)
    assert "a" not in apps
    assert apps.get(a) is inside


def test_a_dropped_app_that_nobody_holds_is_gone() -> None:
    apps, a, b = live(limit=1), tenant("a"), tenant("b")
    gone = weakref.ref(apps.get(a))
    apps.get(b)
    gc.collect()
    assert gone() is None


def test_a_changed_tenant_gets_a_new_app() -> None:
    apps, before, after = live(), tenant("a"), tenant("a")
    first = apps.get(before)
    second = apps.get(after)
    assert second is not first
    assert second.source is after
    assert len(apps) == 1


def test_a_dropped_app_is_built_anew() -> None:
    apps, a = live(), tenant("a")
    first = apps.get(a)
    apps.drop(first)
    second = apps.get(a)
    assert second is not first
    apps.drop(first)  # too late: another is in its place
    assert apps.get(a) is second
    assert apps.apps() == [second]


def test_nobody_builds_a_second_time_between_the_build_and_the_table() -> None:
    """Whoever comes while the app is being put into the table finds the same lock, and then the app."""
    built, kept = [], threading.Event()

    class Slow(LiveApps):
        def _keep(self, which: Tenant, app: TenantApp) -> None:
            kept.set()
            time.sleep(0.2)
            super()._keep(which, app)

    def build(which: Tenant) -> App:
        built.append(which.slug)
        return App(which)

    apps, a = Slow(cast(Any, build), 3), tenant("a")
    first = threading.Thread(target=apps.get, args=(a,))
    first.start()
    assert kept.wait(5)
    apps.get(a)
    first.join()
    assert built == ["a"]


def test_a_failed_build_is_told_once_and_tried_again_after_a_growing_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[float] = []
    told: list[TenantUnavailable] = []
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)

    def build(which: Tenant) -> App:
        tries.append(now)
        raise OSError("no such disk")

    apps, a = live(build, on_failure=told.append), tenant("a")
    for _ in range(1300):
        with pytest.raises(TenantUnavailable, match="no such disk") as caught:
            apps.get(a)
        assert 0 < caught.value.retry_after <= 60
        now += 0.1
    gaps = [round(later - earlier) for earlier, later in itertools.pairwise(tries)]
    assert gaps == [1, 2, 4, 8, 16, 32, 60]
    assert len(told) == len(tries)


def test_an_extension_that_exits_is_a_failure_like_any_other() -> None:
    def build(which: Tenant) -> App:
        raise SystemExit(3)

    with pytest.raises(TenantUnavailable, match="SystemExit: 3"):
        live(build).get(tenant("a"))


def test_nobody_waits_for_a_slow_build_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenantry.live.LONGEST_WAIT", 0.05)
    release, started = threading.Event(), threading.Event()

    def build(which: Tenant) -> App:
        started.set()
        assert release.wait(10)
        return App(which)

    apps, a = live(build), tenant("a")
    first = threading.Thread(target=apps.get, args=(a,))
    first.start()
    assert started.wait(10)
    with pytest.raises(TenantUnavailable, match="building its app for too long"):
        apps.get(a)
    release.set()
    first.join()
    assert apps.get(a)


def test_a_failure_is_over_once_a_build_succeeds_or_the_tenant_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = True

    def build(which: Tenant) -> App:
        if broken:
            raise OSError("broken")
        return App(which)

    apps, a = live(build), tenant("a")
    with pytest.raises(TenantUnavailable):
        apps.get(a)
    broken = False
    with pytest.raises(TenantUnavailable):
        apps.get(a)
    assert apps.get(tenant("a"))


def test_a_failure_keeps_nothing_of_the_half_built_app() -> None:
    class Heavy:
        pass

    kept: list[weakref.ref[Heavy]] = []

    def build(which: Tenant) -> TenantApp:
        heavy = Heavy()
        kept.append(weakref.ref(heavy))
        raise OSError("broken")

    apps = live(build)
    try:
        apps.get(tenant("a"))
    except TenantUnavailable:
        pass
    gc.collect()
    assert kept[0]() is None


def test_threads_that_come_and_go_among_evictions_always_get_the_right_app() -> None:
    apps = live(limit=5)
    tenants = [tenant(f"t{n}") for n in range(20)]
    wrong: list[str] = []

    def work(seed: int) -> None:
        for n in range(3000):
            wanted = tenants[(seed * 7 + n * 13) % 20]
            if apps.get(wanted).source is not wanted:
                wrong.append(wanted.slug)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert wrong == []
    assert len(apps) <= 5
