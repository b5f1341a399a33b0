"""Patches as kubectl commands: printed from the typed change, in the form a person would type where there is one."""

from __future__ import annotations

import copy
import json
import shlex
from collections.abc import Sequence
from typing import Any

from kubectl_ai_intellect.kube.refs import KNOWN, Ref
from kubectl_ai_intellect.kube.source import dig
from kubectl_ai_intellect.state.edits import REMOVE, Append, By, Edit, Patch, Step, change
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import template_path

SERVER_SET = ("creationTimestamp", "resourceVersion", "uid", "generation", "managedFields", "selfLink",
              "ownerReferences", "deletionTimestamp", "deletionGracePeriodSeconds", "generateName")  # fmt: skip


def argument(target: Ref) -> str:
    """KIND/NAME as kubectl takes it."""
    resource = KNOWN.get((target.group, target.kind))
    kind = (
        target.kind.lower()
        if resource and resource.argument == resource.plural
        else (f"{target.kind.lower()}.{target.group}" if target.group else target.kind.lower())
    )
    return f"{kind}/{target.name}"


def commands(state: State, patch: Patch) -> list[str]:
    """The kubectl commands that make this change to the real object."""
    target = patch.target
    where = ["-n", target.namespace] if target.namespace else []
    if patch.action == "create":
        made = _made(patch.body or {})
        return [_line([*made, *where])] if made else [_heredoc(["kubectl", "create", *where, "-f", "-"], patch.body)]
    if patch.action == "delete":
        force = ["--grace-period=0", "--force"] if patch.body == "force" else []
        return [_line(["kubectl", "delete", argument(target), *where, *force])]
    if patch.action == "rollback":
        to = [f"--to-revision={patch.body}"] if patch.body else []
        return [_line(["kubectl", "rollout", "undo", argument(target), *to, *where])]
    if patch.action == "restart":
        return [_line(["kubectl", "rollout", "restart", argument(target), *where])]
    if _immutable(patch) or _failed_job(state, patch):
        return [_replaced(state, patch, where)]
    printed: list[str] = []
    rest: list[Edit] = []
    for edit in patch.edits:
        short = _short(target, edit)
        if short is None:
            rest.append(edit)
        else:
            printed.append(_line([*short, *where]))
    if rest:
        operations = operations_of(state, Patch(target, tuple(rest)))
        body = json.dumps(operations, separators=(",", ":"), ensure_ascii=False)
        printed.append(_line(["kubectl", "patch", *argument(target).split("/", 1), *where, "--type=json", "-p", body]))
    return printed


def _made(body: Any) -> list[str] | None:
    """The `kubectl create` form of a simple object; nothing where only a manifest says it all."""
    kind, name = body.get("kind"), dig(body, "metadata", "name", otherwise="")
    if set(dig(body, "metadata", otherwise={})) - {"name", "namespace"}:
        return None
    rest = set(body) - {"apiVersion", "kind", "metadata"}
    values = body.get("data") or body.get("stringData") or {}
    literals = [f"--from-literal={key}={value}" for key, value in values.items()]
    if kind == "ConfigMap" and rest <= {"data"}:
        return ["kubectl", "create", "configmap", name, *literals]
    if kind == "Secret" and (rest <= {"stringData"} or (rest == {"stringData", "type"} and body["type"] == "Opaque")):
        return ["kubectl", "create", "secret", "generic", name, *literals]
    if kind in ("ServiceAccount", "Namespace") and not rest:
        return ["kubectl", "create", kind.lower(), name]
    rules = body.get("rules") or []
    if (
        kind in ("Role", "ClusterRole")
        and rest == {"rules"}
        and len(rules) == 1
        and set(rules[0]) <= {"apiGroups", "resources", "verbs"}
    ):
        group = (rules[0].get("apiGroups") or [""])[0]
        # kubectl writes RESOURCE.GROUP/SUBRESOURCE
        words = [each.replace("/", f".{group}/", 1) if group and "/" in each else f"{each}.{group}" if group else each
                 for each in rules[0].get("resources") or ()]  # fmt: skip
        return [
            "kubectl",
            "create",
            kind.lower(),
            name,
            f"--verb={','.join(rules[0]['verbs'])}",
            f"--resource={','.join(words)}",
        ]
    if kind in ("RoleBinding", "ClusterRoleBinding") and rest == {"roleRef", "subjects"}:
        role = body["roleRef"]
        accounts = [
            f"--serviceaccount={each.get('namespace', '')}:{each['name']}"
            for each in body["subjects"]
            if each["kind"] == "ServiceAccount"
        ]
        if len(accounts) == len(body["subjects"]):
            return ["kubectl", "create", kind.lower(), name, f"--{role['kind'].lower()}={role['name']}", *accounts]
    return None


