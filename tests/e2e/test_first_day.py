"""Somebody's first day in a workspace, in a real browser against what ``make serve`` starts.

They sign up, take the link from the mail that is printed, log in, edit a help page, upload a picture, and reset their
password: with a mouse in English, and with the keyboard alone, on a screen of 360 px, in German. And none of it works
in the workspace next door. With ``TENANTRY_SHOTS`` the pages are kept as pictures in that folder.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser

from browsing import Person, Typist, chromium
from conftest import ROOT, environ_without_tenantry, free_port

PASSWORD, NEW = "correct horse battery", "staple battery horse"


@dataclass(frozen=True)
class Words:
    """What the pages say in one language."""

    language: str
    sign_up: str
    sign_up_submit: str
    username: str
    name: str
    email: str
    password: str
    look_into: str
    confirm: str
    confirmed: str
    log_in: str
    log_out: str
    login: str
    wrong: str
    edit: str
    text: str
    preview: str
    save: str
    saved: str
    pictures: str
    picture: str
    alt: str
    upload: str
    copy: str
    forgotten: str
    send_link: str
    new_password: str
    set_password: str
    is_set: str
    history: str


ENGLISH = Words(
    "en", "Sign up", "Sign up", "Username", "Your name", "Email address", "Password", "Check your email", "Confirm",
    "Your address is confirmed.", "Log in", "Log out", "Username or email address", "The username or password is incorrect.",
    "Edit", "Text", "Preview", "Save", "The page is saved.", "Pictures", "Picture", "Description", "Upload",
    "To show it in a page", "Forgot your password?", "Send link", "New password", "Set password",
    "Your new password is set.", "History",
)  # fmt: skip
GERMAN = Words(
    "de", "Konto anlegen", "Konto anlegen", "Benutzername", "Ihr Name", "E-Mail-Adresse", "Passwort",
    "Sehen Sie in Ihrem Postfach nach", "Bestätigen", "Ihre Adresse ist bestätigt.", "Anmelden", "Abmelden",
    "Benutzername oder E-Mail-Adresse", "Benutzername oder Passwort ist falsch.", "Bearbeiten", "Text", "Vorschau",
    "Speichern", "Die Seite ist gespeichert.", "Bilder", "Bild", "Beschreibung", "Hochladen",
    "Um es in einer Seite zu zeigen", "Passwort vergessen?", "Link senden", "Neues Passwort", "Passwort festlegen",
    "Ihr neues Passwort ist gespeichert.", "Verlauf",
)  # fmt: skip


class Site:
    """What ``make serve`` starts: web and worker, by the Procfile, in the development environment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        (folder / "wsgi.py").write_text((ROOT / "wsgi.py").read_text())
        (folder / "gunicorn.conf.py").write_text((ROOT / "gunicorn.conf.py").read_text())
        (folder / "Procfile").write_text((ROOT / "Procfile").read_text())
        self.log = folder / "serve.log"
        environment = {
            **environ_without_tenantry(),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join([str(ROOT / "platform"), str(folder), str(ROOT)]),
            "PYTHONUNBUFFERED": "1",
            "TENANTRY_ENV": "development",
            "TENANTRY_PORT": str(self.port),
        }
        with self.log.open("wb") as log:
            command = [sys.executable, "-m", "honcho", "--no-prefix", "start", "--port", str(self.port)]
            self.process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
        self.wait_for("Tenantry's worker")
        self.wait_for("Tenantry serves")

    def address(self, slug: str) -> str:
        return f"http://localhost:{self.port}/{slug}/"

    def wait_for(self, pattern: str, after: int = 0) -> str:
        """Return what the console shows that fits a pattern, from a place on."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if found := re.search(pattern, self.log.read_text(errors="replace")[after:]):
                return found[0]
            time.sleep(0.05)
        raise AssertionError(f"{pattern} is not on the console:\n{self.log.read_text(errors='replace')}")

    def printed(self) -> int:
        return len(self.log.read_text(errors="replace"))

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


@pytest.fixture
def running(site: Path) -> Iterator[Site]:
    made = Site(site)
    yield made
    made.stop()


@pytest.fixture
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "sunset.png"
    Image.new("RGB", (640, 360), (200, 90, 40)).save(path)
    return path


@pytest.mark.parametrize(
    ("slug", "other", "words", "kind", "width"),
    [
        pytest.param("acme", "globex", ENGLISH, Person, 1200, id="mouse, English"),
        pytest.param("globex", "acme", GERMAN, Typist, 360, id="keyboard, German, 360 px"),
    ],
)
def test_the_first_day(
    running: Site, browser: Browser, picture: Path, slug: str, other: str, words: Words, kind: type[Person], width: int
) -> None:
    me = kind(browser, running.address(slug), words.language, width)
    me.shots = _shots(words.language, width)
    sign_up(me, running, words)
    log_in(me, words, PASSWORD)
    me.look("home")
    edit_a_page(me, words, upload(me, words, picture))
    mine = me.page.url
    reset_the_password(me, running, words)
    nothing_works_next_door(browser, me, running, other, slug, mine)


def _shots(language: str, width: int) -> Path | None:
    folder = os.environ.get("TENANTRY_SHOTS")
    if not folder:
        return None
    made = Path(folder) / f"{language}-{width}"
    made.mkdir(parents=True, exist_ok=True)
    return made


def sign_up(me: Person, site: Site, words: Words) -> None:
    me.open("/")
    me.press(words.sign_up, "link")
    me.fill(words.username, "ada")
    me.fill(words.name, "Ada Lovelace")
    me.fill(words.email, "nobody")
    me.fill(words.password, "short")
    me.press(words.sign_up_submit)
    me.look("sign-up-with-errors")
    assert me.field(words.username).input_value() == "ada"
    assert me.page.get_by_role("alert").evaluate("summary => summary === document.activeElement")
    assert re.match("Error: |Fehler: ", me.page.title())
    me.fill(words.email, "ada@example.com")
    me.fill(words.password, PASSWORD)
    place = site.printed()
    me.press(words.sign_up_submit)
    me.look("sign-up-sent")
    assert me.sees(words.look_into)
    me.open(site.wait_for(r"http://localhost:\d+/\S+/activate/\S+", place))
    me.look("activate")
    me.fill(words.password, PASSWORD)
    me.press(words.confirm)
    assert me.sees(words.confirmed)


def log_in(me: Person, words: Words, password: str) -> None:
    me.open("/accounts/log-in")
    me.fill(words.login, "ada")
    me.fill(words.password, "not this one")
    me.press(words.log_in)
    me.look("log-in")
    assert me.sees(words.wrong)
    me.fill(words.password, password)
    me.press(words.log_in)
    assert me.page.get_by_role("button", name=words.log_out).is_visible()


def upload(me: Person, words: Words, picture: Path) -> str:
    me.open("/help/")
    me.press(words.pictures, "link")
    me.choose_file(words.picture, picture)
    me.fill(words.alt, "A sunset")
    me.press(words.upload)
    me.look("pictures")
    return me.field(words.copy).input_value()


def edit_a_page(me: Person, words: Words, markdown: str) -> None:
    me.open("/help/welcome/")
    me.look("page")
    me.press(words.edit, "link")
    me.fill(words.text, f"Changed **by me**.\n\n{markdown}\n")
    me.press(words.preview)
    me.look("edit-with-preview")
    assert me.page.locator("strong", has_text="by me").is_visible()
    me.press(words.save)
    me.look("page-changed")
    assert me.sees(words.saved)
    shown = me.page.locator("article img")
    assert shown.get_attribute("alt") == "A sunset"
    assert shown.evaluate("image => image.complete && image.naturalWidth") == 640
    me.press(words.history, "link")
    me.look("history")
    me.page.evaluate("document.documentElement.style.fontSize = '200%'")
    me.look("history-enlarged")
    me.page.go_back()


def reset_the_password(me: Person, site: Site, words: Words) -> None:
    me.press(words.log_out)
    me.press(words.forgotten, "link")
    me.fill(words.login, "ada@example.com")
    place = site.printed()
    me.press(words.send_link)
    me.look("forgot-sent")
    me.open(site.wait_for(r"http://localhost:\d+/\S+/reset/\S+", place))
    me.fill(words.new_password, NEW)
    me.press(words.set_password)
    assert me.sees(words.is_set)
    me.open("/accounts/log-in")
    log_in(me, words, NEW)
    me.open("/accounts/")
    me.look("profile")
    me.open("/accounts/tokens")
    me.look("tokens")
    me.open("/accounts/members")
    me.look("members")


def nothing_works_next_door(browser: Browser, me: Person, site: Site, other: str, slug: str, mine: str) -> None:
    """The same browser, with all its cookies, in the other workspace: nobody, and nothing of mine is there."""
    there = site.address(other)
    home = me.page.goto(there)
    assert home
    assert "Ada Lovelace" not in me.page.content()
    for path in ("people/ada/", "help/-/pictures/" + "0" * 32):
        answer = me.page.goto(there + path)
        assert answer
        assert answer.status == 404, path
    me.page.goto(there + "accounts/members")
    assert "/accounts/log-in" in me.page.url
    me.page.goto(mine.replace(f"/{slug}/", f"/{other}/"))
    assert "A sunset" not in me.page.content()
    me.page.goto(there + "accounts/log-in")
    me.page.locator("#login").fill("ada")
    me.page.locator("#password").fill(NEW)
    me.page.locator("#password").press("Enter")
    me.page.wait_for_load_state()
    assert me.page.locator("#password-error").is_visible()
    me.page.goto(site.address(slug) + "accounts/")
    assert "Ada Lovelace" in me.page.content(), "and at home one is still logged in"
