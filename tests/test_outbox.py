"""The outbox: mails leave once, whatever the server does, and wait for it otherwise."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import select, text, update

from conftest import free_port
from tenantry import Platform, db, mail
from tenantry.cli import main
from tenantry.errors import DatabaseBusy
from tenantry.jobs.calls import Call
from tenantry.jobs.running import NotActive, perform
from tenantry.mail import delivery, outbox, servers, sweep, transports
from tenantry.mail.delivery import deliver
from tenantry.mail.outbox import Outbox
from tenantry.mail.sweep import Sweeper
from tenantry.testing import make_platform
from tenantry.times import now

TOML = """
[platform]
blueprints = ["test_outbox:bp"]

[defaults.config]
MAIL_SERVER = "127.0.0.1"
MAIL_PORT = {port}
MAIL_TIMEOUT = 0.5
MAIL_DEFAULT_SENDER = "Acme <post@example.com>"
{more}

[tenants.acme]
path = "/acme"

[tenants.globex]
path = "/globex"
"""


class Post:
    """A mail server that does what a test says."""

    def __init__(self, port: int = 0) -> None:
        self.port = port or free_port()
        self.got: list[tuple[str, list[str], bytes]] = []
        self.connections = 0
        self.rcpt: dict[str, str] = {}
        self.data = ""
        self.during_data: Callable[[], None] = lambda: None
        self._controller: Any = None

    def start(self, **options: Any) -> Post:
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, **options)
        self._controller.start()
        return self

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    async def handle_EHLO(self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]) -> Any:
        self.connections += 1
        session.host_name = hostname
        return responses

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address in self.rcpt:
            return self.rcpt[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        await asyncio.get_running_loop().run_in_executor(None, self.during_data)
        if self.data == "vanish":
            server.transport.abort()
            return "250 nobody hears this"
        if self.data:
            return self.data
        self.got.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return "250 taken"

    def ids(self) -> list[str]:
        return [str(message_from_bytes(content)["Message-ID"]) for _, _, content in self.got]


from flask import Blueprint  # noqa: E402  # a blueprint of its own, with the templates of the look only

bp = Blueprint("outbox", __name__)


@pytest.fixture
def post() -> Iterator[Post]:
    made = Post().start()
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def fresh_servers(monkeypatch: pytest.MonkeyPatch) -> servers.Servers:
    made = servers.Servers()
    monkeypatch.setattr(transports.SmtpTransport.__init__, "__defaults__", (made,))
    return made


@pytest.fixture
def office(tmp_path: Path, post: Post) -> Iterator[Platform]:
    """A platform in production, whose tenants send by ``post``."""
    platform = make_office(tmp_path, post.port)
    yield platform
    platform.queue.storage.close()
    lent = platform.databases.lent
    platform.databases.close_idle()
    assert lent == 0


def make_office(folder: Path, port: int, more: str = "") -> Platform:
    return make_platform(folder, TOML.format(port=port, more=more))


def write_mail(platform: Platform, slug: str = "acme", to: str = "ann@example.com", count: int = 1) -> list[str]:
    """Put mails into an outbox, and return their Message-IDs."""
    with platform.tenant(slug):
        for number in range(count):
            mail.send(to, f"Number {number}", "tenantry/mail")
        db.session.flush()
        ids = db.session.scalars(select(Outbox.message_id).order_by(Outbox.id.desc()).limit(count)).all()
    return list(reversed(ids))


def send_all(platform: Platform, slug: str = "acme") -> None:
    with platform.tenant(slug):
        deliver()


def rows(platform: Platform, slug: str = "acme") -> list[Outbox]:
    with platform.tenant(slug):
        found = list(db.session.scalars(select(Outbox).order_by(Outbox.id)))
        db.session.expunge_all()
    return found


def states(platform: Platform, slug: str = "acme") -> list[str]:
    return [row.state for row in rows(platform, slug)]


def let_time_pass(platform: Platform, slug: str = "acme") -> None:
    """Let all that waits be due, and every claim have lapsed."""
    with platform.tenant(slug):
        past = now() - timedelta(seconds=1)
        db.session.execute(update(Outbox).where(Outbox.due_at.is_not(None)).values(due_at=past))
        db.session.execute(update(Outbox).where(Outbox.claimed_until.is_not(None)).values(claimed_until=past))


def waits(row: Outbox) -> float:
    assert row.due_at is not None
    return round((row.due_at - now()).total_seconds())


# What servers say


def test_a_mail_leaves_once_and_its_body_is_dropped(office: Platform, post: Post) -> None:
    ids = write_mail(office, count=3)
    send_all(office)
    send_all(office)
    assert post.ids() == ids
    assert {(sender, *to) for sender, to, _ in post.got} == {("post@example.com", "ann@example.com")}
    assert post.connections == 1  # for all three
    assert [(row.state, row.message, row.attempts) for row in rows(office)] == [("sent", None, 1)] * 3


def test_what_was_sent_is_listed_for_a_month(office: Platform, post: Post) -> None:
    write_mail(office, count=1)
    send_all(office)
    with office.tenant("acme"):
        db.session.execute(update(Outbox).values(sent_at=now() - outbox.KEPT - timedelta(seconds=1)))
    send_all(office)
    assert states(office) == []


def test_what_is_old_is_forgotten_with_the_next_run_and_nothing_else(office: Platform, post: Post) -> None:
    post.rcpt["gone@example.com"] = "550 no such user"
    for to in ("gone@example.com", "ann@example.com", "gone@example.com", "ann@example.com"):
        write_mail(office, to=to)
    send_all(office)
    old, young = now() - outbox.KEPT - timedelta(seconds=1), now() - outbox.KEPT + timedelta(hours=1)
    with office.tenant("acme"):
        for column in (Outbox.sent_at, Outbox.failed_at):
            for ids, moment in (((1, 2), old), ((3, 4), young)):
                chosen = column.is_not(None) & Outbox.id.in_(ids)
                db.session.execute(update(Outbox).where(chosen).values({column: moment}))
    post.rcpt["full@example.com"] = "452 mailbox full"
    write_mail(office, to="full@example.com")
    assert len(rows(office)) == 5
    send_all(office)
    assert states(office) == ["failed", "sent", "waiting"]


def test_an_address_that_is_refused_fails_at_once_and_alone(
    office: Platform, post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    post.rcpt["gone@example.com"] = "550 no such user"
    write_mail(office, to="gone@example.com")
    write_mail(office)
    send_all(office)
    failed, sent = rows(office)
    assert (failed.state, failed.error, failed.attempts, failed.due_at) == ("failed", "550 no such user", 1, None)
    assert failed.message  # so that it can be tried again
    assert sent.state == "sent"
    assert "Mail 1 of tenant 'acme' was given up: 550 no such user. 'tenantry outbox acme' shows it." in caplog.text
    assert "gone@example.com" not in caplog.text


def test_a_box_that_is_full_is_tried_again(office: Platform, post: Post) -> None:
    post.rcpt["full@example.com"] = "452 mailbox full"
    ids = write_mail(office, to="full@example.com") + write_mail(office)
    send_all(office)
    waiting, sent = rows(office)
    assert (waiting.state, waiting.error, waits(waiting)) == ("waiting", "452 mailbox full", 10)
    assert sent.state == "sent"
    post.rcpt.clear()
    let_time_pass(office)
    send_all(office)
    assert sorted(post.ids()) == sorted(ids)


@pytest.mark.parametrize(
    ("answer", "state"), [("554 spam", "failed"), ("451 try later", "waiting"), ("552 too large", "failed")]
)
def test_a_message_that_is_refused(office: Platform, post: Post, answer: str, state: str) -> None:
    write_mail(office)
    post.data = answer
    send_all(office)
    (row,) = rows(office)
    assert (row.state, row.error) == (state, answer)


def assert_server_is_left_alone(office: Platform, servers: servers.Servers, port: int) -> None:
    assert 0 < servers.pause(("127.0.0.1", port, False, False), "anybody") <= 10
    write_mail(office, "globex")
    send_all(office, "globex")
    (other,) = rows(office, "globex")
    assert (other.state, other.attempts) == ("waiting", 0)
    assert 5 < waits(other) <= 10


@pytest.mark.parametrize("how", ["refused", "silent", "vanishes", "closing", "drips", "greets badly"])
def test_a_server_that_does_not_answer_is_left_alone_by_all(
    office: Platform, post: Post, fresh_servers: servers.Servers, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = write_mail(office, count=4)
    monkeypatch.setattr(transports, "LONGEST", 1.0)
    stop: Callable[[], None] = lambda: None  # noqa: E731
    if how in ("vanishes", "closing"):
        post.data = "vanish" if how == "vanishes" else "421 closing"
    else:
        post.stop()
        stop = {"refused": lambda port: stop, "silent": silent, "drips": drip, "greets badly": greet_badly}[how](
            post.port
        )
    send_all(office)
    stop()
    assert [(row.state, row.attempts) for row in rows(office)] == [("waiting", 1), *[("waiting", 0)] * 3]
    assert all(5 < waits(row) <= 10 for row in rows(office))
    assert f"127.0.0.1:{post.port}: " in str(rows(office)[0].error)
    assert_server_is_left_alone(office, fresh_servers, post.port)

    post.stop()
    post.data = ""
    post.start()  # and it is back
    fresh_servers._troubles.clear()
    let_time_pass(office)
    send_all(office)
    assert sorted(post.ids()) == sorted(ids)
    assert len(set(ids)) == 4


def silent(port: int) -> Callable[[], None]:
    """A server that takes a connection and never says a word."""
    listening = socket.create_server(("127.0.0.1", port))
    return listening.close


def _serve_one(port: int, serve: Callable[[socket.socket], None]) -> Callable[[], None]:
    listening = socket.create_server(("127.0.0.1", port))

    def run() -> None:
        connection, _ = listening.accept()
        with connection:
            try:
                serve(connection)
            except OSError:
                pass

    pool = ThreadPoolExecutor(1)
    served = pool.submit(run)

    def stop() -> None:
        served.result(20)
        pool.shutdown()
        listening.close()

    return stop


def drip(port: int) -> Callable[[], None]:
    """A server that says so little at a time that no timeout is reached."""

    def serve(connection: socket.socket) -> None:
        for _ in range(60):
            connection.sendall(b"2")
            time.sleep(0.1)
        pytest.fail("nobody has cut it off")

    return _serve_one(port, serve)


def greet_badly(port: int) -> Callable[[], None]:
    return _serve_one(port, lambda connection: connection.sendall(b"554 go away\r\n"))


def test_a_tenant_that_speaks_tls_to_a_deaf_port_lets_nobody_else_wait(tmp_path: Path, post: Post) -> None:
    def hang_up(connection: socket.socket) -> None:
        connection.recv(1000)

    post.stop()
    stop = _serve_one(post.port, hang_up)
    office = make_office(tmp_path, post.port, '[tenants.umbrella]\npath = "/u"\nconfig = { MAIL_USE_SSL = true }\n')
    write_mail(office, "umbrella")
    send_all(office, "umbrella")
    stop()
    assert waits(rows(office, "umbrella")[0]) == 10
    post.start()
    write_mail(office)
    send_all(office)
    assert states(office) == ["sent"]
    office.databases.close_idle()
    office.queue.storage.close()


@pytest.mark.parametrize("serve", [None, "drip"])
def test_a_connection_that_takes_too_long_to_open_is_cut_off_too(
    office: Platform, post: Post, serve: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = socket.create_connection

    def connect_slowly(*args: Any, **kwargs: Any) -> socket.socket:
        time.sleep(0.4)  # as where a name has many addresses, and the last one answers
        return connect(*args, **kwargs)

    monkeypatch.setattr(transports, "LONGEST", 0.2)
    monkeypatch.setattr(transports, "_CUT_AGAIN", 0.3)
    write_mail(office)
    stop: Callable[[], None] = lambda: None  # noqa: E731
    if serve:
        post.stop()
        stop = drip(post.port)
    with monkeypatch.context() as slow:
        slow.setattr(smtplib.socket, "create_connection", connect_slowly)  # type: ignore[attr-defined]
        send_all(office)
    stop()  # which fails if nobody has cut it off
    (row,) = rows(office)
    assert (row.state, row.attempts, post.got) == ("waiting", 1, [])


def test_one_at_a_time_looks_whether_a_server_is_back() -> None:
    clock = [0.0]
    known = servers.Servers(lambda: clock[0])
    here, there = ("a", 25, False, False), ("b", 25, False, False)
    one, other = object(), object()
    assert known.pause(here, one) == 0
    assert known.failed(here) == 10
    clock[0] = 4.0
    assert known.failed(here) == 6  # another thread, which was at it too
    assert known.pause(here, one) == 6
    assert known.pause(there, one) == 0
    clock[0] = 11.0
    assert known.pause(here, one) == 0
    assert known.pause(here, other) == 5  # as one looks already
    known.left(here, other)  # who never had the turn
    assert known.pause(here, other) == 5
    assert known.pause(here, one) == 0
    known.left(here, one)
    assert known.pause(here, other) == 0
    pauses = []
    for _ in range(5):
        pauses.append(known.failed(here))
        clock[0] += 61
    assert pauses == [20, 40, 60, 60, 60]
    known.answered(here)
    assert known.pause(here, one) == known.pause(here, other) == 0


def test_one_that_waits_for_its_turn_does_not_give_it_away(
    office: Platform, post: Post, fresh_servers: servers.Servers
) -> None:
    server = ("127.0.0.1", post.port, False, False)
    fresh_servers.failed(server)
    fresh_servers._troubles[server].until = 0.0
    app = office.tenant_app("acme")
    with closing(transports.open_transport(app)) as first:
        assert first.pause() == 0
        for _ in range(3):
            with closing(transports.open_transport(app)) as other:
                assert other.pause() == 5
    with closing(transports.open_transport(app)) as next_one:
        assert next_one.pause() == 0


def test_looking_without_finding_a_mail_keeps_no_other_from_looking(
    office: Platform, post: Post, fresh_servers: servers.Servers
) -> None:
    write_mail(office)
    server = ("127.0.0.1", post.port, False, False)
    fresh_servers.failed(server)
    fresh_servers._troubles[server].until = 0.0
    send_all(office, "globex")  # which has none
    send_all(office)
    assert states(office) == ["sent"]


def test_pauses_grow_and_after_days_a_mail_is_given_up(
    office: Platform, post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    post.rcpt["full@example.com"] = "452 mailbox full"
    write_mail(office, to="full@example.com")
    pauses = []
    for _ in range(8):
        let_time_pass(office)
        send_all(office)
        pauses.append(waits(rows(office)[0]))
    assert pauses == [10, 30, 120, 600, 3600, 3600, 3600, 3600]
    with office.tenant("acme"):
        db.session.execute(update(Outbox).values(created_at=now() - timedelta(days=3, seconds=1)))
    let_time_pass(office)
    send_all(office)
    assert states(office) == ["failed"]
    assert "was given up: 452 mailbox full" in caplog.text


@pytest.mark.parametrize("how", ["password", "no encryption", "no log-in", "no TLS"])
def test_what_is_the_tenants_own_fault_stops_that_tenant_only(
    tmp_path: Path, post: Post, fresh_servers: servers.Servers, how: str
) -> None:
    more = 'MAIL_USERNAME = "ann"\nMAIL_PASSWORD = "hunter2"\n'
    if how in ("no encryption", "no TLS"):
        more = "MAIL_USE_TLS = true\n" if how == "no encryption" else "MAIL_USE_SSL = true\n"
    if how == "password":
        post.stop()
        post.start(authenticator=lambda *_: AuthResult(success=False, handled=False), auth_require_tls=False)
    office = make_office(tmp_path, post.port, more)
    write_mail(office, count=2)
    send_all(office)
    first, second = rows(office)
    assert (first.attempts, second.attempts, first.state, second.state) == (1, 0, "waiting", "waiting")
    assert {waits(first), waits(second)} == {10}
    assert "hunter2" not in str(first.error)
    assert fresh_servers._troubles == {}
    office.databases.close_idle()
    office.queue.storage.close()


def certificate(folder: Path, name: str) -> tuple[Path, ssl.SSLContext]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    day = timedelta(days=1)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - day)
        .not_valid_after(datetime.now(UTC) + day)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(name))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    kinds = (
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(*kinds))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return file, context


def knock(port: int, authority: Path) -> None:
    context = ssl.create_default_context(cafile=authority)
    context.check_hostname = False
    with socket.create_connection(("127.0.0.1", port)) as connection, context.wrap_socket(connection) as encrypted:
        assert encrypted.recv(1000).startswith(b"220 ")


@pytest.mark.parametrize("kind", ["MAIL_USE_TLS", "MAIL_USE_SSL"])
@pytest.mark.parametrize("name", ["127.0.0.1", "192.0.2.1"])
def test_a_connection_is_encrypted_and_its_certificate_is_the_servers(
    tmp_path: Path,
    post: Post,
    kind: str,
    name: str,
    fresh_servers: servers.Servers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file, context = certificate(tmp_path, name)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    known: list[Any] = []

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        known.append((data.login, data.password, server.transport.get_extra_info("ssl_object") is not None))
        return AuthResult(success=True)

    post.stop()
    kinds = {
        "MAIL_USE_TLS": {"tls_context": context},
        "MAIL_USE_SSL": {"ssl_context": context, "auth_require_tls": False},
    }
    if kind == "MAIL_USE_SSL":
        post._controller = controller = Controller(
            post, hostname="127.0.0.1", port=post.port, authenticator=authenticate, **kinds[kind]
        )
        # It would speak to itself as a client, with a context that is a server's.
        monkeypatch.setattr(controller, "_trigger_server", lambda: knock(post.port, file))
        controller.start()
    else:
        post.start(authenticator=authenticate, require_starttls=True, **kinds[kind])
    office = make_office(tmp_path, post.port, f'{kind} = true\nMAIL_USERNAME = "ann"\nMAIL_PASSWORD = "secret"\n')
    write_mail(office)
    send_all(office)
    if name == "127.0.0.1":
        assert states(office) == ["sent"]
        assert known == [(b"ann", b"secret", True)]
    else:
        assert states(office) == ["waiting"]
        assert "CERTIFICATE_VERIFY_FAILED" in str(rows(office)[0].error)
        assert known == []
        assert fresh_servers._troubles == {}
    office.databases.close_idle()
    office.queue.storage.close()


# Once, and nothing lost


def test_the_tenant_can_be_written_to_while_a_server_thinks(office: Platform, post: Post) -> None:
    wrote: list[bool] = []

    def write_meanwhile() -> None:
        with office.tenant("acme"):
            db.session.execute(text("CREATE TABLE meanwhile (x)"))
        wrote.append(True)

    post.during_data = write_meanwhile
    write_mail(office)
    send_all(office)
    assert wrote == [True]
    assert states(office) == ["sent"]


def test_a_mail_whose_worker_was_killed_goes_out_again_as_the_same(office: Platform, post: Post) -> None:
    ids = write_mail(office)
    with office.tenant("acme"), closing(transports.open_transport(office.tenant_app("acme"))) as transport:
        claim = outbox.claim()
        assert claim is not None
        assert transport.send(claim).state == "sent"  # and here its worker is killed
    send_all(office)
    assert post.ids() == ids  # as the claim on it holds
    let_time_pass(office)
    send_all(office)
    assert post.ids() == ids * 2
    assert states(office) == ["sent"]


def test_no_two_claim_the_same_mail(office: Platform) -> None:
    ids = write_mail(office, count=30)
    claimed: list[str] = []

    def claim_all() -> None:
        with office.tenant("acme"):
            while (found := outbox.claim()) is not None:
                claimed.append(found.message_id)

    threads = [threading.Thread(target=claim_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == sorted(ids)


def test_what_became_of_a_mail_is_noted_though_the_database_is_busy(
    office: Platform, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = write_mail(office)
    real, busy = outbox.mark_sent, [1, 2]

    def mark_sent(claim: outbox.Claim) -> None:
        if busy:
            busy.pop()
            raise DatabaseBusy()
        real(claim)

    monkeypatch.setattr(outbox, "mark_sent", mark_sent)
    monkeypatch.setattr(delivery, "_NOTE_AGAIN", (0.01, 0.01, 0.01))
    send_all(office)
    assert states(office) == ["sent"]
    assert post.ids() == ids


def test_mails_wait_while_their_tenant_is_not_active(office: Platform, post: Post) -> None:
    write_mail(office)
    file = office.registry.settings.file
    good = file.read_text()
    for status in ("suspended", "read-only", "maintenance"):
        file.write_text(good.replace('path = "/acme"', f'path = "/acme"\nstatus = "{status}"'))
        platform = Platform.from_file(file)
        with pytest.raises(NotActive):
            perform(platform, call_for(office))
        assert Sweeper(lambda *_: pytest.fail("nobody is to be woken")).sweep(platform) == 0
        platform.databases.close_idle()
    assert post.connections == 0
    perform(office, call_for(office))
    assert len(post.got) == 1


def call_for(platform: Platform) -> Call:
    with platform.tenant("acme") as tenant:
        return deliver.call_for("acme", tenant.deed)  # type: ignore[arg-type]  # it has one


def test_nobody_sends_from_a_test(tmp_path: Path, post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENANTRY_ENV", "testing")
    platform = make_office(tmp_path, post.port)
    write_mail(platform)
    send_all(platform)
    assert (states(platform), post.connections) == (["sent"], 0)
    platform.databases.close_idle()


def test_without_a_server_mails_become_files_and_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    platform = make_platform(tmp_path, '[platform]\nblueprints = ["test_outbox:bp"]\n[tenants.acme]\npath = "/acme"\n')
    with platform.tenant("acme"):
        mail.send("ann@example.com", "\x1b[31mHello", "tenantry/mail")
    send_all(platform)
    (file,) = (tmp_path / "var" / "mail" / "acme").glob("*.eml")
    assert file.stat().st_mode & 0o777 == 0o600
    shown = capsys.readouterr().out
    assert "To: ann@example.com\n  Subject: [acme] [31mHello\n" in shown
    assert "http://localhost/acme/" in shown
    assert "\x1b" not in shown
    platform.queue.storage.close()
    platform.databases.close_idle()


# Sweeping


def sweep_once(sweeper: Sweeper, platform: Platform, woken: list[str]) -> int:
    woken.clear()
    return sweeper.sweep(platform)


def test_a_sweep_finds_what_nobody_was_woken_for_and_looks_no_more_than_it_must(
    office: Platform, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "_COARSE", 0)
    woken: list[str] = []
    sweeper = Sweeper(lambda _, call: woken.append(call.tenant))
    assert sweep_once(sweeper, office, woken) == 0  # as no tenant has a database yet
    write_mail(office)
    write_mail(office, "globex")
    send_all(office, "globex")
    office.databases.close_idle()
    assert (sweep_once(sweeper, office, woken), woken) == (2, ["acme"])
    sweep_once(sweeper, office, woken)  # SQLite may have moved its log into the database, when it was closed
    assert (sweep_once(sweeper, office, woken), woken) == (1, ["acme"])  # which has one waiting
    send_all(office)
    office.databases.close_idle()
    sweep_once(sweeper, office, woken)
    assert woken == []
    sweep_once(sweeper, office, woken)
    assert sweep_once(sweeper, office, woken) == 0
    write_mail(office, "globex")
    assert (sweep_once(sweeper, office, woken), woken) == (1, ["globex"])


def test_a_sweep_does_not_trust_a_clock_that_is_coarse(office: Platform) -> None:
    write_mail(office)
    send_all(office)
    sweeper = Sweeper(lambda *_: None)
    assert [sweeper.sweep(office) for _ in range(3)] == [1, 1, 1]  # as the file has just changed


def test_a_sweep_wakes_for_what_is_due_and_not_for_what_waits_or_is_being_sent(office: Platform) -> None:
    write_mail(office)
    woken: list[str] = []
    sweeper = Sweeper(lambda _, call: woken.append(call.tenant))
    with office.tenant("acme"):
        outbox.claim()
    sweep_once(sweeper, office, woken)
    assert woken == []
    let_time_pass(office)
    sweep_once(sweeper, office, woken)
    assert woken == ["acme"]
    with office.tenant("acme"):
        outbox.postpone(60)
    sweep_once(sweeper, office, woken)
    assert woken == []


def test_a_sweep_survives_a_database_that_is_none(office: Platform, caplog: pytest.LogCaptureFixture) -> None:
    write_mail(office)
    write_mail(office, "globex")
    office.databases.close_idle()
    office.registry["acme"].database_file.write_bytes(b"no database" * 1000)
    woken: list[str] = []
    assert Sweeper(lambda _, call: woken.append(call.tenant)).sweep(office) == 2
    assert woken == ["globex"]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


# tenantry outbox


@pytest.fixture
def command(office: Platform, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    folder = office.registry.settings.root
    monkeypatch.chdir(folder)
    return lambda *args: CliRunner().invoke(main, ["outbox", *args])


def test_the_outbox_is_listed(office: Platform, post: Post, command: Callable[..., Any]) -> None:
    post.rcpt["gone@example.com"] = "550 no such user"
    post.rcpt["full@example.com"] = "452 mailbox full"
    for to in ("ann@example.com", "gone@example.com", "full@example.com"):
        write_mail(office, to=to)
    send_all(office)
    lines = [line.split() for line in command("acme").output.splitlines()]
    assert lines[0] == ["ID", "TO", "SUBJECT", "STATE", "TRIES", "NEXT", "TRY", "ERROR"]
    assert [(line[0], line[1], line[5]) for line in lines[1:]] == [
        ("3", "full@example.com", "waiting"),
        ("2", "gone@example.com", "failed"),
        ("1", "ann@example.com", "sent"),
    ]
    found = json.loads(command("acme", "--json", "--limit", "2").output)
    assert [(row["id"], row["state"], row["error"]) for row in found] == [
        (3, "waiting", "452 mailbox full"),
        (2, "failed", "550 no such user"),
    ]
    assert found[0]["next_try"]
    assert found[1]["next_try"] is None
    assert json.loads(command("globex", "--json").output) == []


def test_mails_are_tried_again_by_command(office: Platform, post: Post, command: Callable[..., Any]) -> None:
    post.rcpt["gone@example.com"] = "550 no such user"
    ids = write_mail(office, to="gone@example.com", count=3)
    write_mail(office)
    send_all(office)
    office.queue.flush()
    assert command("acme", "--retry", "2").output == "1 mail is tried again now.\n"
    assert office.queue.pending_count() == 1
    assert [row.state for row in rows(office)] == ["failed", "waiting", "failed", "sent"]
    assert command("acme", "--retry", "all").output == "3 mails are tried again now.\n"
    assert [row.attempts for row in rows(office)] == [0, 0, 0, 1]
    post.rcpt.clear()
    send_all(office)
    assert sorted(post.ids()[-3:]) == sorted(ids)
    done = command("acme", "--retry", "4")
    assert (done.exit_code, "has no mail 4 that could be tried again" in done.stderr) == (1, True)
    assert command("acme", "--retry", "all").output == "0 mails are tried again now.\n"


@pytest.mark.parametrize(
    ("args", "status", "says"),
    [
        (["acme", "--retry", "x"], 2, "--retry is 'x'; expected the ID of a mail"),
        (["acm"], 1, "did you mean 'acme'?"),
        (["acme", "--limit", "0"], 2, "--limit"),
    ],
)
def test_mistakes_are_told(command: Callable[..., Any], args: list[str], status: int, says: str) -> None:
    done = command(*args)
    assert done.exit_code == status
    assert says in done.stderr


def test_a_mail_that_is_being_sent_is_not_tried_twice(office: Platform, command: Callable[..., Any]) -> None:
    write_mail(office)
    with office.tenant("acme"):
        outbox.claim()
    assert command("acme", "--retry", "1").exit_code == 1
    assert os.environ.get("TENANTRY_ENV") is None
