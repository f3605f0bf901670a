"""Files of the state folder: written whole or not at all, private, and locked between processes."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

from .errors import Held, StateError

#: A file as it was: time of change in nanoseconds, size in bytes, inode.
Stamp = tuple[int, int, int]


def stamp_of(path: str | os.PathLike[str]) -> Stamp | None:
    """Return by what a change of a file shows; ``None`` where there is none, or none that can be seen."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def make_private_folder(path: Path) -> None:
    """Make a folder, and those above it, that only this user may enter (mode 0700).

    :raises StateError: if it cannot be made or written to.
    """
    try:
        missing = takewhile(lambda folder: not folder.is_dir(), (path, *path.parents))
        for folder in reversed(list(missing)):
            folder.mkdir(mode=0o700, exist_ok=True)
            if os.geteuid() == 0:  # as for files
                shutil.chown(folder, folder.parent.stat().st_uid, folder.parent.stat().st_gid)
    except OSError as error:
        raise _unwritable(path, error.strerror or str(error)) from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise _unwritable(path, "Permission denied")


def _unwritable(path: Path, why: str) -> StateError:
    return StateError(
        f"The state folder {path} cannot be written to ({why}). Give it to the user that runs Tenantry, or name "
        "another folder: [platform] state_dir in tenants.toml."
    )


@contextmanager
def locked(path: Path, seconds: float = 5.0) -> Iterator[None]:
    """Hold an exclusive lock between processes while the block runs; the system drops it if the process dies.

    :raises Held: if another process holds it for longer than so many seconds.
    """
    descriptor, deadline = -1, time.monotonic() + seconds
    try:
        # The file may have been moved or removed with its folder while we waited; others lock the one that is there.
        while descriptor < 0 or not is_at(path, descriptor):
            if descriptor >= 0:
                close_lock(descriptor)
            descriptor = _open_lock(path)
            note_lock(descriptor)
            _wait_for(descriptor, path, deadline)
        yield
    finally:
        if descriptor >= 0:
            close_lock(descriptor)


#: Descriptors by which this process holds locks.
_locks: set[int] = set()


def note_lock(descriptor: int) -> None:
    """Let no process that this one forks hold a lock, as a pool that a view has would for as long as it lives.

    To be called before the lock is taken. The descriptor is to be given back by :func:`close_lock`.
    """
    _locks.add(descriptor)


def close_lock(descriptor: int) -> None:
    """Give a lock back."""
    _locks.discard(descriptor)
    os.close(descriptor)


def _drop_locks() -> None:
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for descriptor in _locks:
        os.dup2(nothing, descriptor, inheritable=False)  # whoever has it may still close it
    os.close(nothing)


os.register_at_fork(after_in_child=_drop_locks)


def _open_lock(path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise _unwritable(path.parent, error.strerror or str(error)) from None
    give_to_owner_of(path.parent, descriptor)
    return descriptor


def hold_new(path: Path, descriptor: int) -> bool:
    """Lock a draft that was just made, so that whoever clears away what dead processes left goes past it.

    :return: whether it is still there: one who cleared away may have come between the two steps.
    """
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return is_at(path, descriptor)


@contextmanager
def abandoned(path: Path) -> Iterator[bool]:
    """Hold a draft, of a file or a folder, while the block removes it, if it is there and no living process has it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_free = True
    except BlockingIOError:
        is_free = False
    try:
        yield is_free
    finally:
        os.close(descriptor)


def is_at(path: Path, descriptor: int) -> bool:
    """Whether a file or folder that is open is still the one at a place."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _wait_for(descriptor: int, path: Path, deadline: float) -> None:
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise Held(f"Another process holds {path}, as while it provisions or migrates. Try again.") from None
            time.sleep(0.01)


def give_to_owner_of(folder: Path, descriptor: int) -> None:
    """Hand a new file to whom its folder belongs, or root's command would make files that the service cannot read."""
    if os.geteuid() == 0:
        status = folder.stat()
        os.fchown(descriptor, status.st_uid, status.st_gid)


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file in one step (mode 0600): a reader sees the old content or the new, and so does a crash.

    :raises OSError: if it cannot be written; nothing of it is left then.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            give_to_owner_of(path.parent, descriptor)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def write_state_file(path: Path, content: bytes) -> None:
    """Do what :func:`write_whole` does, and let the operator know what to do where it fails.

    :raises StateError: if it cannot be written.
    """
    try:
        write_whole(path, content)
    except OSError as error:
        raise _unwritable(path.parent, error.strerror or str(error)) from None


def bring_to_disk(path: Path) -> None:
    """Bring a file's content, or the names in a folder, to the disk, as a crash of the machine loses what is not."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def bring_all_to_disk(folder: Path) -> None:
    """Do that for a folder, all folders and all plain files below it, before it is moved to its place."""
    for root, _, names in os.walk(folder):
        for path in (Path(root, name) for name in names):
            if path.is_file() and not path.is_symlink():
                bring_to_disk(path)
        bring_to_disk(Path(root))


def remove_folder(folder: Path) -> None:
    """Remove a folder with all that is in it; of a symbolic link, the link.

    :raises OSError: if it cannot be removed.
    """
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)
