"""The floor plan: what tenants share of their URL maps, and that nobody can tell but by the time that it takes."""

from __future__ import annotations

import gc
import inspect
import textwrap
import threading
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from hypothesis import example, given, settings
from hypothesis import strategies as st
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter, BuildError, Map, RequestRedirect, Rule, RuleFactory, Submount
from werkzeug.routing.matcher import StateMachineMatcher

from tenantry import Platform, TenantApp
from tenantry.errors import SharedRuleChanged
from tenantry.floor_plan import FloorPlan, PlannedRule, SharedRule, TenantMap
from tenantry.testing import client_of, make_platform

Write = Callable[[str, str], Path]


@pytest.fixture
def floor_plan() -> FloorPlan:
    return FloorPlan()


def make_map(floor_plan: FloorPlan, *rules: RuleFactory, **options: Any) -> TenantMap:
    made = floor_plan.url_map_class(**options)
    for rule in rules:
        made.add(rule)
    return made


def planned(string: str, *, automatic: bool | None = True, **options: Any) -> PlannedRule:
    rule = PlannedRule(string, **options)
    rule.provide_automatic_options = automatic
    return rule


def rules_of(url_map: Map) -> list[Rule]:
    return list(url_map.iter_rules())


def shares(one: Map, other: Map) -> bool:
    """Whether two maps are of one plan; one that was just made counts too, as it takes its plan when it is used."""
    rules_of(one), rules_of(other)
    return one._matcher is other._matcher and one._rules_by_endpoint is other._rules_by_endpoint


# ---- It works as Werkzeug's map, whatever the rules are -------------------------------------------------------------

PARTS = ["", "a", "b", "<x>", "<int:n>", "<path:p>", "a-<x>", "<any(en,de):lang>", "<string(length=2):code>"]
PATHS = [
    "/",
    "/a",
    "/a/",
    "/b/a",
    "//a",
    "/a//b",
    "/en",
    "/en/a",
    "/7",
    "/7/",
    "/a/7",
    "/xy/a/b",
    "/a-7",
    "/a/b/",
    "/ä",
]
VALUES = [
    {},
    {"x": "y"},
    {"n": 7},
    {"p": "q/r"},
    {"lang": "en"},
    {"x": "y", "more": ["2", "1"]},
    {"n": 1, "lang": "de"},
]

paths = st.lists(st.sampled_from(PARTS), min_size=0, max_size=3, unique=True).map(lambda parts: "/" + "/".join(parts))
options = st.fixed_dictionaries(
    {"endpoint": st.sampled_from("efg")},
    optional={
        "methods": st.sets(st.sampled_from(["GET", "POST", "PUT"]), min_size=1),
        "defaults": st.dictionaries(st.sampled_from(["x", "n"]), st.sampled_from([1, "y", True, None]), max_size=2),
        "strict_slashes": st.booleans(),
        "merge_slashes": st.booleans(),
        "build_only": st.booleans(),
        "alias": st.booleans(),
        "websocket": st.just(False),
        "redirect_to": st.sampled_from([None, "/a"]),
        "subdomain": st.sampled_from([None, "s", "<x>"]),
    },
)
map_options = st.fixed_dictionaries(
    {},
    optional={
        "strict_slashes": st.booleans(),
        "merge_slashes": st.booleans(),
        "redirect_defaults": st.booleans(),
        "sort_parameters": st.booleans(),
        "default_subdomain": st.sampled_from(["", "s"]),
    },
)


def outcome(ask: Callable[[], Any]) -> Any:
    try:
        found = ask()
    except RequestRedirect as redirect:
        return "redirect", redirect.new_url
    except HTTPException as error:
        return error.code, sorted(getattr(error, "valid_methods", None) or ())
    except BuildError as error:
        return "no link", str(error)
    except Exception as error:  # Werkzeug's own, whatever they are: both must fail alike
        return type(error), str(error)
    return (seen(found[0]), found[1]) if isinstance(found, tuple) else found


