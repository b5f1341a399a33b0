"""Causes of rights: refusals in logs, held against roles and bindings."""

from __future__ import annotations

from kubectl_ai_intellect.causes.assess import examine
from kubectl_ai_intellect.causes.base import Finding, causes
from kubectl_ai_intellect.causes.symptoms import derive
from kubectl_ai_intellect.state.graph import State
from tests.unit.states import state_of

KINDS = ["Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "ServiceAccount", "Secret"]
POD = """
apiVersion: v1
kind: Pod
metadata: {name: bot-1, namespace: shop, labels: {app: bot}}
spec: {nodeName: n1, serviceAccountName: bot, containers: [{name: main, image: bot}]}
status:
  phase: Running
  conditions: [{type: Ready, status: "True"}]
  containerStatuses: [{name: main, ready: true, containerID: "containerd://1", state: {running: {startedAt: "2026-01-01T11:00:00Z"}}}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: bot, namespace: shop}
---
"""
GO = 'E1 reflector.go:147] failed to list *v1.Pod: pods is forbidden: User "system:serviceaccount:shop:bot" cannot list resource "pods" in API group "" in the namespace "shop"\n'
PYTHON = (
    'HTTP response body: {"kind":"Status","status":"Failure","message":"deployments.apps \\"web\\" is forbidden: User '
    '\\"system:serviceaccount:shop:bot\\" cannot patch resource \\"deployments/scale\\" in API group \\"apps\\" in the namespace \\"shop\\"","reason":"Forbidden","code":403}\n'
)
WIDE = 'nodes is forbidden: User "system:serviceaccount:shop:bot" cannot list resource "nodes" in API group "" at the cluster scope\n'
API = "rbac.authorization.k8s.io"


def role(name: str, verbs: str, resources: str = "pods", groups: str = '""') -> str:
    rules = f"[{{apiGroups: [{groups}], resources: [{resources}], verbs: [{verbs}]}}]"
    return f"apiVersion: {API}/v1\nkind: Role\nmetadata: {{name: {name}, namespace: shop}}\nrules: {rules}\n---\n"


def binding(name: str, to: str, subject: str = "kind: ServiceAccount, name: bot, namespace: shop") -> str:
    where = f"roleRef: {{apiGroup: {API}, kind: Role, name: {to}}}\nsubjects: [{{{subject}}}]"
    return f"apiVersion: {API}/v1\nkind: RoleBinding\nmetadata: {{name: {name}, namespace: shop}}\n{where}\n---\n"


def state(text: str, log: str = GO) -> State:
    return state_of(POD + text, logs={"bot-1/main": log}, complete=KINDS)


def findings(state: State, id: str) -> list[Finding]:
    return [each for group in examine(state, derive(state), causes()).values() for each in group if each.cause == id]


def mended(state: State, finding: Finding) -> bool:
    holds = causes()[finding.cause].holds
    assert holds is not None
    return holds(state, finding.object) and not holds(state.patched(*finding.mends[0].patches), finding.object)


def test_what_nothing_grants_gets_a_role_and_a_binding() -> None:
    for log, kinds in (
        (GO, ["Role", "RoleBinding"]),
        (PYTHON, ["Role", "RoleBinding"]),
        (WIDE, ["ClusterRole", "ClusterRoleBinding"]),
    ):
        before = state("", log)
        (found,) = findings(before, "rbac/forbidden")
        assert found.strength == "proved"
        assert found.object.short == "ServiceAccount/bot"
        assert [patch.body["kind"] for patch in found.mends[0].patches] == kinds
        assert mended(before, found)


def test_a_subresource_and_its_group_are_what_is_granted() -> None:
    (found,) = findings(state("", PYTHON), "rbac/forbidden")
    rule = found.mends[0].patches[0].body["rules"][0]
    assert rule == {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["patch"]}


def test_a_binding_to_an_account_of_another_namespace_is_corrected() -> None:
    before = state(
        role("reader", "list") + binding("reads", "reader", "kind: ServiceAccount, name: bot, namespace: shops")
    )
    (found,) = findings(before, "rbac/forbidden")
    assert found.mends[0].patches[0].target.name == "reads"
    assert mended(before, found)


def test_a_role_that_is_too_narrow_gets_the_verb() -> None:
    before = state(role("reader", "get") + binding("reads", "reader"))
    (found,) = findings(before, "rbac/forbidden")
    assert found.mends[0].patches[0].target.short == "Role/reader"
    assert mended(before, found)


def test_a_role_that_does_not_exist_is_the_bindings_fault() -> None:
    before = state(role("reader", "list") + binding("reads", "readers"))
    found = findings(before, "rbac/role-missing")
    assert {each.object.short for each in found} == {"RoleBinding/reads"}
    assert mended(before, found[0])
    assert not findings(before, "rbac/forbidden")


def test_what_is_granted_by_now_is_refuted() -> None:
    granted = role("reader", "'*'", "'*'", "'*'")
    subjects = (
        "kind: ServiceAccount, name: bot, namespace: shop",
        f"kind: Group, apiGroup: {API}, name: 'system:serviceaccounts:shop'",
    )
    for subject in subjects:
        found = findings(state(granted + binding("reads", "reader", subject)), "rbac/forbidden")
        assert {each.strength for each in found} == {"refuted"}
