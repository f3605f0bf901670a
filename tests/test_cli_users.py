"""``tenantry users``: the first account, another role, a lost password."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tenantry import Platform
from tenantry.cli import main
from tenantry.testing import client_of
from test_users import PASSWORD


@pytest.fixture
def run(site: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(site)
    monkeypatch.setenv("TENANTRY_ENV", "testing")
    return lambda *words: CliRunner().invoke(main, ["users", *words])


def path_in(result: Result) -> str:
    found = re.search(r"http://localhost/acme(/\S+)", result.output)
    assert found, result.output
    return found[1]


def test_the_operators_first_account(run: Any, site: Path) -> None:
    made = run("add", "acme", "Ada@Example.com", "--role", "admin", "--name", "Ada Lovelace")
    assert made.exit_code == 0, made.output
    assert "'ada' is admin of 'acme' now." in made.output
    client = client_of(Platform.from_file(site / "tenants.toml"), "acme")
    assert client.submit(path_in(made), {"password": PASSWORD}).status_code == 302
    assert client.submit("/accounts/log-in", {"login": "ada", "password": PASSWORD}).status_code == 302
    assert client.get("/accounts/members").status_code == 200
    (listed,) = json.loads(run("list", "acme", "--json").output)
    assert {**listed, "created_at": ""} == {
        "username": "ada",
        "email": "ada@example.com",
        "name": "Ada Lovelace",
        "role": "admin",
        "state": "active",
        "created_at": "",
    }
    assert json.loads(run("list", "globex", "--json").output) == []


def test_names_that_nobody_can_sign_up_by_are_the_operators_to_give(run: Any) -> None:
    assert run("add", "acme", "x@example.com", "--username", "admin").exit_code == 0


def test_another_role(run: Any) -> None:
    run("add", "acme", "ada@example.com")
    assert (
        run("set-role", "acme", "ada@example.com", "staff").output == "'ada' of 'acme' was member, and is staff now.\n"
    )
    assert "staff" in run("list", "acme").output


def test_a_lost_password(run: Any, site: Path) -> None:
    client = client_of(Platform.from_file(site / "tenants.toml"), "acme")
    client.submit(path_in(run("add", "acme", "ada@example.com")), {"password": PASSWORD})
    client.submit("/accounts/log-in", {"login": "ada", "password": PASSWORD})
    done = run("reset", "acme", "ada")
    assert "The password of 'ada' and its tokens are void, and 1 log-in is ended." in done.output
    assert client.get("/accounts/").status_code == 302
    assert client.submit("/accounts/log-in", {"login": "ada", "password": PASSWORD}).status_code == 422
    assert client.submit(path_in(done), {"password": "another long one"}).status_code == 302


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("add", "acme", "nobody"), 2, "'nobody' is not a mail address."),
        (("add", "acme", "x@example.com"), 2, "'x' cannot be a user name; expected 3 to 32"),
        (("add", "acme", "ada@example.com"), 1, "'ada' <ada@example.com> is there already; nothing was changed."),
        (("add", "acme", "bob@example.com", "--role", "king"), 2, "'king' is not one of"),
        (("add", "akme", "bob@example.com"), 1, "There is no tenant 'akme'; did you mean 'acme'?"),
        (("set-role", "acme", "adda", "staff"), 1, "no account of the name or address 'adda'; did you mean 'ada'?"),
        (("reset", "acme", "zzz"), 1, "'tenantry users list acme' lists them"),
        (("lst", "acme"), 2, "did you mean 'list'?"),
    ],
)
def test_mistakes_are_told(run: Any, words: tuple[str, ...], status: int, said: str) -> None:
    run("add", "acme", "ada@example.com")
    result = run(*words)
    assert result.exit_code == status, result.output
    assert said in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_a_tenant_without_the_pages_of_accounts(run: Any, site: Path) -> None:
    with (site / "tenants.toml").open("a") as file:
        file.write('\n[tenants.plain]\npath = "/plain"\nfeatures = ["front"]\n')
    assert "does not have the feature 'accounts'" in run("add", "plain", "ada@example.com").output
