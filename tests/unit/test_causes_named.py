"""Causes about what is named and is not there: schedulers, classes, tokens, single files, hosts; limits nobody wrote."""

from __future__ import annotations

import pytest

from kubectl_ai_intellect.causes.assess import assess
from kubectl_ai_intellect.causes.base import causes
from kubectl_ai_intellect.causes.symptoms import derive
from kubectl_ai_intellect.causes.symptoms.asked import addresses, uncovered, unmatched
from kubectl_ai_intellect.evidence.logs import digest
from kubectl_ai_intellect.kube.refs import ref
from kubectl_ai_intellect.state.graph import State
from tests.unit.states import state_of

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, namespace: shop, uid: d1, creationTimestamp: "2026-01-01T11:00:00Z"}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec: {spec}
status: {{replicas: 0}}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata:
  name: web-1
  namespace: shop
  uid: r1
  ownerReferences: [{{apiVersion: apps/v1, kind: Deployment, name: web, uid: d1, controller: true}}]
spec: {{replicas: 1, selector: {{matchLabels: {{app: web}}}}, template: {{metadata: {{labels: {{app: web}}}}, spec: {spec}}}}}
status: {{replicas: 0}}
"""
REFUSED = """
---
apiVersion: v1
kind: Event
metadata: {{name: e1, namespace: shop}}
involvedObject: {{apiVersion: apps/v1, kind: ReplicaSet, name: web-1, namespace: shop, uid: r1}}
reason: FailedCreate
type: Warning
count: 4
lastTimestamp: "2026-01-01T11:59:00Z"
message: 'Error creating: {message}'
"""
POD = """
---
apiVersion: v1
kind: Pod
metadata:
  name: web-1-a
  namespace: shop
  uid: p1
  labels: {{app: web}}
  annotations: {annotations}
  creationTimestamp: "2026-01-01T11:00:00Z"
  ownerReferences: [{{apiVersion: apps/v1, kind: ReplicaSet, name: web-1, uid: r1, controller: true}}]
