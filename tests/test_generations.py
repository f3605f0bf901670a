"""The configuration as generations: cut into tables, read again only where it changed, accepted or refused."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import ROOT
from tenantry.accepting import Accepted, candidate_of, decide
from tenantry.changes import Changes
from tenantry.errors import ConfigError, Problem
from tenantry.generations import KEPT_GENERATIONS, Generations, Rejection, state_dir_of
from tenantry.memory import Memory
from tenantry.registry import Registry
from tenantry.sources import Sources, Stored
from tenantry.tables import cut
from tenantry.taking_up import at_start, in_force

HEAD = '[platform]\nstate_dir = "state"\n\n[defaults]\nlanguages = ["en"]\n\n'


def table(slug: str, more: str = "") -> str:
    return f'[tenants.{slug}]\ntitle = "The {slug}"\npath = "/{slug}"\n{more}\n'


SHIPPED = (ROOT / "tenants.toml").read_text()
THREE = HEAD + table("acme") + table("globex") + table("initech")


# Cutting


@pytest.mark.parametrize(
    "text",
    [
        SHIPPED,
        THREE,
        HEAD,
        "",
        THREE.replace("\n", "\r\n"),
        HEAD + table("acme", '[tenants.acme.config]\nA = "[tenants.x]"\n[tenants.acme.limits]\nupload_mb = 3\n'),
        HEAD + '[tenants."acme"]   # the first\npath = "/acme"\n# [tenants.no]\n' + table("b"),
        HEAD + 'x = [\n  ["others"],\n]\n' + table("b"),
    ],
)
def test_a_text_that_is_cut_is_the_same_in_parts(text: str) -> None:
    parts = cut(text)
    assert parts is not None
    assert parts.text == text
    whole = tomllib.loads(text)
    assert list(parts.tables) == list(whole.get("tenants", {}))
    for slug, own in parts.tables.items():
        assert tomllib.loads(own) == {"tenants": {slug: whole["tenants"][slug]}}


@pytest.mark.parametrize(
    "text",
    [
        THREE + "[defaults.config]\nA = 1\n",
        THREE + table("acme"),
        HEAD + "[tenants.acme.config]\nA = 1\n" + table("b") + '[tenants.acme]\npath = "/acme"\n',
        HEAD + table("acme", 'x = """\n[tenants.b]\n"""\n'),
        HEAD + table("acme", "x = '''\n[tenants.b]\n'''\n"),
        HEAD + table("acme", 'hosts = [\n["a"]\n]\n'),
        HEAD + table("acme") + "[[tenants.b]]\n",
        HEAD + table("acme") + '[tenants."b\\u0063"]\n',
        HEAD + table("acme") + "[tenants . b]\n",
    ],
)
def test_a_text_that_could_be_cut_wrongly_is_not(text: str) -> None:
    assert cut(text) is None


lines = st.sampled_from(
    [
        "[tenants.a]",
        "[tenants.b]",
        "[tenants.a.config]",
        "[tenants]",
        "[defaults]",
        "[[tenants.c]]",
        'path = "/a"',
        'x = "[tenants.b]"',
        "y = [",
        "]",
        '"""',
        "'''",
        "# [tenants.b]",
        "",
        "[1]",
        "['tenants'],",
        'z = """',
        "a.path = 1",
        "tenants.b = {x = 1}",
        "\\",
    ]
)


