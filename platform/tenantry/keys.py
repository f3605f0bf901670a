"""The key ring, and the keys that are derived from it for each tenant and purpose.

The ring is the only secret that is stored. A tenant's key comes from it by HKDF (RFC 5869) with SHA-256: the salt is
the tenant's deed, the info its purpose. So two tenants, or two purposes, cannot share a key by mistake, and a tenant
that is made anew under an old slug has other keys, since its deed is another.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from uuid import UUID

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .errors import StateError
from .files import locked, make_private_folder, write_state_file

log = logging.getLogger("tenantry")

#: Seconds before a new key signs, so that every worker has read it before the first signature comes back.
HEAD_START = 2.0
#: Seconds for which a ring is trusted before its file is looked at again.
_FRESH = 1.0
#: Days for which a retired key still verifies, unless the operator says otherwise. Flask's sessions last 31.
VERIFY_DAYS = 31.0


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the ring. Times are Unix seconds; ``verifies_until`` is ``None`` while the key is not retired."""

    id: str
    secret: bytes
    signs_from: float
    verifies_until: float | None = None

    @classmethod
    def new(cls, signs_from: float) -> Key:
        return cls(secrets.token_hex(4), secrets.token_bytes(32), signs_from)

    def retired(self, verifies_until: float) -> Key:
        """Return this key as one that verifies no longer than that, and no longer than it would have."""
        return replace(self, verifies_until=min(verifies_until, self.verifies_until or verifies_until))

    def verifies(self, now: float) -> bool:
        """Whether what was signed with this key is still accepted."""
        return self.verifies_until is None or now < self.verifies_until


class KeyRing:
    """The keys of a deployment, newest first, in ``keys.json`` (mode 0600) or in ``TENANTRY_SECRET_KEYS``.

    Every process looks at the file again when it is used, at most once a second, so that a rotation needs no restart.

    :param path: the file; made with one new key if it is not there.
    :param keys: the keys themselves, instead of a file.
    :ivar on_change: called after the keys that verify or sign have become others.
    :raises StateError: if the file cannot be read, written or understood. Once it was, a file that is damaged later is
        logged, and the keys that were read are used on.
    """

    def __init__(self, path: Path, keys: tuple[Key, ...] = ()) -> None:
        self.path = path
        self.on_change: Callable[[], None] = lambda: None
        self._fixed = keys or _keys_from_environment()
        self._stamp: tuple[int, int] | None = None
        self._looked = 0.0
        self._next_event = 0.0
        self._keys: tuple[Key, ...] = ()
        self._active: tuple[Key, ...] = ()
        if not self._fixed:
            self._create()
        self.active()

    def active(self) -> tuple[Key, ...]:
        """Return the keys that verify now, the one that signs last. The same object until something changes."""
        if time.monotonic() - self._looked > _FRESH or time.time() >= self._next_event:
            self._refresh()
        return self._active

    def all(self) -> tuple[Key, ...]:
        """Return all keys of the ring, newest first, those past their cut-off too."""
        self.active()
        return self._keys

    def rotate(self, verify_days: float = VERIFY_DAYS) -> Key:
        """Add a new key, which signs after :data:`HEAD_START`; the others verify for ``verify_days`` more.

        :raises StateError: if the keys come from the environment, where they can only be changed by hand.
        """
        if self._fixed:
            raise StateError(
                "The keys come from TENANTRY_SECRET_KEYS. Put the new secret in front of the others there, parted by a "
                "comma, and restart every worker; take the oldest away once its cookies may lapse."
            )
        now = time.time()
        new = Key.new(now + HEAD_START)
        with self._changing() as keys:
            write_ring(self.path, [new, *(key.retired(now + verify_days * 86400) for key in keys if key.verifies(now))])
        self._looked = 0.0
        return new

    def _refresh(self) -> None:
        self._looked, now = time.monotonic(), time.time()
        try:
            self._look()
        except StateError as error:
            if not self._keys:
                raise
            log.error("%s The keys that were read before are used on.", error)
        usable = [key for key in self._keys if key.verifies(now)] or list(self._keys[:1])
        ready = [key for key in usable if key.signs_from <= now and key.verifies_until is None]
        signer = ready[0] if ready else next((key for key in usable if key.signs_from <= now), usable[0])
        active = (*(key for key in reversed(usable) if key is not signer), signer)
        moments = [m for key in usable for m in (key.signs_from, key.verifies_until) if m and m > now]
        self._next_event = min(moments, default=float("inf"))
        if active != self._active:
            self._active = active
            self.on_change()

    def _look(self) -> None:
        """Read the keys anew if their file is another than it was."""
        if self._fixed:
            self._keys = self._fixed
        elif (stamp := self._stat()) != self._stamp:
            self._stamp = stamp
            self._keys = self._read()

    def _stat(self) -> tuple[int, int]:
        try:
            status = self.path.stat()
        except OSError as error:
            raise self._unusable(error.strerror or "cannot be read") from None
        return status.st_mtime_ns, status.st_ino

    def _read(self) -> tuple[Key, ...]:
        try:
            entries = json.loads(self.path.read_text())["keys"]
            keys = tuple(Key(**{**entry, "secret": base64.b64decode(entry["secret"])}) for entry in entries)
            if not keys or any(len(key.secret) < 32 for key in keys):
                raise ValueError("it holds no key of 32 bytes")
        except OSError as error:
            raise self._unusable(error.strerror or "cannot be read") from None
        except (ValueError, KeyError, TypeError) as error:
            raise self._unusable(f"is not a key ring: {error}") from None
        return keys

    def _unusable(self, why: str) -> StateError:
        return StateError(
            f"The key ring {self.path} cannot be used ({why}). Give this user read access to it, or restore it from a "
            "backup. Without it every cookie and link that was ever signed is void; then 'tenantry keys create' makes "
            "a new one."
        )

    def check_there(self) -> None:
        """Look whether the ring's file is still where it was, before anything is made beside it.

        :raises StateError: if it is not, as when the disk with the state folder is gone.
        """
        if not self._fixed and not self.path.exists():
            raise self._unusable("it was there, and is gone")

    def _create(self) -> None:
        if self.path.exists():
            return
        if next((self.path.parent / "tenants").glob("*/deed"), None) is not None:
            raise self._unusable("it is gone, while tenants are there that were served with it")
        create_ring(self.path)

    @contextmanager
    def _changing(self) -> Iterator[tuple[Key, ...]]:
        with locked(self.path.with_suffix(".lock")):
            yield self._read()


