"""One tenant asks another for a service: who may, that no identity is accepted from outside, and what is undone where."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from werkzeug.test import EnvironBuilder, run_wsgi_app

from tenantry import Platform, db, services
from tenantry.errors import ConfigError, NotPartners, TenantUnavailable
from tenantry.testing import client_of, make_platform
from tenantry.users import User

THREE = """
[platform]
blueprints = "{package}"
[tenants.acme]
title = "Acme"
path = "/acme"
partners = ["globex", "shy"]
[tenants.globex]
title = "Globex"
hosts = ["globex.localhost"]
partners = ["acme"]
[tenants.shy]
title = "Shy"
path = "/shy"
"""
BLUEPRINT = """
from flask import Blueprint, request, session
from tenantry import ApiResult, current_tenant, current_user, db, services
from tenantry.users import User
from tenantry.times import now

bp = Blueprint("talk", __name__)

@bp.post("/-/services/greet")
@services.service
def greet():
    db.session.add(User(username=request.json["name"], email=request.json["name"] + "@x.example", name="x", activated_at=now()))
    db.session.flush()
    if request.json.get("fail"):
        raise RuntimeError("broken")
    return ApiResult({"from": current_tenant.slug, "to": services.calling_tenant().slug, "who": current_user.username,
                      "root": request.script_root, "host": request.host, "session": dict(session)})

@bp.post("/ask/<slug>")
def ask(slug):
    session["mine"] = "secret of acme"
    answer = services.call(slug, "/-/services/greet", request.json)
    return {"status": answer.status_code, "answer": answer.get_json(silent=True), "own": current_tenant.slug, "session": dict(session)}

@bp.post("/both")
def both():
    db.session.add(User(username="here", email="here@x.example", name="x", activated_at=now()))
    db.commit_now()
    services.call("globex", "/-/services/greet", {"name": "there"})
    raise RuntimeError("after")