def seen(rule: Rule) -> Any:
    """Return what can be seen of a rule."""
    values = {name: value for name, value in vars(rule).items() if name[0] != "_" and name != "map"}
    sets = {name: sorted(values.pop(name) or ()) for name in ("methods", "arguments")}
    if (defaults := values.pop("defaults")) is not None:
        values["defaults"] = dict(defaults)
    return str(rule), sets, {name: repr(value) for name, value in values.items()}


def everything(url_map: Map) -> list[Any]:
    """All that can be asked of a map, answered."""
    adapter = url_map.bind("example.com", "/door")
    answers = [
        outcome(lambda path=path, method=method: adapter.match(path, method, return_rule=True))
        for path in PATHS
        for method in ("GET", "POST", "DELETE")
    ]
    answers += [outcome(lambda e=e, v=v: adapter.build(e, v)) for e in "efgh" for v in VALUES]
    answers += [outcome(lambda e=e: url_map.is_endpoint_expecting(e, "x")) for e in "ef"]
    return [*answers, [seen(rule) for rule in url_map.iter_rules()]]


@given(rules=st.lists(st.tuples(paths, options), max_size=6), chosen=map_options, late=map_options)
@example(rules=[("/", {"endpoint": "e"}), ("/", {"endpoint": "e", "defaults": {}})], chosen={}, late={})
@settings(max_examples=150)
def test_it_matches_and_builds_as_werkzeugs_map(rules: list[Any], chosen: dict[str, Any], late: dict[str, Any]) -> None:
    floor_plan = FloorPlan()
    usual, first, second = Map(**chosen), floor_plan.url_map_class(**chosen), floor_plan.url_map_class(**chosen)
    expected = fill(usual, rules, late), everything(usual)
    assert (fill(first, rules, late), everything(first)) == expected
    assert (fill(second, rules, late), everything(second)) == expected


def fill(url_map: Map, rules: list[Any], late: dict[str, Any]) -> list[Any]:
    """Add rules as an app does that sets options after its second route; return what went wrong."""
    errors = []
    for number, (string, given_options) in enumerate(rules):
        if number == 2:
            for name in sorted(late.keys() - {"default_subdomain"}):
                setattr(url_map, name, late[name])
        errors.append(outcome(partial(url_map.add, planned(string, **given_options))))
    return errors


def test_a_rule_that_is_wrong_is_told_when_it_is_added(floor_plan: FloorPlan) -> None:
    with pytest.raises(ValueError, match="must start with a slash"):
        make_map(floor_plan, planned("a", endpoint="a"))
    with pytest.raises(ValueError, match="malformed url rule"):
        make_map(floor_plan, planned("/<int:", endpoint="a"))
    with pytest.raises(LookupError, match="the converter 'nope' does not exist"):
        make_map(floor_plan, planned("/<nope:x>", endpoint="a"))


def test_a_rule_object_is_taken_as_werkzeug_takes_it_once(floor_plan: FloorPlan) -> None:
    rule = Rule("/a", endpoint="a")
    url_map = make_map(floor_plan, rule, Submount("/sub", [Rule("/b", endpoint="b")]))
    assert url_map.bind("h").match("/a") == ("a", {})
    assert url_map.bind("h").match("/sub/b") == ("b", {})
    assert rule.map is url_map
    with pytest.raises(RuntimeError, match="already bound"):
        url_map.add(rule)


def test_a_map_may_be_given_its_rules_at_once(floor_plan: FloorPlan) -> None:
    url_map = floor_plan.url_map_class([Rule("/a", endpoint="a"), planned("/b", endpoint="b")])
    assert [rule.endpoint for rule in url_map.iter_rules()] == ["a", "b"]


def test_a_planned_rule_fits_any_map() -> None:
    plain = Map([planned("/a", endpoint="a")])
    assert plain.bind("h").match("/a") == ("a", {})


def test_an_unknown_attribute_is_one(floor_plan: FloorPlan) -> None:
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        _ = make_map(floor_plan).nope


# ---- What is shared, and what is not --------------------------------------------------------------------------------


