"""Nodes, evictions, the control plane, what does not go away, and custom resources."""

from __future__ import annotations

import pytest

from kubectl_ai_intellect.causes.assess import assess
from kubectl_ai_intellect.causes.base import causes
from kubectl_ai_intellect.causes.commands import commands
from kubectl_ai_intellect.causes.symptoms import derive
from kubectl_ai_intellect.state.graph import State
from tests.unit.states import state_of
from tests.unit.test_causes_workload import clears, findings, one

NODE = """
apiVersion: v1
kind: Node
metadata: {name: n1, uid: n1}
spec: {}
status: {conditions: [{type: Ready, status: READY, reason: REASON, message: "MESSAGE"}, MORE]}
---
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: n1, namespace: kube-node-lease}
spec: {renewTime: "RENEWED"}
"""
FRESH, STALE = "2026-01-01T11:59:55.000000Z", "2026-01-01T11:50:00.000000Z"


def node(
    ready: str, reason: str, message: str, *, renewed: str = FRESH, more: str = "{type: X}", extra: str = ""
) -> State:
    text = NODE.replace("READY", ready).replace("REASON", reason).replace("MESSAGE", message)
    return state_of(text.replace("RENEWED", renewed).replace("MORE", more) + extra)


NODE_CAUSES = ("node/kubelet-down", "node/container-runtime-down", "node/network-unavailable", "node/disk-pressure",
               "node/memory-pressure", "node/pid-pressure", "node/interrupted")  # fmt: skip
PRESSED = '{type: DiskPressure, status: "True", reason: KubeletHasDiskPressure, message: kubelet has disk pressure}'
CASES = [
    ("node/kubelet-down", node("Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.", renewed=STALE)),
    ("node/kubelet-down", node('"True"', "KubeletReady", "kubelet is posting ready status", renewed=STALE)),
    ("node/container-runtime-down", node('"False"', "KubeletNotReady", "[container runtime is down, PLEG is not healthy: pleg "
                                         "was last seen active 3m1s ago; threshold is 3m0s]")),
    ("node/network-unavailable", node('"False"', "KubeletNotReady", "container runtime network not ready: NetworkReady=false "
                                      "reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not "
                                      "initialized")),
    ("node/disk-pressure", node('"True"', "KubeletReady", "fine", more=PRESSED)),
    ("node/interrupted", node('"False"', "KubeletNotReady", "node is shutting down")),
]  # fmt: skip


@pytest.mark.parametrize(("id", "state"), CASES)
def test_a_node_has_the_one_cause_that_its_conditions_tell(id: str, state: State) -> None:
    standing = [
        each for each in NODE_CAUSES if [f for f in findings(state, each) if f.strength in ("proved", "likely")]
    ]
    assert standing == [id]


def test_a_node_that_is_well_has_none() -> None:
    state = node('"True"', "KubeletReady", "kubelet is posting ready status")
    assert not [each for each in NODE_CAUSES if findings(state, each)]


POD = """
---
apiVersion: v1
kind: Pod
metadata: {name: cart-1, namespace: shop, uid: p1, creationTimestamp: "2026-01-01T11:00:00Z"DELETED}
spec:
  nodeName: n1
  containers: [{name: app, image: "cart:1", resources: {limits: {ephemeral-storage: 10Mi}}}]
  volumes: [{name: scratch, emptyDir: {sizeLimit: 4Mi}}]
status: {STATUS}
"""


def pod(status: str, deleted: str = "") -> str:
    return POD.replace("STATUS", status).replace("DELETED", deleted)


@pytest.mark.parametrize(
    ("message", "path"),
    [
        ('Usage of EmptyDir volume \\"scratch\\" exceeds the limit \\"4Mi\\". ', "sizeLimit"),
        ('Container app exceeded its local ephemeral storage limit \\"10Mi\\". ', "ephemeral-storage"),
        ("Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. ", "ephemeral-storage"),
    ],
)
def test_local_storage_limits_are_told_from_a_full_node(message: str, path: str) -> None:
    state = state_of(pod(f'phase: Failed, reason: Evicted, message: "{message}"'))
    found = one(state, "container/local-storage-exceeded")
    assert found.strength == "proved"
    assert found.mends[0].patches[0].edits[0].path[-1] == path
    assert findings(state, "container/evicted") == []


