"""Editing tenants.toml by command, as a careful person would: one tenant's tables, and nothing else in the file.

Comments and order stay (tomlkit). One command edits at a time. What would be refused is not written, and what somebody
has changed meanwhile is not written over. An edit is in force when the command ends, without a moment to settle.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any

import tomlkit

from .accepting import candidate_of
from .changes import Changes
from .errors import StateError
from .files import locked, make_private_folder
from .generations import Generation, Generations, state_dir_of
from .memory import Memory
from .registry import Registry
from .rewriting import PATIENCE, write
from .sources import Sources, Stored
from .tables import Cut, cut

#: Changes a tenant's table, given as tomlkit has it.
Change = Callable[[Any], None]
#: Stands for that table among the slugs of what may be changed.
PLATFORM = "[platform]"


class Editor:
    """The files of a configuration, while one command edits them.

    :ivar registry: what they say, with what is kept beside.
    :ivar generations: where an edit becomes the next generation.
    :ivar defaults: the [defaults] table.
    """

    def __init__(self, generations: Generations) -> None:
        self.generations = generations
        self._memory = Memory()
        self._sources = Sources(generations.file)
        found = candidate_of(self._sources, generations, self._memory)
        self.registry: Registry = found.registry
        self.defaults: Mapping[str, Any] = tomllib.loads(self._sources.texts[generations.file.name]).get("defaults", {})
        self._kept = found.sources.kept if found.kept else ""
        self._texts = dict(self._sources.texts)

    def change(self, slug: str, change: Change) -> None:
        """Change a tenant's table. One that is kept though gone from the files is put back with that.

        :raises UnknownTenant: if there is no such tenant.
        """
        name, parts = self._find(slug)
        if parts is None:
            self._texts[name] = _changed(self._texts[name], slug, change)
            return
        table, end = _parted(parts.tables[slug])
        parts.tables[slug] = _changed(table, slug, change) + end
        self._texts[name] = parts.text

    def change_platform(self, change: Change) -> None:
        """Change the [platform] table, which has to be there."""
        name = self.generations.file.name
        parts = cut(self._texts[name])
        document = tomlkit.parse(parts.head if parts else self._texts[name])
        change(document["platform"])
        text = tomlkit.dumps(document)
        self._texts[name] = Cut(text, parts.tables).text if parts else text

    def rename(self, slug: str, new: str) -> None:
        """Give a tenant's tables another name, where they are.

        :raises UnknownTenant: if there is no such tenant.
        """
        name, parts = self._find(slug)
        if parts is None:
            document = tomlkit.parse(self._texts[name])
            tenants: Any = document["tenants"]
            table = tenants[slug].unwrap()
            del tenants[slug]
            tenants[new] = table
            self._texts[name] = tomlkit.dumps(document)
            return
        header = re.compile(rf"""^([ \t]*\[tenants\.)("?){re.escape(slug)}\2(?=[.\]])""", re.MULTILINE)
        parts.tables[slug] = header.sub(rf"\g<1>\g<2>{new}\g<2>", parts.tables[slug])
        self._texts[name] = parts.text

    def table(self, slug: str) -> str:
        """Return a tenant's own tables, as TOML.

        :raises UnknownTenant: if there is no such tenant.
        """
        name, parts = self._find(slug)
        if parts is not None:
            return _parted(parts.tables[slug])[0]
        return tomlkit.dumps({"tenants": {slug: tomllib.loads(self._texts[name])["tenants"][slug]}})

    def add(self, table: str, name: str = "") -> None:
        """Add a tenant's tables at the end of tenants.toml, or of a file that it includes, or would if it were there.

        :param table: TOML, from ``[tenants.<slug>]`` on.
        :raises StateError: if the configuration has no such file.
        """
        name = name or self.generations.file.name
        if name not in self._texts:
            self._begin(name)
        text = self._texts[name].rstrip()
        self._texts[name] = f"{text}\n\n{table.strip()}\n" if text else f"{table.strip()}\n"

    def remove(self, slug: str) -> None:
        """Take a tenant's tables out of its file.

        :raises UnknownTenant: if there is no such tenant.
        """
        name, parts = self._find(slug)
        if parts is None:
            document = tomlkit.parse(self._texts[name])
            del document["tenants"][slug]
            self._texts[name] = tomlkit.dumps(document)
            return
        before, _, after = parts.text.partition(parts.tables[slug])
        end = _parted(parts.tables[slug])[1].lstrip("\r\n")
        self._texts[name] = (_without_comment(before) + end + after).rstrip() + "\n"

    def _begin(self, name: str) -> None:
        """Begin a file that is not there yet."""
        for pattern, found in self._sources.patterns.items():
            if PurePath(name).match(pattern) and len(PurePath(name).parts) == len(PurePath(pattern).parts):
                self._sources.patterns[pattern] = sorted([*found, name])
                self._texts[name] = ""
                return
        known = ", ".join([*self._texts, *self._sources.patterns])
        raise StateError(f"'{name}' is no file of this configuration; expected one of {known}.")

    def checked(self, *slugs: str) -> Registry:
        """Return the registry that what was changed would make. Nothing is written.

        :param slugs: the tenants that were to be changed.
        :raises ConfigError: if it would be refused.
        :raises StateError: if anything else would be different.
        """
        after = Registry.load(Sources(self.generations.file, self._as_stored()), self._memory)
        _check_only(slugs, Changes.between(self.registry, after))
        return after

    def save(self, *slugs: str, is_new: bool = False) -> Generation:
        """Write what was changed, and put it into force.

        :param slugs: the tenants that were to be changed. If anything else were different, nothing is written.
        :param is_new: whether these may name code that none did. Otherwise they are changed whatever their code does.
        :raises ConfigError: if it would be refused.
        :raises StateError: if a file cannot be written, or was changed meanwhile.
        """
        self.checked(*slugs)
        if not self._sources.is_as_read():
            raise StateError("The file was changed by somebody else meanwhile, and was left alone. Run this once more.")
        changed = {name: text for name, text in self._texts.items() if text != self._sources.texts.get(name)}
        planned = Sources(self.generations.file, self._as_stored())
        return write(self.generations, changed, self._memory, planned, () if is_new else slugs)

    def _as_stored(self) -> Stored:
        return Stored(self._texts, self._sources.patterns, self._kept)

    def _find(self, slug: str) -> tuple[str, Cut | None]:
        """Return the file that has a tenant's tables, cut where it can be. One that is kept is put back first."""
        self.registry[slug]
        for name, text in self._texts.items():
            parts = cut(text)
            if parts is not None and slug in parts.tables:
                return name, parts
            if slug in tomllib.loads(parts.head if parts else text).get("tenants", {}):
                return name, None
        kept = cut(self._kept)
        if kept is None or slug not in kept.tables:
            raise StateError(f"The table of '{slug}' cannot be found in {', '.join(self._texts)}. Edit it by hand.")
        self.add(kept.tables.pop(slug))
        self._kept = kept.text
        return self._find(slug)


@contextmanager
def editing(file: Path) -> Iterator[Editor]:
    """Edit a configuration, as the only command that does.

    :param file: tenants.toml.
    :raises ConfigError: if it has mistakes already.
    """
    generations = Generations(state_dir_of(file), file)
    make_private_folder(generations.folder)
    with locked(generations.folder / "editing", PATIENCE):
        yield Editor(generations)


def set_status(editor: Editor, slug: str, status: str) -> None:
    """Give a tenant another status. What is the default anyway is not written down."""
    default = editor.defaults.get("status", "active")

    def change(table: Any) -> None:
        if status == default:
            table.pop("status", None)
        else:
            table["status"] = status

    if editor.registry[slug].status != status:
        editor.change(slug, change)


def _changed(text: str, slug: str, change: Change) -> str:
    document = tomlkit.parse(text)
    change(document["tenants"][slug])
    return tomlkit.dumps(document)


def _parted(table: str) -> tuple[str, str]:
    """Part a tenant's tables from the comments and empty lines below them, which are about the next one."""
    lines = table.splitlines(keepends=True)
    end = len(lines)
    while end > 1 and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
        end -= 1
    own = "".join(lines[:end])
    return (own if own.endswith("\n") else own + "\n"), "".join(lines[end:])


def _without_comment(text: str) -> str:
    """Return a text without the comment right below an empty line at its end, which is about what comes next."""
    lines = text.splitlines(keepends=True)
    end = len(lines)
    while end and lines[end - 1].lstrip().startswith("#"):
        end -= 1
    return "".join(lines[:end]) if end and not lines[end - 1].strip() else text


def _check_only(slugs: tuple[str, ...], changes: Changes) -> None:
    """Look whether nothing is different but what was to be: the last look before something is written."""
    different = {*changes.new, *changes.changed, *changes.gone, *([PLATFORM] if changes.platform else [])}
    if others := different - set(slugs):
        raise StateError(
            f"The edit would also change {', '.join(sorted(others))}, and was not written. Edit the file by hand."
        )
