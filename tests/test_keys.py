"""The key ring, what is derived from it, and what is signed with that."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry import keys as keys_module
from tenantry.errors import BadToken, StateError
from tenantry.keys import KeyRing, TenantKeys
from tenantry.signing import TenantSigner

A, B = UUID(int=1), UUID(int=2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "keys.json"


def signer(path: Path, deed: UUID = A) -> TenantSigner:
    return TenantSigner(TenantKeys(KeyRing(path), deed))


def test_the_ring_is_made_once_and_private(path: Path) -> None:
    first = KeyRing(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert KeyRing(path).all() == first.all()
    assert len(first.all()[0].secret) == 32


def test_many_processes_that_start_at_once_agree_on_one_ring(path: Path) -> None:
    code = "import sys; from pathlib import Path; from tenantry.keys import KeyRing; print(KeyRing(Path(sys.argv[1])).all()[0].id)"
    started = [subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE) for _ in range(6)]
    assert len({process.communicate()[0] for process in started}) == 1


def test_keys_differ_by_tenant_and_by_purpose(path: Path) -> None:
    ring = KeyRing(path)
    derived = [TenantKeys(ring, deed).derive(purpose)[-1] for deed in (A, B) for purpose in ("session", "csrf")]
    assert len(set(derived)) == 4
    assert all(len(key) == 32 for key in derived)
    assert TenantKeys(ring, A).derive("session")[-1] == derived[0]


def test_hkdf_as_rfc_5869_says(path: Path) -> None:
    """Test case 1 of RFC 5869, appendix A.1, through the library that is used, for 32 of its 42 bytes."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    made = HKDF(algorithm=SHA256(), length=32, salt=bytes(range(13)), info=bytes(range(0xF0, 0xFA))).derive(
        b"\x0b" * 22
    )
    assert made.hex() == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"


def test_round_trip_with_flasks_tags(path: Path) -> None:
    value = {"user": 1, "at": uuid4(), "raw": b"x", "pair": (1, 2)}
    one = signer(path)
    assert one.verify("session", one.sign("session", value, 60)) == value


def test_another_tenant_and_another_purpose_are_refused(path: Path) -> None:
    token = signer(path, A).sign("activate", 1, 60)
    for other, purpose in ((signer(path, B), "activate"), (signer(path, A), "reset")):
        with pytest.raises(BadToken):
            other.verify(purpose, token)


def test_the_envelope_is_looked_at_even_if_the_key_were_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TenantKeys, "derive", lambda self, purpose: [b"k" * 32])
    token = signer(path, A).sign("activate", 1, 60)
    for other, purpose in ((signer(path, B), "activate"), (signer(path, A), "reset")):
        with pytest.raises(BadToken, match="made for another tenant or purpose"):
            other.verify(purpose, token)


def test_expiry(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = signer(path)
    token = one.sign("reset", 1, 10)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 11)
    with pytest.raises(BadToken, match="has expired"):
        one.verify("reset", token)


def test_row_23_every_variant_of_the_last_character_is_refused(path: Path) -> None:
    one = signer(path)
    token = one.sign("activate", 1, 60)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for letter in set(alphabet) - {token[-1]}:
        with pytest.raises(BadToken):
            one.verify("activate", token[:-1] + letter)
    with pytest.raises(BadToken):
        one.verify("activate", token + "=")


@given(st.one_of(st.text(), st.binary().map(lambda raw: raw.decode("latin-1"))))
def test_garbage_is_refused_and_never_raises_anything_else(token: str) -> None:
    class Fixed(TenantKeys):
        def __init__(self) -> None:
            self.deed = A

        def derive(self, purpose: str) -> list[bytes]:
            return [b"k" * 32]

    with pytest.raises(BadToken):
        TenantSigner(Fixed()).verify("session", token)


