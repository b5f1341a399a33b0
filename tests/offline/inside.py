"""What runs in the network namespace: its loopback, the one port that leads out, and the steps, one after another.

Reads `{"port": …, "socket": …, "steps": [{"words": […], "environment": {…}}]}` from standard input and writes the
results to standard output. Nothing of pytest is here: this is a process of its own.
"""

from __future__ import annotations

import fcntl
import json
import socket
import struct
import subprocess
import sys
import time
from typing import Any

from tests.offline.relay import Relay, to_path

SIOCGIFFLAGS, SIOCSIFFLAGS, UP = 0x8913, 0x8914, 0x1


def loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        flags = struct.unpack("16sh", fcntl.ioctl(handle, SIOCGIFFLAGS, struct.pack("16sh", b"lo", 0)))[1]
        fcntl.ioctl(handle, SIOCSIFFLAGS, struct.pack("16sh", b"lo", flags | UP))


def unrouted() -> int:
    """How often the kernel was asked in this namespace for a way that there is not: native code's tries count too."""
    with open("/proc/net/snmp", encoding="ascii") as file:
        names, values = [line.split() for line in file if line.startswith("Ip:")][:2]
    found = int(values[names.index("OutNoRoutes")])
    with open("/proc/net/snmp6", encoding="ascii") as file:
        found += sum(int(line.split()[1]) for line in file if line.startswith("Ip6OutNoRoutes"))
    return found


def interfaces() -> list[str]:
    return [name for _, name in socket.if_nameindex()]


def run(step: dict[str, Any]) -> dict[str, Any]:
    before, began = unrouted(), time.monotonic()
    ran = subprocess.run(step["words"], env=step["environment"], capture_output=True, text=True, timeout=300, check=False,
                         stdin=subprocess.DEVNULL)  # fmt: skip
    return {"rc": ran.returncode, "out": ran.stdout, "err": ran.stderr, "seconds": time.monotonic() - began,
            "unrouted": unrouted() - before}  # fmt: skip


def main() -> None:
    task = json.load(sys.stdin)
    loopback_up()
    listener = socket.create_server(("127.0.0.1", task["port"]))
    relay = Relay(listener, lambda: to_path(task["socket"]))
    results = [run(step) for step in task["steps"]]
    json.dump({"interfaces": interfaces(), "connections": relay.connections, "results": results}, sys.stdout)


if __name__ == "__main__":
    main()
