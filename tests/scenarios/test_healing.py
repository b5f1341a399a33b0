"""Scenarios that can be healed are healed by the right commands, and by nothing before them.

What the product prints is held against the same check; here it is shown to tell ill from well.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.scenarios.fixtures import Staged
from tests.scenarios.judge import ailments, apply_fix, wait_healthy
from tests.scenarios.runner import Settled
from tests.scenarios.scenario import Scenario, find

MENDS = {
    "scheduling/node-selector-mismatch": [
        """kubectl patch deployment cart -n {namespace} --type=json
           -p '[{"op": "remove", "path": "/spec/template/spec/nodeSelector"}]'"""
    ],
    "quota/memory-exceeded": [
        """kubectl patch resourcequota team-budget -n {namespace} --type=merge
           -p '{"spec": {"hard": {"requests.memory": "2Gi"}}}'"""
    ],
    "probe/readiness-wrong-port": [
        """kubectl patch deployment web -n {namespace} --type=json -p '[{"op": "replace",
           "path": "/spec/template/spec/containers/0/readinessProbe/httpGet/port", "value": 80}]'"""
    ],
    "service/selector-mismatch": [
        """kubectl patch service catalog -n {namespace} --type=merge -p '{"spec": {"selector": {"app": "catalog"}}}'"""
    ],
    "service/env-address-mismatch": [
        "kubectl set env deployment/storefront -n {namespace} BACKEND_URL=http://backend:80"
    ],
    "service/dns-search-missing": [
        """kubectl patch deployment mailer -n {namespace} --type=merge
           -p '{"spec": {"template": {"spec": {"dnsPolicy": "ClusterFirst"}}}}'"""
    ],
    "rbac/forbidden": [
        "kubectl create role lister -n {namespace} --verb=list --resource=pods",
        "kubectl create rolebinding lister -n {namespace} --role=lister --serviceaccount={namespace}:lister",
    ],
    "netpol/ingress-blocked": [
        """kubectl patch networkpolicy redis-clients -n {namespace} --type=json -p '[{"op": "replace",
           "path": "/spec/ingress/0/from/0/podSelector/matchLabels/app", "value": "frontend"}]'"""
    ],
}
SCENARIOS = [each for each in find() if each.expect.get("heals")]


def heal(settled: Settled) -> tuple[list[str], list[str]]:
    """What ails it before its mend, and after."""
    before = ailments(settled, settled.cluster.api)
    commands = [
        " ".join(each.split()).replace("{namespace}", settled.namespace) for each in MENDS[settled.scenario.name]
    ]
    mend = {"kind": "mend", "title": "as a person would", "commands": commands}
    apply_fix(settled.cluster, {"kind": "Diagnosis", "verdict": {"fix": [mend]}})
    return before, wait_healthy(settled)


@pytest.fixture(scope="module")
def healed(request: pytest.FixtureRequest) -> Iterator[Staged[tuple[list[str], list[str]]]]:
    staged = Staged(request, heal)
    yield staged
    staged.close()


def test_every_scenario_that_heals_has_a_mend_here() -> None:
    assert {each.name for each in SCENARIOS} == set(MENDS)


@pytest.mark.parametrize("scenario", Staged.parameters(SCENARIOS))
def test_its_mend_heals(healed: Staged[tuple[list[str], list[str]]], scenario: Scenario) -> None:
    before, after = healed.outcome(scenario)
    assert before
    assert after == []
