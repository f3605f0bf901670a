"""The proof that sharing leaks nothing: many tenants, many threads, and a look at every object that is shared."""

from __future__ import annotations

import gc
import itertools
import logging
import random
import re
import shutil
import sys
import tempfile
import textwrap
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import jinja2
import pytest
from flask import Request, Response
from flask.ctx import AppContext, RequestContext
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import BindParameter, Connection
from sqlalchemy.orm import Session
from werkzeug.local import LocalProxy

from tenantry import Platform, TenantApp, binding, template_code
from tenantry.registry import Registry, Tenant
from tenantry.signing import TenantSigner
from tenantry.testing import TenantClient, client_of

BLUEPRINT = """
    from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, session, url_for
    from sqlalchemy import String
    from sqlalchemy.orm import Mapped, mapped_column
    from tenantry import current_tenant, db, on_provision

    bp = Blueprint("shop", __name__, url_prefix="/shop", template_folder="templates")

    @bp.app_template_filter()
    def marked(value):
        return f"{value} {current_app.config['CANARY']}"

    @bp.app_context_processor
    def more():
        return {"from_processor": current_app.config["CANARY"]}

    @bp.before_request
    def note():
        request.note = current_app.config["CANARY"]

    @bp.get("/")
    def index():
        return render_template("shop/page.html", note=request.note)

    @bp.get("/link/<int:number>/<path:rest>")
    def link(number, rest):
        return {
            "canary": current_app.config["CANARY"],
            "link": url_for(".link", number=number, rest=rest),
            "outside": url_for(".index", _external=True),
            "rule": request.url_rule.rule,
            "endpoint": request.endpoint,
        }

    @bp.route("/session", methods=["GET", "POST"])
    def keep():
        if request.method == "POST":
            session["canary"] = current_app.config["CANARY"]
            flash(current_app.config["CANARY"])
            return redirect(url_for(".keep"), 303)
        return session.get("canary", "nobody")

    @bp.get("/missing")
    def missing():
        abort(404, current_app.config["CANARY"])

    @bp.get("/fails")
    def fails():
        raise RuntimeError(current_app.config["CANARY"])
"""

DATABASE = """
    from flask import Blueprint, current_app
    from sqlalchemy import select
    from tenantry import db

    bp = Blueprint("data", __name__, url_prefix="/data")

    @bp.get("/")
    def read():
        words = db.session.execute(select(db.Model.metadata.tables["canaries"].c.word)).scalars().all()
        return " ".join(words) or "empty"

    @bp.post("/")
    def write():
        table = db.Model.metadata.tables["canaries"]
        db.session.execute(table.insert().values(word=current_app.config["CANARY"]))
        return "written"
"""

MODELS = """
    from sqlalchemy import Column, Integer, String, Table
    from tenantry import db

    if "canaries" not in db.Model.metadata.tables:
        Table("canaries", db.Model.metadata, Column("id", Integer, primary_key=True), Column("word", String))
"""

MIGRATION = """
    import sqlalchemy as sa
    from alembic import op

    revision = "{name}_1"
    down_revision = None
    branch_labels = ("{name}",)
    depends_on = None

    def upgrade():
        op.create_table("canaries", sa.Column("id", sa.Integer, primary_key=True), sa.Column("word", sa.String))
"""

EXTENSION = """
    def init_app(app):
        canary = app.config["CANARY"]
        shape = app.config["SHAPE"]
        if shape == 1:
            app.add_url_rule(f"/own/{canary}", "own", lambda: canary)
        if shape == 2:
            app.jinja_env.filters["mine"] = lambda value: f"{value} {canary}"
            app.json.sort_keys = False
        if shape == 3:
            app.url_map.strict_slashes = False
        app.extensions["canary"] = canary
"""

PAGE = """{% extends "shop/base.html" %}{% from "shop/macros.html" import seen %}
{% block body %}{{ note }} {{ "x"|marked }} {{ config.CANARY }} {{ from_processor }} {{ seen() }}
{% include "shop/part.html" %} {{ url_for("shop.index") }}{% endblock %}"""

