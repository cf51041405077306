"""Hosts at which no PostgreSQL answers; each gives its port on 127.0.0.1."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack, contextmanager


@contextmanager
def silent_host():
    """Somebody who accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as host:
        yield host.getsockname()[1]


@contextmanager
def dropping_host():
    """Somebody whose queue is full, so that the kernel drops what arrives."""
    with socket.socket() as host:
        host.bind(("127.0.0.1", 0))
        host.listen(0)
        with ExitStack() as waiting:
            for _ in range(8):
                one = waiting.enter_context(socket.socket())
                one.setblocking(False)
                one.connect_ex(host.getsockname())
            with socket.socket() as probe:
                probe.settimeout(0.2)
                try:
                    probe.connect(host.getsockname())
                except TimeoutError:
                    pass
                else:
                    raise RuntimeError("the queue of this system has no end")
            yield host.getsockname()[1]


@contextmanager
def closed_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        yield free.getsockname()[1]


@contextmanager
def hanging_up_host():
    """Somebody who speaks another protocol."""
    with socket.create_server(("127.0.0.1", 0)) as host:

        def serve():
            while True:
                try:
                    other, _ = host.accept()
                except OSError:
                    return
                other.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                other.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield host.getsockname()[1]
        finally:
            host.shutdown(socket.SHUT_RDWR)
            thread.join(5)
