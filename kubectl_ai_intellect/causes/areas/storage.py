"""Claims that are not bound, and pods that name claims which are not there."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from kubectl_ai_intellect.causes.areas.scheduling import quoted
from kubectl_ai_intellect.causes.base import Fact, Finding, Mend, Strength, Symptom, cause
from kubectl_ai_intellect.causes.facts import field, listed, not_there, told
from kubectl_ai_intellect.causes.fit import claim_names, quantity
from kubectl_ai_intellect.causes.needs import lists, owners, together
from kubectl_ai_intellect.kube.refs import Ref, ref
from kubectl_ai_intellect.kube.source import Object, dig
from kubectl_ai_intellect.state.edits import Edit, Patch, remove_field, set_field
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import pod_spec, spec_path
from kubectl_ai_intellect.state.relations import Relation, near, workload_of
from kubectl_ai_intellect.state.selectors import matches

NONE = "kubernetes.io/no-provisioner"
DEFAULT = "storageclass.kubernetes.io/is-default-class"
CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
NEEDS = lists("StorageClass", "PersistentVolume")
PATIENCE = timedelta(seconds=20)
"""How long a provisioner may take to say its first word."""


def class_of(claim: Object) -> str | None:
    """The class a claim names; None where it names none and no default was filled in."""
    name = claim.annotations.get(CLASS_ANNOTATION)
    return name if name is not None else claim.spec.get("storageClassName")


def size_of(claim: Object) -> str:
    return dig(claim.spec, "resources", "requests", "storage", otherwise="0")


def capacity(volume: Object) -> str:
    return dig(volume.spec, "capacity", "storage", otherwise="0")


def volume_mode(found: Object) -> str:
    return found.spec.get("volumeMode") or "Filesystem"


def default_class(state: State) -> str:
    """The default class; else the only one."""
    classes = list(state.all("StorageClass"))
    marked = [each.ref.name for each in classes if each.annotations.get(DEFAULT) == "true"]
    return marked[0] if marked else classes[0].ref.name if len(classes) == 1 else ""


@dataclass(frozen=True, slots=True)
class Lack:
    """Why a claim finds no volume: the cause, the words, and the volume or class that comes nearest."""

    id: str
    says: str
    volume: Object | None = None
    sure: Strength = "proved"


def faults(claim: Object, volume: Object) -> list[str]:
    """What keeps this claim and this volume apart, in the order of what a person would look at."""
    found: list[str] = []
    if claim.spec.get("selector") and not matches(claim.spec["selector"], volume.labels):
        found.append("selector")
    if quantity(capacity(volume)) < quantity(size_of(claim)):
        found.append("capacity")
    if not set(claim.spec.get("accessModes") or ()) <= set(volume.spec.get("accessModes") or ()):
        found.append("mode")
    if volume_mode(claim) != volume_mode(volume):
        found.append("form")
    owner = volume.spec.get("claimRef") or {}
    mine = (owner.get("namespace"), owner.get("name")) == (claim.ref.namespace, claim.ref.name)
    if owner and not (mine and owner.get("uid") in (None, "", claim.uid)):
        found.append("bound")
    if (volume.spec.get("storageClassName") or "") != (class_of(claim) or ""):
        found.append("class")
    return found


ORDER = ("selector", "capacity", "mode", "form", "bound", "class")
IDS = {"selector": "storage/selector-mismatch", "capacity": "storage/capacity-mismatch",
       "mode": "storage/access-mode-mismatch", "form": "storage/volume-mode-mismatch", "bound": "storage/pv-already-bound", "class": "storage/class-mismatch"}  # fmt: skip


def lack(state: State, claim: Object) -> Lack | None:
    """The one thing that keeps a claim from its volume, as far as declared fields decide it."""
    if claim.status.get("phase") in ("Bound", "Lost"):
        return None
    name = class_of(claim)
    held = state.find(ref("StorageClass", "", name)) if name else None
    if name and held is None and not state.all("StorageClass").complete:
        return None
    provisioner = held.raw.get("provisioner") if held else ""
    if provisioner and provisioner != NONE and not claim.spec.get("volumeName"):
        if claim.spec.get("selector"):
            says = f"its class {name} is provisioned on demand, which cannot honour its selector"
            return Lack("storage/selector-mismatch", says)
        return None  # it is the provisioner's turn
    static = _static(state, claim)
    if static is not None or any(not faults(claim, each) for each in state.all("PersistentVolume")):
        return static  # where a volume fits, it is the binder's turn
    if name and held is None and not state.all("PersistentVolume").complete:
        return None
    if name and held is None:
        others = ", ".join(sorted(each.ref.name for each in state.all("StorageClass"))) or "none"
        return Lack(
            "storage/class-missing", f"no StorageClass {name} exists, nor a volume of that class (classes: {others})"
        )
    if not name and state.all("StorageClass").complete and state.all("PersistentVolume").complete:
        why = "it sets the class to none" if name == "" else "it names no StorageClass, and none is the default"
        return Lack("storage/class-missing", f"{why}, and no volume without a class is free")
    if provisioner == NONE and state.all("PersistentVolume").complete:
        return Lack(
            "storage/capacity-mismatch",
            f"its class {name} has no provisioner, and no volume of it is there",
            None,
            "likely",
        )
    return None


def _static(state: State, claim: Object) -> Lack | None:
    """Of the volumes made by hand, the one that comes nearest, and what is between."""
    wanted = claim.spec.get("volumeName")
    volumes = [each for each in state.all("PersistentVolume") if each.ref.name == wanted] if wanted else [
        each for each in state.all("PersistentVolume") if "pv.kubernetes.io/provisioned-by" not in each.annotations
    ]  # fmt: skip
    if wanted and not volumes and state.all("PersistentVolume").complete:
        return Lack("storage/class-missing", f"it asks for the volume {wanted}, which does not exist", None, "likely")
    apart = [(faults(claim, each), each) for each in volumes]
    # A volume of another class that a provisioner serves, or that someone else holds, was never meant for this claim.
    near_by = [
        (found, each)
        for found, each in apart
        if found and (wanted or "class" not in found or _by_hand(state, found, each))
    ]
    if not near_by or any(not found for found, _ in apart):
        return None
    found, volume = min(
        near_by,
        key=lambda one: (
            not _kept_for(claim, one[1]),
            len(one[0]),
            ORDER.index(one[0][0]),
            -_alike(claim, one[1]),
            one[1].ref.name,
        ),
    )
    if (
        found == ["class"]
        and not wanted
        and len(near_by) > 1
        and _alike(claim, volume) < ALIKE
        and _no_class(state, claim)
    ):
        return None  # several of other classes would do, and none looks meant: what lacks is the claim's own class
    return Lack(IDS[found[0]], _between(claim, volume, found[0]), volume)


def _kept_for(claim: Object, volume: Object) -> bool:
    """Whether a volume is held for a claim of this very name: the one before, deleted since."""
    owner = volume.spec.get("claimRef") or {}
    return (owner.get("namespace"), owner.get("name")) == (claim.ref.namespace, claim.ref.name)


ALIKE = 0.6
"""From here on two names of classes may be one, mistyped."""


def _alike(claim: Object, volume: Object) -> float:
    """How near the name of the volume's class comes to that of the claim's."""
    names = ((class_of(claim) or ""), (volume.spec.get("storageClassName") or ""))
    return difflib.SequenceMatcher(None, *names).ratio()


def _no_class(state: State, claim: Object) -> bool:
    name = class_of(claim)
    return bool(name) and state.find(ref("StorageClass", "", name)) is None


def _by_hand(state: State, found: list[str], volume: Object) -> bool:
    name = volume.spec.get("storageClassName") or ""
    held = state.find(ref("StorageClass", "", name)) if name else None
    return found == ["class"] and (held is None or held.raw.get("provisioner") == NONE)


def _between(claim: Object, volume: Object, fault: str) -> str:
    name = volume.ref.name
    owner = volume.spec.get("claimRef") or {}
    return {
        "selector": f"its selector does not match volume {name}, whose labels are {_labels(volume)}",
        "capacity": f"it asks for {size_of(claim)}, and volume {name} has {capacity(volume)}",
        "mode": f"it asks for {_modes(claim)}, and volume {name} offers {_modes(volume)}",
        "form": f"it asks for volumeMode {volume_mode(claim)}, and volume {name} is of volumeMode {volume_mode(volume)}",
        "bound": f"volume {name} is held for the claim {owner.get('namespace')}/{owner.get('name')}"
        + (" that is gone (Released)" if volume.status.get("phase") == "Released" else ""),
        "class": f"it has the class {class_of(claim) or '(none)'}, and volume {name} has "
        f"{volume.spec.get('storageClassName') or '(none)'}",
    }[fault]


def _labels(volume: Object) -> str:
    return ", ".join(f"{key}={value}" for key, value in volume.labels.items()) or "none"


def _modes(found: Object) -> str:
    modes = ", ".join(found.spec.get("accessModes") or ())
    return f"{modes} ({found.spec['volumeMode']})" if found.spec.get("volumeMode") == "Block" else modes


def _mends(state: State, claim: Object, why: Lack) -> Iterator[Mend]:
    at, volume = claim.ref, why.volume
    fault = why.id.partition("/")[2]
    if fault == "class-missing":
        yield from _class_mends(state, claim)
    elif fault == "class-mismatch" and volume is not None:
        name = volume.spec.get("storageClassName") or ""
        yield Mend(
            f"Give the claim the volume's class, {name or '(none)'}",
            (set_field(at, "spec", "storageClassName", value=name),),
        )
    elif fault == "capacity-mismatch" and volume is not None:
        yield Mend(f"Ask for the {capacity(volume)} that volume {volume.ref.name} has",
                   (_anew(claim, ("resources", "requests", "storage"), capacity(volume)),),
                   unknown=("whether so little is enough; else make a larger volume",))  # fmt: skip
    elif fault == "access-mode-mismatch" and volume is not None:
        edits = (Edit(("spec", "accessModes"), volume.spec.get("accessModes")),)
        yield Mend(f"Ask for {_modes(volume)}, as volume {volume.ref.name} offers", (Patch(at, edits),), risk="medium")
    elif fault == "volume-mode-mismatch" and volume is not None:
        yield Mend(f"Ask for volumeMode {volume_mode(volume)}, as volume {volume.ref.name} has it",
                   (Patch(at, (Edit(("spec", "volumeMode"), volume_mode(volume)),)),), risk="medium",
                   unknown=("whether the pods can use it so: Filesystem is mounted (volumeMounts), Block is a device (volumeDevices)",))  # fmt: skip
    elif fault == "selector-mismatch":
        yield Mend("Do without the selector", (remove_field(at, "spec", "selector"),), risk="medium")
        if volume is not None:
            labels = (claim.spec.get("selector") or {}).get("matchLabels") or {}
            if labels:
                yield Mend(f"Or label volume {volume.ref.name} as the selector wants", (
                    Patch(volume.ref, tuple(Edit(("metadata", "labels", key), value) for key, value in labels.items())),))  # fmt: skip
    elif fault == "pv-already-bound" and volume is not None:
        yield from _bound_mends(state, claim, volume)


def _anew(claim: Object, path: tuple[str, ...], value: Any) -> Patch:
    """A claim's size can only grow, so a smaller one is a new claim: naming its class again makes the print replace it."""
    name = class_of(claim)
    edits = [Edit(("spec", *path), value)]
    edits.append(Edit(("spec", "volumeName")) if name is None else Edit(("spec", "storageClassName"), name))
    return Patch(claim.ref, tuple(edits))


