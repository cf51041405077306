"""A pooler in transaction mode: each transaction of a client gets whichever session is free."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock, Thread
from urllib.parse import urlsplit

_AUTHENTICATED = b"R" + struct.pack("!ii", 8, 0)
_READY = b"Z" + struct.pack("!ic", 5, b"I")


@contextmanager
def pooled(url: str) -> Iterator[str]:
    """Gives the URL of a pooler before a server that lets its user in without a password."""
    server = urlsplit(url)
    pool = _Pool(server.hostname or "127.0.0.1", server.port or 5432)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        Thread(target=_accept, args=(listener, pool), daemon=True).start()
        port = listener.getsockname()[1]
        user = f"{server.username}@" if server.username else ""
        yield f"postgresql://{user}127.0.0.1:{port}{server.path}?sslmode=disable"
        listener.shutdown(socket.SHUT_RDWR)
    pool.close()


class _Pool:
    """Sessions; the one that came back last is lent first, as PgBouncer does."""

    def __init__(self, host: str, port: int) -> None:
        self._place = (host, port)
        self._free: list[socket.socket] = []
        self._lock = Lock()

    def take(self, startup: bytes) -> socket.socket:
        with self._lock:
            if self._free:
                return self._free.pop()
        session = socket.create_connection(self._place)
        session.sendall(startup)
        while _message(session)[:1] != b"Z":
            pass
        return session

    def give_back(self, session: socket.socket) -> None:
        with self._lock:
            self._free.append(session)

    def close(self) -> None:
        for session in self._free:
            session.close()


def _accept(listener: socket.socket, pool: _Pool) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            Thread(target=_serve, args=(client, pool), daemon=True).start()


def _serve(client: socket.socket, pool: _Pool) -> None:
    with client, suppress(OSError, EOFError):
        (length,) = struct.unpack("!i", _exactly(client, 4))
        startup = struct.pack("!i", length) + _exactly(client, length - 4)
        client.sendall(_AUTHENTICATED + _READY)
        while (message := _message(client))[:1] != b"X":
            session = pool.take(startup)
            _transaction(client, session, message)
            pool.give_back(session)


def _transaction(client: socket.socket, session: socket.socket, message: bytes) -> None:
    """Carries messages until the server says that it is in no transaction any more."""
    while True:
        session.sendall(message)
        # A query and a Sync are answered up to a "ready"; what comes before a Sync waits for it.
        while message[:1] not in (b"Q", b"S"):
            message = _message(client)
            session.sendall(message)
        while (answer := _message(session))[:1] != b"Z":
            client.sendall(answer)
        client.sendall(answer)
        if answer[5:] == b"I":
            return
        message = _message(client)


def _message(peer: socket.socket) -> bytes:
    head = _exactly(peer, 5)
    (length,) = struct.unpack("!i", head[1:])
    return head + _exactly(peer, length - 4)


def _exactly(peer: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = peer.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data
