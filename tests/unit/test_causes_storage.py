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
