"""What runs is not what is declared: configuration changed after the start, tags that moved, mounts over an image's files."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from kubectl_ai_intellect.causes.areas.app import mount_over
from kubectl_ai_intellect.causes.areas.config import keys_of
from kubectl_ai_intellect.causes.base import Fact, Finding, Mend, Symptom, cause
from kubectl_ai_intellect.causes.facts import field, hits, logged
from kubectl_ai_intellect.causes.needs import container_logs, lists, owners, together
from kubectl_ai_intellect.causes.origins import RESTARTABLE, before
from kubectl_ai_intellect.causes.symptoms.objects import quantity
from kubectl_ai_intellect.causes.symptoms.pods import UNREACHED
from kubectl_ai_intellect.causes.symptoms.workloads import stale_configs
from kubectl_ai_intellect.kube.refs import Ref, ref
from kubectl_ai_intellect.kube.source import dig
from kubectl_ai_intellect.state.calls import called, in_cluster
from kubectl_ai_intellect.state.edits import Append, By, Edit, Patch, set_field
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import container, containers, declared, declared_containers, is_ready, pod_spec
from kubectl_ai_intellect.state.relations import pods_of, workload_of

READS = together(owners, container_logs, lists("ConfigMap"))
STALE_READS = lists("ConfigMap", "Secret")


# -- configuration that changed after the start ------------------------------------------------------------------------


def frozen_uses(spec: Mapping[str, Any], target: Ref) -> Iterator[str]:
    """Where a pod takes a ConfigMap or Secret in such a way that a running container never sees a change."""
    env, source, volume = ("configMapKeyRef", "configMapRef", "configMap") if target.kind == "ConfigMap" else (
        "secretKeyRef", "secretRef", "secret")  # fmt: skip
    held = {
        each.get("name") for each in spec.get("volumes") or ()
        if target.name in (dig(each, volume, "name"), dig(each, volume, "secretName"))
    }  # fmt: skip
    for group in ("initContainers", "containers"):
        for each in spec.get(group) or ():
            for variable in each.get("env") or ():
                if dig(variable, "valueFrom", env, "name") == target.name:
                    yield f"variable {variable.get('name')} of container {each.get('name')}"
            if any(dig(one, source, "name") == target.name for one in each.get("envFrom") or ()):
                yield f"envFrom of container {each.get('name')}"
            for mount in each.get("volumeMounts") or ():
                if mount.get("name") in held and (mount.get("subPath") or mount.get("subPathExpr")):
                    yield f"the subPath mount {mount.get('mountPath')} of container {each.get('name')}"


@cause(
    "config/stale-after-change", "stale-config", "container-unready", "client-failing", "name-failing", "probe-killing",
    needs=lambda state, symptom: STALE_READS(state, symptom) if symptom.kind == "stale-config" else READS(state, symptom),
)  # fmt: skip
def stale_after_change(state: State, symptom: Symptom) -> Iterable[Finding]:
    found = _stale(state, symptom) if symptom.kind == "stale-config" else _stale_in_trouble(state, symptom)
    if found is not None and symptom.kind == "stale-config" and not all(map(is_ready, pods_of(state, symptom.at))):
        found = replace(found, strength="likely")  # what ails it may be something else: its containers tell
    if found is not None:
        yield found


def _stale_in_trouble(state: State, symptom: Symptom) -> Finding | None:
    """A container in trouble that has run since before its configuration was changed.

    It is the reason for sure where what it fails to reach is named by no setting any more.
    """
    pod = state.find(symptom.at)
    each = container(pod, symptom.at.part) if pod else None
    owner = state.find(workload_of(state, symptom.at))
    if pod is None or each is None or each.started is None or owner is None:
        return None
    for told in stale_configs(state, owner):
        uses = [use for use in frozen_uses(pod_spec(pod), _target(told)) if use.endswith(f"container {each.name}")]
        finding = _stale(state, told) if uses and told.since and each.started < told.since else None
        if finding is None:
            continue
        left = _left_behind(state, symptom.at, _target(told))
        return replace(
            finding, strength="proved" if left else "likely", says=finding.says + (left[0] if left else ""),
            supports=(*finding.supports, left[1]) if left else finding.supports, weight=0.9 if left else 0.0,
        )  # fmt: skip
    return None


def _left_behind(state: State, at: Ref, changed: Ref) -> tuple[str, Fact] | None:
    """What shows that the old values matter: a peer that the configuration no longer names, credentials that are refused."""
    for hit, previous in hits(state, at, "auth-failed") if changed.kind == "Secret" else ():
        if not hit.recovered:
            return "; its peer refuses the credentials that it was started with", logged(at, hit, previous=previous)
    now = {call.host for call in called(state, at) if call.origin != "log"}
    for hit, previous in hits(state, at, *UNREACHED, "dns-failure"):
        host = hit.peer.host if hit.peer else hit.name
        if host and not hit.recovered and in_cluster(host) and host not in now:
            words = f"; what it fails to reach, {host}, is in no setting of it any more"
            return words, logged(at, hit, previous=previous)
    return None


def _target(symptom: Symptom) -> Ref:
    kind, _, name = symptom.note.partition("/")
    return ref(kind, symptom.at.namespace, name)


def _stale(state: State, symptom: Symptom) -> Finding | None:
    """What a workload's symptom of stale configuration comes to, if its pods really keep the old values."""
    target, owner = _target(symptom), state.find(symptom.at)
    uses = list(frozen_uses(pod_spec(owner), target)) if owner else []
    since = symptom.since
    pods = [pod for pod in pods_of(state, symptom.at) if since and any(
        one.started and one.started < since for one in containers(pod) if one.role != "init")]  # fmt: skip
    if not uses or not pods or since is None:
        return None
    changed, started = since.isoformat(timespec="seconds"), min(pod.created for pod in pods if pod.created)
    mends = (Mend("Restart it, so that its pods take the new values", (Patch(symptom.at, action="restart"),)),) if (
        symptom.at.kind in RESTARTABLE) else ()  # fmt: skip
    return Finding(
        "config/stale-after-change", symptom.at, "proved",
        f"{target.short} was changed at {changed}, after {len(pods)} pod(s) of {symptom.at.short} had started; they take it through "
        f"{uses[0]}, which keeps the value of the start, so they still run on the old one",
        supports=(field(target, f"{target.short} was last changed at {changed}"),
                  field(pods[0], f"pod {pods[0].ref.name} was created at {started.isoformat(timespec='seconds')}"),
                  field(symptom.at, f"{uses[0]} takes {target.short}")),
        mends=mends, since=since,
    )  # fmt: skip


