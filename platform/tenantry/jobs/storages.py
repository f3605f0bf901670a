"""Where the queue is kept: in a file, in Redis, or in memory for tests. Each is huey's, but for one thing.

huey takes an entry off before it is run, so it would be lost with a worker that is killed. Here, whoever takes one puts
it on the schedule in the same step, to come back after ``LEASE`` seconds, and takes it off there once it is done. While
the job runs its worker renews that. An entry that came back has a mark in front, from which it is known that it was
begun before.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Protocol

from huey.storage import MemoryStorage, RedisStorage, SqliteStorage
from huey.utils import utcnow

#: Seconds after which an entry comes back whose worker is gone.
LEASE = 60
#: Stands in front of an entry once for each time that it was begun. No message begins with it.
MARK = b"!"


class Keeping(Protocol):
    """What the storages here add to huey's."""

    def done(self, data: bytes) -> None:
        """Forget an entry that was taken."""

    def renew(self) -> None:
        """Keep what this process has taken from coming back for ``LEASE`` seconds more."""


def _timestamp(moment: datetime) -> float:
    """Return the seconds since 1970 of a moment of huey's, which is naive and in UTC.

    huey itself takes it for local time, of which there is an hour twice, and one never, where there is summer time.
    """
    return moment.replace(tzinfo=UTC).timestamp()


def _lease_ends() -> float:
    return _timestamp(utcnow()) + LEASE


class FileJobs(SqliteStorage):  # type: ignore[misc]  # huey ships no types
    """A queue in a SQLite file, for one machine."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._taken: dict[bytes, int] = {}
        super().__init__(*args, **kwargs)

    def dequeue(self) -> bytes | None:
        """Take the next entry, which stays on the schedule until it is done."""
        if not self.sql("select 1 from task where queue = ? limit 1", (self.name,), results=True):
            return None
        with self.db(commit=True) as cursor:
            query = "select id, data from task where queue = ? order by priority desc, id limit 1"
            if not (found := cursor.execute(query, (self.name,)).fetchall()):
                return None
            ((row, data),) = found
            cursor.execute("delete from task where id = ?", (row,))
            cursor.execute(
                "insert into schedule (queue, data, timestamp) values (?, ?, ?)",
                (self.name, MARK + data, _lease_ends()),
            )
            self._taken[data] = cursor.lastrowid
            return bytes(data)

    def done(self, data: bytes) -> None:
        """Forget an entry that was taken."""
        self.sql("delete from schedule where id = ? and data = ?", (self._taken[data], MARK + data), commit=True)
        del self._taken[data]

    def renew(self) -> None:
        """Keep what this process has taken from coming back."""
        rows = [(_lease_ends(), row, MARK + data) for data, row in list(self._taken.items())]
        if rows:
            with self.db(commit=True) as cursor:
                cursor.executemany("update schedule set timestamp = ? where id = ? and data = ?", rows)

    def add_to_schedule(self, data: bytes, ts: datetime) -> None:
        """Add an entry that is due later."""
        query = "insert into schedule (queue, data, timestamp) values (?, ?, ?)"
        self.sql(query, (self.name, data, _timestamp(ts)), commit=True)

    def read_schedule(self, ts: datetime) -> list[bytes]:
        """Move what is due to the queue, in one step, so that nothing is lost in between. Return nothing to move."""
        due = "from schedule where queue = ? and timestamp <= ?"
        params = (self.name, _timestamp(ts))
        if self.sql(f"select 1 {due} limit 1", params, results=True):
            with self.db(commit=True) as cursor:
                cursor.execute(
                    f"insert into task (queue, data) select queue, data {due} order by timestamp, id", params
                )
                cursor.execute(f"delete {due}", params)
        return []


#: Take the next entry, and leave it on the schedule.
_TAKE = """
local data = redis.call('rpop', KEYS[1])
if data then redis.call('zadd', KEYS[2], ARGV[1], ARGV[2] .. data) end
return data
"""
#: Move what is due to the queue. In portions, as the server does nothing else meanwhile.
_MOVE = """
local due = redis.call('zrangebyscore', KEYS[2], '-inf', ARGV[1], 'LIMIT', 0, 1000)
for _, data in ipairs(due) do
    redis.call('lpush', KEYS[1], data)
    redis.call('zrem', KEYS[2], data)
end
"""


class RedisJobs(RedisStorage):  # type: ignore[misc]  # huey ships no types
    """A queue in Redis, for several machines."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, blocking=False, **kwargs)
        self._taken: set[bytes] = set()
        self._keys = [self.queue_key, self.schedule_key]
        self._take = self.conn.register_script(_TAKE)
        self._move = self.conn.register_script(_MOVE)

    def enqueue(self, data: bytes, priority: float | None = None) -> None:
        """Add an entry. A connection that the server closed since it was last used is not worth an error."""
        from redis import ConnectionError as ConnectionLost

        try:
            super().enqueue(data, priority)
        except ConnectionLost:
            super().enqueue(data, priority)

    def dequeue(self) -> bytes | None:
        """Take the next entry, which stays on the schedule until it is done."""
        data: bytes | None = self._take(keys=self._keys, args=[_lease_ends(), MARK])
        if data is not None:
            self._taken.add(data)
        return data

    def done(self, data: bytes) -> None:
        """Forget an entry that was taken."""
        self.conn.zrem(self.schedule_key, MARK + data)
        self._taken.discard(data)

    def renew(self) -> None:
        """Keep what this process has taken from coming back."""
        if taken := list(self._taken):
            ends = _lease_ends()
            self.conn.zadd(self.schedule_key, {MARK + data: ends for data in taken}, xx=True)

    def convert_ts(self, ts: datetime) -> float:
        """Return the time of an entry on the schedule."""
        return _timestamp(ts)

    def read_schedule(self, ts: datetime) -> list[bytes]:
        """Move what is due to the queue, in one step. Return nothing to move."""
        self._move(keys=self._keys, args=[self.convert_ts(ts)])
        return []


class MemoryJobs(MemoryStorage):  # type: ignore[misc]  # huey ships no types
    """A queue in memory, for tests: it runs what a test lets it run."""

    def done(self, data: bytes) -> None:
        """Nothing to do, as what is taken is gone."""

    def renew(self) -> None:
        """Nothing to do."""

    def hasten(self) -> None:
        """Let everything on the schedule be due now."""
        for data in self.scheduled_items():
            self.enqueue(data)
        self.flush_schedule()
