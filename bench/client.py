"""A client of few words: one kept-alive connection that asks and reads, and knows which worker it goes to."""

from __future__ import annotations

import socket
from typing import Self

from .tenants import WORKER_PAGE, Door

#: Connections that are opened at once to find every worker, and how often.
_BATCH, _ATTEMPTS = 16, 50


class Connection:
    """One connection over the loopback, kept alive.

    :param port: of the server.
    :raises OSError: if there is no server.
    """

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")

    def get(self, path: str) -> tuple[int, bytes]:
        """Return status and body of one page.

        :raises ConnectionError: if the connection is closed instead of an answer.
        """
        self.send(path)
        return self.receive()

    def send(self, path: str) -> None:
        """Ask for a page."""
        self._socket.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())

    def receive(self) -> tuple[int, bytes]:
        """Return status and body of the page that was asked for."""
        status_line = self._file.readline()
        if not status_line:
            raise ConnectionError("The server closed the connection; expected an answer.")
        length = 0
        while line := self._file.readline().rstrip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return int(status_line.split()[1]), self._file.read(length)

    def close(self) -> None:
        """Close the connection."""
        self._file.close()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def connect_to_each(port: int, door: Door, workers: list[int]) -> dict[int, Connection]:
    """Return a connection to each worker, by process id. The tenant behind ``door`` is asked which one it is.

    :raises RuntimeError: if some worker takes none.
    """
    found: dict[int, Connection] = {}
    for _ in range(_ATTEMPTS):
        # All at once, as a connection that comes alone mostly goes to the same worker.
        batch = [Connection(port) for _ in range(_BATCH)]
        for connection in batch:
            connection.send(door.path + WORKER_PAGE)
        for connection in batch:
            if found.setdefault(int(connection.receive()[1]), connection) is not connection:
                connection.close()
        if found.keys() >= set(workers):
            return found
    for connection in found.values():
        connection.close()
    raise RuntimeError(f"Of the workers {workers} only {sorted(found)} took a connection.")