# -- one tag, several images -------------------------------------------------------------------------------------------


@cause("image/stale-tag", "mixed-image")
def stale_tag(state: State, symptom: Symptom) -> Iterable[Finding]:
    workload, name = symptom.at.whole(), symptom.at.part
    pods = sorted((pod for pod in pods_of(state, workload) if is_ready(pod)), key=lambda pod: pod.created or state.now)
    running = [
        (pod, each) for pod in pods for each in containers(pod) if each.name == name and each.status.get("imageID")
    ]
    if len({each.status["imageID"] for _, each in running}) < 2:
        return
    image, newest = running[-1][1].image, str(running[-1][1].status["imageID"])
    owner = state.find(workload)
    place = declared(owner, name) if owner else None
    policy = (place[0].get("imagePullPolicy") or "IfNotPresent") if place else ""
    mends: list[Mend] = []
    if place and "@sha256:" in newest:
        pinned = newest.removeprefix("docker-pullable://")
        mends.append(
            Mend("Pin the image that the newest pod runs", (set_field(workload, *place[1], "image", value=pinned),))
        )
    if place and policy != "Always":
        edit = set_field(workload, *place[1], "imagePullPolicy", value="Always")
        mends.append(Mend("Pull at each start, and start all replicas anew", (edit, Patch(workload, action="restart"))))
    yield Finding(
        "image/stale-tag", workload, "proved",
        f"replicas of {workload.short} run different images under the one tag {image}: the tag was moved, and with imagePullPolicy "
        f"{policy} a node keeps the one it has",
        supports=tuple(field(pod, f"pod {pod.ref.name} runs {each.status['imageID']}") for pod, each in (running[0], running[-1])),
        mends=tuple(mends),
    )  # fmt: skip