@given(st.lists(lines, max_size=12))
@settings(max_examples=600, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_cut_says_what_the_whole_does(found: list[str]) -> None:
    """Where the whole is TOML and can be cut, each part is TOML, and together they are the whole."""
    text = "\n".join(found)
    parts = cut(text)
    try:
        whole = tomllib.loads(text)
    except ValueError:
        return
    if parts is None:
        return
    together = dict(whole)
    if parts.tables:
        assert list(parts.tables) == [s for s in whole["tenants"] if s in parts.tables]
        for slug, own in parts.tables.items():
            assert tomllib.loads(own)["tenants"][slug] == whole["tenants"][slug]
    assert together == whole


# Reading again what changed


def registry(folder: Path, text: str, memory: Memory | None = None, **files: str) -> Registry:
    (folder / "tenants.toml").write_text(text)
    for name, content in files.items():
        (folder / f"{name}.toml").write_text(content)
    return Registry.load(Sources(folder / "tenants.toml"), memory)


EDITS: dict[str, Callable[[str], str]] = {
    "a title": lambda text: text.replace('"The globex"', '"Globex"'),
    "a new tenant": lambda text: text + table("umbrella"),
    "a new tenant in front": lambda text: text.replace("[tenants.acme]", table("umbrella") + "[tenants.acme]"),
    "one that goes": lambda text: text.replace(table("globex"), ""),
    "the order": lambda text: HEAD + table("initech") + table("acme") + table("globex"),
    "a comment": lambda text: text.replace("[tenants.globex]", "# the second\n[tenants.globex]"),
    "the defaults": lambda text: text.replace('["en"]', '["de"]'),
    "the platform": lambda text: text.replace("[platform]", '[platform]\nscheme = "https"'),
    "the platform's file": lambda text: text.replace("[platform]", '[platform]\ninclude = ["more.toml"]'),
    "a door that is taken": lambda text: text.replace('"/globex"', '"/acme"'),
    "a mistake": lambda text: text.replace("path", "pathh", 1),
    "no TOML": lambda text: text + "[[[",
    "cut off": lambda text: text[:-8],
    "a bad slug": lambda text: text + "[tenants.Bad_Slug]\npath = '/x'\n",
    "a slug that is reserved": lambda text: text + "[tenants.all]\npath = '/x'\n",
    "a string of several lines": lambda text: text + '[tenants.m]\npath = "/m"\ntitle = """\n[tenants.n]\n"""\n',
    "a secret of two": lambda text: (
        text + "".join(table(s, f'config = {{ SECRET_KEY = "{"abcdefghij" * 4}" }}') for s in ("s", "t"))
    ),
}


@pytest.mark.parametrize("edit", EDITS)
def test_reading_what_changed_finds_what_reading_all_does(tmp_path: Path, edit: str) -> None:
    memory = Memory()
    before = registry(tmp_path, THREE, memory)
    text = EDITS[edit](THREE)
    (tmp_path / "more.toml").write_text(table("more"))

    def outcome(memory: Memory | None) -> object:
        try:
            return registry(tmp_path, text, memory)
        except ConfigError as error:
            return str(error)

    fresh, again = outcome(None), outcome(memory)
    assert again == fresh
    if isinstance(again, Registry) and edit not in ("the defaults", "the platform", "the platform's file"):
        fitting = again.in_place_of(before)
        assert any(fitting.get(slug) is before[slug] for slug in before), "what is as it was is the same object"
    assert outcome(memory) == fresh, "and what was refused leaves nothing behind"


def test_included_files_are_read_again_where_they_changed(tmp_path: Path) -> None:
    memory = Memory()
    main = THREE.replace("[platform]", '[platform]\ninclude = ["more*.toml"]')
    first = registry(tmp_path, main, memory, more=table("one") + table("two"))
    second = registry(
        tmp_path, main, memory, more=table("one") + table("two", 'color = "#000000"'), more2=table("three")
    )
    assert second == Registry.from_file(tmp_path / "tenants.toml")
    assert list(second) == ["acme", "globex", "initech", "one", "two", "three"]
    assert [slug for slug in first if second[slug] is first[slug]] == ["acme", "globex", "initech", "one"]
    with pytest.raises(ConfigError, match="unknown key"):
        registry(tmp_path, main, memory, more2="[defaults]\n" + table("three"))


# Accepting


@pytest.fixture
def generations(tmp_path: Path) -> Generations:
    return Generations(tmp_path / "state", tmp_path / "tenants.toml")


def offer(generations: Generations, text: str, **options: bool) -> Accepted | Rejection:
    generations.file.write_text(text)
    return decide(generations, Sources(generations.file), Memory(), lambda candidate: (), **options)


def accept(generations: Generations, text: str) -> Accepted:
    found = offer(generations, text)
    assert isinstance(found, Accepted), found
    return found


def refuse(generations: Generations, text: str) -> str:
    found = offer(generations, text)
    assert isinstance(found, Rejection)
    return "\n".join(map(str, found.problems))


def test_each_change_is_a_generation_and_what_is_the_same_is_none(generations: Generations) -> None:
    assert accept(generations, THREE).generation.number == 1
    assert accept(generations, THREE).generation.number == 1
    assert accept(generations, THREE + table("umbrella")).generation.number == 2
    assert accept(generations, THREE + table("umbrella") + "# done\n").generation.number == 3
    assert list(Registry.load(generations.sources(1))) == ["acme", "globex", "initech"]
    assert list(Registry.load(generations.sources(2))) == ["acme", "globex", "initech", "umbrella"]
    assert generations.numbers() == [1, 2, 3]


def test_old_generations_go(generations: Generations) -> None:
    for number in range(KEPT_GENERATIONS + 3):
        accept(generations, f"# {number}\n{THREE}")
    assert generations.numbers() == list(range(4, KEPT_GENERATIONS + 4))


def test_a_mistake_is_noted_and_changes_nothing(generations: Generations) -> None:
    accept(generations, THREE)
    assert "did you mean 'path'?" in refuse(generations, THREE.replace("path", "pathh", 1))
    current, refused = generations.current(), generations.rejection()
    assert current is not None
    assert current.number == 1
    assert refused is not None
    assert "did you mean 'path'?" in refused.problems[0].message
    found = in_force(generations.file, Memory())
    assert (list(found.registry), found.generation) == (["acme", "globex", "initech"], 1)
    assert found.problems == refused.problems


def test_what_else_is_wrong_with_it_refuses_it_too(generations: Generations) -> None:
    generations.file.write_text(THREE)
    problem = Problem("tenants.toml", "tenants.acme", "is not to be")
    found = decide(generations, Sources(generations.file), Memory(), lambda candidate: [problem])
    assert isinstance(found, Rejection)
    assert found.problems == (problem,)
    assert generations.current() is None


def test_a_tenant_that_is_gone_is_kept_as_it_was_until_it_is_archived(generations: Generations) -> None:
    accept(generations, THREE)
    without = HEAD + table("acme") + table("initech")
    found = accept(generations, without)
    assert found.generation.kept == ("globex",)
    assert found.registry["globex"] == Registry.load(generations.sources(1))["globex"]
    again = accept(generations, without + "# and more\n")
    assert again.generation.kept == ("globex",)
    assert again.registry["globex"].title == "The globex"
    back = accept(generations, THREE)
    assert back.generation.kept == ()
    accept(generations, THREE.replace('path = "/globex"', 'path = "/globex"\nstatus = "archived"'))
    gone = accept(generations, without)
    assert gone.generation.kept == ()
    assert "globex" not in gone.registry


def test_what_is_kept_has_its_own_tables_with_the_defaults_of_now(generations: Generations) -> None:
    accept(generations, HEAD + table("acme") + table("globex", "[tenants.globex.limits]\nupload_mb = 3\n"))
    found = accept(generations, HEAD.replace('["en"]', '["de"]') + table("acme"))
    assert (found.registry["globex"].limits.upload_mb, found.registry["globex"].languages) == (3, ("de",))


def test_one_that_is_kept_is_found_in_a_file_that_cannot_be_cut(generations: Generations) -> None:
    odd = 'config = { WORDS = """Of\n[two] lines""" }\n'
    accept(generations, HEAD + table("acme") + f"[tenants.globex]\npath = '/globex'\n{odd}")
    found = accept(generations, HEAD + table("acme"))
    assert found.generation.kept == ("globex",)
    assert found.registry["globex"].config["WORDS"] == "Of\n[two] lines"


def test_a_door_of_one_that_is_kept_is_not_given_to_another(generations: Generations) -> None:
    """As where somebody renames a tenant by hand."""
    accept(generations, THREE)
    said = refuse(generations, THREE.replace("[tenants.globex]", "[tenants.globex2]"))
    assert "tenants.globex: gone from the file without having been archived" in said
    assert "'/globex' is the door of tenant 'globex2' already" in said
    assert "tenantry rename" in said


def test_included_files_lose_no_tenant_either(generations: Generations) -> None:
    main = THREE.replace("[platform]", '[platform]\ninclude = ["more*.toml"]')
    (generations.file.parent / "more.toml").write_text(table("one") + table("two"))
    accept(generations, main)
    (generations.file.parent / "more.toml").unlink()
    found = accept(generations, main)
    assert found.generation.kept == ("one", "two")
    assert list(found.registry) == ["acme", "globex", "initech", "one", "two"]


FULL = HEAD + table("acme", "sections = []") + table("globex", "sections = []") + table("initech", "sections = []")


@pytest.mark.parametrize(
    ("end", "refused"),
    [
        (FULL.rindex("sections"), True),
        (FULL.rindex("path"), True),
        (FULL.index("[tenants.globex]") - 1, False),
        (FULL.index("[tenants.globex]") - 6, True),
        (FULL.index("[tenants.initech]") + 3, True),
        (FULL.index("[tenants.initech]"), False),
        (len(FULL) - 1, False),
        (len(HEAD) - 20, True),
        (0, True),
    ],
)
def test_a_file_that_ends_in_the_middle_of_a_table_is_not_taken(
    generations: Generations, end: int, refused: bool
) -> None:
    accept(generations, FULL)
    assert isinstance(offer(generations, FULL[:end]), Rejection) is refused


def test_an_end_that_is_meant_is_taken_by_a_reload(generations: Generations) -> None:
    accept(generations, HEAD + table("acme", 'color = "#000000"\n'))
    shorter = HEAD + table("acme").rstrip() + "\n"
    assert "kill -HUP" in refuse(generations, shorter)
    assert isinstance(offer(generations, shorter, forced=True), Accepted)
    assert accept(generations, HEAD + table("acme", 'color = "#000000"\n') + "# the end\n").generation.number == 3
    assert accept(generations, HEAD + table("acme", 'color = "#000000"\n')).generation.number == 4, "a comment may go"


def test_row_2_cut_at_every_byte_no_tenant_is_taken_away_or_loses_a_door(generations: Generations) -> None:
    """Of the shipped file. Each beginning is refused, or what it makes has every tenant, at every door that it had."""
    text = SHIPPED.replace('"var"', '"state"')
    whole = accept(generations, text).registry
    taken = 0
    memory = Memory()
    for end in range(len(text)):
        generations.file.write_text(text[:end])
        try:
            found = candidate_of(Sources(generations.file), generations, memory, (1, whole))
        except ConfigError:
            found = None
        started = (
            in_force(generations.file, memory).registry if state_dir_of(generations.file).name == "state" else None
        )
        for registry in (found.registry if found else None, started):
            if registry is not None:
                doors = {slug: (tenant.path, tenant.hosts) for slug, tenant in registry.items()}
                assert doors == {slug: (tenant.path, tenant.hosts) for slug, tenant in whole.items()}, end
        taken += found is not None
    assert 0 < taken < len(text) / 4


def test_damaged_notes_are_as_none(generations: Generations) -> None:
    accept(generations, THREE)
    for damage in ("", "[]", "{}", '{"number": "x"}', "\0"):
        generations.pointer.write_text(damage)
        (generations.folder / "rejected.json").write_text(damage)
        assert generations.rejection() is None
        assert generations.current() is None or damage == '{"number": "x"}'
    assert accept(generations, THREE).generation.number == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (SHIPPED, "var"),
        (THREE, "state"),
        ('[platform]\nstate_dir = "elsewhere"\n[[[', "elsewhere"),
        ("[platform]\nstate_dir = 'else where' # here\n[[[", "else where"),
        ('[platform]\n# state_dir = "no"\n[[[', "var"),
        ("[platform]\nstate_dir = 3\n", "var"),
        ("platform = 3", "var"),
        ("", "var"),
        (None, "var"),
    ],
)
def test_the_state_folder_is_found_in_a_file_that_is_broken(tmp_path: Path, text: str | None, expected: str) -> None:
    file = tmp_path / "tenants.toml"
    if text is not None:
        file.write_text(text)
    assert state_dir_of(file) == tmp_path / expected


