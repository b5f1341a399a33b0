"""Configuration that a pod refers to and that is not there: ConfigMaps, Secrets, and their keys."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from kubectl_ai_intellect.causes.base import Fact, Finding, Mend, Symptom, cause
from kubectl_ai_intellect.causes.facts import field, not_there, told
from kubectl_ai_intellect.causes.needs import lists, owners, together
from kubectl_ai_intellect.kube.refs import Ref, ref
from kubectl_ai_intellect.kube.source import Object, dig
from kubectl_ai_intellect.state.custom import complaints, makes
from kubectl_ai_intellect.state.edits import By, Patch, Step, set_field
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import containers, pod_spec, spec_path
from kubectl_ai_intellect.state.relations import workload_of

WAKES = ("config-refused", "pod-stuck-creating")
NEEDS = together(owners, lists("ConfigMap", "Secret"))


class Use(NamedTuple):
    """One place where a pod spec names a ConfigMap or a Secret."""

    target: Ref
    key: str
    where: str
    path: tuple[Step, ...]  # of the name, below the pod spec
    key_path: tuple[Step, ...]  # of the key
    container: str


def uses(spec: Mapping[str, Any], namespace: str) -> Iterator[Use]:
    """Every required use, in the order the kubelet comes to them: volumes, then each container's environment."""
    for volume in spec.get("volumes") or ():
        yield from _volume_uses(volume, namespace)
    for group in ("initContainers", "containers"):
        for each in spec.get(group) or ():
            yield from _env_uses(each, namespace, (group, By(each.get("name", ""))))


def _volume_uses(volume: Mapping[str, Any], namespace: str) -> Iterator[Use]:
    base: tuple[Step, ...] = ("volumes", By(volume.get("name", "")))
    where = f"volume {volume.get('name', '')}"
    sources: list[tuple[Mapping[str, Any], tuple[Step, ...], str]] = [(volume, base, "secretName")]
    for index, source in enumerate(dig(volume, "projected", "sources", otherwise=[])):
        sources.append((source, (*base, "projected", "sources", index), "name"))
    for source, path, secret_name in sources:
        for kind, field_name, name_field in (("ConfigMap", "configMap", "name"), ("Secret", "secret", secret_name)):
            chosen = source.get(field_name)
            if not chosen or chosen.get("optional"):
                continue
            target = ref(kind, namespace, chosen.get(name_field, ""))
            at = (*path, field_name, name_field)
            yield Use(target, "", where, at, (), "")
            for index, item in enumerate(chosen.get("items") or ()):
                yield Use(target, item.get("key", ""), where, at, (*path, field_name, "items", index, "key"), "")


def _env_uses(each: Mapping[str, Any], namespace: str, base: tuple[Step, ...]) -> Iterator[Use]:
    name = each.get("name", "")
    for index, source in enumerate(each.get("envFrom") or ()):
        for kind, field_name in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
            chosen = source.get(field_name)
            if chosen and not chosen.get("optional"):
                path = (*base, "envFrom", index, field_name, "name")
                yield Use(
                    ref(kind, namespace, chosen.get("name", "")), "", f"envFrom of container {name}", path, (), name
                )
    for variable in each.get("env") or ():
        for kind, field_name in (("ConfigMap", "configMapKeyRef"), ("Secret", "secretKeyRef")):
            chosen = dig(variable, "valueFrom", field_name)
            if chosen and not chosen.get("optional"):
                path = (*base, "env", By(variable.get("name", "")), "valueFrom", field_name)
                target = ref(kind, namespace, chosen.get("name", ""))
                where = f"variable {variable.get('name', '')} of container {name}"
                yield Use(target, chosen.get("key", ""), where, (*path, "name"), (*path, "key"), name)


def keys_of(found: Object) -> set[str]:
    """The keys of a ConfigMap or Secret; of one read as metadata only, what its field managers list."""
    named: set[str] = set()
    for group in ("data", "binaryData", "stringData"):
        named |= set(found.raw.get(group) or ())
    for each in found.meta.get("managedFields") or ():
        for group in ("f:data", "f:binaryData", "f:stringData"):
            listed = dig(each, "fieldsV1", group, otherwise={})
            named |= {key[2:] for key in listed if key.startswith("f:")}
        named |= set(each.get("keys") or ())
    return named


def keys_known(found: Object) -> bool:
    """Whether the keys can be told at all: a Secret whose managers were not recorded tells none."""
    return found.ref.kind == "ConfigMap" or bool(keys_of(found))


def missing_objects(state: State, at: Ref, kind: str) -> list[Use]:
    found = state.find(at)
    spec = pod_spec(found) if found else {}
    return [use for use in uses(spec, at.namespace) if use.target.kind == kind and state.absent(use.target)]


