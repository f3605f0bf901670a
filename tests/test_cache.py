"""The cache belongs to one tenant at a time, in this process and in Redis, and no fault of Redis is a fault of ours."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from click.testing import CliRunner
from dying import TrialHere
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from conftest import free_port, require_redis
from tenantry import Platform, cache, current_tenant, db, plain_values, shared_redis
from tenantry.cache import PlatformCache
from tenantry.cache_stores import BESIDE, DELETED, LARGEST, LocalStore, RedisStore
from tenantry.cli import main
from tenantry.errors import BadSetup, ImportFailed, NoTenantContext
from tenantry.shared_redis import SharedRedis
from tenantry.testing import TWO_TENANTS, client_of, make_platform

REDIS = "redis://127.0.0.1:6379/9"


@pytest.fixture(params=["process", "redis"])
def tenants_toml(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "process":
        yield TWO_TENANTS
        return
    require_redis()
    yield f'[platform]\nredis = "{REDIS}"\n{TWO_TENANTS}'


@pytest.fixture(autouse=True)
def nothing_left_in_redis(request: pytest.FixtureRequest) -> Iterator[None]:
    platform = request.getfixturevalue("platform") if "platform" in request.fixturenames else None
    yield
    if platform is not None and platform.redis is not None:
        for slug in ("acme", "globex"):
            sweep(platform.redis, platform.tenant_app(slug).tenant.deed)
        platform.redis.client.close()


def sweep(redis: SharedRedis | None, deed: UUID | None) -> None:
    assert deed is not None
    for key in redis.client.scan_iter(f"tenantry:{deed.hex}:*") if redis else ():
        redis.client.delete(key)


class TestWhatItDoes:
    def test_get_set_delete(self, platform: Platform) -> None:
        with platform.tenant("acme"):
            assert cache.get("key") is None
            assert cache.get("key", 7) == 7
            cache.set("key", {"a": [1, 2]})
            assert cache.get("key") == {"a": [1, 2]}
            cache.set("key", None)
            assert cache.get("key", 7) is None
            cache.delete("key")
            cache.delete("key")
            assert cache.get("key", 7) == 7

    def test_what_is_there_after_clear(self, platform: Platform) -> None:
        for slug in ("acme", "globex"):
            with platform.tenant(slug):
                cache.set("a", slug)
                cache.set("b", slug)
        with platform.tenant("acme"):
            cache.clear()
            assert cache.get("a") is cache.get("b") is None
            cache.set("a", "new")
            assert (cache.get("a"), cache.get("b")) == ("new", None)
        with platform.tenant("globex"):
            assert cache.get("a") == cache.get("b") == "globex"

    def test_a_reader_cannot_change_what_another_reads(self, platform: Platform) -> None:
        mine = {"rows": [1]}
        with platform.tenant("acme"):
            cache.set("key", mine)
            mine["rows"].append(2)
            cache.get("key")["rows"].append(3)
            assert cache.get("key") == {"rows": [1]}
            cache.get_or_set("key", dict)["rows"].append(4)
            assert cache.get("key") == {"rows": [1]}

    def test_an_exception_is_not_kept(self, platform: Platform) -> None:
        with platform.tenant("acme"):
            with pytest.raises(ZeroDivisionError):
                cache.get_or_set("key", lambda: 1 / 0)
            assert cache.get_or_set("key", lambda: 5) == 5
            assert cache.get_or_set("key", lambda: 1 / 0) == 5

    def test_a_function_that_asks_for_itself(self, platform: Platform) -> None:
        with platform.tenant("acme"):
            assert cache.get_or_set("key", lambda: cache.get_or_set("key", lambda: 3) + 1) == 4
            assert cache.get("key") == 4

    def test_what_changed_while_it_was_worked_out_is_not_kept(self, platform: Platform) -> None:
        with platform.tenant("acme"):
            for change in (lambda: cache.delete("key"), cache.clear):
                assert cache.get_or_set("key", lambda change=change: change() or "old") == "old"  # type: ignore[misc]
                assert cache.get("key") is None
            assert cache.get_or_set("key", lambda: cache.set("key", "newer") or "old") == "old"  # type: ignore[func-returns-value]
            assert cache.get("key") == "newer"

    def test_what_is_too_large_is_forgotten_quietly(self, platform: Platform) -> None:
        with platform.tenant("acme"):
            cache.set("key", "small")
            cache.set("key", "x" * LARGEST)
            assert cache.get("key") is None
            assert len(cache.get_or_set("key", lambda: "y" * LARGEST)) == LARGEST
            assert cache.get("key") is None
            cache.set("key", "x" * (LARGEST - 2))
            assert len(cache.get("key")) == LARGEST - 2

    @pytest.mark.parametrize("seconds", [0, -1, float("nan")])
    def test_no_time_at_all(self, platform: Platform, seconds: float) -> None:
        with platform.tenant("acme"):
            with pytest.raises(ValueError, match=r"expected more than 0.*cache\.delete"):
                cache.set("key", 1, seconds)
            with pytest.raises(ValueError, match="expected more than 0"):
                cache.get_or_set("key", lambda: 1, seconds)

    def test_very_short_and_very_long_times(self, platform: Platform) -> None:
        with platform.tenant("acme"):
            cache.set("key", 1, seconds=float("inf"))
            assert cache.get("key") == 1
            cache.set("key", 2, seconds=1e-9)
            assert cache.get("key") in (None, 2)

    def test_in_a_request(self, platform: Platform) -> None:
        for slug in ("acme", "globex"):
            view = lambda: cache.get_or_set("who", lambda: current_tenant.slug)  # noqa: E731
            platform.tenant_app(slug).view_functions["demo.hello"] = view
        for _ in range(2):
            assert client_of(platform, "acme").get("/demo/").text == "acme"
            assert client_of(platform, "globex").get("/demo/").text == "globex"

    def test_after_commit(self, platform: Platform) -> None:
        with platform.tenant("acme"):
            cache.set("key", "old")
            db.after_commit(lambda: cache.delete("key"))
            assert cache.get("key") == "old"
        with platform.tenant("acme"):
            assert cache.get("key") is None


CALLS: list[Any] = []


@cache.cached(seconds=60)
def double(number: int, *more: int, scale: float = 2, **options: Any) -> float:
    """Twice."""
    CALLS.append(number)
    return number * scale


class TestCachedFunctions:
    def test_by_its_arguments(self, platform: Platform) -> None:
        CALLS.clear()
        with platform.tenant("acme"):
            assert double(1) == double(number=1) == double(1, scale=2) == 2
            assert CALLS == [1]
            assert double(1, scale=3) == 3
            assert double(1, 1) == double(1, a=1) == double(1, a=True) == 2
            assert len(CALLS) == 5
            double.forget(number=1)
            assert double(1) == 2
            assert len(CALLS) == 6
        with platform.tenant("globex"):
            assert double(1) == 2
            assert len(CALLS) == 7

    def test_it_is_still_the_function(self) -> None:
        assert double.__doc__ == "Twice."
        assert double.__name__ == "double"  # type: ignore[attr-defined]
        with pytest.raises(NoTenantContext):
            double(1)

    def test_arguments_that_are_not_plain(self, platform: Platform) -> None:
        with platform.tenant("acme"):
            with pytest.raises(TypeError, match="'object' is not a plain value"):
                double(object())  # type: ignore[arg-type]
            with pytest.raises(TypeError, match="missing a required argument"):
                double()  # type: ignore[call-arg]

    def test_functions_that_cannot_be_told_apart(self) -> None:
        around = 5
        with pytest.raises(TypeError, match="expected a function that sees no variables"):
            cache.cached()(lambda: 1)

        def inner() -> int:
            return around

        with pytest.raises(TypeError, match=r"inner.*Use cache\.get_or_set"):
            cache.cached()(inner)

    def test_no_key_is_that_of_a_function(self, platform: Platform) -> None:
        with platform.tenant("acme"):
            double(1)
            arguments = {"number": 1, "more": (), "scale": 2, "options": {}}
            for key in ((__name__, "double", arguments), f"{__name__}:double"):
                assert cache.get(key) is None
            with pytest.raises(TypeError):
                cache.get([__name__, "double", arguments])  # type: ignore[arg-type]


#: Keys that one might take for another, or for a command.
ODD: list[Any] = [
    "",
    ":",
    ":x",
    "x",
    "a b",
    "a\nb",
    "\r\nDEL x",
    "\0",
    "ä",
    "a\u0308",
    "\ud800",
    "😀",
    "x" * 10_000,
    "x" * 10_001,
    ("x",),
    ("x", "y"),
    ("x,y",),
    (("x", "y"),),
    ("x", ("y",)),
    (1,),
    (True,),
    (1.0,),
    ("1",),
    (None,),
    (b"1",),
    ([1],),
    ({"a": 1},),
    ({" t": [1]},),
    ((1,), 1),
    (UUID(int=1),),
    (date(2026, 1, 1),),
    (datetime(2026, 1, 1),),
    (datetime(2026, 1, 1, tzinfo=UTC),),
    '{" t":["x"]}',
    "*",
    "cache-generation",
]


class TestIsolation:
    @pytest.mark.parametrize(
        "call",
        [
            lambda: cache.get("a"),
            lambda: cache.set("a", 1),
            lambda: cache.delete("a"),
            lambda: cache.clear(),
            lambda: cache.get_or_set("a", lambda: 1),
            lambda: double(1),
            lambda: double.forget(1),
        ],
    )
    def test_outside_of_a_tenant(self, call: Callable[[], object]) -> None:
        with pytest.raises(NoTenantContext, match=r"'cache'.*with platform\.tenant"):
            call()

    def test_nested_contexts(self, platform: Platform) -> None:
        def view() -> str:
            cache.set("key", "acme's")
            with platform.tenant("globex"):
                seen = cache.get("key")
                cache.set("key", "globex's")
                with platform.tenant("acme"):
                    inner = cache.get("key")
            return f"{seen} {inner} {cache.get('key')}"

        platform.tenant_app("acme").view_functions["demo.hello"] = view
        assert client_of(platform, "acme").get("/demo/").text == "None acme's acme's"
        with platform.tenant("globex"):
            assert cache.get("key") == "globex's"
            cache.clear()
        with platform.tenant("acme"):
            assert cache.get("key") == "acme's"

    def test_threads_of_two_tenants_with_one_key(self, platform: Platform) -> None:
        slugs = ["acme", "globex"] * 4
        start = threading.Barrier(len(slugs))

        def work(slug: str) -> set[str]:
            seen = set()
            start.wait()
            for number in range(150):
                with platform.tenant(slug):
                    key = f"key {number % 3}"
                    if number % 10 == 7:
                        cache.delete(key)
                    if number % 50 == 9:
                        cache.clear()
                    seen.add(cache.get_or_set(key, lambda: current_tenant.slug))
                    seen.add(cache.get(key, slug))
            return seen

        with ThreadPoolExecutor(len(slugs)) as threads:
            assert list(threads.map(work, slugs)) == [{slug} for slug in slugs]

    def test_a_tenant_made_again_under_its_slug(self, platform: Platform) -> None:
        import shutil

        with platform.tenant("acme"):
            before = current_tenant.deed
            cache.set("key", "old")
        app = platform.tenant_app("acme")
        platform.live.drop(app)
        platform.databases.close_idle(app.database)
        shutil.rmtree(platform.registry["acme"].state)
        with platform.tenant("acme"):
            assert current_tenant.deed != before
            assert cache.get("key") is None
        sweep(platform.redis, before)

    def test_odd_keys_are_all_different(self, platform: Platform) -> None:
        with platform.tenant("acme"):
            for number, key in enumerate(ODD):
                cache.set(key, number)
            assert [cache.get(key) for key in ODD] == list(range(len(ODD)))
        with platform.tenant("globex"):
            assert {cache.get(key) for key in ODD} == {None}

    @pytest.mark.parametrize("key", [None, 1, b"x", ["x"], {"x": 1}, object(), ("x", object()), ({1: 2},)])
    def test_what_is_no_key(self, platform: Platform, key: Any) -> None:
        with platform.tenant("acme"), pytest.raises(TypeError, match="expected"):
            cache.get(key)


class TestOneAtATime:
    def test_a_value_is_worked_out_once(self, platform: Platform) -> None:
        counts, start = [], threading.Barrier(8)

        def work(number: int) -> int:
            with platform.tenant("acme"):
                start.wait()
                return cache.get_or_set("key", lambda: counts.append(number) or waiting.wait(0.05) or 42)  # type: ignore[func-returns-value]

        waiting = threading.Event()
        with ThreadPoolExecutor(8) as threads:
            assert set(threads.map(work, range(8))) == {42}
        assert len(counts) == 1

    def test_other_keys_and_other_tenants_do_not_wait(self, platform: Platform) -> None:
        inside, go_on = threading.Event(), threading.Event()

        def slow() -> str:
            inside.set()
            assert go_on.wait(10)
            return "slow"

        def ask() -> str:
            with platform.tenant("acme"):
                return cache.get_or_set("key", slow)

        with ThreadPoolExecutor(1) as threads:
            answer = threads.submit(ask)
            assert inside.wait(10)
            with platform.tenant("acme"):
                assert cache.get_or_set("other", lambda: 1) == 1
                assert cache.get("key") is None
            with platform.tenant("globex"):
                assert cache.get_or_set("key", lambda: 2) == 2
            go_on.set()
            assert answer.result(10) == "slow"

    def test_one_that_fails_does_not_block_the_others(self, platform: Platform) -> None:
        turns, start = iter(range(8)), threading.Barrier(8)

        def fail_twice() -> str:
            if next(turns) < 2:
                raise OSError("once")
            return "there"

        def work(number: int) -> str:
            with platform.tenant("acme"):
                start.wait()
                try:
                    return cache.get_or_set("key", fail_twice)
                except OSError:
                    return "failed"

        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(work, range(8)))
        assert sorted(answers) == ["failed"] * 2 + ["there"] * 6
        assert next(turns) == 3
        assert platform.cache._work == {}

    def test_two_that_wait_for_each_other_go_on(self, monkeypatch: pytest.MonkeyPatch, platform: Platform) -> None:
        monkeypatch.setattr("tenantry.cache._PATIENCE", 0.05)
        both = threading.Barrier(2)

        def of(first: str, second: str) -> str:
            def inner() -> str:
                both.wait()
                return cache.get_or_set(second, lambda: second)

            with platform.tenant("acme"):
                return cache.get_or_set(first, inner)

        with ThreadPoolExecutor(2) as threads:
            one, other = threads.submit(of, "a", "b"), threads.submit(of, "b", "a")
            assert {one.result(10), other.result(10)} <= {"a", "b"}


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.uuids()
    | st.dates()
    | st.datetimes()
    | st.datetimes(timezones=st.just(UTC))
    | st.decimals(allow_nan=False)
    | st.text().map(Markup),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def kinds(value: Any) -> Any:
    """The value with its types, as 1 == True and Markup('a') == 'a'."""
    if isinstance(value, (list, tuple)):
        return type(value), [kinds(each) for each in value]
    if isinstance(value, dict):
        return {key: kinds(each) for key, each in value.items()}
    return type(value), value


#: What nobody has written with ``plain_values.write``.
BROKEN = [
    b"no JSON",
    b"",
    b'{" d":"no date"}',
    b'{" d":1}',
    b'{" n":"no number"}',
    b'{" u":1}',
    b'{" t":1}',
    b'{" b":1}',
    b"\xff",
    b"[" * 100_000,
]


class TestPlainValues:
    @pytest.mark.parametrize("text", BROKEN, ids=lambda text: text[:20].decode("ascii", "replace") or "empty")
    def test_what_is_none_is_told(self, text: bytes) -> None:
        with pytest.raises(ValueError):  # noqa: PT011  # some are Python's own
            plain_values.read(text)

    @given(PLAIN)
    def test_they_come_back_as_they_were(self, value: Any) -> None:
        assert kinds(plain_values.read(plain_values.write(value))) == kinds(value)

    @given(PLAIN, PLAIN)
    def test_two_values_have_two_digests(self, one: Any, other: Any) -> None:
        same = repr(kinds(one)) == repr(kinds(other))
        assert same <= (plain_values.digest(one) == plain_values.digest(other))
        assert (plain_values.digest(one) == plain_values.digest(other)) <= (kinds(one) == kinds(other))

    @pytest.mark.parametrize("key", [" t", " d", " di", " t__", " u", "x"])
    def test_dictionaries_that_look_like_a_tag(self, key: str) -> None:
        assert plain_values.read(plain_values.write({key: {key: ["x"]}})) == {key: {key: ["x"]}}

    @pytest.mark.parametrize(
        "value",
        [
            object(),
            {1, 2},
            {1: "a"},
            {None: 1},
            [object()],
            {"a": (object(),)},
            type("Text", (str,), {})("x"),
            type("Row", (tuple,), {})(),
            type("Number", (int,), {})(1),
            lambda: 1,
            pytest.param(10**5000, id="10**5000"),
            Exception("x"),
            iter([]),
        ],
    )
    def test_the_others_are_refused(self, value: Any) -> None:
        with pytest.raises(TypeError, match=r"expected|digits"):
            plain_values.write(value)

    def test_what_the_error_says(self) -> None:
        from tenantry.users import User

        with pytest.raises(TypeError) as caught:
            plain_values.write([User()])
        assert str(caught.value) == (
            "'User' is not a plain value; expected text, numbers, dates, UUIDs, bytes, None, and lists, tuples and "
            "dictionaries of these. Use what it is made of, such as its id or its columns."
        )

    def test_what_is_nested_without_end(self) -> None:
        endless: list[Any] = []
        endless.append(endless)
        with pytest.raises(TypeError, match="nested too deeply"):
            plain_values.write(endless)

    def test_money(self) -> None:
        assert plain_values.read(plain_values.write(Decimal("1.10"))).as_tuple() == Decimal("1.10").as_tuple()


class TestInThisProcess:
    @staticmethod
    def digest(number: int) -> bytes:
        return number.to_bytes(32, "big")

    def test_it_is_forgotten_in_time(self) -> None:
        now = [0.0]
        store, deed = LocalStore(timer=lambda: now[0]), uuid4()
        store.set(deed, self.digest(1), b"x", 10)
        store.set(deed, self.digest(2), b"y", 20)
        now[0] = 9.9
        assert store.get(deed, self.digest(1)) == b"x"
        now[0] = 10.0
        assert store.get(deed, self.digest(1)) is None
        assert store.get(deed, self.digest(2)) == b"y"
        store.delete(deed, self.digest(1))
        now[0] = 30
        store.delete(deed, self.digest(2))
        assert store.get(deed, self.digest(2)) is None

    def test_one_tenant_holds_a_fair_part_at_most(self) -> None:
        store, greedy, modest = LocalStore(100_000, 20_000), uuid4(), uuid4()
        store.set(modest, self.digest(0), b"mine", 300)
        for number in range(500):
            store.set(greedy, self.digest(number), bytes(1000), 300)
        assert store.held < 25_000
        assert store.get(modest, self.digest(0)) == b"mine"
        assert store.get(greedy, self.digest(499)) is not None
        assert store.get(greedy, self.digest(0)) is None

    def test_all_tenants_together_are_bounded(self) -> None:
        store, deeds = LocalStore(100_000, 20_000), [uuid4() for _ in range(200)]
        for deed in deeds:
            for number in range(10):
                store.set(deed, self.digest(number), bytes(1000), 300)
                assert store.held <= 100_000
        assert store.get(deeds[-1], self.digest(9)) is not None
        assert store.get(deeds[0], self.digest(9)) is None
        for deed in deeds:
            store.clear(deed)
        assert store.held == 0
        assert not store._tenants

    def test_who_is_away_loses_first(self) -> None:
        store, deeds = LocalStore(20_000, 10_000), [uuid4() for _ in range(5)]
        for deed in deeds[:4]:
            store.set(deed, self.digest(0), bytes(3000), 300)
        assert store.get(deeds[0], self.digest(0)) is not None
        store.set(deeds[4], self.digest(0), bytes(3000), 300)
        there = [store.get(deed, self.digest(0)) is not None for deed in deeds]
        assert there == [True, False, True, True, True]

    def test_what_is_larger_than_a_part_is_forgotten(self) -> None:
        store, deed = LocalStore(10_000, 5_000), uuid4()
        store.set(deed, self.digest(0), b"small", 300)
        store.set(deed, self.digest(0), bytes(5_000 - BESIDE + 1), 300)
        assert store.get(deed, self.digest(0)) is None
        assert store.held == 0

    def test_what_is_held_is_what_is_there(self) -> None:
        now = [0.0]
        store, deeds = LocalStore(50_000, 20_000, timer=lambda: now[0]), [uuid4() for _ in range(4)]
        for step in range(3000):
            now[0] += 0.5
            deed, digest = deeds[step % 4], self.digest(step * 7 % 31)
            if step % 5 == 4:
                store.delete(deed, digest)
            elif step % 101 == 100:
                store.clear(deed)
            else:
                store.set(deed, digest, bytes(step * 37 % 3000), 1 + step % 40)
            assert sum(values.counted for values in store._tenants.values()) == store.held <= 50_000
            assert all(values.currsize <= values.counted for values in store._tenants.values())

    def test_threads(self) -> None:
        store, deeds = LocalStore(50_000, 20_000), [uuid4() for _ in range(4)]

        def work(seed: int) -> None:
            for step in range(2000):
                deed, digest = deeds[(step + seed) % 4], self.digest(step * seed % 50)
                store.set(deed, digest, deed.bytes * 40, 0.001 if step % 3 else 300)
                assert (store.get(deed, digest) or deed.bytes * 40) == deed.bytes * 40
                if step % 50 == 0:
                    store.clear(deed)

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(work, range(1, 9)))
        assert sum(values.counted for values in store._tenants.values()) == store.held <= 50_000
        for deed in deeds:
            store.clear(deed)
        assert store.held == 0

    def test_each_platform_has_its_own(self, tmp_path: Path) -> None:
        one, other = (make_platform(tmp_path, TWO_TENANTS) for _ in range(2))
        with one.tenant("acme"):
            cache.set("key", 1)
        with other.tenant("acme"):
            assert cache.get("key") is None


class Door:
    """A port that leads to Redis, or holds back all that comes: what a network can do to us."""

    def __init__(self) -> None:
        self.accepted = 0
        self.open = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._sockets: list[socket.socket] = [self._listening]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                visitor, _ = self._listening.accept()
            except OSError:
                return
            self.accepted += 1
            server = socket.create_connection(("127.0.0.1", 6379))
            self._sockets += [visitor, server]
            for source, target in ((visitor, server), (server, visitor)):
                threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                self.open.wait()
                target.sendall(data)
        except OSError:
            pass

    def close(self) -> None:
        self.open.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        for each in self._sockets:
            each.close()


@pytest.fixture
def door() -> Iterator[Door]:
    require_redis()
    made = Door()
    yield made
    made.close()


class TestRedisAway:
    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        return [1000.0]

    def store(self, port: int, clock: list[float]) -> tuple[RedisStore, SharedRedis]:
        redis = SharedRedis(f"redis://127.0.0.1:{port}/9", timer=lambda: clock[0])
        return RedisStore(redis), redis

    def test_gone(self, clock: list[float], caplog: pytest.LogCaptureFixture) -> None:
        store, redis = self.store(free_port(), clock)
        kept, deed = PlatformCache(store), uuid4()
        for step in range(30):
            clock[0] += 1
            assert kept.get_or_set(deed, bytes(32), lambda step=step: step, 300) == step  # type: ignore[misc]
            kept.set(deed, bytes(32), 1, 300)
            kept.delete(deed, bytes(32))
            kept.clear(deed)
        told = [record.getMessage() for record in caplog.records]
        assert len(told) == 1
        assert "Redis does not answer" in told[0]
        assert "[platform] redis in tenants.toml" in told[0]
        redis.client.close()

    def test_hung_then_back(self, door: Door, clock: list[float], caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.WARNING)
        store, redis = self.store(door.port, clock)
        kept, deed = PlatformCache(store), uuid4()
        door.open.set()
        kept.set(deed, bytes(32), "before", 300)
        assert kept.get_or_set(deed, bytes(32), lambda: "other", 300) == "before"
        door.open.clear()
        before = door.accepted
        for step in range(50):
            assert kept.get_or_set(deed, bytes(32), lambda step=step: step, 300) == step  # type: ignore[misc]
        assert door.accepted == before  # it was asked once, and then left alone
        clock[0] += shared_redis.PAUSE
        for step in range(50):
            assert kept.get_or_set(deed, bytes(32), lambda step=step: step, 300) == step  # type: ignore[misc]
        assert door.accepted == before + 1  # once more after the pause
        kept.delete(deed, bytes(32))
        door.open.set()
        clock[0] += shared_redis.PAUSE
        assert kept.get_or_set(deed, bytes(32), lambda: "after", 300) == "after"  # and not what was deleted meanwhile
        assert kept.get_or_set(deed, bytes(32), lambda: "other", 300) == "after"
        told = [(record.levelname, record.getMessage().split("(")[0]) for record in caplog.records]
        assert told == [("ERROR", "Redis does not answer "), ("WARNING", "Redis answers again.")]
        store.clear(deed)
        store.delete(deed, bytes(32))
        redis.client.close()

    def test_a_late_answer_is_nobodys(self, door: Door, clock: list[float]) -> None:
        """What comes after the time is up must not be taken for the answer to the next question."""
        store, redis = self.store(door.port, clock)
        deeds = [uuid4() for _ in range(2)]
        door.open.set()
        for deed in deeds:
            store.set(deed, bytes(32), deed.bytes, 300)
        for _ in range(3):
            door.open.clear()
            assert store.get(deeds[0], bytes(32)) is None
            door.open.set()
            clock[0] += shared_redis.PAUSE
            assert store.get(deeds[1], bytes(32)) == deeds[1].bytes
        for deed in deeds:
            store.delete(deed, bytes(32))
            store.clear(deed)
        redis.client.close()

    def test_threads_find_it_gone(self, clock: list[float], caplog: pytest.LogCaptureFixture) -> None:
        store, redis = self.store(free_port(), clock)
        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(lambda number: store.get(uuid4(), bytes(32)), range(200)))
        assert found == [None] * 200
        assert len(caplog.records) == 1
        redis.client.close()

    def test_a_page_with_redis_gone(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TENANTRY_ENV", "testing")
        toml = f'[platform]\nredis = "redis://127.0.0.1:{free_port()}"\n{TWO_TENANTS}'
        platform = make_platform(tmp_path, toml)
        platform.tenant_app("acme").view_functions["demo.hello"] = lambda: cache.get_or_set("key", lambda: "there")
        assert [client_of(platform, "acme").get("/demo/").text for _ in range(3)] == ["there"] * 3
        assert platform.redis is not None
        platform.redis.client.close()

    @pytest.mark.parametrize("text", BROKEN)
    def test_what_others_wrote_there_is_a_miss(self, text: bytes) -> None:
        store, deed = LocalStore(), uuid4()
        kept = PlatformCache(store)
        store.set(deed, bytes(32), text, 300)
        assert kept.get_or_set(deed, bytes(32), lambda: "mine", 300) == "mine"
        assert kept.get_or_set(deed, bytes(32), lambda: "another", 300) == "mine"


class TestRedis:
    @pytest.fixture
    def redis(self) -> Iterator[SharedRedis]:
        require_redis()
        made = SharedRedis(REDIS)
        yield made
        made.client.close()

    def test_what_keys_there_are(self, redis: SharedRedis) -> None:
        store, deed = RedisStore(redis), uuid4()
        store.set(deed, bytes(32), b"value", 300)
        keys = sorted(redis.client.scan_iter(f"*{deed.hex}*"))
        assert keys == [
            f"tenantry:{deed.hex}:cache-generation".encode(),
            f"tenantry:{deed.hex}:cache:{'0' * 64}".encode(),
        ]
        assert 290 < redis.client.ttl(keys[1]) <= 300
        assert redis.client.ttl(keys[0]) > 0
        redis.client.delete(*keys)

    def test_a_generation_that_redis_threw_away(self, redis: SharedRedis) -> None:
        store, deed = RedisStore(redis), uuid4()
        for _ in range(3):
            store.set(deed, bytes(32), b"old", 300)
            redis.client.delete(f"tenantry:{deed.hex}:cache-generation")
            assert store.get(deed, bytes(32)) is None
            store.set(deed, bytes([1] * 32), b"new", 300)
            assert store.get(deed, bytes(32)) is None
            store.clear(deed)
        redis.client.delete(*redis.client.scan_iter(f"tenantry:{deed.hex}:*"))

    def test_two_processes_share_it(self, redis: SharedRedis) -> None:
        other = SharedRedis(REDIS)
        one, two, deed = RedisStore(redis), RedisStore(other), uuid4()
        one.set(deed, bytes(32), b"one's", 300)
        assert two.get(deed, bytes(32)) == b"one's"
        two.clear(deed)
        assert one.get(deed, bytes(32)) is None
        redis.client.delete(*redis.client.scan_iter(f"tenantry:{deed.hex}:*"))
        other.client.close()

    @pytest.mark.parametrize("change", ["delete", "clear", "set"])
    def test_what_another_process_changes_while_it_is_worked_out(self, redis: SharedRedis, change: str) -> None:
        other = SharedRedis(REDIS)
        one, two, deed = PlatformCache(RedisStore(redis)), PlatformCache(RedisStore(other)), uuid4()
        changes: dict[str, Callable[[], None]] = {
            "delete": lambda: two.delete(deed, bytes(32)),
            "clear": lambda: two.clear(deed),
            "set": lambda: two.set(deed, bytes(32), "new", 300),
        }
        assert one.get_or_set(deed, bytes(32), lambda: changes[change]() or "old", 300) == "old"
        assert one.get_or_set(deed, bytes(32), lambda: "new", 300) == "new"
        assert two.get_or_set(deed, bytes(32), lambda: "third", 300) == "new"  # as that was kept
        sweep(redis, deed)
        other.client.close()

    def test_what_takes_longer_than_a_deletion_is_known_is_not_kept(self, redis: SharedRedis) -> None:
        clock, deed = [0.0], uuid4()
        kept = PlatformCache(RedisStore(redis, timer=lambda: clock[0]))

        def work_out(seconds: float) -> float:
            clock[0] += seconds
            return seconds

        for seconds, found in ((DELETED, None), (DELETED - 1, DELETED - 1)):
            kept.get_or_set(deed, bytes(32), lambda seconds=seconds: work_out(seconds), 300)  # type: ignore[misc]
            assert kept.get_or_set(deed, bytes(32), lambda: None, 1e-3) == found
            sweep(redis, deed)

    def test_a_deletion_is_known_for_a_while(self, redis: SharedRedis) -> None:
        store, deed = RedisStore(redis), uuid4()
        store.delete(deed, bytes(32))
        name = f"tenantry:{deed.hex}:cache-deleted:{'0' * 64}"
        assert DELETED - 10 < redis.client.ttl(name) <= DELETED
        redis.client.delete(name)

    def test_no_connection_is_carried_across_a_fork(self, redis: SharedRedis) -> None:
        """Parent and child talk at once; were it one connection, each would read the other's answers."""
        store, deeds = RedisStore(redis), [uuid4(), uuid4()]
        for deed in deeds:
            store.set(deed, bytes(32), deed.bytes, 300)
        ours = redis.client.client_id()

        def reads_its_own(deed: UUID) -> bool:
            return all(store.get(deed, bytes(32)) == deed.bytes for _ in range(300))

        child = os.fork()
        if child == 0:
            os._exit(0 if reads_its_own(deeds[0]) and redis.client.client_id() != ours else 1)
        assert reads_its_own(deeds[1])
        assert os.waitpid(child, 0)[1] == 0
        assert redis.client.client_id() == ours
        for deed in deeds:
            redis.client.delete(*redis.client.scan_iter(f"tenantry:{deed.hex}:*"))

    def test_one_pool_for_all_tenants_opened_late(self, tmp_path: Path) -> None:
        require_redis()
        platform = make_platform(tmp_path, f'[platform]\nredis = "{REDIS}"\n{TWO_TENANTS}')
        assert platform.redis is not None
        pool = platform.redis.client.connection_pool
        assert pool._created_connections == 0
        for slug in ("acme", "globex"):
            with platform.tenant(slug):
                cache.set("key", slug)
                cache.delete("key")
                cache.clear()
        assert pool._created_connections == 1
        platform.redis.client.close()

    def test_gunicorns_workers_share_it(self, redis: SharedRedis, tmp_path: Path, write: Any, serve: Any) -> None:
        """Also where the tenant was warmed in the master, and the workers were forked from it."""
        write(
            "shop/web.py",
            """
            import os
            from flask import Blueprint
            from tenantry import cache, current_tenant

            bp = Blueprint("web", __name__)

            @bp.get("/")
            def index():
                return f"{os.getpid()} {cache.get_or_set('pid', os.getpid)} {current_tenant.deed.hex}"
            """,
        )
        write("shop/__init__.py", "")
        toml = f"""
        [platform]
        blueprints = "shop"
        redis = "{REDIS}"
        warm = ["acme"]
        [tenants.acme]
        path = "/acme"
        [tenants.globex]
        path = "/globex"
        """
        write("tenants.toml", toml)
        server = serve(tmp_path, workers=2)
        for slug in ("acme", "globex"):
            answers = [server.get(f"/{slug}/").text.split()]  # two that look at once would both make it
            with ThreadPoolExecutor(16) as pool:  # one after the other, a single worker may take them all
                while len({pid for pid, _, _ in answers}) < 2 and len(answers) < 800:
                    found = pool.map(lambda path: server.get(path).text.split(), [f"/{slug}/"] * 32)
                    answers += found
            sweep(redis, UUID(answers[0][2]))
            assert len({pid for pid, _, _ in answers}) == 2, "only one worker ever answered"
            assert len({kept for _, kept, _ in answers}) == 1

    def test_no_redis_where_none_is_named(self, tmp_path: Path) -> None:
        assert make_platform(tmp_path, TWO_TENANTS).redis is None

    def test_the_package_is_missing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "redis", None)
        with pytest.raises(ImportFailed, match=r"pip install 'tenantry\[redis\]'"):
            make_platform(tmp_path, f'[platform]\nredis = "{REDIS}"\n{TWO_TENANTS}')
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("tenantry.novelty.Trial", TrialHere)
        result = CliRunner().invoke(main, ["check"])
        assert result.exit_code == 1
        assert "tenants.toml:2: platform.redis: 'redis' cannot be imported" in result.stderr

    def test_an_address_that_cannot_be_read(self, tmp_path: Path) -> None:
        with pytest.raises(BadSetup, match=r"\[platform\] redis cannot be read"):
            make_platform(tmp_path, f'[platform]\nredis = "redis://localhost:port"\n{TWO_TENANTS}')
