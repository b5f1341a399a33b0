"""Bytes from one listening socket to another address, so that one port of one machine is all that can be reached."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

Dial = Callable[[], socket.socket]


class Relay:
    """Accepts on a socket and passes everything on to what `dial` opens."""

    def __init__(self, listener: socket.socket, dial: Dial) -> None:
        self._listener = listener
        self._dial = dial
        self.connections = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
                far = self._dial()
            except OSError:
                return
            self.connections += 1
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=_pumped, args=(one, other), daemon=True).start()


def _pumped(source: socket.socket, into: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            into.sendall(data)
    with contextlib.suppress(OSError):
        into.shutdown(socket.SHUT_WR)


def on_path(path: str) -> socket.socket:
    """A listening socket in the file system: the one kind that a network namespace does not part."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(64)
    return listener


def to_path(path: str) -> socket.socket:
    near = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    near.connect(path)
    return near


__all__ = ["Relay", "on_path", "to_path"]