"""


@pytest.fixture
def made(tmp_path: Path, write: Callable[[str, str], Path], package: str, monkeypatch: pytest.MonkeyPatch) -> Platform:
    monkeypatch.setenv("TENANTRY_ENV", "production")
    write(f"{package}/talk.py", BLUEPRINT)
    return make_platform(tmp_path, THREE.replace("{package}", package))


def names(platform: Platform, slug: str) -> set[str]:
    with platform.tenant(slug):
        return set(db.session.scalars(select(User.username)))


def test_the_other_answers_in_its_own_context(made: Platform) -> None:
    client = client_of(made, "acme")
    client.log_in("ada")
    answer = client.post("/ask/globex", json={"name": "bob"}).json
    assert answer == {
        "status": 200,
        "answer": {"from": "globex", "to": "acme", "who": "", "root": "", "host": "globex.localhost", "session": {}},
        "own": "acme",
        "session": {**answer["session"], "mine": "secret of acme"},
    }
    assert names(made, "globex") == {"bob"}
    assert names(made, "acme") == {"ada"}
    assert made.databases.lent == 0


def test_what_fails_there_is_undone_there(made: Platform) -> None:
    answer = client_of(made, "acme").post("/ask/globex", json={"name": "bob", "fail": True}).json
    assert answer["status"] == 500
    assert names(made, "globex") == set()


def test_what_fails_here_after_it_undoes_nothing_there(made: Platform) -> None:
    assert client_of(made, "acme").post("/both").status_code == 500
    assert names(made, "globex") == {"there"}
    assert names(made, "acme") == {"here"}


@pytest.mark.parametrize(("slug", "target"), [("acme", "shy"), ("acme", "nobody"), ("acme", "acme"), ("shy", "acme")])
def test_both_have_to_name_the_other(made: Platform, slug: str, target: str) -> None:
    with made.tenant(slug), pytest.raises(NotPartners, match="partners = "):
        services.call(target, "/-/services/greet", {"name": "x"})


def test_partners_are_those_that_name_each_other(made: Platform) -> None:
    found = {}
    for slug in ("acme", "globex", "shy"):
        with made.tenant(slug):
            found[slug] = [tenant.slug for tenant in services.partners()]
    assert found == {"acme": ["globex"], "globex": ["acme"], "shy": []}


def test_from_outside_there_is_no_service(made: Platform) -> None:
    """By no header, by whoever asks: the same as where there is nothing."""
    client = client_of(made, "globex")
    client.log_in("ada", "admin")
    for headers in ({}, {"Tenantry-Service": "acme"}, {"tenantry.service": "acme"}, {"X-Tenantry-Internal": "1"}):
        answer = client.post("/-/services/greet", json={"name": "x"}, headers=headers)
        assert answer.status_code == 404
        assert answer.text == client.post("/-/services/nothing", json={"name": "x"}).text
    assert names(made, "globex") == {"ada"}


def forged(platform: Platform, identity: Any, name: str = "x", path: str = "/-/services/greet") -> int:
    body = json.dumps({"name": name}).encode()
    builder = EnvironBuilder(
        path, "http://globex.localhost/", method="POST", data=body, content_type="application/json"
    )
    _, status, _ = run_wsgi_app(platform, {**builder.get_environ(), "tenantry.service": identity}, buffered=True)
    return int(status.split()[0])


def test_an_identity_is_for_one_request(made: Platform) -> None:
    """Even somebody who could put something into the environ needs the caller's key, for this very request."""
    from tenantry.services import _PURPOSE, _occasion

    acme, globex, shy = (made.tenant_app(slug) for slug in ("acme", "globex", "shy"))
    sent = json.dumps({"name": "x"}).encode()
    occasion = _occasion(globex, "/-/services/greet", sent)
    good = acme.signer.sign(_PURPOSE, occasion, 30)
    assert forged(made, ("acme", good)) == 200
    assert forged(made, ("acme", good), name="y") == 404, "another body"
    assert forged(made, ("shy", shy.signer.sign(_PURPOSE, occasion, 30))) == 404, "no partner"
    assert forged(made, ("acme", globex.signer.sign(_PURPOSE, occasion, 30))) == 404, "signed by another"
    assert forged(made, ("acme", acme.signer.sign("session", occasion, 30))) == 404, "for another purpose"
    assert forged(made, ("acme", acme.signer.sign(_PURPOSE, occasion, -1))) == 404, "too late"
    assert forged(made, ("acme", acme.signer.sign(_PURPOSE, _occasion(acme, "/-/services/greet", sent), 30))) == 404, (
        "for another"
    )
    assert forged(made, ("acme", "garbage")) == 404
    assert forged(made, ("nobody", good)) == 404


def test_a_partner_that_does_not_answer(made: Platform) -> None:
    (made.registry["globex"].state / "tenant.db").parent.mkdir(parents=True, exist_ok=True)
    (made.registry["globex"].state / "tenant.db").write_bytes(b"no database")
    with made.tenant("acme"), pytest.raises(TenantUnavailable):
        services.call("globex", "/-/services/greet", {"name": "x"})


def test_outside_a_service_nobody_calls(made: Platform) -> None:
    with made.tenant("acme"), pytest.raises(RuntimeError, match="@service"):
        services.calling_tenant()


@pytest.mark.parametrize(
    ("partners", "said"),
    [
        ('["globx"]', "there is no tenant 'globx'; did you mean 'globex'"),
        ('["acme"]', "the tenant itself"),
        ('["globex", "globex"]', "twice"),
    ],
)
def test_partners_that_are_none_are_refused(tmp_path: Path, partners: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make_platform(
            tmp_path, f'[tenants.acme]\npath = "/acme"\npartners = {partners}\n[tenants.globex]\npath = "/globex"\n'
        )


@pytest.mark.parametrize(
    "origin",
    ["example.com", "https://example.com/", "https://example.com/x", "ftp://example.com", "https://*.example.com"],
)
def test_origins_that_are_none_are_refused(tmp_path: Path, origin: str) -> None:
    with pytest.raises(ConfigError, match="is not an origin"):
        make_platform(tmp_path, f'[tenants.acme]\npath = "/acme"\ncors_origins = ["{origin}"]\n')