LOW = ("The node was low on resource: memory. Threshold quantity: 100Mi, available: 80Mi. Container app was using 900Mi, "
       "request is 0, has larger consumption of memory. ")  # fmt: skip


def test_an_eviction_is_the_nodes_as_long_as_it_is_pressed() -> None:
    evicted = pod(f'phase: Failed, reason: Evicted, message: "{LOW}"')
    calm = node('"True"', "KubeletReady", "fine", extra=evicted)
    assert one(calm, "container/evicted").strength == "proved"
    pressure = '{type: MemoryPressure, status: "True", reason: KubeletHasInsufficientMemory, message: low}'
    pressed = node('"True"', "KubeletReady", "fine", more=pressure, extra=evicted)
    symptoms = derive(pressed)
    focus = [each for each in symptoms if each.at.kind == "Pod"]
    assert [root.finding.cause for root in assess(pressed, symptoms, causes(), focus).roots] == ["node/memory-pressure"]


SANDBOX = """
---
apiVersion: v1
kind: Event
metadata: {name: e1, namespace: shop, uid: e1}
involvedObject: {apiVersion: v1, kind: Pod, name: cart-1, namespace: shop, uid: p1}
reason: FailedCreatePodSandBox
type: Warning
message: 'Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "ab": plugin type="PLUGIN'
lastTimestamp: "2026-01-01T11:59:00Z"
"""


@pytest.mark.parametrize(
    ("plugin", "cause"),
    [
        ('bridge" failed (add): failed to allocate for range 0: no IP addresses available in range set: 10.1.0.1-10.1.0.254',
         "node/pod-ip-exhausted"),
        ('flannel" failed (add): loadFlannelSubnetEnv failed: open /run/flannel/subnet.env: no such file or directory',
         "container/sandbox-failed"),
    ],
)  # fmt: skip
def test_why_a_sandbox_fails(plugin: str, cause: str) -> None:
    state = node('"True"', "KubeletReady", "fine", extra=pod("phase: Pending") + SANDBOX.replace("PLUGIN", plugin))
    symptoms = derive(state)
    assert [root.finding.cause for root in assess(state, symptoms, causes(), symptoms).roots] == [cause]


def test_an_address_range_that_is_not_full_is_no_finding() -> None:
    text = SANDBOX.replace("PLUGIN", 'flannel" failed (add): open /run/flannel/subnet.env: no such file or directory')
    assert (
        findings(node('"True"', "KubeletReady", "fine", extra=pod("phase: Pending") + text), "node/pod-ip-exhausted")
        == []
    )


# -- what does not go away -------------------------------------------------------------------------------------------

GOING = ', deletionTimestamp: "2026-01-01T11:50:00Z", deletionGracePeriodSeconds: 30'


def test_a_pod_without_finalizers_on_a_node_that_is_gone() -> None:
    state = state_of(pod("phase: Running", GOING), complete=("Node",))
    found = one(state, "object/stuck-terminating")
    assert "no longer exists" in found.says
    assert commands(state, found.mends[0].patches[0]) == ["kubectl delete pod/cart-1 -n shop --grace-period=0 --force"]
    assert findings(state, "object/stuck-finalizer") == []


def test_a_pod_with_a_finalizer() -> None:
    state = state_of(pod("phase: Running", GOING + ", finalizers: [x.example.com/y]"), complete=("Node",))
    found = one(state, "object/stuck-finalizer")
    assert clears(state, found)
    assert findings(state, "object/stuck-terminating") == []


CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: shop, deletionTimestamp: "2026-01-01T11:50:00Z", finalizers: [kubernetes.io/pvc-protection]}
status: {phase: Bound}
---
apiVersion: v1
kind: Pod
metadata: {name: user, namespace: shop}
spec: {containers: [], volumes: [{name: d, persistentVolumeClaim: {claimName: data}}]}
status: {phase: Running}
"""


def test_a_claim_in_use_is_freed_by_its_user_not_by_force() -> None:
    state = state_of(CLAIM)
    found = one(state, "object/stuck-finalizer")
    assert "user" in found.says
    assert commands(state, found.mends[0].patches[0]) == ["kubectl delete pod/user -n shop"]


NAMESPACE = """
apiVersion: v1
kind: Namespace
metadata: {name: shop, deletionTimestamp: "2026-01-01T11:50:00Z"}
status:
  phase: Terminating
  conditions:
    - {type: NamespaceContentRemaining, status: "True", reason: SomeResourcesRemain,
       message: "Some resources are remaining: configmaps. has 1 resource instances"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: ledger, namespace: shop, deletionTimestamp: "2026-01-01T11:50:00Z", finalizers: [books.example.com/close]}
"""


def test_a_namespace_names_what_is_left_in_it() -> None:
    state = state_of(NAMESPACE)
    symptoms = derive(state)
    roots = assess(state, symptoms, causes(), symptoms).roots
    assert [root.finding.cause for root in roots] == ["namespace/stuck-terminating"]
    assert "ConfigMap/ledger" in roots[0].finding.says
    assert clears(state, roots[0].finding)


# -- control plane and custom resources ------------------------------------------------------------------------------

LEASE = """
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: NAME, namespace: kube-system}
spec: {holderIdentity: cp-1, renewTime: "RENEWED"}
---
apiVersion: v1
kind: Pod
metadata: {name: cart-1, namespace: shop, creationTimestamp: "2026-01-01T11:55:00Z"}
spec: {containers: [{name: app}]}
status: {phase: Pending}
"""


@pytest.mark.parametrize("name", ["kube-scheduler", "kube-controller-manager"])
def test_leases_tell_which_component_is_down(name: str) -> None:
    id = {"kube-scheduler": "controlplane/scheduler-down"}.get(name, "controlplane/controller-manager-down")
    down = state_of(LEASE.replace("NAME", name).replace("RENEWED", STALE))
    assert one(down, id).strength == "proved"
    well = state_of(LEASE.replace("NAME", name).replace("RENEWED", FRESH))
    assert findings(well, id) == []


CUSTOM = """
apiVersion: db.example.com/v1
kind: Database
metadata: {name: orders, namespace: shop, uid: x1}
status: {conditions: [{type: Ready, status: STATUS, reason: BucketDenied, message: "cannot write to the bucket"}]}
"""


def test_a_custom_resource_is_quoted() -> None:
    found = one(state_of(CUSTOM.replace("STATUS", '"False"')), "custom/not-ready")
    assert "BucketDenied" in found.says
    assert findings(state_of(CUSTOM.replace("STATUS", '"True"')), "custom/not-ready") == []


RELEASE = """
apiVersion: v1
kind: Secret
type: helm.sh/release.v1
metadata:
  name: sh.helm.release.v1.cart.vNUMBER
  namespace: shop
  creationTimestamp: "2026-01-01T11:00:00Z"
  labels: {owner: helm, name: cart, status: STATUS, version: "NUMBER"}
"""


def release(number: int, status: str) -> str:
    return RELEASE.replace("NUMBER", str(number)).replace("STATUS", status)


def test_a_release_stuck_half_way_and_one_that_was_overtaken() -> None:
    stuck = state_of(release(1, "deployed") + "---" + release(2, "pending-upgrade"))
    found = one(stuck, "gitops/helm-release-pending")
    assert found.strength == "proved"
    assert clears(stuck, found)
    over = state_of(release(1, "pending-upgrade") + "---" + release(2, "deployed"))
    assert findings(over, "gitops/helm-release-pending") == []
