"""Ways for a mail to leave: by SMTP, or, where no server is configured, into a file and onto the worker's console."""

from __future__ import annotations

import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from functools import cache
from typing import TYPE_CHECKING, Literal, Protocol, cast

import click

from ..explaining import explain
from ..files import make_private_folder, write_state_file
from .outbox import Claim
from .servers import SERVERS, Server, Servers

if TYPE_CHECKING:
    from pathlib import Path

    from flask import Config

    from ..tenant_app import TenantApp

#: Seconds for which one mail may occupy a thread, however the server answers: bit by bit, or never.
LONGEST = 60.0
#: Seconds for which a server may say nothing.
TIMEOUT = 10.0
#: Seconds between two attempts to end a connection that is just being opened.
_CUT_AGAIN = 0.5
#: SMTP's word for a server that is about to close (RFC 5321 section 3.8).
_CLOSING = 421


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a mail.

    :ivar state: ``sent``; ``later``, to be tried again; or ``failed`` for good.
    :ivar error: what the server said, or what went wrong.
    :ivar pause: seconds for which the tenant's other mails should wait too, as they would fare alike.
    """

    state: Literal["sent", "later", "failed"]
    error: str = ""
    pause: float = 0.0


class NotEncrypted(Exception):
    """The server answers, but not as the tenant's settings have it: no TLS, or a certificate that is not its own."""


class Transport(Protocol):
    """A way for mails to leave. One is made for several mails of one tenant, and closed."""

    def pause(self) -> float:
        """Return the seconds to wait before the next mail; 0 if it can be sent."""

    def send(self, mail: Claim) -> Result:
        """Send a mail. Never raises."""

    def close(self) -> None:
        """Say goodbye."""


def open_transport(app: TenantApp) -> Transport:
    """Return the way for a tenant's mails. In the testing environment nothing ever leaves the machine."""
    settings = app.tenant.settings
    if app.config.get("MAIL_SERVER") and settings.environment != "testing":
        return SmtpTransport(app.config)
    return FileTransport(settings.state_dir / "mail" / app.tenant.slug, app.tenant.slug)


class FileTransport:
    """Writes each mail into a file, ``<when>-<which>.eml``, and prints it.

    :param folder: where to.
    :param slug: whose mails they are.
    """

    def __init__(self, folder: Path, slug: str) -> None:
        self._folder = folder
        self._slug = slug

    def pause(self) -> float:
        """A file can always be tried."""
        return 0.0

    def send(self, mail: Claim) -> Result:
        """Write a mail into a file: the same one, should it be sent again."""
        name = f"{mail.created_at:%Y%m%dT%H%M%S.%f}-{mail.message_id[1:13]}.eml"
        try:
            make_private_folder(self._folder)
            write_state_file(self._folder / name, mail.message)
        except Exception as error:
            return Result("later", explain(error), 60.0)
        with suppress(OSError):  # nobody listens
            click.echo(_readable(mail.message, self._slug))
        return Result("sent")

    def close(self) -> None:
        """Nothing to do."""