def test_equal_rules_are_compiled_once(floor_plan: FloorPlan) -> None:
    def rules() -> list[PlannedRule]:
        return [
            planned("/a/<int:n>", endpoint="a", methods={"GET", "POST"}),
            planned("/b", endpoint="b", defaults={"x": 1}),
        ]

    one, other = make_map(floor_plan, *rules()), make_map(floor_plan, *rules())
    assert shares(one, other)
    assert all(a is b for a, b in zip(rules_of(one), rules_of(other), strict=True))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param({"defaults": {"x": 1}}, {"defaults": {"x": True}}, id="1 and True"),
        pytest.param({"defaults": {"x": 1}}, {"defaults": {"x": 1.0}}, id="1 and 1.0"),
        pytest.param({"defaults": {"x": "1"}}, {"defaults": {"x": 1}}, id="text and number"),
        pytest.param({"defaults": {"x": None}}, {}, id="None and nothing"),
        pytest.param({"defaults": {"x": 0.0}}, {"defaults": {"x": -0.0}}, id="0.0 and -0.0"),
        pytest.param({"methods": {"GET"}}, {"methods": {"POST"}}, id="methods"),
        pytest.param({"automatic": True}, {"automatic": False}, id="automatic OPTIONS"),
        pytest.param({"strict_slashes": True}, {"strict_slashes": None}, id="slashes left to the map"),
        pytest.param({"build_only": True}, {"build_only": False}, id="build only"),
    ],
)
def test_rules_that_only_look_equal_are_two(floor_plan: FloorPlan, one: Any, other: Any) -> None:
    a = make_map(floor_plan, planned("/<x>", endpoint="e", **one))
    b = make_map(floor_plan, planned("/<x>", endpoint="e", **other))
    assert rules_of(a)[0] is not rules_of(b)[0]
    assert not shares(a, b)


class Shelf:
    """Something that can be written to, as a tenant's own things can."""


@pytest.mark.parametrize(
    "given_options",
    [
        pytest.param({"defaults": {"x": Shelf()}}, id="an object as default"),
        pytest.param({"defaults": {"x": ["a"]}}, id="a list as default"),
        pytest.param({"redirect_to": lambda adapter, **values: "/"}, id="a function"),
        pytest.param({"alias": True}, id="an alias, which asks its map how it redirects"),
        pytest.param({"endpoint": Shelf()}, id="an endpoint that is no name"),
    ],
)
def test_what_may_hold_a_tenants_things_is_not_shared(floor_plan: FloorPlan, given_options: Any) -> None:
    a, b = (
        make_map(floor_plan, planned("/same", endpoint="same"), planned("/x", **{"endpoint": "e", **given_options}))
        for _ in range(2)
    )
    assert rules_of(a)[0] is rules_of(b)[0]
    assert rules_of(a)[1] is not rules_of(b)[1]
    assert rules_of(a)[1].map is a
    assert rules_of(b)[1].map is b
    assert not shares(a, b)


