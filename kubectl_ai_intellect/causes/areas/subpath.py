"""Single files that are mounted out of a ConfigMap or Secret that does not hold them: an empty directory comes instead."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from kubectl_ai_intellect.causes.areas.config import keys_known, keys_of
from kubectl_ai_intellect.causes.base import Fact, Finding, Mend, Symptom, cause
from kubectl_ai_intellect.causes.facts import field, hits, logged, logs
from kubectl_ai_intellect.causes.near import nearest
from kubectl_ai_intellect.causes.needs import container_logs, lists, owners, together
from kubectl_ai_intellect.kube.refs import Ref, ref
from kubectl_ai_intellect.kube.source import Object, dig
from kubectl_ai_intellect.state.edits import set_field
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import Container, container, declared, pod_spec
from kubectl_ai_intellect.state.relations import workload_of

ONTO_FILE = re.compile(r"(?i)not a directory|mount a directory onto a file")
IS_DIRECTORY = re.compile(r"(?i)is a directory|EISDIR|IsADirectoryError")


class Empty(NamedTuple):
    """A mount of one file that its ConfigMap or Secret does not hold."""

    number: int
    mount: dict[str, Any]
    holder: Object
    keys: set[str]


def empties(state: State, at: Ref, name: str) -> Iterator[Empty]:
    found = state.find(at)
    place = declared(found, name) if found else None
    if found is None or place is None:
        return
    volumes = {each.get("name"): each for each in pod_spec(found).get("volumes") or ()}
    for index, mount in enumerate(place[0].get("volumeMounts") or ()):
        volume = volumes.get(mount.get("name")) or {}
        source = volume.get("configMap") or volume.get("secret")
        if not mount.get("subPath") or not source:
            continue
        kind = "ConfigMap" if volume.get("configMap") else "Secret"
        holder = state.find(ref(kind, at.namespace, source.get("name") or source.get("secretName") or ""))
        if holder is None or not keys_known(holder):
            continue
        keys = {each.get("path", "") for each in source.get("items") or ()} or keys_of(holder)
        if str(mount["subPath"]).split("/")[0] not in {each.split("/")[0] for each in keys}:
            yield Empty(index, mount, holder, keys)


def _met(state: State, at: Ref, each: Container, path: str) -> Fact | None:
    """What shows that the container met a directory where it wanted a file."""
    words = each.death.get("message") or each.waiting.get("message") or ""
    if ONTO_FILE.search(words) and path.rstrip("/") in words:
        return field(at.whole(), f"container {each.name} could not start: {words}")
    for hit, previous in hits(state, at, "file-not-found", "bad-config", "permission-denied", "panic"):
        if IS_DIRECTORY.search(hit.line) and path in hit.line:
            return logged(at, hit, previous=previous)
    for digest, _ in logs(state, at):
        for line in (*digest.last_lines, *digest.trace.splitlines()):
            if IS_DIRECTORY.search(line) and path in line:
                return Fact(f"log of {at.part}: {line.strip()}", at)
    if (
        len(list(empties(state, workload_of(state, at), at.part))) == 1
    ):  # the error does not name the path: it can mean no other
        for hit, previous in hits(state, at, "file-not-found", "bad-config", "permission-denied", "panic"):
            if IS_DIRECTORY.search(hit.line):
                return logged(at, hit, previous=previous)
    return None


@cause("config/subpath-missing", "start-refused", "container-restarting", "container-unready",
       needs=together(owners, container_logs, lists("ConfigMap", "Secret")),
       holds=lambda state, at: any(True for name in _names(state, at) for _ in empties(state, at, name)))  # fmt: skip
def subpath_missing(state: State, symptom: Symptom) -> Iterable[Finding]:
    pod = state.find(symptom.at)
    each = container(pod, symptom.at.part) if pod else None
    workload = workload_of(state, symptom.at)
    for one in empties(state, workload, symptom.at.part) if each else ():
        path, wanted = one.mount["mountPath"], str(one.mount["subPath"])
        fact = _met(state, symptom.at, each, path) if each else None
        have = ", ".join(sorted(one.keys)[:6]) or "nothing"
        near = nearest(wanted, one.keys) or (next(iter(one.keys)) if len(one.keys) == 1 else "")
        owner = state.find(workload)
        place = declared(owner, symptom.at.part) if owner else None
        value = near or "<KEY>"
        mends = (Mend(f"Mount the key {value}", (set_field(workload, *place[1], "volumeMounts", one.number, "subPath", value=value),),
                      unknown=() if near else ("<KEY>: which of the keys is the file that the program wants",)),) if place else ()  # fmt: skip
        yield Finding(
            "config/subpath-missing", workload, "proved" if fact else "possible",
            f"container {symptom.at.part} mounts {wanted} of {one.holder.ref.short} at {path}, but {one.holder.ref.short} holds "
            f"{have}: an empty directory is mounted instead of the file",
            supports=(*((fact,) if fact else ()), field(workload, f"volumeMounts: subPath {wanted} at {path}"),
                      field(one.holder, f"keys of {one.holder.ref.short}: {have}")),
            mends=mends, weight=0.8,
        )  # fmt: skip
        return


def _names(state: State, at: Ref) -> list[str]:
    found = state.find(at)
    spec = pod_spec(found) if found else {}
    return [
        dig(each, "name", otherwise="") for group in ("initContainers", "containers") for each in spec.get(group) or ()
    ]
