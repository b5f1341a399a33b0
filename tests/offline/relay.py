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
        self._carrying: dict[threading.Thread, tuple[socket.socket, socket.socket]] = {}
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread, ends in list(self._carrying.items()):
            for end in ends:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = self._dial()
            except OSError:
                near.close()
                continue
            self.connections += 1
            thread = threading.Thread(target=self._carry, args=(near, far), daemon=True)
            self._carrying[thread] = (near, far)
            thread.start()

    def _carry(self, near: socket.socket, far: socket.socket) -> None:
        """Both ways until both ends are done, then nothing is left open."""
        with near, far:
            back = threading.Thread(target=_pumped, args=(far, near), daemon=True)
            back.start()
            _pumped(near, far)
            back.join()
        self._carrying.pop(threading.current_thread(), None)


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
