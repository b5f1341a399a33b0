"""Why a claim finds no volume, from the declared fields of claim, volumes and classes."""

from __future__ import annotations

import pytest

from kubectl_ai_intellect.causes.assess import assess
from kubectl_ai_intellect.causes.base import causes
from kubectl_ai_intellect.causes.symptoms import derive
from tests.unit.states import state_of

LISTED = ("StorageClass", "PersistentVolume", "CSIDriver")


def claim(spec: str, phase: str = "Pending") -> str:
    return f"""
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{ name: data, namespace: shop, uid: c1, creationTimestamp: "2026-01-01T11:00:00Z" }}
spec: {{ accessModes: [ReadWriteOnce], resources: {{ requests: {{ storage: 2Gi }} }}, {spec} }}
status: {{ phase: {phase} }}
"""


def volume(spec: str, size: str = "5Gi", mode: str = "ReadWriteOnce") -> str:
    return f"""
---
apiVersion: v1
kind: PersistentVolume
metadata: {{ name: vol, labels: {{ tier: bronze }} }}
spec: {{ capacity: {{ storage: {size} }}, accessModes: [{mode}], {spec} }}
status: {{ phase: Available }}
"""


CLASS = """
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: { name: fast }
provisioner: disk.example.com
volumeBindingMode: %s
"""


@pytest.mark.parametrize(
    ("cluster", "cause"),
    [
        (claim("storageClassName: fats") + CLASS % "Immediate", "storage/class-missing"),
        (claim("storageClassName: manual") + volume("storageClassName: manaul"), "storage/class-mismatch"),
        (claim("storageClassName: manual") + volume("storageClassName: manual", "1Gi"), "storage/capacity-mismatch"),
        (
            claim("storageClassName: manual") + volume("storageClassName: manual", mode="ReadOnlyMany"),
            "storage/access-mode-mismatch",
        ),
        (
            claim("storageClassName: manual, selector: { matchLabels: { tier: gold } }")
            + volume("storageClassName: manual"),
            "storage/selector-mismatch",
        ),
        (
            claim("storageClassName: manual")
            + volume("storageClassName: manual, claimRef: { namespace: shop, name: other, uid: x }"),
            "storage/pv-already-bound",
        ),
        (claim("volumeName: gone", "Lost"), "storage/pvc-lost"),
    ],
)
def test_what_keeps_a_claim_from_its_volume(cluster: str, cause: str) -> None:
    state = state_of(cluster, complete=LISTED)
    roots = assess(state, derive(state), causes()).roots
    assert [(root.finding.cause, root.finding.object.name) for root in roots] == [(cause, "data")]


def test_a_mend_of_the_class_clears_it() -> None:
    state = state_of(claim("storageClassName: fats") + CLASS % "Immediate", complete=LISTED)
    finding = assess(state, derive(state), causes()).roots[0].finding
    holds = causes()[finding.cause].holds
    assert holds is not None
    assert holds(state, finding.object)
    assert not holds(state.patched(*finding.mends[0].patches), finding.object)


def test_waiting_for_the_first_consumer_is_normal() -> None:
    state = state_of(claim("storageClassName: fast") + CLASS % "WaitForFirstConsumer", complete=LISTED)
    assert not [each for each in derive(state) if each.kind == "claim-pending"]


def test_a_fitting_free_volume_is_no_mismatch() -> None:
    state = state_of(claim("storageClassName: manual") + volume("storageClassName: manual"), complete=LISTED)
    assert not assess(state, derive(state), causes()).roots


def test_of_many_volumes_the_one_whose_class_is_nearly_meant() -> None:
    """Volumes made for other claims fit in all but their class, too; their names may not decide."""
    neighbours = "".join(
        volume(f"storageClassName: {name}").replace("name: vol,", f"name: {at},")
        for at, name in (("a", "nfs-2f81c0"), ("m", "manual-a1b2c3"), ("z", "slow-77d0e1"))
    )
    state = state_of(claim("storageClassName: manaul-a1b2c3") + neighbours, complete=LISTED)
    (root,) = assess(state, derive(state), causes()).roots
    assert root.finding.cause == "storage/class-mismatch"
    assert "manual-a1b2c3" in root.finding.says


def test_volumes_of_other_classes_are_not_meant_by_a_class_that_is_missing() -> None:
    others = volume("storageClassName: nfs") + volume("storageClassName: slow-disk").replace("name: vol,", "name: two,")
    state = state_of(claim("storageClassName: premium") + others, complete=LISTED)
    assert [root.finding.cause for root in assess(state, derive(state), causes()).roots] == ["storage/class-missing"]