def _class_mends(state: State, claim: Object) -> Iterator[Mend]:
    names = sorted(each.ref.name for each in state.all("StorageClass"))
    close = difflib.get_close_matches(class_of(claim) or "", names, n=1, cutoff=0.6)
    value = close[0] if close else default_class(state) or (names[0] if len(names) == 1 else "<STORAGE_CLASS>")
    unknown = () if value in names else (
        f"<STORAGE_CLASS>: an existing class ({', '.join(names) or 'none exists'})",
    )  # fmt: skip
    yield Mend(
        f"Use the class {value}", (set_field(claim.ref, "spec", "storageClassName", value=value),), unknown=unknown
    )


def _bound_mends(state: State, claim: Object, volume: Object) -> Iterator[Mend]:
    owner = volume.spec.get("claimRef") or {}
    holder = ref("PersistentVolumeClaim", owner.get("namespace", ""), owner.get("name", ""))
    if volume.status.get("phase") == "Released" or state.absent(holder):
        yield Mend(f"Release volume {volume.ref.name} from the claim that is gone; its data stays on it",
                   (remove_field(volume.ref, "spec", "claimRef"),), risk="medium")  # fmt: skip
    elif claim.spec.get("volumeName"):
        yield Mend("Do not insist on that volume", (remove_field(claim.ref, "spec", "volumeName"),), risk="medium")
    else:
        yield Mend(f"Make another volume like {volume.ref.name}, or delete the claim {holder.namespace}/{holder.name}")