def test_who_starts_while_the_file_is_broken_has_the_last_good_one(generations: Generations) -> None:
    accept(generations, THREE)
    generations.file.write_text("[[[")
    with pytest.raises(ConfigError):
        at_start(generations.file, Memory())  # as nothing says where the state folder is
    generations.file.write_text(THREE[: len(THREE) - 20] + "[[[")
    found = at_start(generations.file, Memory())
    assert (list(found.registry), found.generation) == (["acme", "globex", "initech"], 1)
    assert "not valid TOML" in str(found.problems[0])


# What differs


def test_changes_name_what_is_different(tmp_path: Path) -> None:
    before = registry(tmp_path, THREE)
    text = THREE.replace('"The globex"', '"Globex"\nlimits = { upload_mb = 7 }').replace(table("initech"), "")
    after = registry(tmp_path, text.replace('"state"', '"state"\nscheme = "https"\nredis = "redis://x"') + table("new"))
    found = Changes.between(before, after)
    assert (found.new, found.gone, list(found.changed)) == (("new",), ("initech",), ["globex"])
    assert [tuple(change) for change in found.changed["globex"]] == [
        ("title", "The globex", "Globex"),
        ("limits.upload_mb", 10, 7),
    ]
    assert [change.key for change in found.platform] == ["scheme", "redis"]
    assert found.needs_reload == ["redis"]
    assert str(found) == "new: new; changed: globex; gone: initech; [platform]: scheme, redis"
    assert not Changes.between(before, registry(tmp_path, THREE))