CANARY = re.compile(r"canary-\d+")


class World:
    """A folder with tenants of several shapes, each of which has a word that no other may show."""

    def __init__(self, folder: Path, package: str) -> None:
        self.folder, self.package = folder, package
        self.tenants: dict[str, tuple[str, int]] = {}
        for name, text in {
            f"{package}/__init__.py": "",
            f"{package}/shop/__init__.py": BLUEPRINT,
            f"{package}/shop/templates/shop/page.html": PAGE,
            f"{package}/shop/templates/shop/base.html": "<p>{{ 'title'|marked }}{% block body %}{% endblock %}</p>",
            f"{package}/shop/templates/shop/part.html": "{{ current_tenant.config.CANARY }}",
            f"{package}/shop/templates/shop/macros.html": "{% macro seen() %}{{ config.CANARY }}{% endmacro %}",
            f"{package}/data/__init__.py": "from . import models\n" + textwrap.dedent(DATABASE),
            f"{package}/data/models.py": MODELS,
            f"{package}/data/migrations/first.py": MIGRATION.format(name=package),
            f"{package}_ext.py": EXTENSION,
        }.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))

    def add(self, slug: str, canary: str, shape: int) -> None:
        self.tenants[slug] = canary, shape
        overlay = self.folder / "tenants" / slug / "templates/shop/part.html"
        if shape == 4:
            overlay.parent.mkdir(parents=True, exist_ok=True)
            overlay.write_text(f"overlaid {canary}")
        elif overlay.exists():
            shutil.rmtree(self.folder / "tenants" / slug)

    def serve(self, live: int) -> Platform:
        lines = [
            f'[platform]\nblueprints = "{self.package}"\nextensions = ["{self.package}_ext:init_app"]',
            f"live_tenants = {live}\nopen_databases = {live}",
        ]
        for slug, (canary, shape) in self.tenants.items():
            door = f'hosts = ["{slug}.localhost"]' if shape == 5 else f'path = "/{slug}"'
            lines.append(f'[tenants.{slug}]\n{door}\nconfig = {{ CANARY = "{canary}", SHAPE = {shape} }}')
        (self.folder / "tenants.toml").write_text("\n".join(lines))
        return Platform(Registry.from_file(self.folder / "tenants.toml"))


@pytest.fixture
def world(tmp_path: Path, package: str) -> World:
    return World(tmp_path, package)


def ask(client: TenantClient, page: str, post: bool) -> Any:
    """Ask for a page; the test client keeps the tenant's cookies."""
    return client.post(page) if post else client.get(page)


PAGES = [
    ("/shop/", False),
    ("/shop/link/7/a/b", False),
    ("/shop/session", True),
    ("/shop/session", False),
    ("/shop/missing", False),
    ("/shop/fails", False),
    ("/data/", True),
    ("/data/", False),
    ("/nothing/here", False),
]


def check(answer: Any, slug: str, canary: str, page: str, earlier: Iterable[str] = ()) -> set[str]:
    """See that an answer holds its tenant's word and no other's, wherever it could stand; return the words in it.

    :param earlier: words that the tenant had before, which its own session may still hold.
    """
    wire = f"{answer.headers} {answer.text}"
    found = set(CANARY.findall(wire))
    assert found <= {canary, *earlier}, f"{slug} {page} shows {found - {canary}}"
    names = {header.partition("=")[0] for header in answer.headers.getlist("Set-Cookie")}
    assert names <= {f"{slug}_session"}
    assert answer.status_code in (200, 303, 404, 500, 503), answer.text
    if page in ("/shop/", "/shop/link/7/a/b") and answer.status_code != 503:  # which a busy machine may bring
        assert found == {canary}
    return found


# ---- Many tenants, many threads -------------------------------------------------------------------------------------