def _declared(id: str) -> Callable[[State, Ref], bool]:
    def holds(state: State, at: Ref) -> bool:
        claim = state.find(at)
        found = lack(state, claim) if claim and at.kind == "PersistentVolumeClaim" else None
        return found is not None and found.id == id

    return holds


def _said(state: State, claim: Object, *reasons: str) -> list[Fact]:
    return [told(one) for one in state.events(claim.ref) if one.reason in reasons][:1]


def _lacking(state: State, symptom: Symptom, id: str) -> Iterator[Finding]:
    claim = state.find(symptom.at)
    why = lack(state, claim) if claim else None
    if claim is None or why is None or why.id != id:
        return
    name = class_of(claim)
    facts = [field(claim, f"claim {claim.ref.name}: class {name if name is not None else '(not set)'}, "
                          f"{size_of(claim)}, {_modes(claim)}")]  # fmt: skip
    if why.volume:
        facts.append(field(why.volume, f"volume {why.volume.ref.name}: class {why.volume.spec.get('storageClassName') or '(none)'}, "
                                       f"{capacity(why.volume)}, {_modes(why.volume)}, {why.volume.status.get('phase', '')}"))  # fmt: skip
    elif id == "storage/class-missing" and name:
        facts.append(not_there(ref("StorageClass", "", name)))
    else:
        facts.append(listed("PersistentVolume", "", "no volume fits the claim"))
    facts += _said(state, claim, "ProvisioningFailed", "FailedBinding", "VolumeMismatch")
    yield Finding(
        id, symptom.at, why.sure, f"the claim {claim.ref.name} stays Pending: {why.says}",
        supports=tuple(facts), mends=tuple(_mends(state, claim, why)), weight=0.3,
    )  # fmt: skip