def test_a_registry_fits_in_the_place_of_another(tmp_path: Path) -> None:
    before = registry(tmp_path, THREE)
    text = THREE.replace('"state"', '"other"\nhosts = "*"').replace('"The acme"', '"Acme"')
    after = registry(tmp_path, text).in_place_of(before)
    assert after.settings.state_dir == before.settings.state_dir
    assert after.settings.hosts == "*"
    assert all(tenant.settings is after.settings for tenant in after.values())
    same = registry(tmp_path, THREE.replace('"The acme"', '"Acme"')).in_place_of(before)
    assert same.settings is before.settings
    assert same["globex"] is before["globex"]
    assert same["acme"].title == "Acme"


def test_sources_as_they_were(tmp_path: Path) -> None:
    registry(tmp_path, THREE.replace("[platform]", '[platform]\ninclude = ["more*.toml"]'), more=table("one"))
    now = Sources(tmp_path / "tenants.toml")
    first = Registry.load(now)
    stored = json.loads(json.dumps({"files": now.to_store().files, "patterns": now.to_store().patterns}))
    (tmp_path / "more.toml").unlink()
    then = Sources(tmp_path / "tenants.toml", Stored(**stored))
    assert Registry.load(then) == first
    assert then.digest == now.digest
    assert not now.is_as_read()