# -- a volume over the image's files -----------------------------------------------------------------------------------

STAT = re.compile(r"(?:stat|exec:|open|fork/exec) \"?(/[^\s\":]+)\"?:")
PROGRAMS = re.compile(r"^/(?:usr|s?bin|lib|opt|srv|app|code|workspace|home|var/www|var/lib/(?:nginx|ghost)|etc/(?:nginx|httpd|apache2|redis|postgresql|mysql|ssl|"
                      r"prometheus|grafana|haproxy|envoy|traefik|rabbitmq))(?:/|$)")  # fmt: skip


class Hidden(NamedTuple):
    """A path that a container misses under a volume, and what says that it misses it."""

    path: str
    volume: Mapping[str, Any]
    mount: Mapping[str, Any]
    fact: Fact


def hidden(state: State, at: Ref) -> Iterator[Hidden]:
    """Files that a container of a pod looks for below a mount whose volume does not hold them."""
    pod = state.find(at)
    each = container(pod, at.part) if pod else None
    workload = workload_of(state, at)
    if pod is None or each is None:
        return
    message = each.death.get("message") or each.waiting.get("message") or ""
    told = [(path, field(at.whole(), f"container {at.part}: {message}")) for path in STAT.findall(message)]
    for hit, previous in hits(state, at, "file-not-found", "module-missing", "command-not-found"):
        told.append((hit.name, logged(at, hit, previous=previous)))
    for path, fact in told:
        lying = mount_over(state, workload, at.part, path)
        if lying and not lying[1].get("subPath") and not _holds(state, workload, lying, path):
            yield Hidden(path, *lying, fact)


def _holds(state: State, workload: Ref, lying: tuple[Any, Any], path: str) -> bool:
    """Whether the volume has the file, or a key that was meant to be it: then the fault is another."""
    volume, mount = lying
    file = path.removeprefix(mount["mountPath"].rstrip("/")).lstrip("/")
    named = dig(volume, "configMap", "name")
    found = state.find(ref("ConfigMap", workload.namespace, named)) if named else None
    names = {one.get("path", "") for one in dig(volume, "configMap", "items", otherwise=[])} or (
        keys_of(found) if found else set[str]()
    )
    return bool(difflib.get_close_matches(file, list(names), n=1, cutoff=0.75))


def _shadowed(state: State, workload: Ref) -> bool:
    return any(True for pod in pods_of(state, workload) for each in containers(pod) for _ in hidden(state, each.ref))


@cause("config/mount-shadows-image", "container-restarting", "start-refused", "init-waiting", "container-unready", needs=READS,
       holds=_shadowed)  # fmt: skip
def mount_shadows_image(state: State, symptom: Symptom) -> Iterable[Finding]:
    pod = state.find(symptom.at)
    each = container(pod, symptom.at.part) if pod else None
    workload = workload_of(state, symptom.at)
    owner = state.find(workload)
    for one in hidden(state, symptom.at) if pod and each and owner else ():
        name, base = one.mount["name"], one.mount["mountPath"]
        program = (
            any(one.path in str(word) for key in ("command", "args") for word in each.spec.get(key) or ())
            if each
            else False
        )
        new = any(
            name not in {m.get("name") for m in spec.get("volumeMounts") or ()}
            for spec, _ in before(state, workload, symptom.at.part)
        )
        filled = any(name in {m.get("name") for m in spec.get("volumeMounts") or ()}
                     for spec in declared_containers(owner) if spec.get("name") != symptom.at.part) if owner else False  # fmt: skip
        kept = "persistentVolumeClaim" in one.volume or "hostPath" in one.volume
        sure = not filled and (new or ((program or PROGRAMS.match(base)) and not kept))
        yield Finding(
            "config/mount-shadows-image", workload, "proved" if sure else "possible" if filled else "likely",
            f"volume {name} is mounted over {base} in container {symptom.at.part} and hides what the image has there: "
            f"{one.path} is missing" + ("; an earlier revision had no such mount" if new else ""),
            supports=(one.fact, field(workload, f"container {symptom.at.part} mounts volume {name} at {base}")),
            mends=tuple(_uncovered(state, workload, symptom.at.part, one)), weight=0.7,
        )  # fmt: skip
        return


