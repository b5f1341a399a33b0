"""The clusters as pytest fixtures, one of each kind per session, started when a test first asks for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import audit
from tests.cluster.cache import Lacking
from tests.cluster.external import external
from tests.cluster.handle import Cluster, Kind, launch

EXTERNAL = "INTELLECT_TEST_KUBECONFIG"


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A control plane with three simulated nodes; needs no root."""
    yield from _given("controlplane", tmp_path_factory)


@pytest.fixture(scope="session")
def real_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with a node that runs containers; needs root on Linux."""
    yield from _given("node", tmp_path_factory)


def lacking(message: str) -> None:
    """Skip for what this machine lacks; in CI, where nothing may be skipped unseen, fail."""
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(f"CI must be able to run this: {message}", pytrace=False)
    pytest.skip(message)


def _given(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    existing = os.environ.get(EXTERNAL)
    if existing:
        yield external(Path(existing).expanduser(), tmp_path_factory.mktemp("external"))
        return
    try:
        cluster = launch(kind)
    except Lacking as reason:
        lacking(str(reason))
        return
    changed: list[str] = []
    try:
        yield cluster
        if cluster.audit_log is not None:  # of the whole session, whatever its tests were about
            changed = audit.changes(audit.entries(cluster.audit_log))
    finally:
        cluster.down()
    assert not changed, f"asking changed the cluster: {changed[:5]}"