# What a sceptic has found


@pytest.mark.parametrize("head", ["# \x7f\n", "# \x01\n", "\x0c\n", "\u00a0\n", "x = 1\n", "# fine\n"])
def test_what_stands_before_the_tables_of_a_new_file_is_read(tmp_path: Path, head: str) -> None:
    memory = Memory()
    main = THREE.replace("[platform]", '[platform]\ninclude = ["d/*.toml"]')
    registry(tmp_path, main, memory)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a.toml").write_text(head + table("umbrella"))
    found = [_outcome(tmp_path, memory), _outcome(tmp_path, None)]
    assert found[0] == found[1]
    assert isinstance(found[0], Registry) is (head == "# fine\n")


def _outcome(folder: Path, memory: Memory | None) -> object:
    try:
        return Registry.load(Sources(folder / "tenants.toml"), memory)
    except ConfigError as error:
        return str(error)


def test_a_file_that_two_patterns_find_is_read_once(tmp_path: Path) -> None:
    memory = Memory()
    registry(tmp_path, THREE.replace("[platform]", '[platform]\ninclude = ["d/a*.toml", "d/*.toml"]'), memory)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "ab.toml").write_text(table("umbrella"))
    assert _outcome(tmp_path, memory) == _outcome(tmp_path, None)
    assert "umbrella" in Registry.from_file(tmp_path / "tenants.toml")