class SmtpTransport:
    """Sends mails by SMTP, over one connection, which is opened for the first one.

    :param config: Flask's, with MAIL_SERVER and what goes with it.
    :param servers: those of this process.
    """

    def __init__(self, config: Config, servers: Servers = SERVERS) -> None:
        self._use_ssl, self._use_tls = bool(config.get("MAIL_USE_SSL")), bool(config.get("MAIL_USE_TLS"))
        usual = smtplib.SMTP_SSL_PORT if self._use_ssl else 587 if self._use_tls else smtplib.SMTP_PORT
        self._address = (str(config["MAIL_SERVER"]), int(config.get("MAIL_PORT") or usual))
        self._server: Server = (*self._address, self._use_ssl, self._use_tls)
        self._user, self._password = config.get("MAIL_USERNAME"), config.get("MAIL_PASSWORD")
        self._timeout = float(config.get("MAIL_TIMEOUT") or TIMEOUT)
        self._servers = servers
        self._smtp: smtplib.SMTP | None = None

    def pause(self) -> float:
        """Return the seconds to leave the server alone."""
        return self._servers.pause(self._server, self) if self._smtp is None else 0.0

    def send(self, mail: Claim) -> Result:
        """Send a mail, and judge what the server says to it."""
        try:
            self._send(mail)
        except smtplib.SMTPRecipientsRefused as error:
            code, text = next(iter(error.recipients.values()))
            return self._judge(code, text)
        except smtplib.SMTPDataError as error:
            return self._judge(error.smtp_code, error.smtp_error)
        except (smtplib.SMTPSenderRefused, smtplib.SMTPAuthenticationError) as error:
            return self._refuse(mail, error.smtp_code, error.smtp_error)
        except (smtplib.SMTPNotSupportedError, NotEncrypted) as error:
            return self._refuse(mail, 0, str(error))
        except (smtplib.SMTPException, OSError) as error:
            return self._lose(explain(error))
        except Exception as error:  # what cannot be written down for a server, as an address
            self.close()
            return Result("failed", explain(error))
        self._servers.answered(self._server)
        return Result("sent")

    def close(self) -> None:
        """Say goodbye, if there is a connection."""
        smtp, self._smtp = self._smtp, None
        if smtp is not None:
            with suppress(smtplib.SMTPException, OSError), _cut_off(smtp, self._timeout):
                smtp.quit()
        self._servers.left(self._server, self)

    def _send(self, mail: Claim) -> None:
        with self._connected() as smtp:
            smtp.sendmail(_sender_of(mail.message), [mail.recipient], mail.message)

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        """Give the connection, a new one where the server has closed it since, and cut it off if all takes too long."""
        kept = self._smtp
        if kept is not None:
            with _cut_off(kept, LONGEST):
                if _still_answers(kept):
                    yield kept
                    return
            kept.close()
        smtp = self._new()
        with _cut_off(smtp, LONGEST) as is_cut:
            try:
                self._greet(smtp)
                if is_cut.is_set():
                    raise TimeoutError(f"It took more than {LONGEST:.0f} s to answer.")
            except BaseException:
                smtp.close()
                raise
            self._smtp = smtp
            yield smtp

    def _new(self) -> smtplib.SMTP:
        if self._use_ssl:
            return smtplib.SMTP_SSL(
                local_hostname=_own_name(), timeout=self._timeout, context=ssl.create_default_context()
            )
        return smtplib.SMTP(local_hostname=_own_name(), timeout=self._timeout)

    def _greet(self, smtp: smtplib.SMTP) -> None:
        try:
            self._open(smtp)
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            raise  # it hung up, as a server in trouble does
        except ssl.SSLError as error:
            host, port = self._address
            reason = f"{host}:{port}: {explain(error)}. See its certificate, MAIL_PORT, MAIL_USE_TLS and MAIL_USE_SSL."
            raise NotEncrypted(reason) from None

    def _open(self, smtp: smtplib.SMTP) -> None:
        smtp._host = self._address[0]  # type: ignore[attr-defined]  # the name that TLS is to check; only __init__ sets it
        code, text = smtp.connect(*self._address)
        if code != 220:
            raise smtplib.SMTPConnectError(code, text)
        if self._use_tls:
            smtp.starttls(context=ssl.create_default_context())
        if self._user:
            smtp.login(self._user, self._password or "")

    def _judge(self, code: int, text: bytes | str) -> Result:
        """Judge an answer that is about one mail."""
        error = _said(code, text)
        if code == _CLOSING:
            return self._lose(error)
        self._servers.answered(self._server)
        return Result("failed" if code >= 500 else "later", error)

    def _refuse(self, mail: Claim, code: int, text: bytes | str) -> Result:
        """Judge an answer that is about the tenant: its sender, its password."""
        if code == _CLOSING:
            return self._lose(_said(code, text))
        self._servers.answered(self._server)
        return Result("later", _said(code, text), mail.pause())

    def _lose(self, error: str) -> Result:
        """Note that the server does not answer, or not as it should."""
        smtp, self._smtp = self._smtp, None
        if smtp is not None:
            smtp.close()
        host, port = self._address
        return Result("later", f"{host}:{port}: {error}", self._servers.failed(self._server))


@contextmanager
def _cut_off(smtp: smtplib.SMTP, seconds: float) -> Iterator[threading.Event]:
    """End a connection that takes longer: a timeout alone begins anew with every byte. Give what is set once it does.

    One that is just being opened has no socket yet: it is ended as soon as it has one. What comes before that, finding
    the name and trying each of its addresses, takes as long as the timeouts of the system and MAIL_TIMEOUT let it.
    """
    is_over, is_cut = threading.Event(), threading.Event()

    def cut() -> None:
        wait = seconds
        while not is_over.wait(wait):
            is_cut.set()
            wait = _CUT_AGAIN
            if (connection := cast(socket.socket | None, getattr(smtp, "sock", None))) is not None:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    threading.Thread(target=cut, name="cut-off", daemon=True).start()
    try:
        yield is_cut
    finally:
        is_over.set()


def _still_answers(smtp: smtplib.SMTP) -> bool:
    try:
        return smtp.noop()[0] == 250
    except (smtplib.SMTPException, OSError):
        return False


@cache
def _own_name() -> str:
    return socket.getfqdn()


def _said(code: int, text: bytes | str) -> str:
    words = text.decode(errors="replace") if isinstance(text, bytes) else text
    return f"{code} {words}".strip() if code else words


def _sender_of(message: bytes) -> str:
    return str(_parsed(message)["From"].addresses[0].addr_spec)


def _parsed(message: bytes) -> EmailMessage:
    return message_from_bytes(message, policy=SMTP)


def _readable(message: bytes, slug: str) -> str:
    """Return a mail for the console, without anything that a terminal would obey."""
    mail = _parsed(message)
    body = mail.get_body(("plain",))
    text = body.get_content() if body else ""
    head = f"Mail of '{slug}'\n  To: {mail['To']}\n  Subject: {mail['Subject']}\n"
    lines = "\n".join(f"  {line}" for line in text.strip().splitlines())
    return "".join(c for c in f"\n{head}\n{lines}\n" if c == "\n" or c.isprintable())
