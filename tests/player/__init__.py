"""A recorded cluster served as a read-only Kubernetes API over TLS, with faults on demand.

    with Player(world, directory, faults=[forbidden("secrets")]) as player:
        kubectl --kubeconfig player.kubeconfig get pods

Real kubectl and our own client work against it; `player.requests` tells what they asked.
"""

from tests.player.faults import (
    Fault,
    broken_log,
    expired_token,
    failing,
    forbidden,
    reset,
    slow,
    throttled,
    truncated,
    unauthorized,
)
from tests.player.server import Player, Request
from tests.player.world import World

__all__ = [
    "Fault",
    "Player",
    "Request",
    "World",
    "broken_log",
    "expired_token",
    "failing",
    "forbidden",
    "reset",
    "slow",
    "throttled",
    "truncated",
    "unauthorized",
]