def _line(words: Sequence[str]) -> str:
    return " ".join(shlex.quote(word) if not word.startswith("<") else f"'{word}'" for word in words)


def _heredoc(words: Sequence[str], body: Any) -> str:
    import yaml

    text = yaml.safe_dump(body, sort_keys=False, default_flow_style=False, allow_unicode=True)
    return f"{_line(words)} <<'EOF'\n{text}EOF"


def _short(target: Ref, edit: Edit) -> list[str] | None:
    """The dedicated kubectl command of an edit: scale, set image, set env, set resources, cordon, resume, suspend."""
    path, value = edit.path, edit.value
    if path == ("spec", "replicas") and isinstance(value, int):
        return ["kubectl", "scale", argument(target), f"--replicas={value}"]
    if target.kind == "Node" and path == ("spec", "unschedulable"):
        return ["kubectl", "uncordon" if value in (REMOVE, False, None) else "cordon", target.name]
    if path[:2] == ("metadata", "labels") and len(path) == 3:
        change = [f"{path[2]}-"] if value in (REMOVE, None) else [f"{path[2]}={value}", "--overwrite"]
        return ["kubectl", "label", *argument(target).split("/", 1), *change]
    if path == ("spec", "paused") and value in (REMOVE, False):
        return ["kubectl", "rollout", "resume", argument(target)]
    if path == ("spec", "paused") and value is True:
        return ["kubectl", "rollout", "pause", argument(target)]
    inside = path[len(template_path(target.kind)) + 1 :]
    if len(inside) < 2 or inside[0] not in ("containers", "initContainers") or not isinstance(inside[1], By):
        return None
    name, field = str(inside[1].value), inside[2:]
    if field == ("image",) and isinstance(value, str):
        return ["kubectl", "set", "image", argument(target), f"{name}={value}"]
    if inside[0] == "containers" and len(field) == 3 and field[0] == "resources" and isinstance(value, str):
        return ["kubectl", "set", "resources", argument(target), "-c", name, f"--{field[1]}={field[2]}={value}"]
    if (
        inside[0] == "containers"
        and len(field) == 3
        and field[0] == "env"
        and field[2] == "value"
        and value is not REMOVE
    ):
        return ["kubectl", "set", "env", argument(target), "-c", name, f"{_by(field[1])}={value}"]
    if inside[0] == "containers" and field == ("env", Append()) and isinstance(value, dict) and "value" in value:
        return ["kubectl", "set", "env", argument(target), "-c", name, f"{value['name']}={value['value']}"]
    return None


def _by(step: Step) -> str:
    return str(step.value) if isinstance(step, By) else str(step)


def _immutable(patch: Patch) -> bool:
    """Whether the API server would refuse this edit, so that the object must be made anew."""
    if patch.target.kind == "Pod":
        return any(
            edit.path[:1] == ("spec",)
            and edit.path[-1] not in ("image", "activeDeadlineSeconds")
            and edit.path[1:2] != ("schedulingGates",)
            for edit in patch.edits
        )
    if patch.target.kind == "Job":
        return any(
            edit.path[:2] in (("spec", "template"), ("spec", "selector"), ("spec", "completions"))
            for edit in patch.edits
        )
    if patch.target.kind == "PersistentVolumeClaim":
        return any(edit.path[:2] != ("spec", "resources") and edit.path[0] == "spec" for edit in patch.edits)
    if patch.target.kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"):
        own = ("selector", "serviceName", "volumeClaimTemplates", "podManagementPolicy")
        return any(edit.path[:1] == ("spec",) and edit.path[1] in own for edit in patch.edits)
    if patch.target.kind in ("RoleBinding", "ClusterRoleBinding"):
        return any(edit.path[0] == "roleRef" for edit in patch.edits)
    if patch.target.kind == "StorageClass":
        return any(edit.path[0] in ("provisioner", "parameters", "volumeBindingMode") for edit in patch.edits)
    return False


def _failed_job(state: State, patch: Patch) -> bool:
    """A Job that failed does not begin anew, whatever is changed in it."""
    found = state.find(patch.target) if patch.target.kind == "Job" else None
    return found is not None and (found.condition("Failed") or {}).get("status") == "True"