def create_ring(path: Path) -> None:
    """Make a key ring with one new key, unless there is one."""
    make_private_folder(path.parent)
    with locked(path.with_suffix(".lock")):
        if not path.exists():
            write_ring(path, [Key.new(0.0)])


def write_ring(path: Path, keys: list[Key]) -> None:
    """Write the keys of a ring, newest first."""
    entries = [{**asdict(key), "secret": base64.b64encode(key.secret).decode()} for key in keys]
    write_state_file(path, json.dumps({"keys": entries}, indent=1).encode())


def _keys_from_environment() -> tuple[Key, ...]:
    names = [name.strip() for name in os.environ.get("TENANTRY_SECRET_KEYS", "").split(",") if name.strip()]
    for name in names:
        if len(name) < 32:
            raise StateError(
                f"TENANTRY_SECRET_KEYS holds a secret of {len(name)} characters; expected at least 32 random ones "
                "each, newest first, parted by commas. 'openssl rand -hex 32' makes one."
            )
    # Only the newest signs: the others count as retired, with no cut-off but their removal.
    far = float("inf")
    return tuple(Key(f"env{n}", name.encode(), 0.0, far if n else None) for n, name in enumerate(names))


class TenantKeys:
    """One tenant's keys: derived from the ring on first use of each purpose, and again after a rotation."""

    def __init__(self, ring: KeyRing, deed: UUID) -> None:
        self.ring = ring
        self.deed = deed
        self._derived: dict[str, tuple[tuple[Key, ...], list[bytes]]] = {}

    def derive(self, purpose: str) -> list[bytes]:
        """Return the 32-byte keys of a purpose, the one that signs last, as itsdangerous wants them.

        The same list until the ring changes.
        """
        active = self.ring.active()
        known = self._derived.get(purpose)
        if known is None or known[0] is not active:
            known = self._derived[purpose] = (active, [self._hkdf(key.secret, purpose) for key in active])
        return known[1]

    def _hkdf(self, secret: bytes, purpose: str) -> bytes:
        info = b"tenantry:" + purpose.encode()
        return HKDF(algorithm=SHA256(), length=32, salt=self.deed.bytes, info=info).derive(secret)