@pytest.mark.parametrize(
    "header", ["[tenants . acme.limits]", "[ tenants.acme.limits]", "[[tenants.x]]", "['tenants'.acme.limits]"]
)
def test_a_table_of_a_tenant_that_is_written_in_another_way_is_not_lost(tmp_path: Path, header: str) -> None:
    text = f"{HEAD}{header}\nupload_mb = 3\n{table('acme')}"
    assert cut(text) is None
    memory = Memory()
    (tmp_path / "tenants.toml").write_text(text)
    first = _outcome(tmp_path, memory)
    (tmp_path / "tenants.toml").write_text(text.replace("The acme", "Acme"))
    assert _outcome(tmp_path, memory) == _outcome(tmp_path, None)
    assert first != _outcome(tmp_path, memory) or isinstance(first, str)


@pytest.mark.parametrize("form", ["[tenants]\nacme = {{ path = '/acme' }}\n{}", "[ tenants.acme ]\npath = '/acme'\n{}"])
def test_one_that_is_kept_may_have_been_written_in_any_way(generations: Generations, form: str) -> None:
    accept(generations, HEAD + form.format("") + table("b"))
    found = accept(generations, HEAD + table("b") + "# changed\n")
    assert found.generation.kept == ("acme",)
    assert found.registry["acme"].path == "/acme"
    assert accept(generations, HEAD + table("b") + "# once more\n").generation.kept == ("acme",)


def test_whoever_is_a_generation_behind_takes_nobody_away(generations: Generations) -> None:
    first = accept(generations, THREE)
    accept(generations, THREE + table("umbrella"))
    generations.file.write_text(THREE + "# an older copy of the file\n")
    base = (first.generation.number, first.registry)
    found = decide(generations, Sources(generations.file), Memory(), lambda candidate: (), base)
    assert isinstance(found, Accepted)
    assert found.generation.kept == ("umbrella",)


def test_one_is_not_true(tmp_path: Path) -> None:
    before = registry(tmp_path, HEAD + table("acme", "config = { FLAG = 1 }"))
    after = registry(tmp_path, HEAD + table("acme", "config = { FLAG = true }")).in_place_of(before)
    assert after["acme"] is not before["acme"]


def test_a_generation_that_cannot_be_read_is_passed_over(generations: Generations) -> None:
    for number in range(3):
        accept(generations, THREE + f"# {number}\n")
    for number in (2, 3):
        (generations.folder / f"{number:08}.gen").write_bytes(b"damaged")
    generations.file.write_text(THREE[:-10] + "[[[")
    assert in_force(generations.file, Memory()).generation == 1
    assert at_start(generations.file, Memory()).generation == 1
    assert isinstance(offer(generations, THREE + "# good\n"), Accepted)