class Remembers(BaseConverter):
    """A converter that keeps what it saw, as one with a cache does."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.seen: list[str] = []

    def to_python(self, value: str) -> str:
        self.seen.append(value)
        return ",".join(self.seen)


def test_converters_of_the_apps_own_are_its_own(floor_plan: FloorPlan) -> None:
    a, b = (floor_plan.url_map_class() for _ in range(2))
    for url_map in (a, b):
        url_map.converters["remembers"] = Remembers
        url_map.add(planned("/<remembers:x>", endpoint="e"))
        url_map.add(planned("/same/", endpoint="same"))
    assert a.bind("h").match("/one") == ("e", {"x": "one"})
    assert b.bind("h").match("/two") == ("e", {"x": "two"})
    assert rules_of(a)[1] is rules_of(b)[1]


def test_a_converter_in_place_of_a_usual_one_holds_for_that_map_alone(floor_plan: FloorPlan) -> None:
    class Twice(BaseConverter):
        def to_python(self, value: str) -> str:
            return value * 2

    other = make_map(floor_plan, planned("/<int:n>", endpoint="e"))
    changed = floor_plan.url_map_class()
    changed.converters["int"] = Twice
    changed.add(planned("/<int:n>", endpoint="e"))
    assert changed.bind("h").match("/7") == ("e", {"n": "77"})
    assert other.bind("h").match("/7") == ("e", {"n": 7})


def test_an_option_of_one_map_is_not_anothers(floor_plan: FloorPlan) -> None:
    usual, lax = (make_map(floor_plan, planned("/a/", endpoint="a")) for _ in range(2))
    assert shares(usual, lax)
    lax.strict_slashes = False
    lax.sort_parameters = True
    lax.merge_slashes = False
    for url_map in (usual, lax):
        url_map.add(planned("/b/", endpoint="b"))
    assert lax.bind("h").match("/b") == ("b", {})
    with pytest.raises(RequestRedirect):
        usual.bind("h").match("/b")
    assert lax.bind("h").build("a", {"z": "1", "y": "2"}) == "/a/?y=2&z=1"
    assert usual.bind("h").build("a", {"z": "1", "y": "2"}) == "/a/?z=1&y=2"
    assert (usual.merge_slashes, lax.merge_slashes) == (True, False)


def test_a_rule_added_later_is_that_apps_alone(floor_plan: FloorPlan) -> None:
    one, other = (make_map(floor_plan, planned("/a", endpoint="a")) for _ in range(2))
    assert shares(one, other)
    one.add(planned("/b", endpoint="b"))
    assert one.bind("h").match("/b") == ("b", {})
    assert [outcome(lambda: other.bind("h").match("/b"))[0], len(rules_of(other))] == [404, 1]


def test_many_threads_that_compile_at_once_get_plans_that_work(floor_plan: FloorPlan) -> None:
    made: list[TenantMap] = []
    start = threading.Barrier(8)

    def build() -> None:
        start.wait()
        for _ in range(20):
            each = make_map(floor_plan, *(planned(f"/p{n}/<int:x>", endpoint=f"e{n}") for n in range(12)))
            each.settle()
            made.append(each)

    threads = [threading.Thread(target=build) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 160
    # Two threads may compile the same rule at the same moment, and each keep its own.
    assert 12 <= len({id(rule) for url_map in made for rule in rules_of(url_map)}) <= 24
    assert all(each.bind("h").match(f"/p{n}/7") == (f"e{n}", {"x": 7}) for each in made for n in range(12))


# ---- What is shared cannot be changed, and does not stay for ever ---------------------------------------------------


def test_a_shared_rule_cannot_be_changed(floor_plan: FloorPlan) -> None:
    rule = rules_of(make_map(floor_plan, planned("/a/<int:n>", endpoint="a", methods={"GET"}, defaults={"x": 1})))[0]
    for name in [*vars(rule), "note"]:
        with pytest.raises(SharedRuleChanged, match=f"'{name}' of the URL rule '/a/<int:n>' cannot be changed"):
            setattr(rule, name, "acme")
        with pytest.raises(SharedRuleChanged):
            delattr(rule, name)
    with pytest.raises(SharedRuleChanged):
        rule.refresh()
    for name in ("methods", "arguments"):
        assert not hasattr(getattr(rule, name), "add")
    with pytest.raises(TypeError):
        rule.defaults["x"] = 2  # type: ignore[index]
    with pytest.raises(SharedRuleChanged):
        rule.map.add(Rule("/b", endpoint="b"))
    with pytest.raises(SharedRuleChanged):
        rule.map.strict_slashes = False
    with pytest.raises(SharedRuleChanged):
        del rule.map.strict_slashes
    with pytest.raises(RuntimeError, match="already bound"):
        Map().add(rule)
    assert list(rule.map.iter_rules()) == []
    with pytest.raises(TypeError):
        rule.map.converters["x"] = Remembers


def test_the_shared_tables_cannot_be_changed(floor_plan: FloorPlan) -> None:
    url_map = make_map(floor_plan, planned("/a", endpoint="a"))
    rules_of(url_map).clear()
    with pytest.raises(TypeError):
        url_map._rules_by_endpoint["b"] = []  # as some extensions do to Werkzeug's
    with pytest.raises(AttributeError):
        url_map._rules_by_endpoint["a"].clear()
    assert len(rules_of(url_map)) == 1


def test_a_copy_of_a_shared_rule_can_be_changed_and_added_elsewhere(floor_plan: FloorPlan) -> None:
    shared = rules_of(make_map(floor_plan, planned("/a/<int:n>", endpoint="a", defaults={"x": 1})))[0]
    copy = shared.empty()
    copy.endpoint = "b"
    assert type(copy) is Rule
    assert Map([copy]).bind("h").match("/a/1") == ("b", {"n": 1, "x": 1})
    assert shared == copy
    assert copy == shared
    assert shared != Rule("/other", endpoint="a")


def test_a_copy_added_to_a_tenants_map_is_that_tenants(floor_plan: FloorPlan) -> None:
    acme, globex = (make_map(floor_plan, planned("/a", endpoint="a")) for _ in range(2))
    copy = rules_of(acme)[0].empty()
    copy.rule = "/cdn/a"
    acme.add(copy)
    acme.add(Submount("/sub", [planned("/b", endpoint="b")]))
    acme.settle()
    assert [rule.rule for rule in acme.iter_rules()] == ["/a", "/cdn/a", "/sub/b"]
    assert acme.bind("h").match("/cdn/a") == ("a", {})
    later = make_map(floor_plan, planned("/a", endpoint="a"))
    assert shares(later, globex)
    acme.sort_parameters = True
    assert acme.bind("h").build("b", {"z": "1", "y": "2"}) == "/sub/b?y=2&z=1"


class Owned(str):
    """A text that carries more than it says."""

    owner: object = None


def test_a_text_that_is_more_than_a_text_is_not_shared(floor_plan: FloorPlan) -> None:
    text = Owned("/a")
    text.owner = "acme"
    make_map(floor_plan, planned(text, endpoint="a")).settle()
    name = Owned("x")
    make_map(floor_plan, planned("/b", endpoint="b", defaults={name: 1})).settle()
    other = make_map(floor_plan, planned("/a", endpoint="a"), planned("/b", endpoint="b", defaults={"x": 1}))
    first, second = rules_of(other)
    assert type(first.rule) is str
    assert [type(each) for each in second.defaults or ()] == [str]


def test_rules_added_while_others_are_matched_are_all_there(floor_plan: FloorPlan) -> None:
    url_map = make_map(floor_plan, planned("/a", endpoint="a"))
    wrong: list[BaseException] = []
    ended = threading.Event()

    def match() -> None:
        while not ended.is_set():
            try:
                assert url_map.bind("h").match("/a") == ("a", {})
            except BaseException as error:
                wrong.append(error)

    threads = [threading.Thread(target=match) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(200):
        url_map.add(planned(f"/n{number}", endpoint=f"n{number}"))
    ended.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert all(url_map.bind("h").match(f"/n{number}") == (f"n{number}", {}) for number in range(200))


def test_plans_that_nobody_has_are_forgotten_after_some_others(floor_plan: FloorPlan) -> None:
    gone = make_map(floor_plan, planned("/gone", endpoint="gone"))
    held = make_map(floor_plan, planned("/held", endpoint="held"))
    watched = [weakref.ref(rules_of(each)[0]) for each in (gone, held)]
    del gone
    for number in range(100):
        make_map(floor_plan, planned(f"/{number}", endpoint="e")).settle()
    gc.collect()
    assert watched[0]() is None
    assert watched[1]() is not None
    assert shares(held, make_map(floor_plan, planned("/held", endpoint="held")))
    assert len(floor_plan._rules) < 70


# ---- In apps --------------------------------------------------------------------------------------------------------

ROUTES = """
    from flask import Blueprint, current_app, request, url_for

    bp = Blueprint("shop", __name__, url_prefix="/shop")

    @bp.route("/item/<int:number>", methods=["GET", "POST"])
    def item(number):
        return {"number": number, "title": current_app.tenant.title, "link": url_for(".item", number=number)}

    @bp.get("/list/")
    def list():
        return request.url_rule.rule
