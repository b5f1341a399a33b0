"""What policies permit, computed from objects as the API serves them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster.netpol.nftables import ruleset
from tests.cluster.netpol.rules import Isolated, Permit, Ports, directions, isolate, pods_of, selects

NAMESPACES = [
    {"metadata": {"name": "shop", "labels": {"team": "shop"}}},
    {"metadata": {"name": "tools", "labels": {"team": "ops"}}},
]


def pod(name: str, address: str, namespace: str = "shop", **more: Any) -> dict[str, Any]:
    ports = [{"name": "http", "containerPort": more.pop("http")}] if "http" in more else []
    return {
        "metadata": {"namespace": namespace, "name": name, "labels": {"app": name}},
        "spec": {"containers": [{"name": "c", "ports": ports}], **more.pop("spec", {})},
        "status": {"podIP": address, "phase": "Running", **more},
    }


PODS = pods_of([pod("web", "10.0.0.2", http=8080), pod("db", "10.0.0.3"), pod("probe", "10.0.0.4", "tools", http=9090)])


def policy(spec: dict[str, Any], namespace: str = "shop") -> dict[str, Any]:
    return {"metadata": {"namespace": namespace, "name": "p"}, "spec": spec}


def of(*specs: dict[str, Any]) -> dict[tuple[str, str], tuple[Permit, ...]]:
    found = isolate(PODS, NAMESPACES, [policy(spec) for spec in specs])
    return {(each.pod, each.direction): each.permits for each in found}


def test_a_deny_isolates_each_selected_pod_and_permits_nothing() -> None:
    assert of({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}) == {
        ("shop/db", "ingress"): (),
        ("shop/web", "ingress"): (),
        ("shop/db", "egress"): (),
        ("shop/web", "egress"): (),
    }


def test_an_empty_rule_permits_everything() -> None:
    assert of({"podSelector": {"matchLabels": {"app": "db"}}, "ingress": [{}]}) == {("shop/db", "ingress"): (Permit(),)}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"podSelector": {}}, ("ingress",)),
        ({"podSelector": {}, "egress": [{}]}, ("ingress", "egress")),
        ({"podSelector": {}, "policyTypes": ["Egress"]}, ("egress",)),
        ({"podSelector": {}, "egress": [{}], "policyTypes": ["Ingress"]}, ("ingress",)),
    ],
)
def test_policy_types_have_defaults(spec: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert directions(policy(spec)) == expected


DB = {"matchLabels": {"app": "db"}}
NOT_DB = {"key": "app", "operator": "NotIn", "values": ["db"]}


@pytest.mark.parametrize(
    ("peer", "addresses"),
    [
        ({"podSelector": {}}, ("10.0.0.2", "10.0.0.3")),
        ({"podSelector": {"matchLabels": {"app": "web"}}}, ("10.0.0.2",)),
        ({"namespaceSelector": {"matchLabels": {"team": "ops"}}}, ("10.0.0.4",)),
        ({"namespaceSelector": {}}, ("10.0.0.2", "10.0.0.3", "10.0.0.4")),
        (
            {"namespaceSelector": {}, "podSelector": {"matchExpressions": [NOT_DB]}},
            ("10.0.0.2", "10.0.0.4"),
        ),
    ],
)  # fmt: skip
def test_peers_are_pods_of_the_right_namespaces(peer: dict[str, Any], addresses: tuple[str, ...]) -> None:
    assert of({"podSelector": DB, "ingress": [{"from": [peer]}]})["shop/db", "ingress"] == (Permit(addresses),)


def test_a_peer_that_matches_nobody_permits_nobody() -> None:
    rule = {"from": [{"podSelector": {"matchLabels": {"app": "gone"}}}]}
    assert of({"podSelector": DB, "ingress": [rule]}) == {("shop/db", "ingress"): ()}


def test_address_blocks_keep_their_exceptions() -> None:
    rule = {
        "from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}],
        "ports": [{"port": 5432}],
    }
    permits = of({"podSelector": DB, "ingress": [rule]})["shop/db", "ingress"]
    assert permits == (Permit(("10.0.0.0/8",), ("10.1.0.0/16",), (Ports("TCP", 5432, 5432),)),)


def test_an_ingress_port_name_is_the_selected_pods_own() -> None:
    spec = {"podSelector": {}, "ingress": [{"ports": [{"port": "http"}]}]}
    assert of(spec) == {
        ("shop/db", "ingress"): (),
        ("shop/web", "ingress"): (Permit(None, (), (Ports("TCP", 8080, 8080),)),),
    }


def test_an_egress_port_name_is_each_peers_own() -> None:
    rule = {"to": [{"namespaceSelector": {}}], "ports": [{"port": "http"}]}
    permits = of({"podSelector": DB, "policyTypes": ["Egress"], "egress": [rule]})["shop/db", "egress"]
    assert set(permits) == {
        Permit(("10.0.0.2",), (), (Ports("TCP", 8080, 8080),)),
        Permit(("10.0.0.4",), (), (Ports("TCP", 9090, 9090),)),
    }


def test_egress_to_anywhere_on_a_number_and_a_name() -> None:
    rule = {"ports": [{"port": 53, "protocol": "UDP"}, {"port": "http"}]}
    permits = of({"podSelector": DB, "policyTypes": ["Egress"], "egress": [rule]})["shop/db", "egress"]
    assert set(permits) == {
        Permit(None, (), (Ports("UDP", 53, 53),)),
        Permit(("10.0.0.2",), (), (Ports("TCP", 8080, 8080),)),
        Permit(("10.0.0.4",), (), (Ports("TCP", 9090, 9090),)),
    }


def test_policies_add_up() -> None:
    one = {"podSelector": DB, "ingress": [{"ports": [{"port": 1}]}]}
    two = {"podSelector": {}, "ingress": [{"ports": [{"port": 2}]}]}
    permits = of(one, two)["shop/db", "ingress"]
    assert [each.ports for each in permits] == [(Ports("TCP", 1, 1),), (Ports("TCP", 2, 2),)]


def test_pods_without_an_address_of_their_own_are_no_business_of_ours() -> None:
    ended = pod("job", "10.0.0.9", phase="Succeeded")
    hosted = pod("host", "192.168.0.1", spec={"hostNetwork": True})
    starting = pod("new", "")
    six = pod("six", "fd00::1")
    assert pods_of([ended, hosted, starting, six]) == []


@pytest.mark.parametrize(
    ("operator", "values", "matches"),
    [("In", ["db"], True), ("In", ["web"], False), ("Exists", None, True), ("DoesNotExist", None, False)],
)
def test_label_expressions(operator: str, values: list[str] | None, matches: bool) -> None:
    expression = {"key": "app", "operator": operator, "values": values}
    assert selects({"matchExpressions": [expression]}, {"app": "db"}) is matches


def test_the_ruleset_drops_what_no_permit_returns() -> None:
    permits = (
        Permit(("10.0.0.2",), (), (Ports("TCP", 80, 90), Ports("TCP", 85, 95), Ports("UDP"))),
        Permit(("10.0.0.0/8",), ("10.1.0.0/16", "10.1.2.0/24")),
    )
    text = ruleset([Isolated("10.0.0.3", "shop/db", "ingress", permits)])
    chain = text.partition("chain ingress_10_0_0_3 {")[2].partition("}\n  chain")[0]
    assert [line.strip() for line in chain.splitlines() if line.strip()][:-1] == [
        "ip saddr { 10.0.0.2 } tcp dport { 80-95 } return",
        "ip saddr { 10.0.0.2 } meta l4proto udp return",
        "ip saddr { 10.0.0.0/8 } ip saddr != { 10.1.0.0/16 } return",
    ]
    assert "counter drop" in chain
    assert "ip daddr vmap { 10.0.0.3 : jump ingress_10_0_0_3 }" in text
    assert "vmap" not in text.partition("chain input")[2], "ingress says nothing of what the node receives"


def test_no_policies_judge_nothing() -> None:
    assert "vmap" not in ruleset([])