@cause("storage/class-missing", "claim-pending", needs=NEEDS, holds=_declared("storage/class-missing"))
def class_missing(state: State, symptom: Symptom) -> Iterable[Finding]:
    yield from _lacking(state, symptom, "storage/class-missing")


@cause("storage/class-mismatch", "claim-pending", needs=NEEDS, holds=_declared("storage/class-mismatch"))
def class_mismatch(state: State, symptom: Symptom) -> Iterable[Finding]:
    yield from _lacking(state, symptom, "storage/class-mismatch")


@cause("storage/capacity-mismatch", "claim-pending", needs=NEEDS, holds=_declared("storage/capacity-mismatch"))
def capacity_mismatch(state: State, symptom: Symptom) -> Iterable[Finding]:
    yield from _lacking(state, symptom, "storage/capacity-mismatch")


@cause("storage/access-mode-mismatch", "claim-pending", needs=NEEDS, holds=_declared("storage/access-mode-mismatch"))
def access_mode(state: State, symptom: Symptom) -> Iterable[Finding]:
    yield from _lacking(state, symptom, "storage/access-mode-mismatch")


@cause("storage/volume-mode-mismatch", "claim-pending", needs=NEEDS, holds=_declared("storage/volume-mode-mismatch"))
def volume_mode_mismatch(state: State, symptom: Symptom) -> Iterable[Finding]:
    yield from _lacking(state, symptom, "storage/volume-mode-mismatch")


