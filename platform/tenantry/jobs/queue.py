"""The queue: huey's, with messages as JSON, that never loses what it was given and is quiet about what it does."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import weakref
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huey.api import Huey, Task
from huey.registry import Message
from huey.serializer import Serializer

from ..errors import StateError
from ..explaining import explain
from ..files import give_to_owner_of, make_private_folder
from ..outages import Outage
from .calls import Call
from .running import run
from .storages import MARK, FileJobs, MemoryJobs, RedisJobs

if TYPE_CHECKING:
    from ..app import Platform

log = logging.getLogger("tenantry")

#: Name of the queue. Each deployment needs a Redis database of its own.
NAME = "tenantry"


class MessageSerializer(Serializer):  # type: ignore[misc]  # huey ships no types
    """Messages as JSON, and only what one of ours has: who can write the queue must not be able to run code."""

    def _serialize(self, data: Message) -> bytes:
        eta = data.eta.isoformat() if data.eta else None
        return json.dumps({"id": data.id, "name": data.name, "eta": eta, "call": data.args[0]}).encode()

    def _deserialize(self, data: bytes) -> Message:
        text = data.lstrip(MARK)
        fields = json.loads(text)
        call = Call.from_json(fields["call"]).to_json()
        call["attempt"] += len(data) - len(text)
        eta = datetime.fromisoformat(fields["eta"]) if fields["eta"] else None
        return Message(fields["id"], fields["name"], eta, args=(call,), kwargs={})


class JobQueue(Huey):  # type: ignore[misc]  # as above
    """The queue of a platform.

    :param platform: whose jobs they are.
    :param storage_class: where they are kept; options of it may follow.
    :ivar platform: whose jobs they are.
    :ivar look: looks for a configuration that is newer than the one in force, where this process follows it.
    """

    def __init__(self, platform: Platform, storage_class: type, **storage: Any) -> None:
        super().__init__(NAME, results=False, serializer=MessageSerializer(), storage_class=storage_class, **storage)
        self.platform = platform
        self.look: Callable[[], object] = lambda: None
        self._ended: list[bytes] = []
        self._call = self.task(name="call")(lambda call: None)  # one task for all: execute() runs what it names
        self._outage = Outage(
            "The queue of jobs does not answer (%s). It is asked again and again, and nothing on it is lost. See "
            "whether the disk of the state folder is full, or, with [platform] redis, whether Redis runs.",
            "The queue of jobs answers again.",
        )

    def push(self, call: Call, delay: float = 0) -> None:
        """Add a call, to be run after so many seconds. Whatever its storage raises goes through."""
        task = self._call.s(call.to_json(), delay=delay or None)
        if delay:
            self.add_schedule(task)
        else:
            self.storage.enqueue(self.serialize_task(task))

    def take(self) -> Call | None:
        """Take the next call off, for tests that run it by themselves."""
        task = self.dequeue()
        if task is None:
            return None
        self.storage.done(task.taken)
        return Call(**task.args[0])

    def dequeue(self) -> Task | None:
        """Take the next one, which stays on record until it is done. An outage is like nothing to do."""
        try:
            data = self.storage.dequeue()
        except Exception as error:
            self._outage.begins(error)
            return None
        self._outage.ends()
        return None if data is None else self._read(data)

    def _read(self, data: bytes) -> Task | None:
        try:
            task = self.deserialize_task(data)
        except Exception as error:
            log.error("The queue had an entry that is none of ours, and it was dropped (%s).", explain(error))
            self._done(data)
            return None
        if data.startswith(MARK):
            log.warning("A job whose worker ended while it ran runs again: '%s'.", task.args[0]["job"])
        task.taken = data
        return task

    def execute(self, task: Task, timestamp: datetime | None = None) -> None:
        """Run a call, and put it back where it is to run again. Only then it is off the record."""
        call = Call(**task.args[0])
        again = run(self.platform, self.look, call)
        try:
            if again is not None:
                self.push(*again)
        except Exception as error:  # it comes back by itself
            self._outage.begins(error)
        else:
            self._done(task.taken)

    def _done(self, data: bytes) -> None:
        try:
            self.storage.done(data)
        except Exception as error:
            self._ended.append(data)
            self._outage.begins(error)

    def read_schedule(self, timestamp: datetime | None = None) -> list[Task]:
        """Let what is due be run."""
        try:
            found: list[Task] = super().read_schedule(timestamp)
        except Exception as error:
            self._outage.begins(error)
            return []
        return found

    def renew(self) -> None:
        """Say that what this process has taken is still being done, or has been, where that could not be noted yet."""
        try:
            while self._ended:
                self.storage.done(self._ended[-1])
                self._ended.pop()
            self.storage.renew()
        except Exception as error:
            self._outage.begins(error)


def open_queue(platform: Platform) -> JobQueue:
    """Return a platform's queue: in memory for tests, in Redis where there is one, else in a file.

    :raises StateError: if the file cannot be made.
    """
    logging.getLogger("huey").setLevel(logging.WARNING)  # it tells of each step
    settings = platform.registry.settings
    if settings.environment == "testing":
        return JobQueue(platform, MemoryJobs)
    if platform.redis:
        return JobQueue(platform, RedisJobs, connection_pool=platform.redis.client.connection_pool)
    file = settings.state_dir / "jobs.db"
    _make_private(file)
    try:
        queue = JobQueue(platform, FileJobs, filename=str(file), cache_mb=1)
    except sqlite3.Error as error:
        raise StateError(
            f"The queue of jobs, {file}, cannot be used ({error}). Move it away if it is damaged; mails are kept with "
            "their tenants, and go out all the same."
        ) from None
    _IN_FILES.add(queue)
    return queue


def _make_private(file: Path) -> None:
    make_private_folder(file.parent)
    with suppress(FileExistsError):
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)  # SQLite's log gets the mode of this
        give_to_owner_of(file.parent, descriptor)
        os.close(descriptor)


#: SQLite's connections must not cross a fork, as those of tenants.
_IN_FILES: weakref.WeakSet[JobQueue] = weakref.WeakSet()


def _close_before_fork() -> None:
    for queue in list(_IN_FILES):
        queue.storage.close()


os.register_at_fork(before=_close_before_fork)
