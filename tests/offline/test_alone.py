"""The whole main job in a network namespace whose only way leads to the API server."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.cluster.cache import Lacking
from tests.cluster.fixtures import lacking
from tests.cluster.handle import Cluster
from tests.offline import job, shop
from tests.offline.isolated import Ran, Session, alone

pytestmark = [pytest.mark.controlplane, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def session(control_plane: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Session:
    scratch = tmp_path_factory.mktemp("job")
    shop.opened(control_plane)
    bundle = job.bundled(scratch, shop.home(scratch / "connected", control_plane))
    try:
        return job.done(control_plane.kubeconfig, shop.home(scratch / "isolated", control_plane), bundle)
    except Lacking as reason:
        lacking(str(reason))
        raise


def step(session: Session, *words: str) -> Ran:
    return next(each for each in session.steps if set(words) <= set(each.words))


def test_only_loopback_is_there_and_the_way_is_used(session: Session) -> None:
    assert session.interfaces == ("lo",)
    assert session.connections >= 5


def test_every_step_works_and_none_looks_for_another_way(session: Session) -> None:
    for each in session.steps:
        assert (each.code, each.unrouted) == (0, 0), f"{each.words}: {each.err}"
        assert "Traceback" not in each.err


def test_the_bundle_is_verified_and_installed(session: Session) -> None:
    ran = step(session, "bundle", "install")
    assert "the list is signed by that key" in ran.out
    assert "installed      index" in ran.out
    assert (f"model {job.MODEL}" in ran.out) is job.local()


def test_the_diagnosis_is_right(session: Session) -> None:
    verdict = json.loads(step(session, "deployment/cart").out)["verdict"]
    assert (verdict["status"], verdict["cause"]) == ("root_cause", shop.CAUSE)
    assert verdict["runbook"] == shop.CAUSE
    assert "Deployment/cart asks for nodes" in step(session, "why", "none").out
    causes = {
        (each["object"]["namespace"], each["cause"]) for each in json.loads(step(session, "scan").out)["findings"]
    }
    assert (shop.NAMESPACE, shop.CAUSE) in causes


def test_the_runbook_is_found_by_the_embedder_of_the_bundle(session: Session) -> None:
    found = json.loads(step(session, "search").out)
    assert shop.CAUSE in [hit["runbook"] for hit in found["hits"]]
    if job.embedder() is None:
        lacking("there is no embedder here; make setup-local")
    assert (found["embedder"], found["note"]) == ("all-minilm-l6-v2-q8_0", "")


def test_names_complete(session: Session) -> None:
    assert step(session, "__complete").out.splitlines() == ["deployment/cart", ":4"]


def test_a_local_model_answers_too(session: Session) -> None:
    if not job.local():
        lacking("llama-cpp-python is not installed; make setup-local")
    report = json.loads(step(session, "--explain").out)
    assert report["verdict"]["cause"] == shop.CAUSE
    assert job.MODEL in report["usage"]["model"]
    assert report["usage"]["completionTokens"] > 0


def test_the_namespace_is_closed_and_the_counter_counts(control_plane: Cluster, tmp_path: Path) -> None:
    """Without this the other tests might pass where everything can be reached."""
    reach = "import socket\ntry: socket.create_connection(({!r}, 443), 3)\nexcept OSError as error: print(type(error).__name__)"
    environment = shop.home(tmp_path, control_plane)
    commands = [[sys.executable, "-c", reach.format(host)] for host in ("192.0.2.1", "example.com")]
    literal, name = alone(control_plane.kubeconfig, environment, commands).steps
    assert literal.out.strip() == "OSError"
    assert literal.unrouted >= 1
    assert name.out.strip() == "gaierror"