@cause("storage/selector-mismatch", "claim-pending", needs=NEEDS, holds=_declared("storage/selector-mismatch"))
def selector_mismatch(state: State, symptom: Symptom) -> Iterable[Finding]:
    yield from _lacking(state, symptom, "storage/selector-mismatch")


@cause("storage/pv-already-bound", "claim-pending", needs=NEEDS, holds=_declared("storage/pv-already-bound"))
def already_bound(state: State, symptom: Symptom) -> Iterable[Finding]:
    yield from _lacking(state, symptom, "storage/pv-already-bound")


# -- provisioners -----------------------------------------------------------------------------------------------------


def _provisioned(state: State, claim: Object) -> str:
    """The provisioner whose turn it is, if it is one's."""
    held = state.find(ref("StorageClass", "", class_of(claim) or ""))
    name = (held.raw.get("provisioner") or "") if held else ""
    return "" if name == NONE or lack(state, claim) else name


def _other_class(state: State, claim: Object) -> tuple[Mend, ...]:
    other = default_class(state)
    if not other or other == class_of(claim):
        return ()
    return (
        Mend(
            f"Or use the class {other}", (set_field(claim.ref, "spec", "storageClassName", value=other),), risk="medium"
        ),
    )


@cause("storage/provisioner-failed", "claim-pending", needs=NEEDS)
def provisioner_failed(state: State, symptom: Symptom) -> Iterable[Finding]:
    claim = state.find(symptom.at)
    name = _provisioned(state, claim) if claim else ""
    failed = [one for one in state.events(symptom.at) if one.reason == "ProvisioningFailed"] if name else []
    if claim is None or not failed:
        return
    yield Finding(
        "storage/provisioner-failed", symptom.at, "proved",
        f"the provisioner {name} of class {class_of(claim)} could not make a volume for the claim {claim.ref.name}: "
        + failed[0].message[:300],
        supports=(told(failed[0]), field(ref("StorageClass", "", class_of(claim) or ""), f"provisioner {name}")),
        mends=(Mend("Mend what the provisioner complains of: the class's parameters, its credentials or its quota",
                    unknown=("what it needs is in its message",)), *_other_class(state, claim)),
        weight=0.3,
    )  # fmt: skip


@cause("storage/provisioner-missing", "claim-pending", needs=together(NEEDS, lists("CSIDriver")))
def provisioner_missing(state: State, symptom: Symptom) -> Iterable[Finding]:
    claim = state.find(symptom.at)
    name = _provisioned(state, claim) if claim else ""
    events = state.events(symptom.at)
    if (
        claim is None
        or not name
        or any(one.reason in ("ProvisioningFailed", "Provisioning", "ProvisioningSucceeded") for one in events)
    ):
        return
    waits = [one for one in events if one.reason == "ExternalProvisioning"]
    asked = claim.annotations.get("volume.kubernetes.io/storage-provisioner")
    old = claim.created is not None and state.now - claim.created > PATIENCE
    unregistered = state.all("CSIDriver").complete and state.absent(ref("CSIDriver", "", name))
    if not (waits or asked) or not (old or unregistered):  # one that runs may just need a moment
        return
    facts = [*(told(one) for one in waits[:1]),
             field(ref("StorageClass", "", class_of(claim) or ""), f"StorageClass {class_of(claim)} has provisioner {name}")]  # fmt: skip
    if unregistered:
        facts.append(listed("CSIDriver", "", f"no CSI driver {name} is registered"))
    yield Finding(
        "storage/provisioner-missing", symptom.at, "proved" if old and waits and state.events_known(symptom.at.namespace) else "likely",
        f"the claim {claim.ref.name} waits for the provisioner {name} of class {class_of(claim)}, and no such provisioner "
        "has answered: none seems to run",
        supports=tuple(facts),
        mends=(*_other_class(state, claim), Mend(f"Install or start the provisioner {name}",
                                                 unknown=(f"how {name} is installed here",))),
    )  # fmt: skip