spec: {spec}
status: {status}
"""
CRASHED = """{phase: Running, containerStatuses: [{name: web, image: x, imageID: x, ready: false, restartCount: 5, containerID: "c://1",
  state: {waiting: {reason: CrashLoopBackOff}},
  lastState: {terminated: {reason: %s, exitCode: %d, finishedAt: "2026-01-01T11:59:30Z"}}}]}"""


def best(state: State, *, also: str = "") -> tuple[str, str, str]:
    symptoms = [*derive(state), *unmatched(state, also)]
    roots = assess(state, symptoms, causes()).roots
    return (roots[0].finding.cause, roots[0].finding.object.short, roots[0].finding.strength) if roots else ("", "", "")


def refused(spec: str, message: str, more: str = "", complete: tuple[str, ...] = ()) -> State:
    return state_of(DEPLOYMENT.format(spec=spec) + REFUSED.format(message=message) + more, complete=complete)


@pytest.mark.parametrize(
    ("field", "kind", "id", "message"),
    [
        ("priorityClassName", "PriorityClass", "scheduling/priority-class-missing",
         'pods "web-1-" is forbidden: no PriorityClass with name gone was found'),
        ("runtimeClassName", "RuntimeClass", "scheduling/runtime-class-missing",
         'pods "web-1-x" is forbidden: pod rejected: RuntimeClass "gone" not found'),
    ],
)  # fmt: skip
def test_a_class_that_is_not_there(field: str, kind: str, id: str, message: str) -> None:
    state = refused(f"{{{field}: gone, containers: [{{name: web, image: x}}]}}", message, complete=(kind,))
    assert best(state) == (id, "Deployment/web", "proved")
    workload = ref("Deployment", "shop", "web")
    unit = causes()[id]
    assert unit.holds is not None
    assert unit.holds(state, workload)
    found = next(each for symptom in derive(state) for each in unit.examine(state, symptom))
    assert not unit.holds(state.patched(*found.mends[-1].patches), workload)


def test_another_refusal_is_no_missing_class() -> None:
    state = refused(
        "{containers: [{name: web, image: x}]}", "exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1"
    )
    assert not best(state)[0].startswith("scheduling/")


PENDING = "{phase: Pending, conditions: [%s]}"


@pytest.mark.parametrize(
    ("scheduler", "condition", "sure"),
    [("volcano", "", True), ("volcano", '{type: PodScheduled, status: "False", reason: Unschedulable, message: "0/1 nodes"}', False),
     ("default-scheduler", "", False)],
)  # fmt: skip
def test_a_scheduler_that_nobody_runs(scheduler: str, condition: str, sure: bool) -> None:
    spec = f"{{schedulerName: {scheduler}, containers: [{{name: web, image: x}}]}}"
    state = state_of(
        DEPLOYMENT.format(spec=spec) + POD.format(spec=spec, annotations="{}", status=PENDING % condition),
        complete=("Lease", "Node"),
    )
    assert (best(state)[0] == "scheduling/scheduler-missing") is sure


LIMITS = """
---
apiVersion: v1
kind: LimitRange
metadata: {name: defaults, namespace: shop}
spec: {limits: [{type: Container, default: {memory: 48Mi}}]}
"""
SET = "{kubernetes.io/limit-ranger: 'LimitRanger plugin set: cpu, memory request for container web; cpu, memory limit for container web'}"


@pytest.mark.parametrize(("annotations", "id"), [(SET, "limitrange/default-too-low"), ("{}", "container/oom-killed")])
def test_a_default_limit_that_kills(annotations: str, id: str) -> None:
    spec = "{containers: [{name: web, image: x, resources: {limits: {memory: 48Mi}}}]}"
    declared = "{containers: [{name: web, image: x}]}" if annotations == SET else spec
    state = state_of(
        DEPLOYMENT.format(spec=declared)
        + POD.format(spec=spec, annotations=annotations, status=CRASHED % ("OOMKilled", 137))
        + LIMITS
    )
    assert best(state)[0] == id


def test_a_default_limit_below_the_request() -> None:
    message = ('Pod "web-1-x" is invalid: spec.containers[0].resources.requests: Invalid value: "1Gi": must be less than or equal to '
               "memory limit of 48Mi")  # fmt: skip
    state = refused("{containers: [{name: web, image: x, resources: {requests: {memory: 1Gi}}}]}", message, LIMITS)
    assert best(state) == ("limitrange/default-too-low", "LimitRange/defaults", "proved")


@pytest.mark.parametrize(
    ("automount", "id"), [("false", "serviceaccount/token-not-mounted"), ("true", "app/file-not-found")]
)
def test_a_token_that_was_not_mounted(automount: str, id: str) -> None:
    spec = f"{{automountServiceAccountToken: {automount}, containers: [{{name: web, image: x}}]}}"
    said = "error: open /var/run/secrets/kubernetes.io/serviceaccount/token: no such file or directory"
    state = state_of(
        DEPLOYMENT.format(spec=spec) + POD.format(spec=spec, annotations="{}", status=CRASHED % ("Error", 1)),
        logs={"web-1-a/web previous": said}, complete=("ServiceAccount",),
    )  # fmt: skip
    assert best(state)[0] == id


@pytest.mark.parametrize(("key", "found"), [("app.yaml", True), ("config.json", False)])
def test_one_file_of_a_configmap_that_has_it_not(key: str, found: bool) -> None:
    spec = ("{containers: [{name: web, image: x, volumeMounts: [{name: c, mountPath: /etc/config.json, subPath: config.json}]}], "
            "volumes: [{name: c, configMap: {name: conf}}]}")  # fmt: skip
    config = (
        f"\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: conf, namespace: shop}}\ndata: {{{key}: '1'}}\n"
    )
    state = state_of(
        DEPLOYMENT.format(spec=spec) + POD.format(spec=spec, annotations="{}", status=CRASHED % ("Error", 1)) + config,
        logs={"web-1-a/web previous": "IsADirectoryError: [Errno 21] Is a directory: '/etc/config.json'"},
    )
    assert (best(state)[0] == "config/subpath-missing") is found


INGRESS = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: site, namespace: shop}
spec:
  tls: [{hosts: [%s], secretName: t}]
  rules:
    - host: '%s'
      http: {paths: [{path: /api, pathType: %s, backend: {service: {name: web, port: {number: 80}}}}]}
"""


@pytest.mark.parametrize(
    ("question", "host", "kind", "told"),
    [
        ("https://shop.example.com gives 404", "shop.exmaple.com", "Prefix", True),
        ("https://shop.example.com gives 404", "shop.example.com", "Prefix", False),
        ("https://shop.example.com gives 404", "*.example.com", "Prefix", False),
        ("shop.example.com/api/users is not found", "shop.example.com", "Exact", True),
        ("shop.example.com/api/users is not found", "shop.example.com", "Prefix", False),
        ("shop.example.com/apis is not found", "shop.example.com", "Prefix", True),
        ("the pods cannot reach api.stripe.com", "shop.example.com", "Prefix", False),
        ("why is web.shop.svc.cluster.local slow", "shop.example.com", "Prefix", False),
    ],
)
def test_an_address_that_matches_no_rule(question: str, host: str, kind: str, told: bool) -> None:
    state = state_of(INGRESS % ("other.test", host, kind))
    roots = assess(state, list(unmatched(state, question)), causes()).roots
    assert any(root.finding.cause == "ingress/no-route-match" for root in roots) is told