"""


@pytest.fixture
def shop(write: Write, package: str) -> str:
    write(f"{package}/shop.py", ROUTES)
    return package


def two_apps(folder: Path, platform: str = "", acme: str = "") -> tuple[Platform, TenantApp, TenantApp]:
    made = make_platform(
        folder,
        textwrap.dedent(f"""
            [platform]
            {platform}
            [tenants.acme]
            title = "Acme"
            path = "/acme"
            {acme}
            [tenants.globex]
            title = "Globex"
            path = "/globex"
        """),
    )
    return made, made.tenant_app("acme"), made.tenant_app("globex")


def test_tenants_with_the_same_rules_share_their_plan(tmp_path: Path, shop: str) -> None:
    platform, acme, globex = two_apps(tmp_path, f'blueprints = "{shop}"')
    assert shares(acme.url_map, globex.url_map)
    assert acme.url_map is not globex.url_map
    assert acme.view_functions.keys() == globex.view_functions.keys()
    for slug, title in (("acme", "Acme"), ("globex", "Globex")):
        answer = client_of(platform, slug).get("/shop/item/7").get_json()
        assert answer == {"number": 7, "title": title, "link": f"/{slug}/shop/item/7"}


def test_a_rule_from_configuration_makes_the_map_of_that_tenant_its_own(
    tmp_path: Path, shop: str, write: Write
) -> None:
    write(
        f"{shop}_ext.py",
        """
        def init_app(app):
            if path := app.config.get("STATUS_PATH"):
                app.add_url_rule(path, "status", lambda: "up")
        """,
    )
    settings_ = f'blueprints = "{shop}"\nextensions = ["{shop}_ext:init_app"]'
    platform, acme, globex = two_apps(tmp_path, settings_, 'config = { STATUS_PATH = "/up" }')
    assert client_of(platform, "acme").get("/up").text == "up"
    assert client_of(platform, "globex").get("/up").status_code == 404
    assert not shares(acme.url_map, globex.url_map)
    common = {rule.rule: rule for rule in globex.url_map.iter_rules()}
    assert all(common[rule.rule] is rule for rule in acme.url_map.iter_rules() if rule.endpoint != "status")
    assert len(rules_of(acme.url_map)) == len(common) + 1


def test_an_extension_can_ask_for_rules_that_can_be_changed(tmp_path: Path, shop: str, write: Write) -> None:
    """All of them, also those that were there before it came: Flask's static files, and the look."""
    write(
        f"{shop}_ext.py",
        """
        from werkzeug.routing import Rule

        def init_app(app):
            if app.tenant.slug == "acme":
                app.url_rule_class = Rule
                for rule in app.url_map.iter_rules():
                    rule.strict_slashes = False
                    rule.note = "acme"
        """,
    )
    platform, acme, globex = two_apps(tmp_path, f'blueprints = "{shop}"\nextensions = ["{shop}_ext:init_app"]')
    assert {type(rule) for rule in acme.url_map.iter_rules()} == {Rule}
    assert all(rule.map is acme.url_map for rule in acme.url_map.iter_rules())
    assert acme.url_rule_class is Rule
    assert not any(hasattr(rule, "note") for rule in globex.url_map.iter_rules())
    assert {type(rule) for rule in globex.url_map.iter_rules()} == {SharedRule}
    for slug in ("acme", "globex"):
        assert client_of(platform, slug).get("/shop/item/1").status_code == 200
        assert client_of(platform, slug).get("/-/theme.css").status_code == 200


