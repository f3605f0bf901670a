"""A real browser, used as people use it: by what they can read, with a mouse or with the keyboard alone."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, sync_playwright

CHROMIUM = shutil.which("chromium")
#: How often Tab is pressed before something counts as out of the keyboard's reach.
_FAR = 120


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the system's Chromium, or skip where there is none; under CI that is a failure."""
    if CHROMIUM is None:
        message = "Chromium is not installed: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Person:
    """Somebody with a browser window at one address.

    :ivar problems: what the browser complained of: refused scripts and styles, failed requests, errors.
    """

    def __init__(self, browser: Browser, home: str, language: str = "en", width: int = 1200) -> None:
        self.home = home
        self.language = language
        self.context = browser.new_context(viewport={"width": width, "height": 800}, locale=language)
        self.page: Page = self.context.new_page()
        self.width = width
        self.problems: list[str] = []
        self.page.on("console", lambda message: self._note(message.text, message.type))
        self.page.on("pageerror", lambda error: self._note(str(error), "error"))
        self.shots: Path | None = None

    def _note(self, text: str, kind: str) -> None:
        if kind in ("error", "warning") and "the server responded with a status of 4" not in text:
            self.problems.append(text)

    def open(self, path: str) -> None:
        """Go to an address: a path within the home, or a whole one."""
        self.page.goto(path if "://" in path else self.home + path.lstrip("/"))
        self.look()

    def look(self, name: str = "") -> None:
        """Look at the page as it is: it fits the window, says its language, and nothing in it was refused."""
        page = self.page
        assert self.problems == [], self.problems
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, f"{page.url} is {overflow} px wider than the window of {self.width} px"
        assert page.locator("html").get_attribute("lang") == self.language, page.url
        assert page.locator("h1").count() == 1, page.url
        for each in page.locator("input:not([type=hidden]), select, textarea").all():
            assert each.evaluate(
                "field => field.labels.length > 0 || field.ariaLabel || field.hasAttribute('aria-labelledby')"
            ), f"{page.url}: {each.get_attribute('name')} has no label"
        lonely = "[...document.querySelectorAll('label[for]')].filter(each => !each.control).map(each => each.htmlFor)"
        assert page.evaluate(lonely) == [], f"{page.url} has labels of nothing"
        if name and self.shots:
            page.screenshot(path=self.shots / f"{name}.png", full_page=True)

    def sees(self, text: str | re.Pattern[str]) -> bool:
        """Whether a text is on the page, to be read."""
        return self.page.get_by_text(text).first.is_visible()

    def fill(self, label: str, value: str) -> None:
        """Type into the field of a label, in the place of what is there."""
        self.field(label).fill(value)

    def field(self, label: str) -> Locator:
        """Return the field of a label."""
        return self.page.get_by_label(re.compile(f"^{re.escape(label)}")).first

    def press(self, name: str, role: Any = "button") -> None:
        """Press a button, or follow a link."""
        with self.page.expect_navigation():
            self.page.get_by_role(role, name=name, exact=True).first.click()
        self.look()

    def choose_file(self, label: str, path: Path) -> None:
        """Choose a file."""
        self.field(label).set_input_files(path)


class Typist(Person):
    """Somebody who has no mouse: what Tab does not reach is not there for them."""

    def fill(self, label: str, value: str) -> None:
        self._tab_to(self.field(label))
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(value)

    def press(self, name: str, role: Any = "button") -> None:
        self._tab_to(self.page.get_by_role(role, name=name, exact=True).first)
        with self.page.expect_navigation():
            self.page.keyboard.press("Enter")
        self.look()

    def choose_file(self, label: str, path: Path) -> None:
        self._tab_to(self.field(label))  # the system's own dialogue is not the page's; the file is put in its place
        self.field(label).set_input_files(path)

    def _tab_to(self, wanted: Locator) -> None:
        assert wanted.count() == 1, f"{self.page.url} has no {wanted}"
        for _ in range(_FAR):
            if wanted.evaluate("element => element === document.activeElement"):
                assert wanted.evaluate("element => getComputedStyle(element).outlineStyle !== 'none'"), (
                    "no visible focus"
                )
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"{self.page.url}: {wanted} is out of the keyboard's reach")
