"""Fixtures that all tests share."""

from __future__ import annotations

import signal

pytest_plugins = ["tests.cluster.fixtures"]


def pytest_configure() -> None:
    """Hear Ctrl-C also where the shell that began this (`nohup`, `&`) has it ignored: tests send it to themselves."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