# -- claims that are not there ----------------------------------------------------------------------------------------


def _absent_claims(state: State, at: Ref) -> list[str]:
    found = state.find(at)
    names = claim_names(pod_spec(found)) if found else []
    return [name for name in names if state.absent(ref("PersistentVolumeClaim", at.namespace, name))]


@cause("storage/pvc-missing", "pod-unscheduled", "pod-stuck-creating", needs=together(owners, lists("StorageClass")),
       holds=lambda state, at: bool(_absent_claims(state, at)))  # fmt: skip
def pvc_missing(state: State, symptom: Symptom) -> Iterable[Finding]:
    pod = state.find(symptom.at)
    missing = _absent_claims(state, symptom.at)
    if pod is None or not missing:
        return
    workload = workload_of(state, symptom.at)
    target = ref("PersistentVolumeClaim", symptom.at.namespace, missing[0])
    claims = [each.ref.name for each in state.all("PersistentVolumeClaim", symptom.at.namespace)]
    close = difflib.get_close_matches(target.name, claims, n=1, cutoff=0.6)
    mends: list[Mend] = []
    owner = state.find(workload)
    for index, volume in enumerate(pod_spec(owner).get("volumes") or () if owner else ()):
        if close and dig(volume, "persistentVolumeClaim", "claimName") == target.name:
            path = (*spec_path(workload.kind), "volumes", index, "persistentVolumeClaim", "claimName")
            mends.append(Mend(f"Use the claim that exists, {close[0]}", (set_field(workload, *path, value=close[0]),)))
    spec: dict[str, Any] = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    if default_class(state):
        spec["storageClassName"] = default_class(state)
    body = {"apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": target.name, "namespace": target.namespace}, "spec": spec}  # fmt: skip
    mends.append(Mend(f"Create the claim {target.name}", (Patch(target, action="create", body=body),),
                      unknown=("which size, class and access mode its data needs; and whether it held data before",)))  # fmt: skip
    hint = f"; one named {close[0]} exists" if close else ""
    yield Finding(
        "storage/pvc-missing", workload, "proved",
        f"{workload.short} mounts the claim {target.name}, which does not exist{hint}",
        supports=(not_there(target), field(workload, f"a volume names the claim {target.name}"), *quoted(state, pod)),
        mends=tuple(mends), weight=0.3,
    )  # fmt: skip


@cause("storage/pvc-lost", "claim-lost", needs=NEEDS)
def pvc_lost(state: State, symptom: Symptom) -> Iterable[Finding]:
    claim = state.find(symptom.at)
    if claim is None:
        return
    volume = ref("PersistentVolume", "", claim.spec.get("volumeName") or "")
    facts = [field(claim, f"status.phase is Lost; spec.volumeName is {volume.name}"),
             *([not_there(volume)] if state.absent(volume) else []), *_said(state, claim, "ClaimLost", "ClaimMisbound")]  # fmt: skip
    users = list(near(state, symptom.at, Relation.MOUNTS, back=True))
    yield Finding(
        "storage/pvc-lost", symptom.at, "proved",
        f"the claim {claim.ref.name} was bound to the volume {volume.name}, which is gone: what was on it is lost to it",
        supports=tuple(facts), affects=tuple(users[:3]),
        mends=(Mend("Make the claim anew, empty, and restore its data from a backup",
                    (remove_field(symptom.at, "spec", "volumeName"),), risk="high",
                    unknown=("whether a backup of the data exists",)),),
    )  # fmt: skip
