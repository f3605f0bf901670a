"""``tenantry.testing``, as authors of blueprints use it: in a project of their own, by its one line of set-up."""

from __future__ import annotations

import pytest

from conftest import ROOT


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.syspath_prepend(str(ROOT))
    pytester.makeconftest("pytest_plugins = ['tenantry.testing']")
    return pytester


def run(project: pytest.Pytester, source: str) -> pytest.RunResult:
    project.makepyfile(source)
    return project.runpytest_subprocess("-p", "no:cacheprovider", "-W", "error")


def test_a_view_test_is_five_lines(project: pytest.Pytester) -> None:
    result = run(
        project,
        """
        def test_hello(acme, globex):
            assert acme.get("/demo/").text == "Hello, World!"
            assert "Welcome" in acme.get("/help/").text
            assert "Willkommen" in globex.get("/help/").text
            assert acme.post("/demo/").status_code == 405
        """,
    )
    result.assert_outcomes(passed=1)


def test_contexts_and_the_database(project: pytest.Pytester) -> None:
    result = run(
        project,
        """
        from tenantry import current_tenant, db
        from sqlalchemy import text

        def test_context(platform):
            with platform.tenant("acme"):
                assert current_tenant.title == "Acme"
                assert db.session.scalar(text("SELECT count(*) FROM page")) == 2
        """,
    )
    result.assert_outcomes(passed=1)


def test_tenants_of_ones_own(project: pytest.Pytester) -> None:
    result = run(
        project,
        """
        import pytest
        from tenantry.testing import client_of

        @pytest.fixture
        def tenants_toml():
            return '[tenants.mine]\\npath = "/mine"\\nhosts = ["mine.localhost"]\\n'

        def test_mine(platform):
            assert client_of(platform, "mine").get("/demo/").status_code == 200
            assert client_of(platform, "mine", by_path=True).get("/demo/").status_code == 200
        """,
    )
    result.assert_outcomes(passed=1)


def test_a_context_that_is_left_behind_fails_the_test(project: pytest.Pytester) -> None:
    result = run(
        project,
        """
        def test_leaky(platform):
            platform.tenant_app("acme").app_context().push()
        """,
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*an app context was pushed and never popped*"])


def test_a_connection_that_is_left_behind_fails_the_test(project: pytest.Pytester) -> None:
    result = run(
        project,
        """
        def test_leaky(platform):
            platform.databases.lend(platform.tenant_app("acme").database)
        """,
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*1 database connections were not given back*"])


def test_an_error_in_a_view_reaches_the_test(project: pytest.Pytester) -> None:
    result = run(
        project,
        """
        import pytest

        def test_boom(platform, acme):
            platform.tenant_app("acme").view_functions["demo.hello"] = lambda: 1 / 0
            with pytest.raises(ZeroDivisionError):
                acme.get("/demo/")
        """,
    )
    result.assert_outcomes(passed=1)
