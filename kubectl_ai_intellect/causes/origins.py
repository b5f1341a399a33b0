"""Where a configured value is written (a variable, an argument, a ConfigMap key), and the patches that change it there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from kubectl_ai_intellect.kube.refs import Ref, ref
from kubectl_ai_intellect.kube.source import Object, dig
from kubectl_ai_intellect.state.calls import environment, mounted_files
from kubectl_ai_intellect.state.edits import Append, By, Edit, Patch, set_field
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import declared, pod_spec
from kubectl_ai_intellect.state.relations import replica_sets

RESTARTABLE = frozenset({"Deployment", "StatefulSet", "DaemonSet"})


class Setting(NamedTuple):
    """One value a container is configured with; `path` as in state.calls: ("env", N), ("args", i), ("configmap", n, k)."""

    name: str
    value: str
    path: tuple[Any, ...]

    @property
    def where(self) -> str:
        kind = self.path[0]
        if kind == "env":
            return f"variable {self.name}"
        if kind == "configmap":
            return f"key {self.path[2]} of ConfigMap {self.path[1]}"
        return f"{kind} [{self.path[1]}]"


def settings(state: State, workload: Ref, container: str) -> Iterator[Setting]:
    """Every value that can be known: variables, command, arguments, and files of mounted ConfigMaps."""
    owner = state.find(workload)
    place = declared(owner, container) if owner else None
    if owner is None or place is None:
        return
    for name, (value, path) in environment(state, owner, place[0]):
        yield Setting(name, value, path)
    for field in ("command", "args"):
        for index, word in enumerate(place[0].get(field) or ()):
            yield Setting(field, str(word), (field, index))
    for name, key, text in mounted_files(state, owner, place[0]):
        yield Setting(key, text, ("configmap", name, key))


def rewritten(
    state: State, workload: Ref, container: str, path: tuple[Any, ...], change: Callable[[str], str]
) -> tuple[Patch, ...]:
    """The patches that change one configured value where it is written; () where that cannot be told."""
    owner = state.find(workload)
    place = declared(owner, container) if owner else None
    if place is None or not path:
        return ()
    spec, at = place
    if path[0] == "env":
        value = next((each.get("value") for each in spec.get("env") or () if each.get("name") == path[1]), None)
        return (
            (set_field(workload, *at, "env", By(path[1]), "value", value=change(str(value))),)
            if value is not None
            else ()
        )
    if path[0] in ("command", "args"):
        words = spec.get(path[0]) or []
        return (Patch(workload, (Edit((*at, path[0], path[1]), change(str(words[path[1]]))),)),)
    target = ref("ConfigMap", workload.namespace, path[1])
    found = state.find(target)
    text = dig(found.raw, "data", path[2]) if found else None
    if text is None:
        return ()
    return (set_field(target, "data", path[2], value=change(str(text))), *restarted(workload))


def restarted(workload: Ref) -> tuple[Patch, ...]:
    """A restart, where the workload has such a thing: changed ConfigMaps do not restart anything."""
    return (Patch(workload, action="restart"),) if workload.kind in RESTARTABLE else ()


def variable(spec: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """A variable as a container declares it."""
    return next((each for each in spec.get("env") or () if each.get("name") == name), None)


def with_variable(state: State, workload: Ref, container: str, entry: Mapping[str, Any]) -> Patch | None:
    """The container with this variable: put in the place of one of that name, or added."""
    owner = state.find(workload)
    place = declared(owner, container) if owner else None
    if place is None:
        return None
    spec, at = place
    name = entry["name"]
    if variable(spec, name) is not None:
        if "value" in entry and "valueFrom" not in (variable(spec, name) or {}):
            return set_field(workload, *at, "env", By(name), "value", value=entry["value"])
        return Patch(workload, (Edit((*at, "env", By(name)), dict(entry)),))
    return Patch(workload, (Edit((*at, "env", Append()), dict(entry)),))


def supplied(state: State, owner: Object, container: str, name: str) -> bool | None:
    """Whether a declared container has this variable with a value; None where a source of it cannot be read."""
    place = declared(owner, container)
    if place is None:
        return None
    entry = variable(place[0], name)
    if entry is not None:
        if "valueFrom" not in entry:
            return bool(entry.get("value"))
        origin, kind = _key_ref(entry)
        if origin is None:
            return True
        target = ref(kind, owner.ref.namespace, origin.get("name", ""))
        if state.absent(target):
            return False
        found = state.find(target)
        return None if found is None else origin.get("key", "") in keys(found) or None
    for source in place[0].get("envFrom") or ():
        for kind, field in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
            target = ref(kind, owner.ref.namespace, dig(source, field, "name", otherwise=""))
            found = state.find(target) if target.name else None
            prefix = source.get("prefix") or ""
            if found is not None and name in {prefix + key for key in keys(found)}:
                return True
            if target.name and found is None and not state.absent(target):
                return None
    return False


def _key_ref(entry: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, str]:
    for kind, field in (("ConfigMap", "configMapKeyRef"), ("Secret", "secretKeyRef")):
        chosen = dig(entry, "valueFrom", field)
        if chosen:
            return chosen, kind
    return None, ""


def keys(found: Object) -> set[str]:
    """The keys of a ConfigMap or Secret, a Secret's as its metadata lists them."""
    from kubectl_ai_intellect.causes.areas.config import keys_of

    return keys_of(found)


def before(state: State, workload: Ref, container: str) -> Iterator[tuple[Mapping[str, Any], Object]]:
    """The container as earlier revisions of a Deployment declared it, newest first."""
    for owned in replica_sets(state, workload)[1:]:
        place = declared(owned, container)
        if place is not None:
            yield place[0], owned


def rolled_back(state: State, workload: Ref) -> bool:
    """Whether there is an earlier revision with another pod spec to go back to."""
    owner = state.find(workload)
    if owner is None or workload.kind != "Deployment":
        return False
    return any(pod_spec(each) != pod_spec(owner) for each in replica_sets(state, workload)[1:])


__all__ = ["Setting", "before", "keys", "restarted", "rewritten", "rolled_back", "settings", "supplied", "variable", "with_variable"]  # fmt: skip
