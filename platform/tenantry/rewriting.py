"""Writing the operator's files: as a whole or not at all, and into force at once.

What would be refused is not written, and what was there is put back where something goes wrong. Files of a
configuration are written by one command at a time, which holds the lock ``editing``.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path

from .accepting import Candidate, Check, candidate_of, decide
from .checking import changed, code_of, dry_platform, problems_of_edit, problems_of_pending
from .errors import ConfigError, Problem, StateError
from .files import locked, make_private_folder
from .generations import Generation, Generations, Rejection
from .memory import Memory
from .novelty import problems_of_changes
from .presence import reports
from .registry import CODE, Registry
from .sources import Sources, Unreadable, read_text

#: Seconds for which a command waits for another one that edits.
PATIENCE = 30.0
#: What the name of a file ends with that was set aside to go back to an earlier generation.
ASIDE = ".before-rollback"


def write(
    generations: Generations, texts: Mapping[str, str], memory: Memory, planned: Sources, besides: Collection[str] = ()
) -> Generation:
    """Write files, and put what they say into force; the files are as they were where that is refused.

    :param planned: all files, as they will be.
    :param besides: tenants of which only what names no code is changed. All other changes since the generation in force
        are looked at before anything is written, those too that somebody else has left in the files.
    :raises ConfigError: if it is refused.
    :raises StateError: if a file cannot be written.
    """
    check = _check_changes(generations, memory, besides)
    if problems := check(candidate_of(planned, generations, memory, forced=True)):
        raise ConfigError(problems)
    paths = {name: generations.file.parent / name for name in texts}
    before = {name: path.read_bytes() if path.exists() else None for name, path in paths.items()}
    sources = Sources(generations.file)
    try:
        for name, text in texts.items():
            _clear_drafts(paths[name].resolve())
            replace_file(paths[name], text.encode(), like=generations.file)
        found = decide(generations, sources, memory, _unless_it_is(planned, check), forced=True)
        if isinstance(found, Rejection):
            raise ConfigError(found.problems)
    except BaseException:
        if not _is_in_force(sources, generations):
            for name, content in before.items():
                _put_back(paths[name], content)
        raise
    return found.generation


def _unless_it_is(planned: Sources, check: Check) -> Check:
    """Return a check for all but what was checked already."""
    return lambda candidate: () if candidate.sources.digest == planned.digest else check(candidate)


def _is_in_force(sources: Sources, generations: Generations) -> bool:
    """Whether what was read is in force already, as where a command is interrupted at its very end."""
    current = generations.current()
    return bool(sources.texts) and current is not None and current.digest == sources.digest


def _clear_drafts(path: Path) -> None:
    """Remove what a command has left that was killed while it wrote the file. Only one edits at a time."""
    for draft in path.parent.glob(f".{path.name}.*"):
        if re.fullmatch(r"[0-9a-f]{8}", draft.name.rpartition(".")[2]):
            draft.unlink(missing_ok=True)


def _put_back(path: Path, content: bytes | None) -> None:
    if content is None:
        path.unlink(missing_ok=True)
    elif path.read_bytes() != content:
        replace_file(path, content)


def _check_changes(
    generations: Generations, memory: Memory, besides: Collection[str]
) -> Callable[[Candidate], list[Problem]]:
    """Return what looks at all that is different from what is in force; what is new, in a process of its own."""
    before = _in_force(generations, memory)

    def check(candidate: Candidate) -> list[Problem]:
        registry = candidate.registry
        base = before or Registry(registry.settings, {})
        waits = any(set(report.pending) & set(CODE) for report in reports(registry.settings))
        if waits and (problems := problems_of_pending(base, registry, candidate.sources)):
            return problems
        known = code_of(base.values())
        others = [tenant for tenant in changed(base, registry) if tenant.slug not in besides]
        if registry.code != base.code or not code_of(others) <= known:
            return problems_of_changes(candidate, base, [tenant.slug for tenant in others])
        return problems_of_edit(dry_platform(base), registry, candidate.sources, besides) if others else []

    return check


def _in_force(generations: Generations, memory: Memory) -> Registry | None:
    current = generations.current()
    with suppress(StateError, ConfigError):  # what cannot be read any more is nothing to compare with
        return Registry.load(generations.sources(current.number), memory) if current else None
    return None


def apply(generations: Generations, draft: Path) -> tuple[Generation | None, Generation]:
    """Put a draft of tenants.toml in its place, and into force.

    :return: the generation that was in force until then, and the one that is now.
    :raises ConfigError: if it would be refused; nothing is written then.
    :raises StateError: if the file cannot be written.
    """
    make_private_folder(generations.folder)
    with locked(generations.folder / "editing", PATIENCE):
        memory, sources = Memory(), Sources(generations.file, draft=draft)
        candidate_of(sources, generations, memory)
        main = generations.file.name
        return generations.current(), write(generations, {main: sources.texts[main]}, memory, sources)


def write_back(generations: Generations, number: int) -> tuple[list[str], Generation | None, Generation]:
    """Put the files back as they were in a generation, whatever they say now.

    What they say now stays beside them, with :data:`ASIDE` behind its name.

    :return: the files that were different, the generation that was in force until then, and the one that is now.
    :raises ConfigError: if it is refused, as what was imported then may not be there now.
    :raises StateError: if there is no such generation, or a file cannot be written.
    """
    stored = generations.sources(number)
    make_private_folder(generations.folder)
    with locked(generations.folder / "editing", PATIENCE):
        before = generations.current()
        texts = {name: text for name, text in stored.texts.items() if not _says(generations.file.parent / name, text)}
        later = _later_files(generations.file.parent, stored)
        for name in (*texts, *later):
            _set_aside(generations.file.parent / name)
        try:
            for name in later:
                (generations.file.parent / name).unlink()
            generation = write(generations, texts, Memory(), stored)
        except BaseException:
            for name in later:
                path = generations.file.parent / name
                replace_file(path, path.with_name(path.name + ASIDE).read_bytes())
            raise
    return sorted([*texts, *later]), before, generation


def _later_files(root: Path, stored: Sources) -> list[str]:
    """Return the files that would be included now and were not there then."""
    found = {path.relative_to(root).as_posix() for pattern in stored.patterns for path in root.glob(pattern)}
    return sorted(found - stored.texts.keys())


def _set_aside(path: Path) -> None:
    if path.exists():
        replace_file(path.with_name(path.name + ASIDE), path.read_bytes())


def replace_file(path: Path, content: bytes, like: Path | None = None) -> None:
    """Replace a file of the operator's in one step, with the mode and owner that it has; of a symbolic link, the file
    that it leads to.

    :param like: a file whose mode it gets where it is new; without one it is private.
    :raises StateError: if it cannot be written.
    """
    target = path.resolve()
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        status = target.stat() if target.exists() else target.parent.stat()
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                if model := next((each for each in (target, like) if each and each.exists()), None):
                    os.fchmod(descriptor, stat.S_IMODE(model.stat().st_mode))
                if os.geteuid() == 0:
                    os.fchown(descriptor, status.st_uid, status.st_gid)
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            os.replace(draft, target)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise StateError(
            f"{target} cannot be written ({error.strerror}), and nothing was changed. Where it comes from elsewhere, "
            "as from a repository or a cluster's configuration, edit it there."
        ) from None


def _says(path: Path, text: str) -> bool:
    try:
        return read_text(path) == text
    except Unreadable:
        return False
