"""Pods that their namespace's Pod Security level does not let in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from kubectl_ai_intellect.causes.base import Finding, Mend, Symptom, cause
from kubectl_ai_intellect.causes.facts import field
from kubectl_ai_intellect.causes.refusals import refusals
from kubectl_ai_intellect.kube.refs import Ref, ref
from kubectl_ai_intellect.kube.source import Read, get_of
from kubectl_ai_intellect.state.edits import Edit, Patch, Step, set_field
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import pod_spec, spec_path

VIOLATES = re.compile(r'violates PodSecurity "?\\?"?([\w.-]+):([\w.-]+?)\\?"?: (.*)', re.S)


ENFORCE = "pod-security.kubernetes.io/enforce"


def _needs(state: State, symptom: Symptom) -> Iterable[Read]:
    yield get_of(ref("Namespace", "", symptom.at.namespace))


def edits_for(state: State, workload: Ref, told: str) -> list[Edit]:
    """The fields that the refusal names, set as the level wants them; only those that are not so already."""
    found = state.find(workload)
    if found is None:
        return []
    spec, path = pod_spec(found), spec_path(workload.kind)
    edits = list(_of_the_pod(spec, path, told))
    for group in ("initContainers", "containers"):
        for index, each in enumerate(spec.get(group) or ()):
            edits += _of_a_container(each, (*path, group, index), told)
    return edits


def _of_the_pod(spec: Any, path: tuple[Step, ...], told: str) -> Iterator[Edit]:
    own = spec.get("securityContext") or {}
    everyone = [each for group in ("initContainers", "containers") for each in spec.get(group) or ()]
    at = (*path, "securityContext")
    if "runAsNonRoot != true" in told and own.get("runAsNonRoot") is not True:
        yield Edit((*at, "runAsNonRoot"), True)
        users = [(each.get("securityContext") or {}).get("runAsUser") for each in everyone]
        if not own.get("runAsUser") and not all(users):
            yield Edit((*at, "runAsUser"), 1000)
    if "runAsUser=0" in told and own.get("runAsUser") == 0:
        yield Edit((*at, "runAsUser"), 1000)
    if "seccompProfile" in told and (own.get("seccompProfile") or {}).get("type") not in (
        "RuntimeDefault",
        "Localhost",
    ):
        yield Edit((*at, "seccompProfile"), {"type": "RuntimeDefault"})
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if name in told and spec.get(name):
            yield Edit((*path, name))
    if "forbidden sysctls" in told and own.get("sysctls"):
        yield Edit((*at, "sysctls"))


def _of_a_container(each: Any, path: tuple[Step, ...], told: str) -> Iterator[Edit]:
    own = each.get("securityContext") or {}
    at = (*path, "securityContext")
    if "allowPrivilegeEscalation != false" in told and own.get("allowPrivilegeEscalation") is not False:
        yield Edit((*at, "allowPrivilegeEscalation"), False)
    if "privileged" in told and own.get("privileged"):
        yield Edit((*at, "privileged"), False)
    capabilities = own.get("capabilities") or {}
    if "unrestricted capabilities" in told and "ALL" not in (capabilities.get("drop") or ()):
        yield Edit((*at, "capabilities", "drop"), ["ALL"])
    if re.search(r"(?:unrestricted|non-default) capabilities[^)]*must not include", told) and capabilities.get("add"):
        kept = [name for name in capabilities["add"] if f'"{name}"' not in told and f'\\"{name}\\"' not in told]
        if kept != capabilities["add"]:
            yield Edit((*at, "capabilities", "add"), kept)
    if "runAsNonRoot != true" in told and own.get("runAsNonRoot") is False:
        yield Edit((*at, "runAsNonRoot"), True)
    if ("runAsUser=0" in told or "runAsNonRoot != true" in told) and own.get("runAsUser") == 0:
        yield Edit((*at, "runAsUser"), 1000)
    for index, port in enumerate(each.get("ports") or ()):
        if "hostPort" in told and port.get("hostPort"):
            yield Edit((*path, "ports", index, "hostPort"))


def told_of(state: State, at: Ref) -> str:
    return " ".join(match.group(3) for refusal in refusals(state, at) if (match := VIOLATES.search(refusal.words)))


def _beyond(state: State, at: Ref, told: str) -> bool:
    """Whether the pods use of the node what only another level of the namespace allows them: its files."""
    found = state.find(at)
    return "hostPath" in told and any(
        "hostPath" in each for each in (pod_spec(found).get("volumes") or () if found else ())
    )


def _holds(state: State, at: Ref) -> bool:
    told, space = told_of(state, at), state.find(ref("Namespace", "", at.namespace))
    if space is not None and space.labels.get(ENFORCE) == "privileged":
        return False
    return bool(edits_for(state, at, told)) or _beyond(state, at, told)


@cause("admission/pod-security-violation", "create-refused", needs=_needs, holds=_holds)
def pod_security(state: State, symptom: Symptom) -> Iterable[Finding]:
    for refusal in refusals(state, symptom.at):
        match = VIOLATES.search(refusal.words)
        if not match:
            continue
        level, _, told = match.groups()
        told = " ".join(told.split())
        edits = edits_for(state, symptom.at, told)
        space = ref("Namespace", "", symptom.at.namespace)
        mends: list[Mend] = []
        if edits and not _beyond(state, symptom.at, told):
            user = any(edit.path[-1] == "runAsUser" for edit in edits)
            unknown = (
                ("whether the image runs as user 1000: any user but 0 that it was built for will do",) if user else ()
            )
            mends.append(
                Mend(f"Declare what the level {level} asks for", (Patch(symptom.at, tuple(edits)),), unknown=unknown)
            )
        lower = (
            "baseline" if level == "restricted" and "host" not in told and "privileged" not in told else "privileged"
        )
        mends.append(Mend(f"Or lower the namespace's level to {lower}, if these pods are trusted with it",
                          (set_field(space, "metadata", "labels", ENFORCE, value=lower),),
                          risk="high"))  # fmt: skip
        yield Finding(
            "admission/pod-security-violation", symptom.at, "proved",
            f"namespace {symptom.at.namespace} enforces the Pod Security level {level}, "
            f"which the pods of {symptom.at.short} violate: {told[:400]}",
            supports=(refusal.fact, field(space, f"label pod-security.kubernetes.io/enforce is {level}")),
            mends=tuple(mends), weight=0.4,
        )  # fmt: skip
        return
