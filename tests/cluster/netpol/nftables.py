"""Isolated pods as an nftables ruleset (pure), and the one call that loads it whole or not at all."""

from __future__ import annotations

import ipaddress
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.cluster.netpol.rules import Direction, Isolated, Permit, Ports

TABLE = "intellect_netpol"
BRIDGE_CALLS = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")


def ruleset(isolated: Sequence[Isolated]) -> str:
    """The whole table, replacing what was loaded before in one transaction.

    Forwarded packets are judged as both ends see them, after Services' addresses were translated; what a pod
    sends to its own node is egress too. What the node itself sends (probes) is always let through.
    """
    chains = [_chain(each) for each in isolated]
    egress, ingress = (_jumps(isolated, direction) for direction in ("egress", "ingress"))
    body = "\n".join(
        [
            *chains,
            _hook("forward", [*egress, *ingress]),
            _hook("input", egress),
        ]
    )
    return f"table ip {TABLE}\ndelete table ip {TABLE}\ntable ip {TABLE} {{\n{body}\n}}\n"


def _hook(name: str, jumps: Iterable[str]) -> str:
    lines = [
        f"type filter hook {name} priority filter; policy accept;",
        "ct state established,related accept",
    ]
    return _block(name, [*lines, *jumps])


def _jumps(isolated: Iterable[Isolated], direction: Direction) -> list[str]:
    field = "saddr" if direction == "egress" else "daddr"
    targets = [f"{each.address} : jump {_name(each)}" for each in isolated if each.direction == direction]
    return [f"ip {field} vmap {{ {', '.join(targets)} }}"] if targets else []


def _name(isolated: Isolated) -> str:
    return f"{isolated.direction}_{isolated.address.replace('.', '_')}"


def _chain(isolated: Isolated) -> str:
    field = "saddr" if isolated.direction == "ingress" else "daddr"
    permits = [line for permit in isolated.permits for line in _permit(permit, field)]
    return _block(_name(isolated), [*permits, "counter drop"])


def _permit(permit: Permit, field: str) -> list[str]:
    peers = "" if permit.peers is None else f"ip {field} {{ {', '.join(permit.peers)} }} "
    if permit.excepted:
        networks = [ipaddress.IPv4Network(each, strict=False) for each in permit.excepted]
        joined = ", ".join(str(each) for each in ipaddress.collapse_addresses(networks))
        peers += f"ip {field} != {{ {joined} }} "
    if permit.ports is None:
        return [f"{peers}return"]
    return [f"{peers}{match} return" for match in _matches(permit.ports)]


def _matches(ports: Sequence[Ports]) -> list[str]:
    """One match per protocol; overlapping ranges are joined, as a set may not hold both."""
    found: list[str] = []
    for protocol in sorted({each.protocol for each in ports}):
        own = sorted((each.first, each.last) for each in ports if each.protocol == protocol)
        if (0, 0) in own:
            found.append(f"meta l4proto {protocol.lower()}")
            continue
        ranges: list[tuple[int, int]] = []
        for first, last in own:
            if ranges and first <= ranges[-1][1] + 1:
                ranges[-1] = (ranges[-1][0], max(last, ranges[-1][1]))
            else:
                ranges.append((first, last))
        texts = [str(first) if first == last else f"{first}-{last}" for first, last in ranges]
        found.append(f"{protocol.lower()} dport {{ {', '.join(texts)} }}")
    return found


def _block(name: str, lines: Iterable[str]) -> str:
    return f"  chain {name} {{\n" + "".join(f"    {line}\n" for line in lines) + "  }"


def heed_bridged_traffic() -> None:
    """Have packets between two pods of the bridge pass the rules: by default only routed ones do."""
    if not BRIDGE_CALLS.exists():
        raise RuntimeError("this kernel has no br_netfilter: traffic between pods of one node cannot be judged")
    BRIDGE_CALLS.write_text("1")


def load(text: str, nft: str = "nft") -> None:
    done = subprocess.run([nft, "-f", "-"], input=text, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"nft refused the ruleset: {done.stderr.strip()}")


def unload(nft: str = "nft") -> None:
    """Remove the table, as if it had never been."""
    load(f"table ip {TABLE}\ndelete table ip {TABLE}\n", nft)


__all__ = ["TABLE", "heed_bridged_traffic", "load", "ruleset", "unload"]