def test_hundreds_of_tenants_in_many_threads_while_apps_come_and_go(world: World) -> None:
    for number in range(240):
        world.add(f"t{number}", f"canary-{number}", number % 6)
    platform = world.serve(live=60)
    done, built = itertools.count(), set()
    ended = threading.Event()

    def visit(seed: int) -> int:
        choose = random.Random(seed)
        clients: dict[str, TenantClient] = {}
        shown = 0
        for _ in range(300):
            slug, (canary, _) = choose.choice(list(world.tenants.items()))
            client = clients.setdefault(slug, client_of(platform, slug))
            page, post = choose.choice(PAGES)
            shown += bool(check(ask(client, page, post), slug, canary, page))
            next(done)
        return shown

    def disturb() -> None:
        choose = random.Random(99)
        while not ended.wait(0.002):
            apps = platform.live.apps()
            if apps:
                app = choose.choice(apps)
                built.add(id(app))
                platform.live.drop(app)

    other = threading.Thread(target=disturb)
    other.start()
    try:
        with ThreadPoolExecutor(8) as pool:
            shown = list(pool.map(visit, range(8)))
    finally:
        ended.set()
        other.join()
    assert next(done) == 8 * 300
    assert min(shown) > 80
    assert len(built) > 20
    assert len(platform.live) <= 60
    assert len(platform.databases._idle) <= 60
    platform.databases.close_idle()


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Errors are meant here, and their log would be all that one sees of these tests."""
    logger = logging.getLogger("tenantry")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(level)


# ---- Tenants that are added, changed, evicted and built again, in any order -----------------------------------------


class Lives(RuleBasedStateMachine):
    """Every request is answered by what its tenant is at that moment, whatever happened to it and the others before."""

    names = st.sampled_from(["a", "b", "c", "d"])

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        package = f"lives_{id(self)}_{random.randrange(10**9)}"
        sys.path.insert(0, str(self.folder))
        self.world = World(self.folder, package)
        self.numbers = itertools.count()
        self.written: dict[str, list[str]] = {}
        self.logged_in: dict[str, str] = {}
        self.had: dict[str, set[str]] = {slug: set() for slug in "abcd"}
        self.clients: dict[str, TenantClient] = {}
        self.world.add("a", self.new_canary(), 0)
        self.reload()

    def new_canary(self) -> str:
        return f"canary-{next(self.numbers)}"

    def reload(self) -> None:
        """As gunicorn does at a reload: other workers, the same state folder."""
        if hasattr(self, "platform"):
            self.platform.databases.close_idle()
        self.platform = self.world.serve(live=2)
        for slug, client in self.clients.items():
            client.application, client.tenant = self.platform, self.platform.registry[slug]

    @rule(slug=names, shape=st.integers(0, 5))
    def add_or_change(self, slug: str, shape: int) -> None:
        self.had[slug].add(self.world.tenants.get(slug, ("", 0))[0])
        doors_differ = slug in self.world.tenants and (self.world.tenants[slug][1] == 5) != (shape == 5)
        self.world.add(slug, self.new_canary(), shape)
        if doors_differ:  # its cookies belong to the door that is gone
            self.clients.pop(slug, None)
            self.logged_in.pop(slug, None)
        self.reload()

    @rule(slug=names)
    def evict(self, slug: str) -> None:
        if slug in self.platform.live:
            self.platform.live.drop(self.platform.tenant_app(slug))

    @rule(slug=names)
    def build(self, slug: str) -> None:
        if slug in self.world.tenants:
            app = self.platform.tenant_app(slug)
            assert app.config["CANARY"] == self.world.tenants[slug][0] == app.extensions["canary"]

    @rule(slug=names, page=st.sampled_from(PAGES))
    def request(self, slug: str, page: tuple[str, bool]) -> None:
        if slug not in self.world.tenants:
            return
        canary, _ = self.world.tenants[slug]
        client = self.clients.setdefault(slug, client_of(self.platform, slug))
        answer = ask(client, *page)
        if page == ("/shop/session", False):
            assert answer.text == self.logged_in.get(slug, "nobody")
        elif page == ("/data/", False):
            assert answer.text.split() == self.written.get(slug, ["empty"])
        else:
            check(answer, slug, canary, page[0], self.had[slug])
        if page == ("/shop/session", True):
            self.logged_in[slug] = canary
        if page == ("/data/", True):
            self.written.setdefault(slug, []).append(canary)

    @precondition(lambda self: hasattr(self, "platform"))
    @invariant()
    def few_are_live_and_nothing_is_lent(self) -> None:
        assert len(self.platform.live) <= 2
        assert self.platform.databases.lent == 0

    def teardown(self) -> None:
        if hasattr(self, "platform"):
            self.platform.databases.close_idle()
            sys.path.remove(str(self.folder))
            for name in [name for name in sys.modules if name.startswith(self.world.package)]:
                del sys.modules[name]
            shutil.rmtree(self.folder)


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=10, stateful_step_count=20, suppress_health_check=list(HealthCheck))


# ---- What is shared refers to nobody --------------------------------------------------------------------------------

#: What belongs to one tenant, or to one request of one.
OWNED = (
    Tenant,
    TenantApp,
    TenantSigner,
    Request,
    Response,
    AppContext,
    RequestContext,
    jinja2.Environment,
    jinja2.Template,
    Connection,
    Session,
)


def is_nobodys(each: object) -> bool:
    """Whether this belongs to the environment that is there for tracebacks of shared templates alone."""
    return template_code._NOBODYS in (each, getattr(each, "environment", None))


def is_common(each: object) -> bool:
    """Whether this is part of the program and not made for anybody: a module, a class, or a function of a module."""
    if isinstance(each, (ModuleType, type, BuiltinFunctionType, LocalProxy)):
        return True
    if isinstance(each, FunctionType):
        module = sys.modules.get(each.__module__)
        return module is not None and each.__globals__ is vars(module) and each.__closure__ is None
    return False


def reachable(roots: Iterable[object], beyond: Iterable[object] = ()) -> Iterator[object]:
    """Give everything that can be reached from some objects, by following Python's own references.

    :param beyond: objects at which to stop.
    """
    seen: set[int] = set(map(id, beyond))
    todo = deque(roots)
    while todo:
        each = todo.popleft()
        if id(each) in seen or is_common(each):
            continue
        seen.add(id(each))
        yield each
        if isinstance(each, weakref.WeakValueDictionary):
            todo.extend(each.values())
        referents = gc.get_referents(each)
        if isinstance(each, FunctionType):  # its module is not its own; what it was given is
            referents = [*(each.__closure__ or ()), each.__defaults__, each.__kwdefaults__, each.__dict__]
            if not any(each.__globals__ is vars(module) for module in list(sys.modules.values()) if module):
                referents.append(each.__globals__)
        todo.extend(referents)


def shared_objects(platform: Platform) -> dict[str, object]:
    """Name the objects that more than one tenant uses and that grow while tenants are served."""
    modules = {target.partition(":")[0] for _, target in platform.blueprints._entries}
    return {
        "the floor plan": platform.floor_plan,
        "a shared map": platform.tenant_app("t0").url_map._rules_by_endpoint,
        "a shared matcher": platform.tenant_app("t0").url_map._matcher,
        "the template code": platform.template_code,
        "the catalogues": platform.catalogues,
        "the hosts that were read": binding._read_host,
        "the blueprints": [sys.modules[module].bp for module in sorted(modules)],
        "the blueprint set": platform.blueprints,
    }


def served_world(world: World) -> Platform:
    for number in range(18):
        world.add(f"t{number}", f"canary-{number}", number % 6)
    platform = world.serve(live=18)
    for slug, (canary, _) in world.tenants.items():
        client = client_of(platform, slug)
        for page, post in PAGES:
            check(ask(client, page, post), slug, canary, page)
    gc.collect()
    return platform


def test_no_shared_object_refers_to_a_tenant_an_app_or_a_request(world: World) -> None:
    platform = served_world(world)
    for name, root in shared_objects(platform).items():
        found = list(reachable([root]))
        owned = [each for each in found if isinstance(each, OWNED) and not is_nobodys(each)]
        assert not owned, f"{name} leads to {owned[:3]}"
        words = {word for each in found if isinstance(each, (str, bytes)) for word in CANARY.findall(str(each))}
        # A rule that one tenant's configuration makes is kept for that tenant, in a plan that nobody else has.
        assert words <= ({"canary-1", "canary-7", "canary-13"} if name == "the floor plan" else set()), name
    assert len(list(reachable([platform.floor_plan]))) > 500
    assert len(list(reachable([platform.template_code]))) > 100


def test_the_walk_itself_finds_what_is_hidden(world: World) -> None:
    """Or the test above would pass for nothing."""
    platform = served_world(world)
    app = platform.tenant_app("t0")

    def hidden() -> Callable[[], object]:
        return lambda: app

    for root in (
        [app],
        {"a": (1, app.tenant)},
        hidden(),
        app.url_for,
        next(app.url_map.iter_rules()).__dict__ | {"note": app},
        app.jinja_env.get_template("shop/page.html"),
    ):
        assert any(isinstance(each, OWNED) for each in reachable([root])), root
    assert any(each == "canary-0" for each in reachable([app.config]))


def test_compiled_sql_refers_to_nobody(world: World) -> None:
    """SQLAlchemy keeps the values that a statement was first compiled with, and never sends them for another one.

    So a word may stand there; this test holds that it stands nowhere else.
    """
    platform = served_world(world)
    engine = platform.databases.engine
    found = list(reachable([engine._compiled_cache], beyond=(engine, engine.dialect, engine.pool)))
    assert len(found) > 100
    assert not [each for each in found if isinstance(each, OWNED)]
    words = {each for each in found if isinstance(each, str) and CANARY.search(each)}
    values = [each.value for each in found if isinstance(each, BindParameter)]
    flat = {each for value in values for each in (value if isinstance(value, (list, tuple)) else (value,))}
    assert words <= flat
    assert len(words) <= 1
    for slug, (canary, _) in world.tenants.items():
        assert client_of(platform, slug).get("/data/").text == canary


def test_an_app_that_was_evicted_is_gone_and_so_are_requests(world: World) -> None:
    platform = served_world(world)
    watched = [weakref.ref(app) for app in platform.live.apps()]
    environments = [weakref.ref(app.jinja_env) for app in platform.live.apps()]
    assert len(watched) == 18
    for app in platform.live.apps():
        platform.live.drop(app)
    del app
    gc.collect()
    assert [each() for each in watched if each() is not None] == []
    assert [each() for each in environments if each() is not None] == []
    assert [each for each in gc.get_objects() if isinstance(each, (Request, RequestContext, AppContext))] == []
    platform.databases.close_idle()


def test_tenants_of_one_shape_share_and_those_of_another_do_not(world: World) -> None:
    platform = served_world(world)
    maps = {slug: platform.tenant_app(slug).url_map for slug in world.tenants}
    assert maps["t0"]._matcher is maps["t6"]._matcher is maps["t2"]._matcher
    assert maps["t1"]._matcher is not maps["t7"]._matcher
    assert maps["t3"]._matcher is maps["t9"]._matcher is not maps["t0"]._matcher
    assert client_of(platform, "t1").get("/own/canary-1").text == "canary-1"
    assert client_of(platform, "t7").get("/own/canary-1").status_code == 404
    assert len(platform.floor_plan._plans) == 5  # of shapes 0, 2, 4 and 5; of shape 3; and of each of shape 1
    platform.databases.close_idle()
