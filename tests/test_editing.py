"""Editing tenants.toml by command: comments stay, nothing else is changed, and what would be refused is not written."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from conftest import ROOT
from tenantry.editing import Editor, editing, set_status
from tenantry.errors import ConfigError, Problem, StateError, UnknownTenant
from tenantry.generations import Generations, state_dir_of
from tenantry.memory import Memory
from tenantry.registry import Registry
from tenantry.rewriting import ASIDE, apply, replace_file, write_back
from tenantry.taking_up import at_start

SHIPPED = (ROOT / "tenants.toml").read_text()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tenants.toml"
    path.write_text(SHIPPED)
    path.chmod(0o640)
    at_start(path, Memory())
    return path


def give(file: Path, slug: str, status: str) -> str:
    with editing(file) as editor:
        set_status(editor, slug, status)
        editor.save(slug)
    return file.read_text()


@pytest.mark.parametrize("slug", ["acme", "globex", "initech"])
def test_a_status_is_one_line_and_goes_without_a_trace(file: Path, slug: str) -> None:
    after = give(file, slug, "suspended").splitlines()
    assert [line for line in after if line not in SHIPPED.splitlines()] == ['status = "suspended"']
    assert len(after) == len(SHIPPED.splitlines()) + 1
    assert Registry.from_file(file)[slug].status == "suspended"
    assert give(file, slug, "maintenance").count("status") == SHIPPED.count("status") + 1
    assert give(file, slug, "active") == SHIPPED
    assert file.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in file.parent.iterdir() if path.name.startswith(".")] == []


def test_the_status_comes_before_the_tables_within_the_tenant(file: Path) -> None:
    text = give(file, "initech", "read-only")
    assert text.index('status = "read-only"') < text.index("[tenants.initech.config]")


def test_a_default_that_is_another_is_overruled(file: Path) -> None:
    file.write_text(SHIPPED.replace("[defaults]", '[defaults]\nstatus = "maintenance"'))
    assert 'status = "active"' in give(file, "acme", "active")
    assert Registry.from_file(file)["acme"].status == "active"
    assert 'status = "active"' not in give(file, "acme", "maintenance")


@pytest.mark.parametrize(
    "layout",
    [
        'tenants.acme.path = "/acme"\ntenants.acme.title = "Acme"\ntenants.other.path = "/other"\n',
        'tenants = { acme = { path = "/acme" }, other = { path = "/other" } }\n',
        '[tenants]\nacme = { path = "/acme" }  # by path\nother.path = "/other"\n',
        '[tenants.other]\npath = "/other"\n[tenants.acme]\npath = "/acme"\n[defaults]\nlanguages = ["de"]\n',
        '[tenants.acme]\npath = "/acme"\nconfig = { A = """The\n[tenants.x]""" }\n[tenants.other]\npath = "/other"\n',
        '[tenants.acme.config]\nA = 1\n[tenants.acme]\npath = "/acme"\n[tenants.other]\npath = "/other"\n',
        '[tenants."acme"]\r\npath = "/acme" # door\r\n\r\n# The other\r\n[tenants.other]\r\npath = "/other"\r\n',
    ],
)
def test_whatever_way_it_is_written_the_right_table_is_changed(file: Path, layout: str) -> None:
    (file.parent / "var" / "registry" / "current.json").unlink()
    file.write_bytes(layout.encode())
    before = Registry.from_file(file)
    give(file, "acme", "suspended")
    after = Registry.from_file(file)
    assert (after["acme"].status, after["other"]) == ("suspended", before["other"])
    assert after["acme"].title == before["acme"].title
    for comment in ("# by path", "# door", "# The other"):
        assert (comment in layout) is (comment in file.read_text())
    give(file, "acme", "active")
    assert Registry.from_file(file) == before


def test_a_tenant_of_an_included_file_is_changed_there(file: Path) -> None:
    (file.parent / "more.toml").write_text('# Theirs\n[tenants.umbrella]\npath = "/umbrella"  # a door\n')
    file.write_text(SHIPPED.replace("include    = []", 'include    = ["more.toml"]'))
    main = give(file, "umbrella", "suspended")
    assert "umbrella" not in main
    more = (file.parent / "more.toml").read_text()
    assert more == '# Theirs\n[tenants.umbrella]\npath = "/umbrella"  # a door\nstatus = "suspended"\n'
    with editing(file) as editor:
        editor.add('[tenants.two]\npath = "/two"', "more.toml")
        editor.save("two")
    assert (file.parent / "more.toml").read_text() == more + '\n[tenants.two]\npath = "/two"\n'
    with editing(file) as editor, pytest.raises(StateError, match=r"expected one of tenants.toml, more.toml"):
        editor.add("[tenants.three]", "other.toml")


def test_adding_and_removing(file: Path) -> None:
    with editing(file) as editor:
        editor.add('[tenants.umbrella]\npath = "/umbrella"\n')
        editor.save("umbrella")
    assert file.read_text() == SHIPPED + '\n[tenants.umbrella]\npath = "/umbrella"\n'
    for slug in ("umbrella", "initech", "acme"):
        give(file, slug, "archived")
        with editing(file) as editor:
            if slug == "acme":
                editor.change("globex", lambda table: table.pop("partners"))
                editor.remove(slug)
                editor.save(slug, "globex")
            else:
                editor.remove(slug)
                editor.save(slug)
    assert list(Registry.from_file(file)) == ["globex"]
    assert "# German first: what a visitor without a choice sees" in file.read_text()


def test_a_comment_about_the_next_tenant_stays_with_that(file: Path) -> None:
    text = '[tenants.a]\npath = "/a"\n\n# About b.\n[tenants.b]\npath = "/b"\n\n# About c.\n[tenants.c]\npath = "/c"\n'
    file.write_text(text)
    (file.parent / "var" / "registry" / "current.json").unlink()
    give(file, "a", "suspended")
    assert file.read_text() == text.replace('"/a"\n', '"/a"\nstatus = "suspended"\n')
    give(file, "b", "archived")
    with editing(file) as editor:
        editor.remove("b")
        editor.save("b")
    assert file.read_text().endswith('status = "suspended"\n\n# About c.\n[tenants.c]\npath = "/c"\n')


def test_one_that_is_kept_is_put_back_by_what_changes_it(file: Path) -> None:
    first, last = SHIPPED.index("[tenants.initech]"), len(SHIPPED)
    file.write_text(SHIPPED[:first] + "# the end\n" + SHIPPED[last:])
    at_start(file, Memory())
    assert "initech" not in Registry.from_file(file)
    give(file, "initech", "archived")
    tenant = Registry.from_file(file)["initech"]
    assert (tenant.status, tenant.hosts) == ("archived", ("initech.localhost",))
    assert dict(tenant.config) == {"MAIL_SUBJECT_PREFIX": "[Initech]"}


def test_what_would_be_refused_is_not_written(file: Path) -> None:
    with editing(file) as editor:
        editor.add('[tenants.umbrella]\npath = "/acme"\n')
        with pytest.raises(ConfigError, match="the door of tenant 'acme' already"):
            editor.save("umbrella")
    assert file.read_text() == SHIPPED


def refuse(patch: pytest.MonkeyPatch, message: str) -> None:
    """Let the files be refused once they are written, as where somebody edits another one just then."""
    patch.setattr("tenantry.rewriting._unless_it_is", lambda *_: lambda _: [Problem("tenants.toml", "", message)])


def test_what_is_refused_later_is_taken_back(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, "no such view")
    with editing(file) as editor:
        set_status(editor, "acme", "suspended")
        with pytest.raises(ConfigError, match="no such view"):
            editor.save("acme")
    assert file.read_text() == SHIPPED


def test_an_edit_that_would_change_another_tenant_is_not_written(file: Path) -> None:
    with editing(file) as editor:
        set_status(editor, "acme", "suspended")
        with pytest.raises(StateError, match="would also change acme"):
            editor.save("globex")
    assert file.read_text() == SHIPPED


def test_what_somebody_else_has_changed_is_not_written_over(file: Path) -> None:
    with editing(file) as editor:
        set_status(editor, "acme", "suspended")
        file.write_text(SHIPPED + "# a note\n")
        with pytest.raises(StateError, match="changed by somebody else meanwhile"):
            editor.save("acme")
    assert file.read_text() == SHIPPED + "# a note\n"


def test_a_file_with_mistakes_is_not_edited(file: Path) -> None:
    file.write_text(SHIPPED + "[[[")
    with pytest.raises(ConfigError, match="not valid TOML"), editing(file):
        pass
    file.write_text(SHIPPED)
    with editing(file) as editor, pytest.raises(UnknownTenant, match="did you mean 'acme'"):
        editor.change("acmee", lambda table: None)


def test_editors_wait_for_each_other(file: Path) -> None:
    slugs = [f"t{number}" for number in range(12)]

    def add(slug: str) -> None:
        with editing(file) as editor:
            editor.add(f'[tenants.{slug}]\npath = "/{slug}"\n')
            editor.save(slug)

    threads = [threading.Thread(target=add, args=(slug,)) for slug in slugs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(Registry.from_file(file)) == sorted(["acme", "globex", "initech", *slugs])


def test_a_link_stays_a_link(file: Path, tmp_path: Path) -> None:
    real = tmp_path / "elsewhere" / "real.toml"
    real.parent.mkdir()
    real.write_text(SHIPPED)
    file.unlink()
    file.symlink_to(real)
    give(file, "acme", "suspended")
    assert file.is_symlink()
    assert 'status = "suspended"' in real.read_text()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_told(file: Path) -> None:
    file.parent.chmod(0o500)
    try:
        with pytest.raises(StateError, match="cannot be written"):
            replace_file(file, b"")
    finally:
        file.parent.chmod(0o700)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="nothing was changed"):
        replace_file(tmp_path / "no" / "file", b"")


def test_going_back_works_also_where_the_file_is_broken(file: Path) -> None:
    generations = Generations(state_dir_of(file), file)
    give(file, "acme", "suspended")
    file.write_bytes("[[[ Grüße".encode("latin-1"))
    written, _, generation = write_back(generations, 1)
    assert (written, generation.number) == (["tenants.toml"], 3)
    assert file.read_text() == SHIPPED
    assert file.with_name(file.name + ASIDE).read_bytes() == "[[[ Grüße".encode("latin-1")
    assert write_back(generations, 1)[0] == []
    with pytest.raises(StateError, match="There is no generation 77"):
        write_back(generations, 77)


def test_going_back_keeps_line_ends(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generations = Generations(state_dir_of(file), file)
    text = SHIPPED.replace("\n", "\r\n").encode()
    file.write_bytes(text)
    at_start(file, Memory())
    file.write_text(SHIPPED)
    write_back(generations, 2)
    assert file.read_bytes() == text
    assert write_back(generations, 2)[0] == []
    refuse(monkeypatch, "no")
    with editing(file) as editor:
        set_status(editor, "acme", "suspended")
        with pytest.raises(ConfigError):
            editor.save("acme")
    assert file.read_bytes() == text, "what is put back is what it was"


def test_going_back_over_a_tenant_that_has_moved_into_another_file(file: Path) -> None:
    generations = Generations(state_dir_of(file), file)
    main = SHIPPED.replace("include    = []", 'include    = ["more/*.toml"]')
    file.write_text(main)
    at_start(file, Memory())
    cut = main.index("[tenants.initech]")
    (file.parent / "more").mkdir()
    more = file.parent / "more" / "initech.toml"
    file.write_text(main[:cut])
    more.write_text(main[cut:])
    at_start(file, Memory())
    assert write_back(generations, 2)[0] == ["more/initech.toml", "tenants.toml"]
    assert file.read_text() == main
    assert not more.exists()
    assert more.with_name(more.name + ASIDE).read_text() == main[cut:]
    write_back(generations, 3)
    assert (file.read_text(), more.read_text()) == (main[:cut], main[cut:])


def test_what_does_not_import_is_not_put_into_force(file: Path) -> None:
    generations = Generations(state_dir_of(file), file)
    draft = file.with_name("draft.toml")
    draft.write_text(SHIPPED.replace('path  = "/acme"', 'path = "/acme"\noverrides = { "front.indx" = "json:loads" }'))
    with pytest.raises(ConfigError, match=r"did you mean 'front.index'\?"):
        apply(generations, draft)
    assert file.read_text() == SHIPPED
    assert generations.current().number == 1  # type: ignore[union-attr]  # there is one


def test_a_draft_is_put_in_place_whole_or_not_at_all(file: Path, tmp_path: Path) -> None:
    generations = Generations(state_dir_of(file), file)
    draft = tmp_path / "draft.toml"
    draft.write_text(SHIPPED.replace("Acme Corp", "Acme"))
    before, generation = apply(generations, draft)
    assert (before and before.number, generation.number) == (1, 2)
    assert Registry.from_file(file)["acme"].title == "Acme"
    draft.write_text(SHIPPED.replace("title", "titel", 1))
    with pytest.raises(ConfigError, match="titel"):
        apply(generations, draft)
    assert Registry.from_file(file)["acme"].title == "Acme"


def test_ten_thousand_tenants_are_edited_one_by_one(tmp_path: Path) -> None:
    """By cutting: tomlkit itself would take minutes for the whole."""
    file = tmp_path / "tenants.toml"
    text = SHIPPED + "".join(f'\n[tenants.t{n}]\npath = "/t{n}"  # {n}\n' for n in range(10_000))
    file.write_text(text)
    with editing(file) as editor:
        assert isinstance(editor, Editor)
        set_status(editor, "t5000", "suspended")
        editor.save("t5000")
    assert file.read_text() == text.replace('"/t5000"  # 5000\n', '"/t5000"  # 5000\nstatus = "suspended"\n')