def test_a_map_put_in_place_of_ours_is_used(tmp_path: Path, shop: str, write: Write) -> None:
    write(
        f"{shop}_ext.py",
        """
        from werkzeug.routing import Map

        def init_app(app):
            app.url_map = Map()
        """,
    )
    platform, acme, _ = two_apps(tmp_path, f'blueprints = "{shop}"\nextensions = ["{shop}_ext:init_app"]')
    assert type(acme.url_map) is Map
    assert client_of(platform, "acme").get("/shop/item/1").status_code == 200


def test_without_a_platform_it_is_flask(tmp_path: Path) -> None:
    app, plain = TenantApp("tenantry", root_path=str(tmp_path)), Flask("tenantry", root_path=str(tmp_path))
    assert type(app.url_map) is type(plain.url_map) is Map
    assert app.url_rule_class is plain.url_rule_class is Rule


def test_options_and_methods_are_answered_by_shared_rules(tmp_path: Path, shop: str) -> None:
    platform, _, _ = two_apps(tmp_path, f'blueprints = "{shop}"')
    client = client_of(platform, "globex")
    assert client.options("/shop/item/1").allow == {"GET", "HEAD", "OPTIONS", "POST"}
    refused = client.delete("/shop/item/1")
    assert refused.status_code == 405
    assert refused.allow == {"GET", "HEAD", "OPTIONS", "POST"}
    assert client.get("/shop/list").status_code == 308
    assert client.get("/shop/list/").text == "/shop/list/"