def test_row_36_rotation(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = signer(path)
    old = one.sign("session", "old", 90 * 86400)
    new_key = KeyRing(path).rotate(verify_days=7)
    now = time.time()

    monkeypatch.setattr(time, "time", lambda: now + keys_module.HEAD_START + 1)
    one.keys.ring._looked = 0
    new = one.sign("session", "new", 90 * 86400)
    assert one.verify("session", old) == "old"
    assert one.keys.ring.active()[-1].id == new_key.id
    only_new = TenantSigner(TenantKeys(one.keys.ring, A))
    monkeypatch.setattr(KeyRing, "active", lambda self: tuple(k for k in self._keys if k.id == new_key.id))
    assert only_new.verify("session", new) == "new"
    with pytest.raises(BadToken):
        only_new.verify("session", old)
    monkeypatch.undo()

    monkeypatch.setattr(time, "time", lambda: now + 7 * 86400 + 1)
    one.keys.ring._looked = 0
    assert one.verify("session", new) == "new"
    with pytest.raises(BadToken):
        one.verify("session", old)


def test_a_new_key_signs_only_once_every_worker_must_have_seen_it(path: Path) -> None:
    ring = KeyRing(path)
    before = ring.active()[-1]
    ring.rotate()
    assert ring.active()[-1].id == before.id
    assert len(ring.active()) == 2


def test_a_rotation_reaches_another_ring_without_a_restart(path: Path) -> None:
    changed = []
    worker = KeyRing(path)
    worker.on_change = lambda: changed.append(1)
    before = worker.active()
    assert worker.active() is before
    KeyRing(path).rotate()
    worker._looked = 0  # a second later
    assert len(worker.active()) == 2
    assert changed


def test_rotating_away_everything_at_once(path: Path) -> None:
    one = signer(path)
    old = one.sign("session", 1, 60)
    one.keys.ring.rotate(verify_days=0)
    with pytest.raises(BadToken):
        one.verify("session", old)
    assert one.verify("session", one.sign("session", 2, 60)) == 2


def test_keys_from_the_environment(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENANTRY_SECRET_KEYS", "o" * 32)
    old = signer(path).sign("session", 1, 60)
    monkeypatch.setenv("TENANTRY_SECRET_KEYS", f"{'n' * 32}, {'o' * 32}")
    one = signer(path)
    assert one.verify("session", old) == 1
    assert not path.exists()
    monkeypatch.setenv("TENANTRY_SECRET_KEYS", "n" * 32)
    assert signer(path).verify("session", one.sign("session", 2, 60)) == 2
    with pytest.raises(StateError, match="TENANTRY_SECRET_KEYS"):
        one.keys.ring.rotate()


def test_a_short_key_in_the_environment_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENANTRY_SECRET_KEYS", "secret")
    with pytest.raises(StateError, match="a secret of 6 characters; expected at least 32"):
        KeyRing(path)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"keys": []}', '{"keys": [{"id": 1}]}', '{"keys": [7]}', "\x00"])
def test_a_ring_that_is_no_ring_is_refused_in_words_and_left_alone(path: Path, content: str) -> None:
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(StateError, match=r"The key ring .* cannot be used"):
        KeyRing(path)
    assert path.read_text() == content


def test_a_ring_that_is_damaged_later_is_logged_and_used_on(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ring = KeyRing(path)
    before = ring.active()
    for damage in (lambda: path.write_text("{"), path.unlink):
        damage()
        ring._looked = 0
        assert ring.active() is before
    assert caplog.text.count("The keys that were read before are used on.") == 2


def test_a_ring_whose_keys_have_all_lapsed_goes_on_with_the_newest(path: Path) -> None:
    ring = KeyRing(path)
    content = json.loads(path.read_text())
    content["keys"][0]["verifies_until"] = 1.0
    path.write_text(json.dumps(content))
    assert KeyRing(path).active()[-1].id == ring.active()[-1].id


def test_a_short_secret_in_the_file_is_refused(path: Path) -> None:
    KeyRing(path)
    ring = json.loads(path.read_text())
    ring["keys"][0]["secret"] = "c2hvcnQ="
    path.write_text(json.dumps(ring))
    with pytest.raises(StateError, match="no key of 32 bytes"):
        KeyRing(path)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("a file")
    with pytest.raises(StateError, match=r"The state folder .* cannot be written to \(File exists\)"):
        KeyRing(tmp_path / "var" / "keys.json")


def test_a_crash_while_writing_leaves_the_old_ring(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = KeyRing(path).all()
    monkeypatch.setattr(os, "replace", lambda *names: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(StateError, match="No space left"):
        KeyRing(path).rotate()
    assert KeyRing(path).all() == before
    assert sorted(item.name for item in path.parent.iterdir()) == ["keys.json", "keys.lock"]