def missing_keys(state: State, at: Ref, kind: str) -> list[Use]:
    found = state.find(at)
    lacking: list[Use] = []
    for use in uses(pod_spec(found) if found else {}, at.namespace):
        held = state.find(use.target) if use.target.kind == kind and use.key else None
        if held is not None and keys_known(held) and use.key not in keys_of(held):
            lacking.append(use)
    return lacking


_NOT_FOUND = re.compile(r'\b(secret|configmap) "([^"]+)" not found', re.IGNORECASE)
_NO_KEY = re.compile(r"couldn't find key (\S+) in (Secret|ConfigMap) [^/\s]+/([\w.-]+)", re.IGNORECASE)


def told_missing(state: State, symptom: Symptom, kind: str) -> list[tuple[Use, Fact]]:
    """What the kubelet looked for in vain, where we ourselves may not look; with the key, where only that lacks."""
    pod = state.find(symptom.at)
    if pod is None:
        return []
    words_of = [(each.name, each.waiting.get("message") or "") for each in containers(pod)]
    waiting = [(words, field(pod, f"{name}: {words}")) for name, words in words_of if words]
    said = [(one.message, told(one)) for one in state.events(symptom.at) if one.reason in ("Failed", "FailedMount")]
    found: list[tuple[Use, Fact]] = []
    for words, fact in (*waiting, *said):
        gone, keyless = _NOT_FOUND.search(words), _NO_KEY.search(words)
        name, key = (gone[2], None) if gone else (keyless[3], keyless[1]) if keyless else ("", None)
        for use in uses(pod_spec(pod), symptom.at.namespace) if name else ():
            unread = state.find(use.target) is None and not state.absent(use.target)
            if unread and (use.target.kind, use.target.name) == (kind, name) and key in (None, use.key):
                found.append((use if key else use._replace(key=""), fact))
    return found


def _events(state: State, symptom: Symptom, name: str) -> list[Fact]:
    events = [
        one for one in state.events(symptom.at) if one.reason in ("Failed", "FailedMount") and name in one.message
    ]
    return [told(one) for one in events[:1]]


def _near(name: str, offers: Iterable[str]) -> str:
    """The name that was most likely meant."""
    names = sorted(offers)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    inside = [each for each in names if each in name or name in each]
    return close[0] if close else inside[0] if inside else ""


def _gone(state: State, symptom: Symptom, kind: str, id: str) -> Iterator[Finding]:
    workload = workload_of(state, symptom.at)
    for use in missing_objects(state, symptom.at, kind)[:1]:
        same = [each.ref.name for each in state.all(kind, workload.namespace) if _ordinary(each)]
        elsewhere = sorted(
            {each.ref.namespace for each in state.all(kind) if each.ref.name == use.target.name} - {workload.namespace}
        )
        near = _near(use.target.name, same)
        hint = (
            f"; a {kind} named {near} exists"
            if near
            else f"; one of that name is in namespace {elsewhere[0]}"
            if elsewhere
            else ""
        )
        others = [each for each in missing_objects(state, symptom.at, kind) if each.target == use.target]
        awaited = any(makes(each, use.target.name) and complaints(each) for each in state.objects)
        yield Finding(
            id,
            workload,
            "likely" if awaited else "proved",  # what was to write it says why it does not
            f"{workload.short} uses the {kind} {use.target.name} ({use.where}), which does not exist{hint}",
            supports=(not_there(use.target), field(workload, f"{use.where} names {kind} {use.target.name}"),
                      *_events(state, symptom, use.target.name)),
            mends=tuple(_object_mends(state, workload, use, near, others)),
        )  # fmt: skip


def _ordinary(each: Object) -> bool:
    return each.ref.name != "kube-root-ca.crt" and not each.ref.name.startswith("sh.helm.release.")


def _object_mends(state: State, workload: Ref, use: Use, near: str, others: list[Use]) -> Iterator[Mend]:
    wanted = sorted({each.key for each in uses(pod_spec(state.find(workload) or _NOTHING), workload.namespace)
                     if each.target == use.target and each.key})  # fmt: skip
    fits = near and _holds_keys(state, use.target._replace(name=near), wanted)
    if fits:
        path = spec_path(workload.kind)
        edits = tuple(
            set_field(workload, *path, *each.path, value=near).edits[0] for each in {o.path: o for o in others}.values()
        )
        yield Mend(f"Use the {use.target.kind} that exists, {near}", (Patch(workload, edits),))
    fields = "stringData" if use.target.kind == "Secret" else "data"
    names = wanted or ["<KEY>"]
    values = {name: f"<VALUE_OF_{_word(name)}>" for name in names}
    body = {
        "apiVersion": "v1",
        "kind": use.target.kind,
        "metadata": {"name": use.target.name, "namespace": use.target.namespace},
        fields: values,
    }
    unknown = tuple(
        f"{value}: what {name} should hold cannot be known from the cluster" for name, value in values.items()
    )
    if not wanted:
        unknown = ("<KEY> and <VALUE_OF_KEY>: no key is named in the pod, so what it should hold cannot be known",)
    yield Mend(
        f"Create the {use.target.kind} {use.target.name}",
        (Patch(use.target, action="create", body=body),),
        unknown=unknown,
    )