def _replaced(state: State, patch: Patch, where: Sequence[str]) -> str:
    """The whole object made anew with the edit in it: delete and create in one command."""
    found = state.find(patch.target)
    if found is None:
        return _line(["kubectl", "edit", argument(patch.target), *where])
    raw = manifest(found.raw)
    for edit in patch.edits:
        change(raw, edit.path, edit.value)
    return _heredoc(["kubectl", "replace", "--force", *where, "-f", "-"], raw)


def manifest(raw: Any) -> dict[str, Any]:
    """An object as one would apply it: without what the server and its controllers wrote."""
    cleaned = copy.deepcopy({key: value for key, value in raw.items() if key != "status"})
    meta = cleaned.get("metadata") or {}
    owned = bool(meta.get("ownerReferences"))
    for name in SERVER_SET:
        if not (name == "ownerReferences" and owned):
            meta.pop(name, None)
    (meta.get("annotations") or {}).pop("kubectl.kubernetes.io/last-applied-configuration", None)
    kind, spec = cleaned.get("kind"), cleaned.get("spec") or {}
    if kind == "Pod":
        _bare_pod(spec)
    if kind == "Job":
        spec.pop("selector", None)
        for labels in (meta.get("labels"), dig(spec, "template", "metadata", "labels")):
            for name in (
                "controller-uid",
                "batch.kubernetes.io/controller-uid",
                "job-name",
                "batch.kubernetes.io/job-name",
            ):
                (labels or {}).pop(name, None)
    if kind == "PersistentVolumeClaim":
        for name in ("pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller",
                     "volume.kubernetes.io/selected-node"):  # fmt: skip
            (meta.get("annotations") or {}).pop(name, None)
    return cleaned


def _bare_pod(spec: dict[str, Any]) -> None:
    """Take away what admission and the scheduler put into a pod."""
    spec.pop("nodeName", None)
    injected = {
        each["name"] for each in spec.get("volumes") or () if each.get("name", "").startswith("kube-api-access-")
    }
    spec["volumes"] = [each for each in spec.get("volumes") or () if each.get("name") not in injected]
    for group in ("initContainers", "containers"):
        for each in spec.get(group) or ():
            each["volumeMounts"] = [m for m in each.get("volumeMounts") or () if m.get("name") not in injected]


def operations_of(state: State, patch: Patch) -> list[dict[str, Any]]:
    """The patch as JSON Patch operations against the object as it is: parents that are missing are made."""
    found = state.find(patch.target)
    raw: Any = copy.deepcopy(dict(found.raw)) if found else {}
    operations: list[dict[str, Any]] = []
    for edit in patch.edits:
        operations += _operations(raw, edit)
        change(raw, edit.path, edit.value)
    return operations


def _operations(raw: Any, edit: Edit) -> list[dict[str, Any]]:
    pointer, value = "", raw
    for index, step in enumerate(edit.path):
        last = index == len(edit.path) - 1
        at = _position(value, step)
        child = None if at in (None, "-") or value is None else (value[at] if isinstance(at, int) else dig(value, at))
        pointer += "/" + str("-" if at is None else at).replace("~", "~0").replace("/", "~1")
        if last:
            if edit.value is REMOVE:
                return [{"op": "remove", "path": pointer}] if _has(value, at) else []
            exists = _has(value, at)
            return [{"op": "replace" if exists else "add", "path": pointer, "value": edit.value}]
        if child is None:
            if edit.value is REMOVE:
                return []
            return [{"op": "add", "path": pointer, "value": _built(edit.path[index + 1 :], edit.value)}]
        value = child
    return []


def _position(value: Any, step: Step) -> str | int | None:
    if isinstance(step, By):
        items = value if isinstance(value, list) else []
        return next(
            (i for i, each in enumerate(items) if isinstance(each, dict) and each.get(step.key) == step.value), None
        )
    return "-" if isinstance(step, Append) else step


def _has(value: Any, at: str | int | None) -> bool:
    if isinstance(at, int):
        return isinstance(value, list) and -len(value) <= at < len(value)
    return isinstance(value, dict) and at in value


def _built(path: Sequence[Step], value: Any) -> Any:
    """The value that stands at the head of a path that does not exist yet."""
    for step in reversed(path):
        if isinstance(step, By):
            inner = {step.key: step.value, **(value if isinstance(value, dict) else {})}
            value = [inner]
        elif isinstance(step, Append | int):
            value = [value]
        else:
            value = {step: value}
    return value


__all__ = ["argument", "commands", "manifest", "operations_of"]