def test_a_certificate_for_another_host_than_the_rule() -> None:
    state = state_of(INGRESS % ("kb.acme.test", "kbb.acme.test", "Prefix"))
    assert uncovered(next(iter(state.all("Ingress")))) == ("kb.acme.test", "kbb.acme.test")
    plain = state_of(INGRESS % ("kb.acme.test", "docs.other.test", "Prefix"))
    assert uncovered(next(iter(plain.all("Ingress")))) is None


def test_addresses_in_a_question() -> None:
    assert addresses("is https://a.example.com:8443/x?y=1 the same as b.example.com.") == [
        ("a.example.com", "/x"),
        ("b.example.com", ""),
    ]


@pytest.mark.parametrize(
    ("line", "kinds"),
    [
        ("BrokenPipeError: [Errno 32] Broken pipe", []),
        ("http: response.Write: write tcp 10.0.0.1:8080->10.0.0.2:51234: write: broken pipe", []),
        ("org.apache.catalina.connector.ClientAbortException: java.io.IOException: Connection reset by peer", []),
        (
            'writev() failed (32: Broken pipe) while sending request to upstream, upstream: "http://10.1.1.1:80/"',
            ["connection-reset"],
        ),
        ("redis.exceptions.ConnectionError: Error 32 while writing to socket. Broken pipe.", ["connection-reset"]),
        ("could not send data to server: Broken pipe", ["connection-reset"]),
    ],
)
def test_a_client_that_hung_up_is_no_peer_that_fails(line: str, kinds: list[str]) -> None:
    assert [hit.kind for hit in digest([line.encode()]).of("connection-reset")] == kinds


SERVER = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 5000}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, uid: w, labels: {app: web}}
spec: {nodeName: n, containers: [{name: web, image: x, ports: [{containerPort: 5000}]}]}
status:
  phase: Running
  conditions: [{type: Ready, status: "True"}]
  containerStatuses: [{name: web, image: x, imageID: x, ready: true, restartCount: 0, containerID: "c://1", state: {running: {startedAt: "2026-01-01T11:00:00Z"}}}]
---
apiVersion: v1
kind: Pod
metadata: {name: shop, namespace: shop, uid: s, labels: {app: shop}}
spec: {nodeName: n, containers: [{name: shop, image: x, env: [{name: URL, value: "http://web/"}]}]}
status:
  phase: Running
  conditions: [{type: Ready, status: "True"}]
  containerStatuses: [{name: shop, image: x, imageID: x, ready: true, restartCount: 0, containerID: "c://2", state: {running: {startedAt: "2026-01-01T11:00:00Z"}}}]
"""


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("* Running on http://127.0.0.1:5000", True),
        ("* Running on all addresses (0.0.0.0)\n* Running on http://127.0.0.1:5000", False),
        ("* Running on http://0.0.0.0:5000", False),
        ("connected to redis, server listening on 127.0.0.1:6379 ok", False),
    ],
)
def test_a_server_on_its_loopback_address(said: str, found: bool) -> None:
    failing = "2026-01-01T11:59:50Z ERROR cannot GET http://web/: connection refused\n" * 3
    state = state_of(SERVER, logs={"web/web": said, "shop/shop": failing}, complete=("EndpointSlice",))
    assert (best(state)[0] == "app/listens-on-localhost") is found


def test_a_webhook_that_answers_now_can_be_called() -> None:
    older = REFUSED.format(
        message='Internal error occurred: failed calling webhook "v.kyverno.svc": connection refused'
    )
    newer = REFUSED.format(message='admission webhook "v.kyverno.svc" denied the request: no latest tags').replace(
        "e1", "e2"
    )
    spec = "{containers: [{name: web, image: x}]}"
    state = state_of(
        DEPLOYMENT.format(spec=spec) + older + newer.replace("11:59:00", "11:59:40"),
        complete=("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"),
    )
    assert best(state)[0] in ("admission/webhook-denied", "admission/policy-denied")