def _uncovered(state: State, workload: Ref, name: str, one: Hidden) -> Iterator[Mend]:
    """Each file mounted by itself beside the image's own; a volume without known files moved away."""
    owner = state.find(workload)
    place = declared(owner, name) if owner else None
    if place is None:
        return
    mounts, base = (*place[1], "volumeMounts"), one.mount["mountPath"].rstrip("/")
    keep = By(one.mount["mountPath"], "mountPath")
    kind = "ConfigMap" if one.volume.get("configMap") else "Secret" if one.volume.get("secret") else ""
    target = ref(
        kind, workload.namespace, dig(one.volume, "configMap", "name") or dig(one.volume, "secret", "secretName") or ""
    )
    found = state.find(target) if kind else None
    if found is not None and keys_of(found):
        edits = [Edit((*mounts, keep))]
        edits += [Edit((*mounts, Append()), {"name": one.mount["name"], "mountPath": f"{base}/{key}", "subPath": key})
                  for key in sorted(keys_of(found))[:20]]  # fmt: skip
        yield Mend("Mount each of its files by itself, beside those of the image", (Patch(workload, tuple(edits)),))
        return
    yield Mend(f"Mount the volume {one.mount['name']} elsewhere", (set_field(workload, *mounts, keep, "mountPath", value="<MOUNT_PATH>"),),
               unknown=("<MOUNT_PATH>: a directory that the image does not need for its own files",))  # fmt: skip


# -- CPU ---------------------------------------------------------------------------------------------------------------


@cause(
    "performance/cpu-overload",
    "slow",
    "probe-killing",
    "container-unready",
    needs=together(owners, lists("PodMetrics")),
)
def cpu_overload(state: State, symptom: Symptom) -> Iterable[Finding]:
    """A container that uses all the CPU it may have is slowed down by the kernel."""
    pod = state.find(symptom.at)
    each = container(pod, symptom.at.part) if pod else None
    limit = dig(each.spec, "resources", "limits", "cpu") if each else None
    metrics = state.find(ref("PodMetrics", symptom.at.namespace, symptom.at.name))
    if each is None or limit is None or metrics is None:
        return
    used = next(
        (dig(one, "usage", "cpu") for one in metrics.raw.get("containers") or () if one.get("name") == each.name), None
    )
    if used is None or quantity(str(used)) < 0.85 * quantity(str(limit)):
        return
    workload = workload_of(state, symptom.at)
    owner = state.find(workload)
    place = declared(owner, each.name) if owner else None
    more = f"{max(int(quantity(str(limit)) * 2000), 100)}m"
    mends = (Mend(f"Raise the CPU limit to {more}", (set_field(workload, *place[1], "resources", "limits", "cpu", value=more),),
                  unknown=(f"{more} is twice what it has; what it needs shows only when it runs (kubectl top pod)",)),) if place else ()  # fmt: skip
    share = quantity(str(used)) / quantity(str(limit))
    yield Finding(
        "performance/cpu-overload", workload, "proved" if symptom.kind == "slow" else "likely",
        f"container {each.name} uses {share:.0%} of its CPU limit of {limit}, so the kernel throttles it",
        supports=(Fact(f"container {each.name} uses {used} of CPU", metrics.ref), field(workload, f"container {each.name} has a CPU limit of {limit}")),
        mends=mends, weight=0.4,
    )  # fmt: skip
