"""Dates and numbers are written as the reader of the page does, in the reader's time zone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from flask import render_template_string
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenantry import (
    Platform,
    dates,
    format_date,
    format_datetime,
    format_number,
    format_timedelta,
    speaking,
    use_language,
)
from tenantry.errors import NoTenantContext
from tenantry.testing import client_of
from tenantry.times import now
from tenantry.users import CurrentUser, become

#: Noon in Berlin in winter is 11:00 in UTC.
MOMENT = datetime(2026, 11, 20, 10, 0)


@pytest.fixture
def tenants_toml() -> str:
    return """
    [platform]
    blueprints = []
    [defaults]
    languages = ["en", "de", "pt-BR", "ar"]
    [tenants.acme]
    path = "/acme"
    [tenants.globex]
    path = "/globex"
    languages = ["de", "en"]
    timezone = "Europe/Berlin"
    """


def plain(text: str) -> str:
    """With plain spaces, as releases of the locale data differ in which they have before AM and PM."""
    return text.replace("\u202f", " ").replace("\xa0", " ")


def shown(moment: datetime) -> list[str]:
    styles: tuple[Any, ...] = ("short", "medium", "long", "full", None)
    others = [format_date(moment), dates.format_ago(moment), dates.isoformat(moment)]
    return [format_datetime(moment, style) for style in styles] + others


class TestFormats:
    def test_in_german_and_berlin(self, platform: Platform) -> None:
        with platform.tenant("globex"):
            assert format_datetime(MOMENT) == "20.11.2026, 11:00"
            assert (
                format_datetime(MOMENT, "full") == "Freitag, 20. November 2026, 11:00:00 Mitteleuropäische Normalzeit"
            )
            assert format_datetime(MOMENT, "short") == "20.11.26, 11:00"
            assert format_date(MOMENT) == "20.11.2026"
            assert format_date(MOMENT, "long") == "20. November 2026"
            assert format_number(1234567.891) == "1.234.567,891"
            assert format_timedelta(timedelta(hours=3)) == "3 Stunden"

    def test_in_english_and_utc(self, platform: Platform) -> None:
        with platform.tenant("acme"):
            assert plain(format_datetime(MOMENT)) == "Nov 20, 2026, 10:00 AM"
            assert format_date(MOMENT, "full") == "Friday, November 20, 2026"
            assert format_number(1234567.891) == "1,234,567.891"
            assert format_timedelta(timedelta(hours=3)) == "3 hours"

    def test_a_language_with_a_region(self, platform: Platform) -> None:
        with platform.tenant("acme"), speaking("pt-BR"):
            assert format_date(MOMENT) == "20 de nov. de 2026"
            assert format_number(1.5) == "1,5"

    def test_summer_and_winter(self, platform: Platform) -> None:
        with platform.tenant("globex"):
            assert format_datetime(datetime(2026, 7, 1, 10, 0)) == "01.07.2026, 12:00"
            assert format_datetime(datetime(2026, 10, 25, 0, 30)) == "25.10.2026, 02:30"
            assert format_datetime(datetime(2026, 10, 25, 1, 30)) == "25.10.2026, 02:30"

    def test_the_day_is_the_readers(self, platform: Platform) -> None:
        late = datetime(2026, 12, 31, 23, 30)
        with platform.tenant("globex"):
            assert format_date(late) == "01.01.2027"
            assert format_date(late.date()) == "31.12.2026"
            assert format_date(date(2026, 12, 31)) == "31.12.2026"
        with platform.tenant("acme"):
            assert format_date(late) == "Dec 31, 2026"

    def test_a_moment_with_a_zone(self, platform: Platform) -> None:
        there = datetime(2026, 11, 20, 5, 0, tzinfo=timezone(timedelta(hours=-5)))
        with platform.tenant("globex"):
            assert format_datetime(there) == format_datetime(MOMENT) == format_datetime(MOMENT.replace(tzinfo=UTC))
            assert dates.isoformat(there) == dates.isoformat(MOMENT) == "2026-11-20T10:00:00Z"

    @pytest.mark.parametrize(
        ("ago", "english", "german"),
        [
            (timedelta(0), "just now", "gerade eben"),
            (timedelta(seconds=-50), "just now", "gerade eben"),
            (timedelta(hours=3, seconds=5), "3 hours ago", "vor 3 Stunden"),
            (timedelta(days=1, seconds=5), "1 day ago", "vor 1 Tag"),
            (timedelta(minutes=-10), "in 10 minutes", "in 10 Minuten"),
        ],
    )
    def test_ago(self, platform: Platform, ago: timedelta, english: str, german: str) -> None:
        with platform.tenant("acme"):
            assert dates.format_ago(now() - ago) == english
            with speaking("de"):
                assert dates.format_ago(datetime.now(UTC) - ago) == german

    @pytest.mark.parametrize(
        ("number", "shown"),
        [
            (0, "0"),
            (-5, "-5"),
            (Decimal("1.10"), "1,1"),
            (10**30, "1" + "0" * 30),
            (float("inf"), "inf"),
            (float("nan"), "nan"),
        ],
    )
    def test_numbers(self, platform: Platform, number: Any, shown: str) -> None:
        with platform.tenant("globex"):
            assert format_number(number) == shown

    def test_nothing_is_shown_of_nothing(self, platform: Platform) -> None:
        page = "[{{ none | datetime }}{{ none | date }}{{ none | number }}{{ none | ago }}{{ none | isoformat }}]"
        with platform.tenant("acme"):
            assert render_template_string(page) == "[]"

    @pytest.mark.parametrize("moment", [datetime.min, datetime.max, datetime(1, 1, 1, 12), datetime(1880, 1, 1)])
    def test_the_ends_of_the_calendar(self, platform: Platform, moment: datetime) -> None:
        for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago", "Europe/Berlin"):
            with platform.tenant("acme"), speaking("de", zone):
                far = moment.replace(tzinfo=timezone(timedelta(hours=14 if moment.year < 2000 else -12)))
                for each in (moment, far):
                    assert all(shown(each))

    @settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        st.datetimes(timezones=st.none() | st.timezones()),
        st.sampled_from(["en", "de", "pt-BR", "ar"]),
        st.timezone_keys(),
    )
    def test_any_moment_anywhere(self, platform: Platform, moment: datetime, language: str, zone: str) -> None:
        with platform.tenant("acme"), speaking(language, zone):
            assert all(shown(moment))

    @pytest.mark.parametrize(
        "call",
        [
            lambda: format_datetime(MOMENT),
            lambda: format_date(MOMENT),
            lambda: format_number(1),
            lambda: format_timedelta(timedelta(1)),
            dates.current_timezone,
        ],
    )
    def test_outside_of_a_tenant(self, call: Callable[[], object]) -> None:
        with pytest.raises(NoTenantContext):
            call()


class TestWhoseZone:
    @pytest.mark.parametrize(
        ("zone", "hour"),
        [
            ("America/New_York", "05:00"),
            ("Asia/Kolkata", "15:30"),
            (None, "11:00"),
            ("", "11:00"),
            ("Europe/Atlantis", "11:00"),
            ("Europe", "11:00"),
            ("../../etc/passwd", "11:00"),
            ("/etc/passwd", "11:00"),
            ("Europe/Berlin\0", "11:00"),
            ("\ud800", "11:00"),
            ("x" * 5000, "11:00"),
        ],
    )
    def test_the_readers_then_the_tenants(self, platform: Platform, zone: str | None, hour: str) -> None:
        app = platform.tenant_app("globex")
        with app.test_request_context("/"):
            become(CurrentUser(id=1, timezone=zone))
            assert format_datetime(MOMENT) == f"20.11.2026, {hour}"

    def test_a_mail_is_not_in_the_senders_zone(self, platform: Platform) -> None:
        with platform.tenant_app("globex").test_request_context("/"):
            become(CurrentUser(id=1, timezone="Asia/Tokyo"))
            assert format_datetime(MOMENT) == "20.11.2026, 19:00"
            with speaking("de"):
                assert format_datetime(MOMENT) == "20.11.2026, 11:00"
                with speaking("de", "America/New_York"):
                    assert format_datetime(MOMENT) == "20.11.2026, 05:00"
                    with platform.tenant("globex"):
                        assert format_datetime(MOMENT) == "20.11.2026, 05:00"
                    with platform.tenant("acme"), speaking("de"):
                        assert format_datetime(MOMENT) == "20.11.2026, 10:00"
            assert format_datetime(MOMENT) == "20.11.2026, 19:00"

    def test_a_tenants_zone_that_is_gone(self, platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dates, "_zone", lambda name: None)
        with platform.tenant("globex"):
            assert format_datetime(MOMENT) == "20.11.2026, 10:00"


class TestTemplates:
    PAGE = (
        '{% from "tenantry/macros.html" import moment %}{{ moment(at) }} {{ at | date }} {{ at | date("long") }} '
        '{{ at | datetime("short") }} {{ 1234.5 | number }} {{ at | isoformat }}'
    )

    def test_filters_and_macro(self, platform: Platform) -> None:
        with platform.tenant_app("globex").test_request_context("/"):
            assert render_template_string(self.PAGE, at=MOMENT) == (
                '<time datetime="2026-11-20T10:00:00Z" title="Freitag, 20. November 2026, 11:00:00 Mitteleuropäische '
                'Normalzeit">20.11.2026, 11:00</time> 20.11.2026 20. November 2026 20.11.26, 11:00 1.234,5 2026-11-20T10:00:00Z'
            )

    def test_one_template_for_readers_of_two_languages(self, platform: Platform) -> None:
        """Even where a filter is applied to a constant, which Jinja would otherwise work out once."""
        for _ in range(2):
            for slug, expected in (("acme", "1,234.5"), ("globex", "1.234,5")):
                app = platform.tenant_app(slug)
                with app.test_request_context("/"):
                    assert render_template_string("{{ 1234.5 | number }}") == expected
                    use_language("de")
                    assert render_template_string("{{ 1234.5 | number }}") == "1.234,5"

    def test_an_applications_own_filter_wins(self, platform: Platform) -> None:
        app = platform.tenant_app("acme")
        app.add_template_filter(lambda value: "theirs", "datetime")
        with app.app_context():
            assert render_template_string("{{ 1 | datetime }}") == "theirs"
        with platform.tenant("globex"):
            assert render_template_string("{{ at | datetime }}", at=MOMENT) == "20.11.2026, 11:00"

    def test_the_filters_are_one_for_all_tenants(self, platform: Platform) -> None:
        acme, globex = (platform.tenant_app(slug).jinja_env.filters for slug in ("acme", "globex"))
        for name, function in dates.FILTERS.items():
            assert acme[name] is globex[name] is function

    def test_on_a_page(self, platform: Platform) -> None:
        app = platform.tenant_app("acme")
        app.add_url_rule("/when", "when", lambda: render_template_string("{{ at | datetime }}", at=MOMENT))
        assert client_of(platform, "acme").get("/when?lang=de").text == "20.11.2026, 10:00"
        assert plain(client_of(platform, "acme").get("/when").text) == "Nov 20, 2026, 10:00 AM"