# ---- What is used of Werkzeug although it is not public: a release that changes it is told here ---------------------


def test_what_a_werkzeug_map_consists_of() -> None:
    assert set(vars(Map())) == {
        "_matcher",
        "_rules_by_endpoint",
        "_remap",
        "_remap_lock",
        "default_subdomain",
        "strict_slashes",
        "redirect_defaults",
        "host_matching",
        "converters",
        "sort_parameters",
        "sort_key",
    }, "Werkzeug's Map has other attributes: see whether TenantMap and FloorPlan.rule still take all into account"


def test_what_a_werkzeug_rule_consists_of() -> None:
    rule = Rule("/", endpoint="e")
    Map([rule])
    assert set(vars(rule)) == {
        "_build",
        "_build_unknown",
        "_converters",
        "_parts",
        "_trace",
        "alias",
        "arguments",
        "build_only",
        "defaults",
        "endpoint",
        "host",
        "is_branch",
        "is_leaf",
        "map",
        "merge_slashes",
        "methods",
        "redirect_to",
        "rule",
        "strict_slashes",
        "subdomain",
        "websocket",
    }, "Werkzeug's Rule has other attributes: see whether shared ones may hold anything of an app's"


def test_how_werkzeug_puts_rules_into_a_map() -> None:
    """``Plan.of`` does what these three do; the property above proves it for what they are now."""
    assert list(inspect.signature(StateMachineMatcher).parameters) == ["merge_slashes"]
    for function in (Map.add, Map.update):
        assert "_matcher" in inspect.getsource(function)
        assert "_rules_by_endpoint" in inspect.getsource(function)
    one = Map([Rule("/a", endpoint="e")])
    one.update()
    assert one._matcher.match("", "/a", "GET", False)[0].endpoint == "e"


def test_the_usual_converters_keep_nothing_of_what_they_see() -> None:
    """Shared rules share these; each must be the same after use as before."""
    samples = {"int": "7", "float": "1.5", "uuid": "12345678-1234-5678-1234-567812345678", "any": "a", "path": "a/b"}
    for name, kind in Map.default_converters.items():
        converter = kind(Map(), "a") if name == "any" else kind(Map())
        before = {key: repr(value) for key, value in vars(converter).items()}
        value = converter.to_python(samples.get(name, "x"))
        converter.to_url(value)
        assert {key: repr(each) for key, each in vars(converter).items()} == before
        assert kind.__module__ == "werkzeug.routing.converters"


def test_a_shared_rule_is_compiled_by_werkzeug_alone() -> None:
    """No method of Rule that compiles or builds is ours, so that a mend of Werkzeug's is a mend here."""
    assert set(vars(SharedRule)) & set(vars(Rule)) <= {
        "__module__",
        "__doc__",
        "__eq__",
        "__hash__",
        "__annotations__",
        "__static_attributes__",
        "__firstlineno__",
        "empty",
    }