_NOTHING = Object(ref("Pod", "", ""), {})


def _word(name: str) -> str:
    return "".join(letter.upper() if letter.isalnum() else "_" for letter in name.strip("<>"))


def _holds_keys(state: State, target: Ref, wanted: Iterable[str]) -> bool:
    found = state.find(target)
    return found is not None and (not keys_known(found) or set(wanted) <= keys_of(found))


def _keyless(state: State, symptom: Symptom, kind: str, id: str) -> Iterator[Finding]:
    workload = workload_of(state, symptom.at)
    for use in missing_keys(state, symptom.at, kind)[:1]:
        held = state.find(use.target)
        have = sorted(keys_of(held)) if held else []
        near = _near(use.key, have)
        known = f"it has {', '.join(have[:8])}" if have else "it is empty"
        mends: list[Mend] = []
        if near:
            mends.append(
                Mend(
                    f"Use the key that exists, {near}",
                    (set_field(workload, *spec_path(workload.kind), *use.key_path, value=near),),
                )
            )
        value = f"<VALUE_OF_{_word(use.key)}>"
        fields = "stringData" if kind == "Secret" else "data"
        mends.append(Mend(f"Add the key {use.key} to the {kind}", (set_field(use.target, fields, use.key, value=value),),
                          unknown=(f"{value}: what {use.key} should hold cannot be known from the cluster",)))  # fmt: skip
        yield Finding(
            id,
            workload,
            "proved",
            f"{use.where} takes the key {use.key} of the {kind} {use.target.name}, which has no such key; {known}",
            supports=(field(use.target, f"{kind} {use.target.name} has no key {use.key}; {known}"),
                      field(workload, f"{use.where} takes key {use.key}"), *_events(state, symptom, use.key)),
            mends=tuple(mends),
            weight=0.1,
        )  # fmt: skip


def _unseen(state: State, symptom: Symptom, kind: str, *, keys: bool) -> Iterator[Finding]:
    """The same two faults on the kubelet's word alone: the one who asks may not read the object."""
    workload = workload_of(state, symptom.at)
    for use, fact in [each for each in told_missing(state, symptom, kind) if bool(each[0].key) is keys][:1]:
        name = use.target.name
        says = (
            f"{use.where} takes the key {use.key} of the {kind} {name}, and the kubelet finds no such key there"
            if keys
            else f"{workload.short} uses the {kind} {name} ({use.where}), and the kubelet finds none of that name"
        )
        mends = (Mend(f"Have somebody who may read it add the key {use.key} to the {kind} {name}"),) if keys else tuple(
            _object_mends(state, workload, use, "", [use]))  # fmt: skip
        yield Finding(
            f"config/{kind.lower()}-{'key-' if keys else ''}missing", workload, "proved", says,
            supports=(fact, field(workload, f"{use.where} names {kind} {name}")), mends=mends,
        )  # fmt: skip


@cause(
    "config/configmap-missing",
    *WAKES,
    needs=NEEDS,
    holds=lambda state, at: bool(missing_objects(state, at, "ConfigMap")),
)
def configmap_missing(state: State, symptom: Symptom) -> Iterable[Finding]:
    yield from _gone(state, symptom, "ConfigMap", "config/configmap-missing")
    yield from _unseen(state, symptom, "ConfigMap", keys=False)


@cause("config/secret-missing", *WAKES, needs=NEEDS, holds=lambda state, at: bool(missing_objects(state, at, "Secret")))
def secret_missing(state: State, symptom: Symptom) -> Iterable[Finding]:
    yield from _gone(state, symptom, "Secret", "config/secret-missing")
    yield from _unseen(state, symptom, "Secret", keys=False)


@cause(
    "config/configmap-key-missing",
    *WAKES,
    needs=NEEDS,
    holds=lambda state, at: bool(missing_keys(state, at, "ConfigMap")),
)
def configmap_key_missing(state: State, symptom: Symptom) -> Iterable[Finding]:
    yield from _keyless(state, symptom, "ConfigMap", "config/configmap-key-missing")
    yield from _unseen(state, symptom, "ConfigMap", keys=True)


@cause(
    "config/secret-key-missing", *WAKES, needs=NEEDS, holds=lambda state, at: bool(missing_keys(state, at, "Secret"))
)
def secret_key_missing(state: State, symptom: Symptom) -> Iterable[Finding]:
    yield from _keyless(state, symptom, "Secret", "config/secret-key-missing")
    yield from _unseen(state, symptom, "Secret", keys=True)
