"""Patches printed as kubectl commands: in the form a person would type, and right as JSON Patch where there is none."""

from __future__ import annotations

import json
import shlex

import pytest

from kubectl_ai_intellect.causes.commands import commands
from kubectl_ai_intellect.kube.refs import ref
from kubectl_ai_intellect.state.edits import REMOVE, Append, By, Edit, Patch
from tests.unit.states import state_of

STATE = state_of("""
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop}
spec: {replicas: 1, template: {spec: {nodeSelector: {disk: ssd}, containers: [{name: log}, {name: app, image: "a:1", env: [{name: A, value: "1"}]}]}}}
---
apiVersion: v1
kind: Pod
metadata: {name: bare, namespace: shop, uid: u, resourceVersion: "7"}
spec:
  nodeName: n1
  containers: [{name: app, image: "a:1", volumeMounts: [{name: kube-api-access-x, mountPath: /t}]}]
  volumes: [{name: kube-api-access-x}]
status: {phase: Running}
""")
CART, BARE = ref("Deployment", "shop", "cart"), ref("Pod", "shop", "bare")
APP = ("spec", "template", "spec", "containers", By("app"))


@pytest.mark.parametrize(
    ("edit", "printed"),
    [
        (Edit(("spec", "replicas"), 3), "kubectl scale deployment/cart --replicas=3 -n shop"),
        (Edit((*APP, "image"), "a:2"), "kubectl set image deployment/cart app=a:2 -n shop"),
        (Edit((*APP, "env", By("A"), "value"), "x y"), "kubectl set env deployment/cart -c app 'A=x y' -n shop"),
        (Edit((*APP, "resources", "limits", "memory"), "1Gi"),
         "kubectl set resources deployment/cart -c app --limits=memory=1Gi -n shop"),
    ],
)  # fmt: skip
def test_the_short_forms(edit: Edit, printed: str) -> None:
    assert commands(STATE, Patch(CART, (edit,))) == [printed]


def operations(edit: Edit) -> list[dict[str, object]]:
    (line,) = commands(STATE, Patch(CART, (edit,)))
    words = shlex.split(line)
    assert words[:4] == ["kubectl", "patch", "deployment", "cart"]
    return json.loads(words[words.index("-p") + 1])


def test_everything_else_is_a_json_patch() -> None:
    assert operations(Edit(("spec", "template", "spec", "nodeSelector"), REMOVE)) == [
        {"op": "remove", "path": "/spec/template/spec/nodeSelector"}
    ]
    assert operations(Edit((*APP, "livenessProbe", "httpGet", "port"), 8080)) == [
        {"op": "add", "path": "/spec/template/spec/containers/1/livenessProbe", "value": {"httpGet": {"port": 8080}}}
    ]
    assert operations(Edit(("spec", "template", "spec", "tolerations", Append()), {"key": "a"})) == [
        {"op": "add", "path": "/spec/template/spec/tolerations", "value": [{"key": "a"}]}
    ]
    assert operations(Edit(("metadata", "annotations", "a/b"), "1")) == [
        {"op": "add", "path": "/metadata/annotations", "value": {"a/b": "1"}}
    ]


def test_what_may_not_be_edited_is_made_anew_without_what_the_server_wrote() -> None:
    (line,) = commands(STATE, Patch(BARE, (Edit(("spec", "containers", By("app"), "command"), ["run"]),)))
    assert line.startswith("kubectl replace --force -n shop -f - <<'EOF'\n")
    assert "command:" in line
    for lost in ("resourceVersion", "nodeName", "kube-api-access", "status"):
        assert lost not in line


def test_simple_objects_are_created_by_name() -> None:
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c", "namespace": "shop"},
        "data": {"k": "<V>"},
    }
    assert commands(STATE, Patch(ref("ConfigMap", "shop", "c"), action="create", body=body)) == [
        "kubectl create configmap c '--from-literal=k=<V>' -n shop"
    ]
