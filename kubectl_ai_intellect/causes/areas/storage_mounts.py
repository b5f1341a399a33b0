"""Volumes that do not come to a pod's node, or that its containers cannot use; pods that the kubelet refuses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from kubectl_ai_intellect.causes.areas.storage import NEEDS, size_of
from kubectl_ai_intellect.causes.base import Fact, Finding, Mend, Symptom, cause
from kubectl_ai_intellect.causes.facts import field, hits, logged, told
from kubectl_ai_intellect.causes.fit import quantity
from kubectl_ai_intellect.causes.needs import container_logs, lists, owners, together
from kubectl_ai_intellect.kube.refs import Ref, ref
from kubectl_ai_intellect.kube.source import Object, dig
from kubectl_ai_intellect.state.edits import Edit, Patch, set_field
from kubectl_ai_intellect.state.events import Event
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import Container, container, pod_spec, spec_path
from kubectl_ai_intellect.state.relations import Relation, near, workload_of

MULTI = re.compile(r"Multi-Attach error")
DRIVER = re.compile(
    r"driver name (\S+) not found in the list of registered CSI drivers|CSINode \S+ does not contain driver (\S+)"
)
CONFIG = re.compile(r'(?:configmap|secret) "[^"]+" not found|references non-existent|object "[^"]+" not registered')
TYPE = re.compile(r"hostPath type check failed: (\S+) is not (?:a |an )?(.+)")
VAGUE = re.compile(
    r"^Unable to attach or mount volumes|timed out waiting for the condition$|context deadline exceeded$"
)


def _told(state: State, at: Ref, *reasons: str) -> list[Event]:
    """What was said of mounting, the clearest words first."""
    events = [one for one in state.events(at) if one.reason in reasons]
    return sorted(events, key=lambda one: bool(VAGUE.search(one.message)))


@cause("storage/multi-attach", "pod-stuck-creating", needs=owners,
       holds=lambda state, at: _rolls(state, at))  # fmt: skip
def multi_attach(state: State, symptom: Symptom) -> Iterable[Finding]:
    said = [one for one in _told(state, symptom.at, "FailedAttachVolume") if MULTI.search(one.message)]
    pod = state.find(symptom.at)
    if not said or pod is None:
        return
    workload = workload_of(state, symptom.at)
    claims = {each for each in near(state, symptom.at, Relation.MOUNTS) if each.kind == "PersistentVolumeClaim"}
    holders = [
        other for other in state.all("Pod", symptom.at.namespace)
        if other.ref != pod.ref and other.spec.get("nodeName") not in (None, pod.spec.get("nodeName"))
        and claims & set(near(state, other.ref, Relation.MOUNTS))
    ]  # fmt: skip
    by = f"{holders[0].ref.short} on node {holders[0].spec['nodeName']}" if holders else "another node"
    mends: list[Mend] = []
    if _rolls(state, workload):
        mends.append(Mend("End the old pod before the new one starts (strategy Recreate)",
                          (set_field(workload, "spec", "strategy", value={"type": "Recreate"}),)))  # fmt: skip
    if holders and workload_of(state, holders[0].ref) != workload:
        mends.append(
            Mend(f"Or let {workload.short} and {workload_of(state, holders[0].ref).short} not share the claim")
        )
    yield Finding(
        "storage/multi-attach", workload, "proved",
        f"the volume of {workload.short} can be attached to one node only (ReadWriteOnce), and {by} still holds it",
        supports=(told(said[0]), *(field(each, f"{each.ref.short} mounts the same claim on {each.spec['nodeName']}") for each in holders[:1])),
        mends=tuple(mends), weight=0.4,
    )  # fmt: skip


def _rolls(state: State, at: Ref) -> bool:
    found = state.find(at)
    return at.kind == "Deployment" and found is not None and dig(found.spec, "strategy", "type") != "Recreate"


@cause("storage/csi-driver-missing", "pod-stuck-creating", needs=together(owners, lists("CSIDriver")))
def csi_driver(state: State, symptom: Symptom) -> Iterable[Finding]:
    pod = state.find(symptom.at)
    for one in _told(state, symptom.at, "FailedMount", "FailedAttachVolume", "FailedMapVolume"):
        match = DRIVER.search(one.message)
        if match and pod is not None:
            name = next(word for word in match.groups() if word).strip(".,")
            node = ref("Node", "", pod.spec.get("nodeName") or "")
            yield Finding(
                "storage/csi-driver-missing", workload_of(state, symptom.at), "proved",
                f"a volume of {symptom.at.short} needs the CSI driver {name}, which is not registered on node {node.name}",
                supports=(told(one), field(node, f"CSINode of {node.name} does not list {name}")),
                mends=(Mend(f"Run the node plugin of {name} on {node.name}: its DaemonSet must be installed and tolerate the node",
                            unknown=(f"how {name} is installed here",)),), weight=0.4,
            )  # fmt: skip
            return


@cause("storage/attach-failed", "pod-stuck-creating", needs=owners)
def attach_failed(state: State, symptom: Symptom) -> Iterable[Finding]:
    for one in _told(state, symptom.at, "FailedAttachVolume"):
        if not MULTI.search(one.message) and not DRIVER.search(one.message):
            workload = workload_of(state, symptom.at)
            yield Finding(
                "storage/attach-failed", workload, "proved",
                f"a volume of {workload.short} could not be attached to the node: {one.message[:300]}",
                supports=(told(one),), weight=0.2,
                mends=(Mend("Mend what the attacher complains of, then let it try again",
                            unknown=("what it needs is in its message",)),),
            )  # fmt: skip
            return


@cause("storage/mount-failed", "pod-stuck-creating", needs=owners)
def mount_failed(state: State, symptom: Symptom) -> Iterable[Finding]:
    for one in _told(state, symptom.at, "FailedMount", "FailedMapVolume"):
        if CONFIG.search(one.message) or DRIVER.search(one.message):
            continue
        workload = workload_of(state, symptom.at)
        vague = bool(VAGUE.search(one.message))
        yield Finding(
            "storage/mount-failed", workload, "likely" if vague else "proved",
            f"a volume of {workload.short} could not be mounted: {one.message[:300]}",
            supports=(told(one),), mends=tuple(_mount_mends(state, workload, one.message)), weight=0.2,
        )  # fmt: skip
        return


def _mount_mends(state: State, workload: Ref, message: str) -> Iterator[Mend]:
    match = TYPE.search(message)
    owner = state.find(workload)
    for index, volume in enumerate(pod_spec(owner).get("volumes") or () if owner and match else ()):
        path = dig(volume, "hostPath", "path", otherwise="")
        if match and path and path == match.group(1):
            kind = {"Directory": "DirectoryOrCreate", "File": "FileOrCreate"}.get(
                dig(volume, "hostPath", "type", otherwise=""), ""
            )
            title = f"Let the kubelet make {path}" if kind else f"Do not insist on what {path} is"
            yield Mend(title, (set_field(workload, *spec_path(workload.kind), "volumes", index, "hostPath", "type", value=kind),),
                       risk="medium", unknown=(f"whether {path} should be there already, with data, on every node",))  # fmt: skip
            return
    yield Mend("Mend what the mount complains of: the server, the path, the options or the file system",
               unknown=("what it needs is in its message",))  # fmt: skip


# -- in the container -------------------------------------------------------------------------------------------------


def _mounted(state: State, each: Container, line: str) -> tuple[str, Ref | None] | None:
    """The volume whose mount path a log line names, and the claim behind it."""
    pod = state.find(each.pod)
    places = sorted(each.spec.get("volumeMounts") or (), key=lambda one: -len(one.get("mountPath", "")))
    for place in places:
        path = (place.get("mountPath") or "").rstrip("/")
        if path and re.search(re.escape(path) + r"(?![\w-])", line):
            volume = next(
                (v for v in (pod.spec if pod else {}).get("volumes") or () if v.get("name") == place.get("name")), {}
            )
            claim = dig(volume, "persistentVolumeClaim", "claimName")
            writable = any(
                volume.get(kind) is not None
                for kind in ("persistentVolumeClaim", "emptyDir", "hostPath", "ephemeral", "nfs", "csi")
            )
            return (
                (path, ref("PersistentVolumeClaim", each.pod.namespace, claim) if claim else None) if writable else None
            )
    return None


ENDS = ("container-restarting", "container-unready", "init-waiting", "container-finished")


@cause("storage/permission-denied", *ENDS, needs=together(owners, container_logs))
def permission_denied(state: State, symptom: Symptom) -> Iterable[Finding]:
    pod = state.find(symptom.at)
    each = container(pod, symptom.at.part) if pod else None
    for hit, previous in hits(state, symptom.at, "permission-denied") if each and pod else ():
        place = _mounted(state, each, hit.line) if each else None
        if place is None or hit.recovered or pod is None or each is None:
            continue
        workload = workload_of(state, symptom.at)
        own, whole = each.spec.get("securityContext") or {}, pod.spec.get("securityContext") or {}
        user = own.get("runAsUser", whole.get("runAsUser"))
        team = own.get("runAsGroup", whole.get("runAsGroup")) or user or 1000
        mends: list[Mend] = []
        if not whole.get("fsGroup"):
            mends.append(Mend(f"Give the volume to the group {team} (fsGroup)",
                              (set_field(workload, *spec_path(workload.kind), "securityContext", "fsGroup", value=team),)))  # fmt: skip
        who = f"user {user}" if user is not None else "its image's user"
        facts: list[Fact] = [logged(symptom.at, hit, previous=previous),
                             field(workload, f"container {each.name} runs as {who}, fsGroup is {whole.get('fsGroup', 'not set')}")]  # fmt: skip
        yield Finding(
            "storage/permission-denied", workload, "proved",
            f"container {each.name} runs as {who} and may not write to the volume mounted at {place[0]}",
            supports=tuple(facts), mends=tuple(mends), weight=0.5,
        )  # fmt: skip
        return


@cause("storage/volume-full", *ENDS, needs=together(owners, container_logs, NEEDS))
def volume_full(state: State, symptom: Symptom) -> Iterable[Finding]:
    pod = state.find(symptom.at)
    each = container(pod, symptom.at.part) if pod else None
    for hit, previous in hits(state, symptom.at, "disk-full") if each else ():
        place = _mounted(state, each, hit.line) if each else None
        claims = [at for at in near(state, symptom.at.whole(), Relation.MOUNTS) if at.kind == "PersistentVolumeClaim"]
        target = place[1] if place else claims[0] if len(claims) == 1 else None
        if target is None or hit.recovered:
            continue
        claim = state.find(target)
        yield Finding(
            "storage/volume-full", target, "proved" if place else "likely",
            f"the volume of the claim {target.name} is full, so {symptom.at.short} cannot write to it",
            supports=(logged(symptom.at, hit, previous=previous), *([field(claim, f"claim {target.name} has {size_of(claim)}")] if claim else [])),
            mends=tuple(_grow(state, claim)) if claim else (), affects=(workload_of(state, symptom.at),), weight=0.4,
        )  # fmt: skip
        return


def _grow(state: State, claim: Object) -> Iterator[Mend]:
    held = state.find(ref("StorageClass", "", claim.spec.get("storageClassName") or ""))
    grows = held is not None and bool(held.raw.get("allowVolumeExpansion"))
    double = f"{max(1, round(2 * quantity(size_of(claim)) / 2**20))}Mi"
    if grows:
        yield Mend(
            f"Let the claim grow to {double}",
            (set_field(claim.ref, "spec", "resources", "requests", "storage", value=double),),
        )
    yield Mend("Remove what is not needed on the volume" + ("" if grows else "; its class does not let it grow"))


# -- pods that the kubelet refuses ------------------------------------------------------------------------------------

REFUSED = {
    "OutOfcpu": "the node had no cpu left for it", "OutOfmemory": "the node had no memory left for it",
    "OutOfpods": "the node held as many pods as it may", "OutOfephemeral-storage": "the node had no ephemeral storage left",
    "UnexpectedAdmissionError": "a device or resource manager of the node refused it",
    "SysctlForbidden": "it sets a sysctl that the node does not allow", "NodeAffinity": "the node does not match what it asks for",
    "NodePorts": "its host port is taken on the node", "TopologyAffinityError": "its resources cannot be aligned on the node",
    "NodeName": "it names another node", "UnsupportedPodSpec": "the node's agent does not know a feature it uses",
}  # fmt: skip


@cause("node/pod-rejected", "pod-rejected", "pod-left-behind", needs=owners)
def pod_rejected(state: State, symptom: Symptom) -> Iterable[Finding]:
    pod = state.find(symptom.at)
    if pod is None:
        return
    reason, message = pod.status.get("reason") or "", pod.status.get("message") or ""
    why = REFUSED.get(reason) or (
        f"the kubelet says {reason}" if reason.startswith(("OutOf", "Pod", "Forbidden")) else ""
    )
    if not why:
        return
    workload = workload_of(state, symptom.at)
    node = pod.spec.get("nodeName") or ""
    bound = bool(pod_spec(state.find(workload) or pod).get("nodeName"))
    path = spec_path(workload.kind)
    mends: list[Mend] = []
    if reason == "SysctlForbidden":
        mends.append(
            Mend(
                "Do without that sysctl",
                (Patch(workload, (Edit((*path, "securityContext", "sysctls")),)),),
                risk="medium",
            )
        )
    elif bound:
        mends.append(
            Mend(
                "Do not name the node: let the scheduler choose one that fits",
                (Patch(workload, (Edit((*path, "nodeName")),)),),
            )
        )
    elif workload.kind != "Pod":
        mends.append(
            Mend(
                "Remove the refused pod; its controller makes another",
                (Patch(symptom.at, action="delete"),),
                kind="stopgap",
            )
        )
    yield Finding(
        "node/pod-rejected", workload, "proved",
        f"the kubelet of node {node} refused {symptom.at.short} ({reason}): {why}" + (f". {message[:200]}" if message else ""),
        supports=(field(pod, f"status.reason is {reason}: {message}"), *(told(one) for one in state.events(symptom.at)[:1])),
        mends=tuple(mends), weight=0.3,
    )  # fmt: skip
